"""The worker's side of the local log."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

from onshore_pipeline.broker import (
    DEAD_LETTER_TOPIC,
    EVENT_TOPICS,
    EVIDENCE_LOG_TOPIC,
    Gap,
    Message,
    Outgoing,
    PartitionLag,
    Polled,
)
from onshore_pipeline.embedded.log_file import readable_errors
from onshore_pipeline.embedded.log_ownership import Ownership
from onshore_pipeline.embedded.log_records import EVENT_PARTITIONS, Appender, message_key, unpack_headers
from onshore_pipeline.errors import BrokerUnavailable, CommitFenced
from onshore_pipeline.failpoints import nowhere

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from onshore_pipeline.broker import Advance
    from onshore_pipeline.embedded.log_file import LogFile

LOOK_AGAIN_S: Final = 0.02  # how often a reader with nothing to do looks for what other processes wrote
_TRIM_STEPS: Final = 4
_PARTITION_COLUMNS: Final = (
    "SELECT slot, name, topic_id, partition, begin_offset, begin_bytes, position, position_bytes, end_offset, end_bytes"
)
_PARTITIONS: Final = f"{_PARTITION_COLUMNS} FROM {EVENT_PARTITIONS} ORDER BY slot"


@dataclass(frozen=True, slots=True)
class _Place:
    """A place in a partition: the next offset, and the bytes in front of it."""

    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class _Partition:
    """One partition of an event topic, as a snapshot shows it."""

    slot: int
    topic: str
    topic_id: UUID
    partition: int
    begin: _Place
    position: _Place
    end: _Place


class LocalConsumer:
    """The worker's side of the log; for one thread.

    One process at a time may poll; within it, the consumer that polled for the first time last owns all partitions.
    One that only commits entries without advances, or only asks for the lag, disturbs nobody.
    """

    def __init__(self, file: LogFile, now_ns: Callable[[], int], at: Callable[[str], None] = nowhere) -> None:
        """Take over `file`; the partitions become ours with the first poll."""
        self._file, self._now_ns, self._at = file, now_ns, at
        self._closed = threading.Event()
        self._ownership: Ownership | None = None
        self._polls = 0
        self._next: dict[int, _Place] = {}  # slot → behind the last message handed out
        self._epoch: int | None = None  # ours, once we own the partitions

    def poll(self, *, max_messages: int, max_bytes: int, timeout_s: float) -> Polled:
        """Next whole messages, shared out fairly over partitions.

        Raises `LogInUse` while another process polls, `CommitFenced` for good once a newer consumer took over.
        """
        deadline = time.monotonic() + timeout_s
        self._own()
        while True:
            polled = self._take(max_messages, max_bytes)
            left_s = deadline - time.monotonic()
            if polled.messages or polled.gaps:
                return polled
            if left_s <= 0 or self._closed.wait(min(LOOK_AGAIN_S, left_s)):
                self._tidy()
                return polled

    def hold(self, timeout_s: float) -> None:
        """Wait: nobody takes the partitions from a process that lives."""
        self._closed.wait(timeout_s)

    def commit(
        self, entries: Sequence[bytes], advances: Sequence[Advance], dead_letters: Sequence[Outgoing] = ()
    ) -> None:
        """Append entries and dead letters and move the positions, in one transaction.

        Raises `CommitFenced` and `LogInUse` (nothing written), `BrokerUnavailable` (rewind and look), and `ValueError`
        for an advance that goes nowhere or beyond the partition's end.
        """
        if advances:
            self._own()
        with self._file.writing("commit") as connection:
            if advances:
                self._refuse_if_replaced(connection)
            for advance in advances:
                _move(connection, advance)
            self._at("5.offsets")
            appender = Appender(connection, self._now_ns())
            appender.append(EVIDENCE_LOG_TOPIC, [Outgoing(entry) for entry in entries])
            appender.append(DEAD_LETTER_TOPIC, dead_letters)
            appender.finish()
            self._at("5.entries")
        self._at("5.committed")
        self._tidy()

    def rewind(self) -> None:
        """Forget what was polled but not committed."""
        self._next.clear()

    def lag(self) -> tuple[PartitionLag, ...]:
        """How far the positions are behind the ends. Raises `BrokerUnavailable`."""
        with self._file.reading("read its lag") as connection:
            return tuple(
                PartitionLag(each.topic, each.partition, each.position.offset, each.end.offset)
                for each in _partitions(connection)
            )

    def close(self) -> None:
        """Release the file; safe to call twice."""
        self._closed.set()
        ownership, self._ownership = self._ownership, None
        if ownership is not None:
            ownership.close()
        self._file.close()

    def _own(self) -> None:
        with readable_errors(self._file.path, "claim it"):
            if self._ownership is None:
                self._ownership = Ownership(self._file.path.parent)
            self._ownership.claim()
        if self._epoch is None:
            with self._file.writing("take over its messages") as connection:
                connection.execute("UPDATE owner SET epoch = epoch + 1")
                self._epoch = _owner_epoch(connection)

    def _refuse_if_replaced(self, connection: sqlite3.Connection) -> None:
        if _owner_epoch(connection) != self._epoch:
            raise CommitFenced(f"local log {self._file.path}: a newer consumer took over")

    def _take(self, max_messages: int, max_bytes: int) -> Polled:
        gaps: list[Gap] = []
        messages: list[Message] = []
        places: dict[int, _Place] = {}
        with self._file.reading("poll") as connection:
            self._refuse_if_replaced(connection)
            waiting: list[_Partition] = []
            for each in _partitions(connection):
                place = max(self._next.get(each.slot, each.position), each.position, key=_offset)
                if place.offset < each.begin.offset:
                    gaps.append(Gap(each.topic, each.topic_id, each.partition, place.offset, each.begin.offset))
                places[each.slot] = place = max(place, each.begin, key=_offset)
                if place.offset < each.end.offset:
                    waiting.append(each)
            self._polls += 1
            first = self._polls % max(1, len(waiting))
            waiting = waiting[first:] + waiting[:first]  # who comes first gets at least one message, however large
            counts = fair_shares([each.end.offset - places[each.slot].offset for each in waiting], max_messages)
            sizes = fair_shares([each.end.size - places[each.slot].size for each in waiting], max_bytes)
            for each, count, size in zip(waiting, counts, sizes, strict=True):
                place = places[each.slot]
                read, places[each.slot] = _read(connection, each, place, count, place.size + size, one=not messages)
                messages += read
        self._next = places
        return Polled(tuple(messages), tuple(gaps))

    def _tidy(self) -> None:
        """Delete what the safety window lets go and keep the files small, a few steps at a time."""
        with suppress(BrokerUnavailable):  # what the caller asked for is done; the next call reports what is wrong
            for _ in range(_TRIM_STEPS):
                if not self._file.trim(self._now_ns()):
                    break
            self._file.shrink()
            self._file.bound_wal()


def fair_shares(wanted: Sequence[int], budget: int) -> list[int]:
    """Share `budget` so that nobody gets more than wanted and nobody's share is cut while another's is larger."""
    shares = [0] * len(wanted)
    left = budget
    for served, index in enumerate(sorted(range(len(wanted)), key=wanted.__getitem__)):
        shares[index] = min(wanted[index], left // (len(wanted) - served))
        left -= shares[index]
    return shares


def _offset(place: _Place) -> int:
    return place.offset


def _owner_epoch(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT epoch FROM owner").fetchone()[0])


def _partitions(connection: sqlite3.Connection) -> list[_Partition]:
    return [_partition(row) for row in connection.execute(_PARTITIONS, EVENT_TOPICS).fetchall()]


def _partition(row: tuple[int, str, bytes, int, int, int, int, int, int, int]) -> _Partition:
    slot, topic, topic_id, partition, *places = row
    begin, position, end = (_Place(*places[at : at + 2]) for at in (0, 2, 4))
    return _Partition(slot, topic, UUID(bytes=topic_id), partition, begin, position, end)


def _read(
    connection: sqlite3.Connection, source: _Partition, place: _Place, count: int, up_to: int, *, one: bool
) -> tuple[list[Message], _Place]:
    """Messages from `place` on, at most `count` and up to `up_to` bytes, but `one` at least; and the place behind."""
    messages: list[Message] = []
    first, end = message_key(source.slot, place.offset), message_key(source.slot, source.end.offset)
    rows = connection.execute(
        "SELECT id, timestamp_ns, end_bytes, headers, value FROM messages WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
        (first, end, max(count, int(one))),
    )
    for key, timestamp_ns, end_bytes, headers, value in rows:
        if end_bytes > up_to and not (one and not messages):
            break
        offset = key - message_key(source.slot, 0)
        messages.append(
            Message(
                source.topic,
                source.topic_id,
                source.partition,
                offset,
                timestamp_ns,
                "broker",
                unpack_headers(headers),
                value,
            )
        )
        place = _Place(offset + 1, end_bytes)
    return messages, place


def _move(connection: sqlite3.Connection, advance: Advance) -> None:
    """Move one position, if it stands where the advance begins."""
    row = connection.execute(
        f"{_PARTITION_COLUMNS} FROM partitions JOIN topics USING (topic) WHERE name = ? AND partition = ?",
        (advance.topic, advance.partition),
    ).fetchone()
    stands = None if row is None else _partition(row)
    if stands is None or stands.topic_id != advance.topic_id:
        raise CommitFenced(f"{advance.topic}[{advance.partition}]: there is no such partition of {advance.topic_id}")
    if stands.position.offset != advance.first:
        raise CommitFenced(
            f"{advance.topic}[{advance.partition}]: the position is {stands.position.offset}, not {advance.first}"
        )
    if not advance.first < advance.next_offset <= stands.end.offset:
        raise ValueError(f"{advance} does not lead from its first offset to one that exists")
    if advance.next_offset <= stands.begin.offset:
        size = stands.begin.size
    else:
        (size,) = connection.execute(
            "SELECT end_bytes FROM messages WHERE id = ?", (message_key(stands.slot, advance.next_offset - 1),)
        ).fetchone()
    connection.execute(
        "UPDATE partitions SET position = ?, position_bytes = ? WHERE slot = ?",
        (advance.next_offset, size, stands.slot),
    )
