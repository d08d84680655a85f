"""The compiled side of `quick_messages` for openings: what is opened of an event is hashed and held against its line.

What a line's pieces are, is read by `spelled_code`; nothing is accepted that it is not sure of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from onshore_pipeline.compiled import (
    address_of,
    bytes_at,
    compiled,
    copy_bytes,
    put_sixteen_hex,
)
from onshore_pipeline.evidence import spelled_code as spelled
from onshore_pipeline.evidence.sha256 import BLOCK, DIGEST_SIZE, PADDING, digest_into, digest_two_into
from onshore_pipeline.evidence.spelled_code import put_bytes_of_hex, same_bytes, text_end, texts_end

if TYPE_CHECKING:
    from numpy.typing import NDArray

COLUMNS: Final = 11
CONTRADICTIONS: Final = 9
SLOTS: Final = 13  # columns, and two maps
RESOURCES: Final = 11
HEX: Final = 2 * DIGEST_SIZE
_SALT_HEX: Final = 32
_MOST_BLOCKS: Final = 64
_ADDRESS, _SIZE, _OUT = 0, 1, 2  # of a piece that is to be hashed
_PIECE: Final = 3
# Constants, because a name of another module is none to compiled code.
_QUOTE, _COMMA, _COLON, _LINE_END = spelled.QUOTE, spelled.COMMA, spelled.COLON, spelled.LINE_END
_OPEN_LIST, _CLOSE_LIST = spelled.OPEN_LIST, spelled.CLOSE_LIST
_OPEN_OBJECT, _CLOSE_OBJECT, _BACKSLASH = spelled.OPEN_OBJECT, spelled.CLOSE_OBJECT, spelled.BACKSLASH
_NOTHING: Final = np.frombuffer(b"null[]", np.uint8)


@compiled
def check_openings(
    at: int,
    end: int,
    events_end: int,
    names: NDArray[np.uint8],
    begins: NDArray[np.int64],
    places: NDArray[np.int64],
    room: int,
    tree_size: int,
    pieces: NDArray[np.int64],
    resources: NDArray[np.uint8],
    has_resource: NDArray[np.bool_],
    counts: NDArray[np.int64],
) -> bool:
    """Whether every line opens what the event of the same row commits to; counts what is opened, by slot.

    `resources` get the root of the resource attributes of each row that opens such.
    """
    for row in range(len(places)):
        source = bytes_at(at)
        if at >= end:
            return False
        if source[0] == _OPEN_OBJECT and source[1] == _CLOSE_OBJECT and source[2] == _LINE_END:
            at += 3
            continue
        of_event = places[row]
        root = address_of(resources) + DIGEST_SIZE * row
        at = _check_opening(
            at, end, events_end, address_of(names), begins, of_event, room, tree_size, pieces, root, counts
        )
        if at == 0:
            return False
        has_resource[row] = of_event[RESOURCES] < 0
    return at == end


@compiled
def _check_opening(  # noqa: C901, PLR0911, PLR0912 - one straight walk through a line
    at: int,
    end: int,
    events_end: int,
    names: int,
    begins: NDArray[np.int64],
    places: NDArray[np.int64],
    room: int,
    tree_size: int,
    pieces: NDArray[np.int64],
    resource: int,
    counts: NDArray[np.int64],
) -> int:
    """Address behind the line; 0 where it is not sure. The place of resource attributes that are opened is negated."""
    digests, hexadecimal, trees = room, room + DIGEST_SIZE * SLOTS, room + DIGEST_SIZE * SLOTS + HEX
    free = trees + 2 * tree_size
    seen, count, slot = 0, 0, -1
    sizes = np.zeros(2, np.int64)
    if bytes_at(at)[0] != _OPEN_OBJECT:
        return 0
    while True:
        begin = at + 2
        stop = text_end(begin, end) if bytes_at(at + 1)[0] == _QUOTE else 0
        if stop == 0 or bytes_at(stop + 1)[0] != _COLON or bytes_at(stop + 2)[0] != _OPEN_LIST:
            return 0
        slot = _slot_of(begin, stop - begin, names, begins, slot + 1)
        if slot < 0 or (seen >> slot) & 1 or places[slot] == 0:
            return 0
        seen |= 1 << slot
        at = stop + 3
        if slot < COLUMNS:
            piece = pieces[count]
            piece[_ADDRESS], piece[_OUT] = free, digests + DIGEST_SIZE * slot
            name_size = begins[slot + 1] - begins[slot]
            at = _put_column(at, end, int(slot == CONTRADICTIONS), names + begins[slot], name_size, piece)
            counts[slot] += 1
            count += 1
            free += piece[_SIZE] + PADDING
        else:
            tree = trees + tree_size * (slot - COLUMNS)
            at, free, sizes[slot - COLUMNS], opened = _put_map(at, end, tree, free, pieces[count:])
            count += opened
            counts[slot] += opened
        if at == 0:
            return 0
        byte = bytes_at(at)[0]
        if byte == _CLOSE_OBJECT:
            break
        if byte != _COMMA:
            return 0
    if bytes_at(at + 1)[0] != _LINE_END:
        return 0
    _hash_pieces(pieces[:count])
    for each in range(COLUMNS, SLOTS):
        if (seen >> each) & 1:
            size = DIGEST_SIZE * (sizes[each - COLUMNS] + 1)
            digest_into(trees + tree_size * (each - COLUMNS), size, digests + DIGEST_SIZE * each)
    for each in range(SLOTS):
        if (seen >> each) & 1 and not _is_committed(
            places[each], events_end, digests + DIGEST_SIZE * each, hexadecimal
        ):
            return 0
    if (seen >> RESOURCES) & 1:
        copy_bytes(resource, digests + DIGEST_SIZE * RESOURCES, DIGEST_SIZE)
        places[RESOURCES] = -places[RESOURCES]
    return at + 2


@compiled
def _slot_of(at: int, size: int, names: int, begins: NDArray[np.int64], first: int) -> int:
    """Which name stands there, the one looked for first in front; -1 where none."""
    for tried in range(SLOTS):
        slot = (first + tried) % SLOTS
        if size == begins[slot + 1] - begins[slot] and same_bytes(at, names + begins[slot], size):
            return slot
    return -1


@compiled
def _put_column(  # noqa: PLR0911 - one straight walk
    at: int,
    end: int,
    is_list: int,
    name: int,
    name_size: int,
    piece: NDArray[np.int64],
) -> int:
    """Write salt, name and value of an opened column, whose salt begins at `at`; address behind it."""
    to = piece[_ADDRESS]
    if end - at < HEX + 3 or bytes_at(at)[0] != _QUOTE or bytes_at(at + 1 + HEX)[0] != _QUOTE:
        return 0
    if not put_bytes_of_hex(to, at + 1, DIGEST_SIZE):
        return 0
    to += DIGEST_SIZE
    copy_bytes(to, name, name_size)
    to += name_size
    bytes_at(to)[0] = 0
    to += 1
    at += HEX + 2
    if bytes_at(at)[0] == _CLOSE_LIST:
        size = 2 if is_list else 4
        for place in range(size):
            bytes_at(to)[place] = _NOTHING[place + (4 if is_list else 0)]
        piece[_SIZE] = to + size - piece[_ADDRESS]
        return at + 1
    if bytes_at(at)[0] != _COMMA:
        return 0
    begin = at + 1
    if is_list:
        stop = texts_end(begin, end)
        bytes_at(to)[0] = _OPEN_LIST
        to += 1
        size = stop - begin
    else:
        stop = text_end(begin + 1, end) + 2 if bytes_at(begin)[0] == _QUOTE else 0
        if stop <= 2 or bytes_at(stop - 1)[0] != _CLOSE_LIST:  # noqa: PLR2004 - none was found
            return 0
        size = stop - 1 - begin
    if stop == 0:
        return 0
    copy_bytes(to, begin, size)
    piece[_SIZE] = to + size - piece[_ADDRESS]
    return stop


@compiled
def _put_map(  # noqa: C901 - one straight walk
    at: int,
    end: int,
    tree: int,
    free: int,
    pieces: NDArray[np.int64],
) -> tuple[int, int, int, int]:
    """Write the leaves of a map, the first of which begins at `at`, keys rising.

    Address behind it, or 0; what is still free; how many leaves, and how many of them are opened.
    """
    nodes = bytes_at(tree)
    nodes[0] = 3
    for place in range(1, DIGEST_SIZE):
        nodes[place] = 0
    leaves, opened, key, key_size = 0, 0, 0, 0
    while bytes_at(at)[0] == _OPEN_LIST and bytes_at(at + 1)[0] == _QUOTE:
        stop = text_end(at + 2, end)
        node = tree + DIGEST_SIZE * (leaves + 1)
        if stop == 0:
            break
        if stop - at - 2 == HEX and bytes_at(stop + 1)[0] == _CLOSE_LIST:
            if not put_bytes_of_hex(node, at + 2, DIGEST_SIZE):
                break
            at = stop + 2
        else:
            if stop - at - 2 != _SALT_HEX or bytes_at(stop + 1)[0] != _COMMA or bytes_at(stop + 2)[0] != _QUOTE:
                break
            begin = stop + 2
            behind = text_end(begin + 1, end)
            if behind == 0 or bytes_at(behind + 1)[0] != _COMMA or bytes_at(behind + 2)[0] != _QUOTE:
                break
            size = behind - begin - 1
            if _has_backslash(begin + 1, size) or (opened and not _is_before(key, key_size, begin + 1, size)):
                break
            key, key_size = begin + 1, size
            last = text_end(behind + 3, end)
            if last == 0 or bytes_at(last + 1)[0] != _CLOSE_LIST or not put_bytes_of_hex(free + 1, at + 2, 16):
                break
            at = last + 2
            bytes_at(free)[0] = 0
            bytes_at(free + 17)[0] = _OPEN_LIST
            copy_bytes(free + 18, begin, at - begin)
            piece = pieces[opened]
            piece[_ADDRESS], piece[_SIZE], piece[_OUT] = free, 18 + at - begin, node
            free += piece[_SIZE] + PADDING
            opened += 1
        leaves += 1
        byte = bytes_at(at)[0]
        at += 1
        if byte == _CLOSE_LIST:
            return at, free, leaves, opened
        if byte != _COMMA:
            break
    return 0, free, 0, 0


@compiled
def _has_backslash(at: int, size: int) -> bool:
    source = bytes_at(at)
    for place in range(size):  # noqa: SIM110 - compiled
        if source[place] == _BACKSLASH:
            return True
    return False


@compiled
def _is_before(one: int, one_size: int, other: int, other_size: int) -> bool:
    """Whether a key's bytes come in front of another's."""
    left, right = bytes_at(one), bytes_at(other)
    for place in range(min(one_size, other_size)):
        if left[place] != right[place]:
            return bool(left[place] < right[place])
    return one_size < other_size


@compiled
def _hash_pieces(pieces: NDArray[np.int64]) -> None:
    """Those of equally many blocks in pairs."""
    waiting = np.full(_MOST_BLOCKS, -1, np.int64)
    for number in range(len(pieces)):
        piece = pieces[number]
        blocks = (piece[_SIZE] + 8) // BLOCK
        if blocks >= _MOST_BLOCKS:
            digest_into(piece[_ADDRESS], piece[_SIZE], piece[_OUT])
        elif waiting[blocks] < 0:
            waiting[blocks] = number
        else:
            other = pieces[waiting[blocks]]
            waiting[blocks] = -1
            digest_two_into(
                *(piece[_ADDRESS], piece[_SIZE], piece[_OUT]), *(other[_ADDRESS], other[_SIZE], other[_OUT])
            )
    for blocks in range(_MOST_BLOCKS):
        if waiting[blocks] >= 0:
            piece = pieces[waiting[blocks]]
            digest_into(piece[_ADDRESS], piece[_SIZE], piece[_OUT])


@compiled
def _is_committed(at: int, end: int, digest: int, hexadecimal: int) -> bool:
    """Whether the value at `at` is this digest, as a text of lower-case digits."""
    if end - at < HEX + 2 or bytes_at(at)[0] != _QUOTE or bytes_at(at + 1 + HEX)[0] != _QUOTE:
        return False
    put_sixteen_hex(hexadecimal, digest)
    put_sixteen_hex(hexadecimal + DIGEST_SIZE, digest + DIGEST_SIZE // 2)
    return same_bytes(at + 1, hexadecimal, HEX)
