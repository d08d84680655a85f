"""The compiled side of `rows`: how a row is put together from the table that describes its parts."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from onshore_pipeline.compiled import (
    AT_ONCE,
    bytes_at,
    compiled,
    copy_eight,
    copy_four,
    copy_sixteen,
    integers_at,
    put_sixteen_hex,
    words_at,
)
from onshore_pipeline.evidence.sha256 import DIGEST_SIZE, digest_into, digest_two_into

if TYPE_CHECKING:
    from numpy.typing import NDArray

SALT_SIZE: Final = 16
Integers = Mapping[int, int]  # at an address, read by index


class Spelling(IntEnum):
    """How a value's bytes enter a row."""

    RAW = 0
    HEX = 1  # two lower-case digits a byte
    JSON = 2  # as between the quotes of a JSON string, escaped as RFC 8785 escapes
    SIGNED = 3  # eight bytes, an integer of this machine's byte order, in decimal
    UNSIGNED = 4
    TEXTS = 5  # a list of texts as a JSON array


# One row of the table that describes parts to the compiled code.
SPELLING, GROWTH, LEAD, LEAD_SIZE, TRAIL, TRAIL_SIZE, MISSING, MISSING_SIZE = range(8)
# A value of one width lies at `DATA`. One that varies has a view of 16 bytes there: its size (four bytes) and itself,
# or, beyond 12 bytes, its size, its beginning (four), in which of the `BUFFERS` it lies (four) and where (four).
DATA, BUFFERS, VALID, WIDTH, INDEX, LISTS = range(8, 14)
COLUMNS: Final = 14
# Bytes that may be read behind the table's own texts, and written behind a row.
SLACK: Final = 2 * AT_ONCE
VIEW: Final = 16
IN_THE_VIEW: Final = 12
# `WIDTH` of a part without a value, and of one whose values differ in size.
NO_VALUE: Final = -1
VARYING: Final = -2
_HEX: Final = int(Spelling.HEX)
_JSON: Final = int(Spelling.JSON)
_SIGNED: Final = int(Spelling.SIGNED)
_UNSIGNED: Final = int(Spelling.UNSIGNED)
_TEXTS: Final = int(Spelling.TEXTS)
# Two quotes and a comma about each text of a list, and two brackets about all.
ABOUT_A_TEXT: Final = 3
ABOUT_A_LIST: Final = 2
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
    return _text(part, place)


@compiled
def _text(part: Integers, place: int) -> tuple[Any, Any]:
    """Address and size of a value that has a view."""
    at = part[DATA] + VIEW * place
    view = words_at(at)
    size = np.int64(view[0])
    if size <= IN_THE_VIEW:
        return at + 4, size
    return integers_at(part[BUFFERS])[np.int64(view[2])] + np.int64(view[3]), size


@compiled
def _most(table: int, parts: int, row: int) -> int:
    """Bytes that a row takes at most."""
    most = 0
    for number in range(parts):
        part = integers_at(table + 8 * COLUMNS * number)
        place = _place(part, row)
        if place < 0:
            most += part[MISSING_SIZE]
            continue
        most += part[LEAD_SIZE] + part[TRAIL_SIZE]
        if part[LISTS]:
            lists = integers_at(part[LISTS])
            most += ABOUT_A_LIST
            for text in range(lists[place], lists[place + 1]):
                most += ABOUT_A_TEXT + _text(part, text)[1] * part[GROWTH]
        else:
            most += _span(part, place)[1] * part[GROWTH]
    return most


@compiled
def put_row(at: int, table: int, parts: int, row: int) -> int:
    """Write a row from address `at` on; returns the address behind it. Up to `SLACK` bytes behind are written over."""
    for number in range(parts):
        part = integers_at(table + 8 * COLUMNS * number)
        place = _place(part, row)
        if place < 0:
            at = _put_own(at, part[MISSING], part[MISSING_SIZE])
            continue
        at = _put_own(at, part[LEAD], part[LEAD_SIZE])
        if part[SPELLING] == _TEXTS:
            at = _put_own(_put_texts(at, part, place), part[TRAIL], part[TRAIL_SIZE])
            continue
        address, size = _span(part, place)
        if part[SPELLING] == _JSON:
            at = _put_json(at, address, size)
        elif part[SPELLING] == _HEX:
            at = _put_hex(at, address, size)
        elif part[SPELLING] == _SIGNED:
            at = _put_signed(at, integers_at(address)[0])
        elif part[SPELLING] == _UNSIGNED:
            at = _put_digits(at, np.uint64(integers_at(address)[0]))
        else:
            at = _put(at, address, size)
        at = _put_own(at, part[TRAIL], part[TRAIL_SIZE])
    return at


@compiled
def _put_own(at: int, address: int, size: int) -> int:
    """A text of the table, which `SLACK` lies behind: most are as short as what two instructions copy."""
    copy_sixteen(at, address)
    if size > AT_ONCE:
        copy_sixteen(at + AT_ONCE, address + AT_ONCE)
        if size > SLACK:
            _copy_and_look(at + SLACK, address + SLACK, size - SLACK)
    return at + size


@compiled
def _put(at: int, address: int, size: int) -> int:
    _copy_and_look(at, address, size)
    return at + size


@compiled
def _copy_and_look(at: int, address: int, size: int) -> int:
    """Copy; not 0 where JSON escapes one of the bytes. Rows are made of short pieces, where a call costs the most."""
    odd = 0
    if size >= 16:  # noqa: PLR2004
        for place in range(0, size - 15, 16):
            odd |= copy_sixteen(at + place, address + place)
        return odd | copy_sixteen(at + size - 16, address + size - 16)
    if size >= 8:  # noqa: PLR2004
        return copy_eight(at, address) | copy_eight(at + size - 8, address + size - 8)
    if size >= 4:  # noqa: PLR2004
        return copy_four(at, address) | copy_four(at + size - 4, address + size - 4)
    target, source = bytes_at(at), bytes_at(address)
    for place in range(size):
        byte = source[place]
        target[place] = byte
        odd |= (byte < 0x20) | (byte == 0x22) | (byte == 0x5C)  # noqa: PLR2004 - control, quote, backslash
    return odd


@compiled
def _put_hex(at: int, address: int, size: int) -> int:
    whole = size // AT_ONCE * AT_ONCE
    for place in range(0, whole, AT_ONCE):
        put_sixteen_hex(at + 2 * place, address + place)
    target, source = bytes_at(at), bytes_at(address)
    for place in range(whole, size):
        target[2 * place] = _hex_digit(source[place] >> 4)
        target[2 * place + 1] = _hex_digit(source[place] & 15)
    return at + 2 * size


@compiled
def _hex_digit(value: int) -> np.uint8:
    return np.uint8(value + 48 + 39 * (value > 9))  # noqa: PLR2004 - '0'; 'a' is 39 further than the tenth digit


@compiled
def _put_signed(at: int, value: int) -> int:
    if value >= 0:
        return _put_digits(at, np.uint64(value))
    bytes_at(at)[0] = 0x2D  # '-'
    return _put_digits(at + 1, np.uint64(0) - np.uint64(value))  # the smallest integer's amount fits as well


@compiled
def _put_digits(at: int, value: np.uint64) -> int:
    """Decimal digits without leading zeros."""
    size, rest = 1, value // np.uint64(10)
    while rest:
        size, rest = size + 1, rest // np.uint64(10)
    target = bytes_at(at)
    for place in range(size - 1, -1, -1):
        tenth = value // np.uint64(10)
        target[place] = np.uint8(np.uint64(48) + value - np.uint64(10) * tenth)  # '0'
        value = tenth
    return at + size


@compiled
def _put_texts(at: int, part: Integers, place: int) -> int:
    lists = integers_at(part[LISTS])
    bytes_at(at)[0] = 0x5B  # '['
    at += 1
    for text in range(lists[place], lists[place + 1]):
        if text > lists[place]:
            bytes_at(at)[0] = 0x2C  # ','
            at += 1
        bytes_at(at)[0] = 0x22  # '"'
        address, size = _text(part, text)
        at = _put_json(at + 1, address, size)
        bytes_at(at)[0] = 0x22
        at += 1
    bytes_at(at)[0] = 0x5D  # ']'
    return at + 1


@compiled
def _put_json(at: int, address: int, size: int) -> int:
    """Text as it stands between the quotes of a JSON string (RFC 8785 section 3.2.2.2)."""
    if not _copy_and_look(at, address, size):
        return at + size
    source = bytes_at(address)
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
def room_for(table: int, parts: int, rows: int) -> int:
    """Bytes that all rows together take at most."""
    total = 0
    for row in range(rows):
        total += _most(table, parts, row)
    return total


@compiled
def hash_rows(table: int, parts: int, rows: int, one: int, other: int, out: int) -> None:
    """Digests of all rows, two at a time; `one` and `other` are room for a row each."""
    for row in range(0, rows - 1, 2):
        size = put_row(one, table, parts, row) - one
        other_size = put_row(other, table, parts, row + 1) - other
        digest_two_into(one, size, out + DIGEST_SIZE * row, other, other_size, out + DIGEST_SIZE * (row + 1))
    if rows % 2:
        size = put_row(one, table, parts, rows - 1) - one
        digest_into(one, size, out + DIGEST_SIZE * (rows - 1))


@compiled
def write_rows(table: int, parts: int, rows: int, offsets: NDArray[np.int64], out: int) -> None:
    """All rows, one behind the other, and where each ends."""
    end = out
    for row in range(rows):
        end = put_row(end, table, parts, row)
        offsets[row + 1] = end - out
