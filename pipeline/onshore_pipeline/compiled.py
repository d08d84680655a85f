"""Code that is compiled on first use, and what it reads memory with: bytes and integers by address.

For the few loops over bytes that no library does in one call. Whoever passes an address keeps what lies there alive.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

Function = TypeVar("Function", bound="Callable[..., Any]")

# Makes a function of LLVM instructions.
lowered: Final = cast("Callable[[Callable[..., Any]], Callable[..., Any]]", intrinsic)


def _place_of_machine_code() -> str:
    """A folder for these very sources; '' where there is none of our own.

    Numba compares the source of the function that it compiled, not those of the functions that it took in.
    """
    package = Path(__file__).parent
    sources = (file.read_bytes() for file in sorted(package.rglob("*.py")))
    digest = hashlib.sha256(b"\x00".join(text for text in sources if b"compiled" in text)).hexdigest()[:16]
    if os.access(package, os.W_OK):
        return str(package / "__pycache__" / f"compiled-{digest}")
    try:
        return str(Path.home() / ".cache" / "onshore" / f"compiled-{digest}")
    except RuntimeError:  # a user without a home
        return ""


_config: Any = numba.config
MACHINE_CODE: Final[str] = _config.CACHE_DIR or _place_of_machine_code()
_config.CACHE_DIR = MACHINE_CODE


def compiled(function: Function) -> Function:
    """Compile on first use, keep the machine code on disk, release the interpreter lock while it runs."""
    try:
        return cast("Function", numba.njit(nogil=True, cache=bool(MACHINE_CODE))(function))
    except RuntimeError:  # no folder to keep it in: compiled again by every process, about two seconds
        return cast("Function", numba.njit(nogil=True)(function))


@lowered
def copy_bytes(typing_context: Any, target: Any, source: Any, size: Any) -> Any:  # noqa: ARG001
    """Memcpy between two addresses (int64) of regions that do not overlap."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        pointer = ir.IntType(8).as_pointer()
        to, of = (builder.inttoptr(address, pointer) for address in arguments[:2])
        cgutils.raw_memcpy(builder, to, of, arguments[2], 1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


@lowered
def bytes_at(typing_context: Any, address: Any) -> Any:  # noqa: ARG001
    """The bytes from an address (int64) on, to be read and written by index."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        return builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())

    return types.CPointer(types.uint8)(types.int64), generate


@lowered
def integers_at(typing_context: Any, address: Any) -> Any:  # noqa: ARG001
    """The 64-bit integers from an aligned address (int64) on."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        return builder.inttoptr(arguments[0], ir.IntType(64).as_pointer())

    return types.CPointer(types.int64)(types.int64), generate


@lowered
def words_at(typing_context: Any, address: Any) -> Any:  # noqa: ARG001
    """The unsigned 32-bit integers from an aligned address (int64) on."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        return builder.inttoptr(arguments[0], ir.IntType(32).as_pointer())

    return types.CPointer(types.uint32)(types.int64), generate


@lowered
def eight_at(typing_context: Any, address: Any) -> Any:  # noqa: ARG001
    """The eight bytes from any address (int64) on, as one unsigned integer."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        return builder.load(builder.inttoptr(arguments[0], ir.IntType(64).as_pointer()), align=1)

    return types.uint64(types.int64), generate


AT_ONCE: Final = 16  # bytes that one instruction takes


def _bytes(count: int) -> ir.VectorType:
    return ir.VectorType(ir.IntType(8), count)


def _each(value: int, count: int = AT_ONCE) -> ir.Constant:
    return ir.Constant(_bytes(count), [value] * count)


def _copy_and_look(count: int) -> Callable[[int, int], int]:
    """A function of two addresses (int64): copies `count` bytes; not 0 where JSON escapes one of them."""

    @lowered
    def copy(typing_context: Any, target: Any, source: Any) -> Any:  # noqa: ARG001
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
            to, of = (builder.inttoptr(address, _bytes(count).as_pointer()) for address in arguments)
            values = builder.load(of, align=1)
            builder.store(values, to, align=1)
            odd = builder.icmp_unsigned("<", values, _each(0x20, count))
            for escaped in b'"\\':
                odd = builder.or_(odd, builder.icmp_unsigned("==", values, _each(escaped, count)))
            return builder.zext(builder.bitcast(odd, ir.IntType(count)), ir.IntType(64))

        return types.int64(types.int64, types.int64), generate

    return cast("Callable[[int, int], int]", copy)


copy_sixteen: Final[Callable[[int, int], int]] = _copy_and_look(16)
copy_eight: Final[Callable[[int, int], int]] = _copy_and_look(8)
copy_four: Final[Callable[[int, int], int]] = _copy_and_look(4)


@lowered
def put_sixteen_hex(typing_context: Any, target: Any, source: Any) -> Any:  # noqa: ARG001
    """Two lower-case digits for each of the 16 bytes at `source`, to `target`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        to, of = (builder.inttoptr(address, _bytes(AT_ONCE).as_pointer()) for address in arguments)
        values = builder.load(of, align=1)
        upper, lower = builder.lshr(values, _each(4)), builder.and_(values, _each(15))
        for half in (0, 1):
            places = [side + 8 * half + place for place in range(8) for side in (0, AT_ONCE)]
            order = ir.Constant(ir.VectorType(ir.IntType(32), AT_ONCE), places)
            nibbles = builder.shuffle_vector(upper, lower, order)
            letter = builder.icmp_unsigned(">", nibbles, _each(9))
            beyond = builder.select(letter, _each(ord("a") - 10), _each(ord("0")))
            at = builder.gep(to, [ir.Constant(ir.IntType(32), half)])
            builder.store(builder.add(nibbles, beyond), at, align=1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@compiled
def address_of(array: NDArray[Any]) -> int:
    """Where the bytes of an array lie that the caller passed in.

    Not of one that the compiled code made: it is freed behind its last use by name, and an address is none.
    """
    return np.int64(array.ctypes.data)  # type: ignore[return-value]  # unsigned there, and both together would be a float
