"""Numbers for the texts of a column, by the views in which Arrow holds them.

A view is 16 bytes: a value's length, and then the value itself if it has up to 12 bytes, else its first four, which
buffer it lies in, and where. Most columns of a batch hold a few short values again and again, so that two integers are
compared where other libraries hash bytes: a quarter of what it costs to make categories of them.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import polars as pl

from onshore_pipeline.compiled import address_of, bytes_at, compiled, eight_at

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

_WITHIN: Final = 12  # bytes of a value that its view holds whole
_FEW_SLOTS: Final = 1 << 12
_RECENT: Final = 1 << 10
_FULL: Final = -1
_COLON, _SLASH = ord(":"), ord("/")
_ALL_KNOWN: Final = np.frombuffer(b"", np.uint8)
_NO_VIEWS: Final = np.frombuffer(b"", np.uint64).reshape(-1, 2)
# Of this process alone: nobody can send texts that are made to fall into one slot.
_SEED: Final = np.frombuffer(secrets.token_bytes(16), np.uint64)


class Numbered(NamedTuple):
    """The values of a column, numbered by first appearance.

    Attributes:
        numbers: by value its number, from 1 on; 0 where it is null.
        firsts: by number, less one, where it appears first.
        has_nulls: whether a value is null.
    """

    numbers: NDArray[np.uint32]
    firsts: NDArray[np.int64]
    has_nulls: bool


class _Views(NamedTuple):
    """A column as Arrow holds it.

    Attributes:
        views: two words a value.
        lie_at: by buffer, its address.
        known: bits for which values are not null, the first value's at `offset`; empty if none is.
        offset: see there.
        array: keeps all of it where it is.
    """

    views: NDArray[np.uint64]
    lie_at: NDArray[np.int64]
    known: NDArray[np.uint8]
    offset: int
    array: pa.Array


def _views_of(column: pl.Series) -> _Views:
    array = column.rechunk().to_arrow(compat_level=pl.CompatLevel.newest())
    known, held, *buffers = array.buffers()
    count, offset = len(array), array.offset
    return _Views(
        np.frombuffer(held, np.uint64, 2 * count, 16 * offset).reshape(-1, 2) if count else _NO_VIEWS,
        np.array([buffer.address for buffer in buffers], np.int64),
        np.frombuffer(known, np.uint8) if array.null_count else _ALL_KNOWN,
        offset,
        array,
    )


def numbered(column: pl.Series) -> Numbered:
    """Number the values of a column of texts or bytes; equal ones get one number."""
    held = _views_of(column)
    count, found = len(held.views), _FULL
    numbers, firsts = np.empty(count, np.uint32), np.empty(count, np.int64)
    for slots in (_FEW_SLOTS, 1 << (2 * count).bit_length()):
        if found == _FULL:
            found = _number(*held[:4], _SEED, numbers, firsts, np.zeros(slots, np.uint32))
    return Numbered(numbers, firsts[:found], len(held.known) > 0)


def have_scheme(column: pl.Series) -> NDArray[np.bool_]:
    """Which texts of a column hold `://`; those that are null do not."""
    held = _views_of(column)
    found = np.zeros(len(held.views), np.bool_)
    _have_scheme(*held[:4], found)
    return found


@compiled
def _number(
    views: NDArray[np.uint64],
    lie_at: NDArray[np.int64],
    known: NDArray[np.uint8],
    offset: int,
    seed: NDArray[np.uint64],
    numbers: NDArray[np.uint32],
    firsts: NDArray[np.int64],
    table: NDArray[np.uint32],
) -> int:
    """Number every view; returns how many numbers there are, or -1 where the table would be more than half full."""
    mask = np.uint64(len(table) - 1)
    has_nulls = len(known) > 0
    recent = np.zeros(_RECENT, np.uint32)  # rows, plus one, whose long values may come again from the same place
    count = 0
    for row in range(len(views)):
        if has_nulls and _is_null(known, offset + row):
            numbers[row] = 0
            continue
        one, other = views[row, 0], views[row, 1]
        size = _size(one)
        if size > _WITHIN:
            slot = np.int64(_mixed(one ^ (other << np.uint64(7)) ^ (other >> np.uint64(25))) & np.uint64(_RECENT - 1))
            like = recent[slot] - 1
            if like >= 0 and views[like, 0] == one and views[like, 1] == other:
                numbers[row] = numbers[like]
                continue
            recent[slot] = row + 1
            mixed = _mixed_bytes(one ^ seed[0], _place(lie_at, other), size, seed[1])
        else:
            mixed = _mixed(_mixed(one ^ seed[0]) ^ other ^ seed[1])
        at = mixed & mask
        number = table[at]
        while number:
            first = firsts[number - 1]
            if views[first, 0] == one and (
                views[first, 1] == other or (size > _WITHIN and _same(lie_at, views[first, 1], other, size))
            ):
                break
            at = (at + np.uint64(1)) & mask
            number = table[at]
        if not number:
            if count == len(table) // 2:
                return _FULL
            firsts[count] = row
            count += 1
            number = np.uint32(count)
            table[at] = number
        numbers[row] = number
    return count


@compiled
def _is_null(known: NDArray[np.uint8], bit: int) -> bool:
    return not (known[bit >> 3] >> (bit & 7)) & 1


@compiled
def _size(one: np.uint64) -> np.int64:
    return np.int64(one & np.uint64(0xFFFFFFFF))


@compiled
def _place(lie_at: NDArray[np.int64], other: np.uint64) -> np.int64:
    """Where a value lies that is too long for its view."""
    return np.int64(lie_at[np.int64(other & np.uint64(0xFFFFFFFF))] + np.int64(other >> np.uint64(32)))


@compiled
def _same(lie_at: NDArray[np.int64], one: np.uint64, other: np.uint64, size: np.int64) -> bool:
    """Whether two long values of one size are the same."""
    return _same_bytes(_place(lie_at, one), _place(lie_at, other), size)


@compiled
def _mixed(word: np.uint64) -> np.uint64:
    word = (word ^ (word >> np.uint64(32))) * np.uint64(0x9E3779B97F4A7C15)
    return word ^ (word >> np.uint64(29))


@compiled
def _mixed_bytes(begun: np.uint64, place: np.int64, size: np.int64, seed: np.uint64) -> np.uint64:
    """Mix more than eight bytes; the last eight may overlap those before."""
    mixed = begun
    for at in range(0, size - 7, 8):
        mixed = _mixed(mixed ^ eight_at(place + at) ^ seed)
    return _mixed(mixed ^ eight_at(place + size - 8) ^ seed)


@compiled
def _same_bytes(one: np.int64, other: np.int64, size: np.int64) -> bool:
    """Whether more than eight bytes are the same."""
    for at in range(0, size - 7, 8):
        if eight_at(one + at) != eight_at(other + at):
            return False
    return bool(eight_at(one + size - 8) == eight_at(other + size - 8))


@compiled
def _have_scheme(
    views: NDArray[np.uint64],
    lie_at: NDArray[np.int64],
    known: NDArray[np.uint8],
    offset: int,
    found: NDArray[np.bool_],
) -> None:
    has_nulls = len(known) > 0
    for row in range(len(views)):
        if has_nulls and _is_null(known, offset + row):
            continue
        one, other = views[row, 0], views[row, 1]
        size = _size(one)
        if size <= _WITHIN:
            if _has_colon(one >> np.uint64(32)) or _has_colon(other):
                found[row] = _holds_scheme(np.int64(address_of(views)) + 16 * row + 4, size)
            continue
        place = _place(lie_at, other)
        colon = _has_colon(eight_at(place + size - 8))
        for at in range(0, size - 7, 8):
            colon |= _has_colon(eight_at(place + at))
        if colon:
            found[row] = _holds_scheme(place, size)


@compiled
def _has_colon(word: np.uint64) -> bool:
    """Whether one of eight bytes is a colon."""
    other = word ^ np.uint64(0x3A3A3A3A3A3A3A3A)
    return bool((other - np.uint64(0x0101010101010101)) & ~other & np.uint64(0x8080808080808080))


@compiled
def _holds_scheme(place: np.int64, size: np.int64) -> bool:
    text = bytes_at(place)
    found = False
    for at in range(size - 2):
        found |= text[at] == _COLON and text[at + 1] == _SLASH and text[at + 2] == _SLASH
    return found
