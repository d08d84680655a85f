"""Code that is compiled on first use, and what it reads memory with: bytes and integers by address.

For the few loops over bytes that no library does in one call. Whoever passes an address keeps what lies there alive.
"""

from __future__ import annotations

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


def compiled(function: Function) -> Function:
    """Compile on first use, keep the machine code on disk, release the interpreter lock while it runs."""
    try:
        return cast("Function", numba.njit(nogil=True, cache=True)(function))
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


@compiled
def address_of(array: NDArray[Any]) -> int:
    """Where the bytes of an array lie that the caller passed in.

    Not of one that the compiled code made: it is freed behind its last use by name, and an address is none.
    """
    return np.int64(array.ctypes.data)  # type: ignore[return-value]  # unsigned there, and both together would be a float
