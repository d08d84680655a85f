"""What lies in the local log's file: tables, keys, headers, and how a message is appended."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import structlog

from onshore_pipeline.broker import EVENT_TOPICS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from onshore_pipeline.broker import Outgoing

SCHEMA: Final = (
    "CREATE TABLE topics (topic INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, topic_id BLOB NOT NULL) STRICT",
    # offsets and bytes are counted from the partition's birth; bytes make sizes a subtraction instead of a scan
    """CREATE TABLE partitions (
        slot INTEGER PRIMARY KEY, topic INTEGER NOT NULL REFERENCES topics, partition INTEGER NOT NULL,
        begin_offset INTEGER NOT NULL DEFAULT 0, begin_bytes INTEGER NOT NULL DEFAULT 0,
        position INTEGER NOT NULL DEFAULT 0, position_bytes INTEGER NOT NULL DEFAULT 0,
        end_offset INTEGER NOT NULL DEFAULT 0, end_bytes INTEGER NOT NULL DEFAULT 0,
        last_timestamp_ns INTEGER NOT NULL DEFAULT 0,
        UNIQUE (topic, partition)) STRICT""",
    # the value comes last: the columns before it are read without touching its overflow pages
    """CREATE TABLE messages (
        id INTEGER PRIMARY KEY, timestamp_ns INTEGER NOT NULL, end_bytes INTEGER NOT NULL,
        headers BLOB NOT NULL, value BLOB NOT NULL) STRICT""",
    "CREATE TABLE owner (epoch INTEGER NOT NULL) STRICT",
    "INSERT INTO owner VALUES (0)",
)

# Who amends, where stamps went back, how far numbered streams are; older files get these when they are opened next.
ADDED: Final = (
    "CREATE TABLE IF NOT EXISTS amender (epoch INTEGER NOT NULL) STRICT",
    "INSERT INTO amender SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM amender)",
    """CREATE TABLE IF NOT EXISTS steps_back (
        step INTEGER PRIMARY KEY, slot INTEGER NOT NULL, first_offset INTEGER NOT NULL,
        from_ns INTEGER NOT NULL, to_ns INTEGER NOT NULL) STRICT""",
    """CREATE TABLE IF NOT EXISTS streams (
        stream TEXT PRIMARY KEY, number INTEGER NOT NULL, digest BLOB NOT NULL, seen_ns INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS streams_by_time ON streams (seen_ns)",
)

# A clock set back by up to this is waited for: stamps stay where they are. Beyond, it was wrong before, or is now.
CARRIED_NS: Final = 300 * 10**9
_STEPS_KEPT: Final = 100

log = structlog.get_logger("log")

_OFFSET_BITS: Final = 40
_LENGTH: Final = struct.Struct(">I")
_MARKS: Final = ", ".join("?" * len(EVENT_TOPICS))
EVENT_PARTITIONS: Final = f"partitions JOIN topics USING (topic) WHERE name IN ({_MARKS})"


def message_key(slot: int, offset: int) -> int:
    """A message's key: its partition's slot, then its offset, so that a partition is one clustered range."""
    return (slot << _OFFSET_BITS) | offset


def pack_headers(headers: Sequence[tuple[str, bytes]]) -> bytes:
    """Headers as length-prefixed names and values."""
    parts: list[bytes] = []
    for name, value in headers:
        encoded = name.encode()
        parts += (_LENGTH.pack(len(encoded)), encoded, _LENGTH.pack(len(value)), value)
    return b"".join(parts)


def unpack_headers(packed: bytes) -> tuple[tuple[str, bytes], ...]:
    """The inverse of `pack_headers`."""
    parts: list[bytes] = []
    at = 0
    while at < len(packed):
        start = at + _LENGTH.size
        at = start + _LENGTH.unpack_from(packed, at)[0]
        parts.append(packed[start:at])
    return tuple((name.decode(), value) for name, value in zip(parts[::2], parts[1::2], strict=True))


def message_bytes(message: Outgoing) -> int:
    """What a message counts for in sizes and limits: value, headers, and a little for its keeping."""
    return len(message.value) + sum(len(name) + len(value) for name, value in message.headers) + 64


def add_topic(connection: sqlite3.Connection, name: str, partitions: int) -> None:
    """Make the topic, with an id of its own, and the partitions it lacks."""
    connection.execute("INSERT OR IGNORE INTO topics (name, topic_id) VALUES (?, ?)", (name, uuid4().bytes))
    (topic,) = connection.execute("SELECT topic FROM topics WHERE name = ?", (name,)).fetchone()
    connection.executemany(
        "INSERT OR IGNORE INTO partitions (topic, partition) VALUES (?, ?)",
        ((topic, partition) for partition in range(partitions)),
    )


@dataclass(slots=True)
class _Tail:
    """Where a partition ends, inside one transaction."""

    slot: int
    end_offset: int
    end_bytes: int
    timestamp_ns: int


class Appender:
    """Appends within one open write transaction; `finish` must be called before it commits."""

    def __init__(self, connection: sqlite3.Connection, now_ns: int) -> None:
        """Stamp what is appended with `now_ns`, or the partition's last stamp if that is up to `CARRIED_NS` ahead."""
        self._connection, self._now_ns = connection, now_ns
        self._tails: dict[str, list[_Tail]] = {}

    def append(self, topic: str, messages: Sequence[Outgoing]) -> list[tuple[int, int]]:
        """Append in order; messages with equal keys share a partition, those without go where the least data lies.

        Returns the partition and offset of each.
        """
        tails = self._tails.get(topic) or self._open(topic)
        places: list[tuple[int, int]] = []
        for message in messages:
            tail = tails[zlib.crc32(message.key) % len(tails)] if message.key else min(tails, key=_tail_bytes)
            tail.end_bytes += message_bytes(message)
            self._connection.execute(
                "INSERT INTO messages VALUES (?, ?, ?, ?, ?)",
                (
                    message_key(tail.slot, tail.end_offset),
                    tail.timestamp_ns,
                    tail.end_bytes,
                    pack_headers(message.headers),
                    message.value,
                ),
            )
            places.append((tails.index(tail), tail.end_offset))
            tail.end_offset += 1
        return places

    def finish(self) -> None:
        """Write the partitions' new ends."""
        self._connection.executemany(
            "UPDATE partitions SET end_offset = ?, end_bytes = ?, last_timestamp_ns = ? WHERE slot = ?",
            (
                (tail.end_offset, tail.end_bytes, tail.timestamp_ns, tail.slot)
                for tails in self._tails.values()
                for tail in tails
            ),
        )

    def _open(self, topic: str) -> list[_Tail]:
        query = (
            "SELECT slot, end_offset, end_bytes, last_timestamp_ns"
            " FROM partitions JOIN topics USING (topic) WHERE name = ? ORDER BY partition"
        )
        rows = self._connection.execute(query, (topic,)).fetchall()
        if not rows:
            add_topic(self._connection, topic, 1)
            rows = self._connection.execute(query, (topic,)).fetchall()
        tails = self._tails[topic] = [_Tail(*row) for row in rows]
        for tail in tails:
            self._stamp(tail, topic)
        return tails

    def _stamp(self, tail: _Tail, topic: str) -> None:
        """Move on from the partition's last stamp; note it where that means to go back."""
        last_ns = tail.timestamp_ns
        if last_ns - self._now_ns <= CARRIED_NS:
            tail.timestamp_ns = max(last_ns, self._now_ns)
            return
        tail.timestamp_ns = self._now_ns
        execute = self._connection.execute
        step = "INSERT INTO steps_back (slot, first_offset, from_ns, to_ns) VALUES (?, ?, ?, ?)"
        execute(step, (tail.slot, tail.end_offset, last_ns, self._now_ns))
        execute("DELETE FROM steps_back WHERE step <= (SELECT max(step) FROM steps_back) - ?", (_STEPS_KEPT,))
        back_s = (last_ns - self._now_ns) // 10**9
        log.warning("the clock went back", topic=topic, from_offset=tail.end_offset, by_s=back_s)


def _tail_bytes(tail: _Tail) -> int:
    return tail.end_bytes
