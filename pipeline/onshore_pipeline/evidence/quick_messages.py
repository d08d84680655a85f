"""A quick way through the events of a message and what is opened of them, for `verify_standalone.verify`.

It only ever accepts. Of what it is not sure, the ordinary way says whether it is good, and what is wrong.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np

from onshore_pipeline.domain.event import EVENT_COLUMNS, InLine
from onshore_pipeline.evidence import merkle, quick_event_code, quick_opening_code
from onshore_pipeline.evidence.sha256 import DIGEST_SIZE, PADDING, CompiledWrongly, has_sha_instructions
from onshore_pipeline.evidence.verify_standalone import COMMITTED, MAPS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

_LINE_END: Final = 10
_LEAST_OF_A_LEAF: Final = 35  # bytes that an opened leaf or column takes in its line
_OPENED: Final = (*COMMITTED, *MAPS)

Found = tuple[bytes, list[int], dict[str, int]]


def quick_message(events: bytes, openings: bytes, count: int) -> Found | None:
    """The root over the leaves of `count` events, their record indexes, and how many values are opened, by column.

    None where that cannot be told here: a line is not of the shape that this version writes, its members are in another
    order, an opening has pseudonyms or is not what was committed to.
    """
    lines = [np.frombuffer(raw, np.uint8) for raw in (events, openings)]
    ends = [np.flatnonzero(each == _LINE_END) for each in lines]
    if not count or any(
        len(each) != count or not _is_text(raw) for each, raw in zip(ends, (events, openings), strict=True)
    ):
        return None
    (events_at, events_end), (openings_at, openings_end) = (
        (int(a.ctypes.data), int(a.ctypes.data) + a.size) for a in lines
    )
    if events_end - events_at != ends[0][-1] + 1 or openings_end - openings_at != ends[1][-1] + 1:
        return None
    places, indexes = np.zeros((count, quick_opening_code.SLOTS), np.int64), np.empty(count, np.int64)
    if not quick_event_code.read_events(events_at, events_end, *_columns(), places, indexes):
        return None
    longest = int(np.diff(ends[1], prepend=-1).max())
    pieces = np.empty((longest // _LEAST_OF_A_LEAF + 2, 3), np.int64)
    tree_size = DIGEST_SIZE * (len(pieces) + 1) + PADDING
    room = np.empty(2 * tree_size + 4 * longest + (PADDING + 64) * (len(pieces) + 8) + 1024, np.uint8)
    resources, has_resource = np.empty((count, DIGEST_SIZE), np.uint8), np.zeros(count, np.bool_)
    counts = np.zeros(quick_opening_code.SLOTS, np.int64)
    if not quick_opening_code.check_openings(
        openings_at,
        openings_end,
        events_end,
        *_names(_OPENED),
        places,
        room.ctypes.data,
        tree_size,
        pieces,
        resources,
        has_resource,
        counts,
    ):
        return None
    roots = resources[has_resource].view("V32").ravel().tolist()
    if len(set(roots)) < len(roots):
        return None
    size = int(np.diff(ends[0], prepend=-1).max()) + 1 + PADDING
    leaves, two = np.empty((count, DIGEST_SIZE), np.uint8), np.empty(2 * size, np.uint8)
    quick_event_code.hash_lines(events_at, ends[0], two.ctypes.data, size, leaves.ctypes.data)
    root = merkle.roots(leaves, np.array([count], np.int64))[0].tobytes()
    opened = {name: n for name, n in zip(_OPENED, counts.tolist(), strict=True) if n}
    return root, indexes.tolist(), opened


def ready() -> Callable[[bytes, bytes, int], Found | None] | None:
    """`quick_message`, compiled; None where this processor gains nothing by it, or computes otherwise than it must."""
    from onshore_pipeline.evidence.self_check import check_compiled

    if not has_sha_instructions():
        return None
    try:
        check_compiled()
    except CompiledWrongly:
        return None
    quick_message(b'{"record_index":0}\n', b"{}\n", 1)
    return quick_message


def _is_text(raw: bytes) -> bool:
    """Whether it is UTF-8; a line end is never part of a longer character, so that each line then is."""
    if raw.isascii():
        return True
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


@cache
def _columns() -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """Names of a line's members in their order, where each begins, and the slots."""
    names = [column.name for column in EVENT_COLUMNS if column.line is not InLine.OUTSIDE]
    slots = [_OPENED.index(name) if name in _OPENED else -1 for name in names]
    slots[names.index("record_index")] = quick_event_code.INDEX
    return (*_names(tuple(names)), np.array(slots, np.int64))


@cache
def _names(names: Sequence[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    raw = [name.encode() for name in names]
    begins = np.cumsum([0, *map(len, raw)], dtype=np.int64)
    return np.frombuffer(b"".join(raw), np.uint8).copy(), begins
