"""Which messages the local log lets go: consumed ones outside the safety window, and the oldest dead letters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from onshore_pipeline.broker import ACTIONS_TOPIC, DEAD_LETTER_TOPIC, EVENT_TOPICS
from onshore_pipeline.embedded.log_records import EVENT_PARTITIONS, message_key

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

_CONSUMED: Final = (
    "SELECT slot, begin_offset, begin_bytes, position, position_bytes"  # noqa: S608
    f" FROM {EVENT_PARTITIONS} AND name != ? AND begin_offset < position ORDER BY slot"
)
_DEAD_LETTERS: Final = (
    "SELECT slot, begin_offset, begin_bytes, end_offset, end_bytes FROM partitions JOIN topics USING (topic)"
    " WHERE name = ? AND end_bytes - begin_bytes > ?"
)


@dataclass(frozen=True, slots=True)
class Window:
    """What is kept though nobody waits for it.

    Attributes:
        oldest_ns: consumed messages older than this are let go ...
        kept_bytes: ... and those beyond this many newest bytes of their partition ...
        kept_messages: ... or this many newest messages.
        kept_dead_letter_bytes: dead letters beyond this many newest bytes are let go; the store has them.
    """

    oldest_ns: int
    kept_bytes: int
    kept_messages: int
    kept_dead_letter_bytes: int


@dataclass(frozen=True, slots=True)
class Outside:
    """Messages [begin, end) of a partition that may be deleted, and the partition's bytes up to `end`."""

    slot: int
    begin: int
    end: int
    end_bytes: int


def outside_window(connection: sqlite3.Connection, window: Window, step_bytes: int) -> list[Outside]:
    """The oldest messages outside the window, about `step_bytes` of them at most."""
    found: list[Outside] = []
    left = step_bytes
    consumed_of = connection.execute(_CONSUMED, (*EVENT_TOPICS, ACTIONS_TOPIC)).fetchall()  # actions are kept for ever
    for slot, begin, begin_bytes, position, position_bytes in consumed_of:

        def consumed(offset: int, stamp: int, start: int, position: int = position, size: int = position_bytes) -> bool:
            return (
                stamp < window.oldest_ns or size - start > window.kept_bytes or position - offset > window.kept_messages
            )

        left -= _add(found, connection, (slot, begin, begin_bytes, position), consumed, left)
    rows = connection.execute(_DEAD_LETTERS, (DEAD_LETTER_TOPIC, window.kept_dead_letter_bytes)).fetchall()
    for slot, begin, begin_bytes, end, end_bytes in rows:

        def surplus(offset: int, stamp: int, start: int, size: int = end_bytes) -> bool:
            del offset, stamp
            return size - start > window.kept_dead_letter_bytes

        left -= _add(found, connection, (slot, begin, begin_bytes, end), surplus, left)
    return found


def _add(
    found: list[Outside],
    connection: sqlite3.Connection,
    source: tuple[int, int, int, int],
    outside: Callable[[int, int, int], bool],
    left: int,
) -> int:
    """Add what is `outside` (offset, time stamp, bytes in front) at the beginning of a partition; its size."""
    slot, begin, begin_bytes, until = source
    end, end_bytes = begin, begin_bytes
    for message, stamp, up_to in connection.execute(
        "SELECT id, timestamp_ns, end_bytes FROM messages WHERE id >= ? AND id < ? ORDER BY id",
        (message_key(slot, begin), message_key(slot, until)),
    ):
        offset = message - message_key(slot, 0)
        if not outside(offset, stamp, end_bytes) or end_bytes - begin_bytes >= left:
            break
        end, end_bytes = offset + 1, up_to
    if end > begin:
        found.append(Outside(slot, begin, end, end_bytes))
    return end_bytes - begin_bytes
