"""Rows of bytes put together from columns and hashed, without building the rows in memory first.

A row is a sequence of parts; each part is a column's value between two texts. Columns are read where they lie, in
Arrow's layout; the work is compiled code that holds no interpreter lock.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl
import pyarrow as pa

from onshore_pipeline.compiled import bytes_at, compiled, copy_bytes, integers_at
from onshore_pipeline.evidence.sha256 import DIGEST_SIZE, PADDING, CompiledWrongly, digest_into

SALT_SIZE: Final = 16
Integers = Mapping[int, int]  # at an address, read by index

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


class Spelling(IntEnum):
    """How a value's bytes enter a row."""

    RAW = 0
    HEX = 1  # two lower-case digits a byte
    JSON = 2  # as between the quotes of a JSON string, escaped as RFC 8785 escapes


@dataclass(frozen=True, slots=True)
class Part:
    """One part of every row: `lead`, the row's value, `trail`; or `missing` where the value is null.

    Attributes:
        values: String or Binary column, or an array of shape (values, width); None = no value, only `lead`.
        spelling: how a value's bytes enter.
        lead: stands before every value.
        trail: stands behind every value.
        missing: stands instead of all three where the value is null.
        index: which value a row takes, where that is not the row's own number.
        known: which values of an array are not null; None = all. A column has its own nulls.
    """

    values: pl.Series | NDArray[np.uint8] | None
    spelling: Spelling = Spelling.RAW
    lead: bytes = b""
    trail: bytes = b""
    missing: bytes = b""
    index: NDArray[np.int64] | None = None
    known: NDArray[np.bool_] | None = None


def digests(parts: Sequence[Part], rows: int) -> NDArray[np.uint8]:
    """SHA-256 of every row: an array of shape (rows, 32)."""
    out = np.empty((rows, DIGEST_SIZE), np.uint8)
    held = _Held()
    table = held.table(parts)
    room = held.room(_room_for(table, len(parts), rows)[0] + PADDING)
    _hash_rows(table, len(parts), rows, room, out.ctypes.data)
    return out


def texts(parts: Sequence[Part], rows: int) -> pl.Series:
    """Every row as it is hashed, as a String column; the parts must be UTF-8 together."""
    offsets = np.zeros(rows + 1, np.int64)
    held = _Held()
    table = held.table(parts)
    characters = np.empty(_room_for(table, len(parts), rows)[1], np.uint8)
    _write_rows(table, len(parts), rows, offsets, characters.ctypes.data)
    array = pa.LargeStringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(characters))
    return pl.Series(array, dtype=pl.String)


def map_roots(
    name: bytes, salts: NDArray[np.uint8], counts: NDArray[np.int64], keys: pl.Series, values: pl.Series
) -> NDArray[np.uint8]:
    """Root over each owner's salted leaves (docs/evidence-format.md, section 4): shape (owners, 32).

    Args:
        name: the column; part of every leaf's salt.
        salts: shape (owners, 16).
        counts: pairs of each owner, in the order of `keys` and `values`; an owner without pairs gets zeros.
        keys: String without nulls.
        values: String without nulls.
    """
    out = np.zeros((len(counts), DIGEST_SIZE), np.uint8)
    if not counts.any():
        return out
    held = _Held()
    table = held.table([Part(keys, Spelling.JSON, b'["', b'","'), Part(values, Spelling.JSON, b"", b'"]')])
    # One behind the other: a block's input, the block, a leaf's input; and the leaves of one owner behind the prefix.
    block = np.concatenate([np.array([2], np.uint8), np.zeros(SALT_SIZE, np.uint8), np.frombuffer(name, np.uint8)])
    room = held.room(
        len(block) + 4 + PADDING + DIGEST_SIZE + 1 + SALT_SIZE + _room_for(table, 2, len(keys))[0] + PADDING
    )
    held.buffers[-1][: len(block)] = block
    tree = held.room(DIGEST_SIZE * (int(counts.max()) + 1) + PADDING)
    _hash_maps(table, room, len(block), tree, held.array(salts), counts, out.ctypes.data)
    return out


def check_compiled() -> None:
    """Compare what is compiled with the standard library, at sizes around the block's end.

    Raises:
        CompiledWrongly: they differ.
    """
    values = [bytes(range(size)) for size in (0, 1, 55, 56, 63, 64, 65, 119, 120, 250)]
    found = digests([Part(pl.Series(values, dtype=pl.Binary), lead=b"\x00")], len(values))
    expected = [hashlib.sha256(b"\x00" + value).digest() for value in values]
    if [row.tobytes() for row in found] != expected:
        raise CompiledWrongly(
            f"compiled SHA-256 differs from the standard library's: delete {Path(__file__).parent / '__pycache__'}"
            " and start again; if it stays, this processor cannot be trusted with evidence"
        )


# One row of the table that describes parts to the compiled code.
_SPELLING, _GROWTH, _LEAD, _LEAD_SIZE, _TRAIL, _TRAIL_SIZE, _MISSING, _MISSING_SIZE = range(8)
_DATA, _OFFSETS, _VALID, _WIDTH, _INDEX = range(8, 13)
_COLUMNS: Final = 13
# `_WIDTH` of a part without a value, and of one whose values differ in size.
_NO_VALUE: Final = -1
_VARYING: Final = -2
_HEX: Final = int(Spelling.HEX)
_JSON: Final = int(Spelling.JSON)
_GROWTHS: Final = {Spelling.RAW: 1, Spelling.HEX: 2, Spelling.JSON: 6}  # bytes that one byte can become
_UNICODE: Final = ord("u")
# What stands behind the backslash for a byte that must be escaped.
_SHORT: Final = np.full(128, _UNICODE, np.uint8)
for _byte, _letter in zip(b'\b\t\n\f\r"\\', b'btnfr"\\', strict=True):
    _SHORT[_byte] = _letter


@dataclass(slots=True)
class _Held:
    """Keeps alive what the compiled code reads by address."""

    buffers: list[Any] = field(default_factory=list)

    def table(self, parts: Sequence[Part]) -> int:
        """Address of one row a part, as the constants above name them."""
        table = np.zeros((len(parts), _COLUMNS), np.int64)
        for row, part in zip(table, parts, strict=True):
            row[_SPELLING], row[_GROWTH] = part.spelling, _GROWTHS[part.spelling]
            for place, text in ((_LEAD, part.lead), (_TRAIL, part.trail), (_MISSING, part.missing)):
                row[place], row[place + 1] = self.array(np.frombuffer(text, np.uint8)), len(text)
            row[_WIDTH] = _NO_VALUE
            if isinstance(part.values, np.ndarray):
                row[_DATA], row[_WIDTH] = self.array(part.values), part.values.shape[1]
            elif part.values is not None:
                row[_DATA], row[_OFFSETS], row[_VALID] = self._column(part.values)
                row[_WIDTH] = _VARYING
            if part.known is not None:
                row[_VALID] = self.array(part.known.view(np.uint8))
            if part.index is not None:
                row[_INDEX] = self.array(part.index.astype(np.int64, copy=False))
        return self.array(table)

    def array(self, values: NDArray[Any]) -> int:
        """Address of an array's bytes."""
        held = np.ascontiguousarray(values)
        self.buffers.append(held)
        return int(held.ctypes.data)

    def room(self, size: int) -> int:
        """Address of so many zeros to write over; compiled code must not address memory that it allocates itself."""
        return self.array(np.zeros(size, np.uint8))

    def _column(self, values: pl.Series) -> tuple[int, int, int]:
        """Addresses of the bytes, the offsets, and of one byte a value that says whether it is known (0: all are)."""
        known = self.array(values.is_not_null().to_numpy().view(np.uint8)) if values.null_count() else 0
        array = values.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
        self.buffers.append(array)
        _, offsets, data = array.buffers()
        return (data.address if data is not None else 0), offsets.address + 8 * array.offset, known


@compiled
def _place(part: Integers, row: int) -> int:
    """Which value a row takes; -1 where it is null."""
    place = row
    if part[_INDEX]:
        place = integers_at(part[_INDEX])[row]
    if part[_VALID] and bytes_at(part[_VALID])[place] == 0:
        return -1
    return place


@compiled
def _span(part: Integers, place: int) -> tuple[int, int]:
    """Address and size of a value."""
    if part[_WIDTH] >= 0:
        return part[_DATA] + place * part[_WIDTH], part[_WIDTH]
    if part[_WIDTH] == _NO_VALUE:
        return part[_DATA], 0
    offsets = integers_at(part[_OFFSETS])
    return part[_DATA] + offsets[place], offsets[place + 1] - offsets[place]


@compiled
def _most(table: int, parts: int, row: int) -> int:
    """Bytes that a row takes at most."""
    most = 0
    for number in range(parts):
        part = integers_at(table + 8 * _COLUMNS * number)
        place = _place(part, row)
        if place < 0:
            most += part[_MISSING_SIZE]
        else:
            _, size = _span(part, place)
            most += part[_LEAD_SIZE] + size * part[_GROWTH] + part[_TRAIL_SIZE]
    return most


@compiled
def _put_row(at: int, table: int, parts: int, row: int) -> int:
    """Write a row from address `at` on; returns the address behind it."""
    for number in range(parts):
        part = integers_at(table + 8 * _COLUMNS * number)
        place = _place(part, row)
        if place < 0:
            at = _put(at, part[_MISSING], part[_MISSING_SIZE])
            continue
        at = _put(at, part[_LEAD], part[_LEAD_SIZE])
        address, size = _span(part, place)
        if part[_SPELLING] == _JSON:
            at = _put_json(at, address, size)
        elif part[_SPELLING] == _HEX:
            at = _put_hex(at, address, size)
        else:
            at = _put(at, address, size)
        at = _put(at, part[_TRAIL], part[_TRAIL_SIZE])
    return at


@compiled
def _put(at: int, address: int, size: int) -> int:
    copy_bytes(at, address, size)
    return at + size


@compiled
def _put_hex(at: int, address: int, size: int) -> int:
    target, source = bytes_at(at), bytes_at(address)
    for place in range(size):
        target[2 * place] = _hex_digit(source[place] >> 4)
        target[2 * place + 1] = _hex_digit(source[place] & 15)
    return at + 2 * size


@compiled
def _hex_digit(value: int) -> np.uint8:
    return np.uint8(value + 48 + 39 * (value > 9))  # noqa: PLR2004 - '0'; 'a' is 39 further than the tenth digit


@compiled
def _put_json(at: int, address: int, size: int) -> int:
    """Text as it stands between the quotes of a JSON string (RFC 8785 section 3.2.2.2)."""
    source = bytes_at(address)
    odd = 0
    for place in range(size):
        byte = source[place]
        odd |= (byte < 0x20) | (byte == 0x22) | (byte == 0x5C)  # noqa: PLR2004 - control, quote, backslash
    if not odd:
        return _put(at, address, size)
    target = bytes_at(at)
    for place in range(size):
        byte = source[place]
        if byte >= 0x20 and byte != 0x22 and byte != 0x5C:  # noqa: PLR1714, PLR2004
            target[0] = byte
            target, at = bytes_at(at + 1), at + 1
            continue
        target[0], target[1] = 0x5C, _SHORT[byte]
        length = 2
        if _SHORT[byte] == _UNICODE:
            target[2], target[3] = 48, 48
            target[4], target[5] = _hex_digit(byte >> 4), _hex_digit(byte & 15)
            length = 6
        target, at = bytes_at(at + length), at + length
    return at


@compiled
def _room_for(table: int, parts: int, rows: int) -> tuple[int, int]:
    """Bytes that the longest row takes at most, and all rows together."""
    longest = total = 0
    for row in range(rows):
        most = _most(table, parts, row)
        longest, total = max(longest, most), total + most
    return longest, total


@compiled
def _hash_rows(table: int, parts: int, rows: int, room: int, out: int) -> None:
    for row in range(rows):
        end = _put_row(room, table, parts, row)
        digest_into(room, end - room, out + DIGEST_SIZE * row)


@compiled
def _write_rows(table: int, parts: int, rows: int, offsets: NDArray[np.int64], out: int) -> None:
    end = out
    for row in range(rows):
        end = _put_row(end, table, parts, row)
        offsets[row + 1] = end - out


@compiled
def _hash_maps(
    table: int, block: int, block_size: int, tree: int, salts: int, counts: NDArray[np.int64], out: int
) -> None:
    """Leaf salts, leaves and root of one owner after the other; nothing is kept but the roots."""
    secrets = block + block_size + 4 + PADDING
    leaf = secrets + DIGEST_SIZE
    prefix, number_of = bytes_at(tree), bytes_at(block + block_size)
    pair = 0
    for owner in range(len(counts)):
        count = counts[owner]
        if not count:
            continue
        copy_bytes(block + 1, salts + SALT_SIZE * owner, SALT_SIZE)
        for number in range(count):
            if number % 2 == 0:  # a block of 32 bytes holds two leaf salts
                for byte in range(4):
                    number_of[byte] = np.uint8((number // 2 >> (24 - 8 * byte)) & 0xFF)
                digest_into(block, block_size + 4, secrets)
            copy_bytes(leaf + 1, secrets + SALT_SIZE * (number % 2), SALT_SIZE)
            end = _put_row(leaf + 1 + SALT_SIZE, table, 2, pair)
            digest_into(leaf, end - leaf, tree + DIGEST_SIZE * (number + 1))
            pair += 1
        prefix[0] = 3
        digest_into(tree, DIGEST_SIZE * (count + 1), out + DIGEST_SIZE * owner)
