"""The compiled side of `rows`: how a row is put together from the table that describes its parts."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import TYPE_CHECKING, Final

import numpy as np

from onshore_pipeline.compiled import bytes_at, compiled, copy_bytes, integers_at
from onshore_pipeline.evidence.sha256 import DIGEST_SIZE, PADDING, digest_into, digest_two_into

if TYPE_CHECKING:
    from numpy.typing import NDArray

SALT_SIZE: Final = 16
Integers = Mapping[int, int]  # at an address, read by index


class Spelling(IntEnum):
    """How a value's bytes enter a row."""

    RAW = 0
    HEX = 1  # two lower-case digits a byte
    JSON = 2  # as between the quotes of a JSON string, escaped as RFC 8785 escapes


# One row of the table that describes parts to the compiled code.
SPELLING, GROWTH, LEAD, LEAD_SIZE, TRAIL, TRAIL_SIZE, MISSING, MISSING_SIZE = range(8)
DATA, OFFSETS, VALID, WIDTH, INDEX = range(8, 13)
COLUMNS: Final = 13
# `WIDTH` of a part without a value, and of one whose values differ in size.
NO_VALUE: Final = -1
VARYING: Final = -2
_HEX: Final = int(Spelling.HEX)
_JSON: Final = int(Spelling.JSON)
_UNICODE: Final = ord("u")
# What stands behind the backslash for a byte that must be escaped.
_SHORT: Final = np.full(128, _UNICODE, np.uint8)
for _byte, _letter in zip(b'\b\t\n\f\r"\\', b'btnfr"\\', strict=True):
    _SHORT[_byte] = _letter


@compiled
def _place(part: Integers, row: int) -> int:
    """Which value a row takes; -1 where it is null."""
    place = row
    if part[INDEX]:
        place = integers_at(part[INDEX])[row]
    if part[VALID] and bytes_at(part[VALID])[place] == 0:
        return -1
    return place


@compiled
def _span(part: Integers, place: int) -> tuple[int, int]:
    """Address and size of a value."""
    if part[WIDTH] >= 0:
        return part[DATA] + place * part[WIDTH], part[WIDTH]
    if part[WIDTH] == NO_VALUE:
        return part[DATA], 0
    offsets = integers_at(part[OFFSETS])
    return part[DATA] + offsets[place], offsets[place + 1] - offsets[place]


@compiled
def _most(table: int, parts: int, row: int) -> int:
    """Bytes that a row takes at most."""
    most = 0
    for number in range(parts):
        part = integers_at(table + 8 * COLUMNS * number)
        place = _place(part, row)
        if place < 0:
            most += part[MISSING_SIZE]
        else:
            _, size = _span(part, place)
            most += part[LEAD_SIZE] + size * part[GROWTH] + part[TRAIL_SIZE]
    return most


@compiled
def _put_row(at: int, table: int, parts: int, row: int) -> int:
    """Write a row from address `at` on; returns the address behind it."""
    for number in range(parts):
        part = integers_at(table + 8 * COLUMNS * number)
        place = _place(part, row)
        if place < 0:
            at = _put(at, part[MISSING], part[MISSING_SIZE])
            continue
        at = _put(at, part[LEAD], part[LEAD_SIZE])
        address, size = _span(part, place)
        if part[SPELLING] == _JSON:
            at = _put_json(at, address, size)
        elif part[SPELLING] == _HEX:
            at = _put_hex(at, address, size)
        else:
            at = _put(at, address, size)
        at = _put(at, part[TRAIL], part[TRAIL_SIZE])
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
def room_for(table: int, parts: int, rows: int) -> tuple[int, int]:
    """Bytes that the longest row takes at most, and all rows together."""
    longest = total = 0
    for row in range(rows):
        most = _most(table, parts, row)
        longest, total = max(longest, most), total + most
    return longest, total


@compiled
def hash_rows(table: int, parts: int, rows: int, one: int, other: int, out: int) -> None:
    """Digests of all rows, two at a time; `one` and `other` are room for a row each."""
    for row in range(0, rows - 1, 2):
        size = _put_row(one, table, parts, row) - one
        other_size = _put_row(other, table, parts, row + 1) - other
        digest_two_into(one, size, out + DIGEST_SIZE * row, other, other_size, out + DIGEST_SIZE * (row + 1))
    if rows % 2:
        size = _put_row(one, table, parts, rows - 1) - one
        digest_into(one, size, out + DIGEST_SIZE * (rows - 1))


@compiled
def write_rows(table: int, parts: int, rows: int, offsets: NDArray[np.int64], out: int) -> None:
    """All rows, one behind the other, and where each ends."""
    end = out
    for row in range(rows):
        end = _put_row(end, table, parts, row)
        offsets[row + 1] = end - out


@compiled
def hash_maps(
    table: int,
    block: int,
    block_size: int,
    leaf_size: int,
    tree: int,
    salts: int,
    counts: NDArray[np.int64],
    out: int,
) -> None:
    """Leaf salts, leaves and root of one owner after the other; nothing is kept but the roots."""
    secrets = block + block_size + 4 + PADDING
    one = secrets + DIGEST_SIZE
    other = one + leaf_size
    number_of = bytes_at(block + block_size)
    pair = 0
    for owner in range(len(counts)):
        count = counts[owner]
        if not count:
            continue
        copy_bytes(block + 1, salts + SALT_SIZE * owner, SALT_SIZE)
        for number in range(0, count, 2):  # a block of 32 bytes holds two leaf salts
            for byte in range(4):
                number_of[byte] = np.uint8((number // 2 >> (24 - 8 * byte)) & 0xFF)
            digest_into(block, block_size + 4, secrets)
            at = tree + DIGEST_SIZE * (number + 1)
            size = _put_leaf(one, secrets, table, pair + number)
            if number + 1 == count:
                digest_into(one, size, at)
            else:
                other_size = _put_leaf(other, secrets + SALT_SIZE, table, pair + number + 1)
                digest_two_into(one, size, at, other, other_size, at + DIGEST_SIZE)
        pair += count
        digest_into(tree, DIGEST_SIZE * (count + 1), out + DIGEST_SIZE * owner)


@compiled
def _put_leaf(at: int, salt: int, table: int, pair: int) -> int:
    """Write 0x00, the leaf's salt and the pair; returns their size."""
    bytes_at(at)[0] = 0
    copy_bytes(at + 1, salt, SALT_SIZE)
    return _put_row(at + 1 + SALT_SIZE, table, 2, pair) - at
