"""SHA-256 (FIPS 180-4) as compiled code that other compiled code calls: no Python object, no interpreter lock.

On x86-64 processors with the SHA extensions the compression function is made of their instructions, elsewhere of plain
integer arithmetic. `self_check` compares with the standard library before a worker seals anything
(docs/decisions/0011).
"""

from __future__ import annotations

import platform
from typing import Any, Final

import numpy as np
from llvmlite import binding, ir
from numba import types
from numba.core import cgutils

from onshore_pipeline.compiled import bytes_at, compiled, lowered
from onshore_pipeline.errors import OnshoreError

BLOCK: Final = 64
DIGEST_SIZE: Final = 32
PADDING: Final = 72

# The first 32 bits of the fractional parts of the cube roots of the first 64 primes (FIPS 180-4 section 4.2.2).
_PRIMES: Final = [n for n in range(2, 312) if all(n % d for d in range(2, int(n**0.5) + 1))]


def _integer_root(value: int, degree: int) -> int:
    """The largest integer whose `degree`-th power is at most `value`, exactly."""
    low, high = 0, 1 << (value.bit_length() // degree + 1)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if middle**degree <= value else (low, middle - 1)
    return low


_MASK: Final = 0xFFFFFFFF
_K: Final = np.array([_integer_root(prime << 96, 3) & _MASK for prime in _PRIMES], np.uint32)
# The same of the square roots of the first eight (section 5.3.3).
_INITIAL: Final = np.array([_integer_root(prime << 64, 2) & _MASK for prime in _PRIMES[:8]], np.uint32)


class CompiledWrongly(OnshoreError):
    """The compiled digests are not the standard library's: seal nothing with them."""


def has_sha_instructions() -> bool:
    """Whether this processor has the x86 SHA extensions."""
    is_x86 = platform.machine().lower() in {"x86_64", "amd64"}
    return is_x86 and bool(binding.get_host_cpu_features().get("sha"))


_WORDS: Final = ir.VectorType(ir.IntType(32), 4)


def _lanes(*numbers: int) -> ir.Constant:
    return ir.Constant(_WORDS, list(numbers))


@lowered
def _digest_by_instructions(typing_context: Any, data: Any, blocks: Any, out: Any) -> Any:  # noqa: ARG001
    """The digest of whole blocks with sha256rnds2, sha256msg1 and sha256msg2."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        data_at, blocks_of, out_at = arguments
        _digests(builder, [data_at], blocks_of, [out_at])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 3), generate


@lowered
def _two_by_instructions(typing_context: Any, one: Any, other: Any, blocks: Any, out: Any, out_other: Any) -> Any:  # noqa: ARG001
    """Two digests of equally many blocks: each instruction waits for the one before, and the other fills the wait."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        _digests(builder, arguments[:2], arguments[2], arguments[3:])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 5), generate


def _digests(builder: Any, data: Any, blocks: Any, out: Any) -> None:
    """Digests of as many streams as there are addresses, block by block beside one another."""
    data_at = [builder.inttoptr(address, _WORDS.as_pointer()) for address in data]
    h = [int(word) for word in _INITIAL]
    # The instructions want the words A, B, E, F and C, D, G, H together, the first in the highest lane.
    states = [
        [cgutils.alloca_once_value(builder, _lanes(*(h[n] for n in lanes))) for lanes in ((5, 4, 1, 0), (7, 6, 3, 2))]
        for _ in data_at
    ]
    with cgutils.for_range(builder, blocks) as loop:
        first = builder.mul(loop.index, ir.Constant(loop.index.type, 4))
        _one_block(builder, [builder.gep(at, [first]) for at in data_at], states)
    for (abef, cdgh), address in zip(states, out, strict=True):
        left, right, out_at = builder.load(abef), builder.load(cdgh), builder.inttoptr(address, _WORDS.as_pointer())
        for place, lanes in ((0, (3, 2, 7, 6)), (1, (1, 0, 5, 4))):
            words = _call(builder, "llvm.bswap.v4i32", builder.shuffle_vector(left, right, _lanes(*lanes)))
            builder.store(words, builder.gep(out_at, [ir.Constant(ir.IntType(32), place)]), align=1)


def _call(builder: Any, name: str, *arguments: Any) -> Any:
    kind = ir.FunctionType(_WORDS, [_WORDS] * len(arguments))
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def _one_block(builder: Any, starts: Any, states: Any) -> None:
    """Sixty-four rounds over the 64 bytes at each start, four at a time."""
    before = [(builder.load(abef), builder.load(cdgh)) for abef, cdgh in states]
    now = list(before)
    words: list[list[Any]] = [[] for _ in starts]
    for group in range(16):
        for stream, at in enumerate(starts):
            words[stream].append(_next_words(builder, at, group, words[stream]))
            keyed = builder.add(words[stream][-1], _lanes(*(int(k) for k in _K[4 * group : 4 * group + 4])))
            one, two = now[stream]
            two = _call(builder, "llvm.x86.sha256rnds2", two, one, keyed)
            upper = builder.shuffle_vector(keyed, keyed, _lanes(2, 3, 2, 3))
            now[stream] = _call(builder, "llvm.x86.sha256rnds2", one, two, upper), two
    for stream, (abef, cdgh) in enumerate(states):
        builder.store(builder.add(now[stream][0], before[stream][0]), abef)
        builder.store(builder.add(now[stream][1], before[stream][1]), cdgh)


def _next_words(builder: Any, at: Any, group: int, words: list[Any]) -> Any:
    """Four words of the message schedule: the block's own for the first four groups, then made of the last four."""
    if group < 4:  # noqa: PLR2004
        loaded = builder.load(builder.gep(at, [ir.Constant(ir.IntType(32), group)]), align=1)
        return _call(builder, "llvm.bswap.v4i32", loaded)
    a, b, c, d = words[-4:]
    seventh = builder.shuffle_vector(c, d, _lanes(1, 2, 3, 4))
    partial = builder.add(_call(builder, "llvm.x86.sha256msg1", a, b), seventh)
    return _call(builder, "llvm.x86.sha256msg2", partial, d)


@compiled
def _rotated(word: np.uint32, by: int) -> np.uint32:
    return np.uint32((word >> np.uint32(by)) | (word << np.uint32(32 - by)))


@compiled
def _digest_by_arithmetic(data: int, blocks: int, out: int) -> None:
    """The digest of whole blocks on any processor (FIPS 180-4 section 6.2.2)."""
    block, digest = bytes_at(data), bytes_at(out)
    h, w = _INITIAL.copy(), np.empty(64, np.uint32)
    for number in range(blocks):
        for t in range(16):
            word = np.uint32(0)
            for byte in range(4):
                word = np.uint32(word << np.uint32(8)) | np.uint32(block[BLOCK * number + 4 * t + byte])
            w[t] = word
        for t in range(16, 64):
            x, y = w[t - 15], w[t - 2]
            s0 = _rotated(x, 7) ^ _rotated(x, 18) ^ (x >> np.uint32(3))
            s1 = _rotated(y, 17) ^ _rotated(y, 19) ^ (y >> np.uint32(10))
            w[t] = w[t - 16] + s0 + w[t - 7] + s1
        a, b, c, d, e, f, g, i = h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7]
        for t in range(64):
            s1 = _rotated(e, 6) ^ _rotated(e, 11) ^ _rotated(e, 25)
            t1 = np.uint32(i + s1 + ((e & f) ^ (~e & g)) + _K[t] + w[t])
            s0 = _rotated(a, 2) ^ _rotated(a, 13) ^ _rotated(a, 22)
            t2 = np.uint32(s0 + ((a & b) ^ (a & c) ^ (b & c)))
            i, g, f, e, d, c, b, a = g, f, e, np.uint32(d + t1), c, b, a, np.uint32(t1 + t2)
        h += np.array([a, b, c, d, e, f, g, i], np.uint32)
    for place in range(DIGEST_SIZE):
        digest[place] = np.uint8((h[place // 4] >> np.uint32(24 - 8 * (place % 4))) & np.uint32(0xFF))


@compiled
def _two_by_arithmetic(one: int, other: int, blocks: int, out: int, out_other: int) -> None:
    _digest_by_arithmetic(one, blocks, out)
    _digest_by_arithmetic(other, blocks, out_other)


_digest_of_blocks: Final = _digest_by_instructions if has_sha_instructions() else _digest_by_arithmetic
_two_digests: Final = _two_by_instructions if has_sha_instructions() else _two_by_arithmetic


@compiled
def digest_into(buffer: int, size: int, out: int) -> None:
    """The digest of the `size` bytes at address `buffer`, into the 32 bytes at address `out`.

    The padding is written behind them: the buffer must hold `size` + `PADDING` bytes.
    """
    _digest_of_blocks(buffer, _padded(buffer, size), out)


@compiled
def digest_two_into(buffer: int, size: int, out: int, other: int, other_size: int, out_other: int) -> None:
    """`digest_into` for two buffers, which takes less time than one after the other."""
    blocks, other_blocks = _padded(buffer, size), _padded(other, other_size)
    if blocks == other_blocks:
        _two_digests(buffer, other, blocks, out, out_other)
    else:
        _digest_of_blocks(buffer, blocks, out)
        _digest_of_blocks(other, other_blocks, out_other)


@compiled
def _padded(buffer: int, size: int) -> int:
    """Write the padding behind a message; returns its blocks."""
    end = (size + 9 + BLOCK - 1) // BLOCK * BLOCK
    held = bytes_at(buffer)
    held[size] = 0x80
    for place in range(size + 1, end - 8):
        held[place] = 0
    bits = size << 3
    for place in range(8):
        held[end - 1 - place] = np.uint8((bits >> (8 * place)) & 0xFF)
    return end // BLOCK
