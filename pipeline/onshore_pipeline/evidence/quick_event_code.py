"""The compiled side of `quick_messages` for sealed events: where their commitments stand, and their leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from onshore_pipeline.compiled import address_of, bytes_at, compiled, copy_bytes
from onshore_pipeline.evidence import spelled_code as spelled
from onshore_pipeline.evidence.sha256 import BLOCK, DIGEST_SIZE, digest_into, digest_two_into
from onshore_pipeline.evidence.spelled_code import same_bytes, text_end, value_end, whole_number

if TYPE_CHECKING:
    from numpy.typing import NDArray

INDEX: Final = -2  # the slot of the record index; -1 of what is not opened
_MOST_BLOCKS: Final = 64
_INDEX_DIGITS: Final = 18
# Constants, because a name of another module is none to compiled code.
_QUOTE, _COMMA, _COLON, _LINE_END = spelled.QUOTE, spelled.COMMA, spelled.COLON, spelled.LINE_END
_OPEN_OBJECT, _CLOSE_OBJECT = spelled.OPEN_OBJECT, spelled.CLOSE_OBJECT


@compiled
def read_events(
    at: int,
    end: int,
    names: NDArray[np.uint8],
    begins: NDArray[np.int64],
    slots: NDArray[np.int64],
    places: NDArray[np.int64],
    indexes: NDArray[np.int64],
) -> bool:
    """Read sealed lines: where each one's commitments stand, by slot, and its record index.

    Whether all are objects of `names` in this order, spelled in the one way, with rising record indexes.
    """
    last = -1
    for row in range(len(indexes)):
        at = _read_event(at, end, address_of(names), begins, slots, places[row], indexes[row : row + 1])
        if at == 0 or indexes[row] <= last:
            return False
        last = indexes[row]
    return at == end


@compiled
def _read_event(  # noqa: C901 - one straight walk through a line
    at: int,
    end: int,
    names: int,
    begins: NDArray[np.int64],
    slots: NDArray[np.int64],
    places: NDArray[np.int64],
    index: NDArray[np.int64],
) -> int:
    column = 0
    index[0] = -1
    if at >= end or bytes_at(at)[0] != _OPEN_OBJECT:
        return 0
    while True:
        begin = at + 2
        stop = text_end(begin, end) if bytes_at(at + 1)[0] == _QUOTE else 0
        if stop == 0 or bytes_at(stop + 1)[0] != _COLON:
            return 0
        size = stop - begin
        while column < len(slots) and not (
            size == begins[column + 1] - begins[column] and same_bytes(begin, names + begins[column], size)
        ):
            column += 1
        if column == len(slots):
            return 0
        value = stop + 2
        at = value_end(value, end)
        if at == 0:
            return 0
        if slots[column] >= 0:
            places[slots[column]] = value
        elif slots[column] == INDEX:
            index[0] = whole_number(value, at) if _is_index(value, at) else -1
        column += 1
        if bytes_at(at)[0] == _CLOSE_OBJECT:
            return at + 2 if bytes_at(at + 1)[0] == _LINE_END else 0
        if bytes_at(at)[0] != _COMMA:
            return 0


@compiled
def _is_index(at: int, end: int) -> bool:
    byte = bytes_at(at)[0]
    return end - at <= _INDEX_DIGITS and 0x30 <= byte <= 0x39  # noqa: PLR2004 - a digit


@compiled
def hash_lines(at: int, ends: NDArray[np.int64], room: int, size: int, out: int) -> None:
    """Leaf hashes of lines, which begin at `at` and end `ends` bytes from there; those of equally many blocks in pairs.

    `room` is for two leaves of `size` bytes with their padding.
    """
    bytes_at(room)[0] = 0
    other = room + size
    bytes_at(other)[0] = 0
    waiting = np.full(_MOST_BLOCKS, -1, np.int64)
    for row in range(len(ends)):
        begin = ends[row - 1] + 1 if row else 0
        length = ends[row] - begin
        blocks = (length + 1 + 8) // BLOCK
        copy_bytes(room + 1, at + begin, length)
        if blocks >= _MOST_BLOCKS:
            digest_into(room, length + 1, out + DIGEST_SIZE * row)
        elif waiting[blocks] < 0:
            waiting[blocks] = row
        else:
            first = waiting[blocks]
            waiting[blocks] = -1
            begin = ends[first - 1] + 1 if first else 0
            copy_bytes(other + 1, at + begin, ends[first] - begin)
            digest_two_into(
                *(room, length + 1, out + DIGEST_SIZE * row),
                *(other, ends[first] - begin + 1, out + DIGEST_SIZE * first),
            )
    for blocks in range(_MOST_BLOCKS):
        row = waiting[blocks]
        if row >= 0:
            begin = ends[row - 1] + 1 if row else 0
            copy_bytes(room + 1, at + begin, ends[row] - begin)
            digest_into(room, ends[row] - begin + 1, out + DIGEST_SIZE * row)
