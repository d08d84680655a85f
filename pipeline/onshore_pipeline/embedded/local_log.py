"""The durable log of one machine: what Kafka is in production, in one SQLite file.

Receiver, worker and sequencer are processes of their own and open the same folder. Everything acknowledged survives
kill -9 and a power cut; entries and positions move in one transaction.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

from onshore_pipeline.broker import ACTIONS_TOPIC, DEAD_LETTER_TOPIC, EVENT_TOPICS, EVIDENCE_LOG_TOPIC, Place
from onshore_pipeline.embedded import streams
from onshore_pipeline.embedded.drain import Drain
from onshore_pipeline.embedded.local_amender import LocalAmender
from onshore_pipeline.embedded.local_consumer import LocalConsumer
from onshore_pipeline.embedded.local_messages import LocalMessageReader
from onshore_pipeline.embedded.local_reader import LocalEntryReader
from onshore_pipeline.embedded.log_file import MIB, LogFile, LogLimits
from onshore_pipeline.embedded.log_records import Appender, message_bytes
from onshore_pipeline.embedded.stamps import Stamps, look_at_stamps
from onshore_pipeline.errors import BrokerFull, BrokerUnavailable, OutOfSequence
from onshore_pipeline.failpoints import nowhere

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from onshore_pipeline.broker import Outgoing


@dataclass(frozen=True, slots=True)
class PartitionSize:
    """What lies in one partition of the local log.

    Attributes:
        topic: the topic's name.
        partition: partition number.
        waiting_messages: messages that the worker has not committed; 0 for topics it does not read.
        waiting_bytes: their size.
        kept_messages: all messages in the file.
        kept_bytes: their size.
    """

    topic: str
    partition: int
    waiting_messages: int
    waiting_bytes: int
    kept_messages: int
    kept_bytes: int


class LocalLog:
    """A folder with the log's file; opens producers, the consumer and readers, each with a connection of its own."""

    def __init__(
        self,
        folder: Path,
        *,
        now_ns: Callable[[], int],
        limits: LogLimits | None = None,
        partitions: Mapping[str, int] | None = None,
    ) -> None:
        """Make the file and its topics where they are missing.

        Args:
            folder: the data folder; made when missing.
            now_ns: the broker's clock, nanoseconds since 1970-01-01T00:00:00Z.
            limits: bounds of sizes and times.
            partitions: number of partitions by event topic; 1 where not given; never shrinks.

        Raises:
            BrokerUnavailable: the file cannot be opened or made.
        """
        self._folder, self._now_ns, self._limits = folder, now_ns, limits or LogLimits()
        self._partitions = dict.fromkeys((*EVENT_TOPICS, EVIDENCE_LOG_TOPIC, DEAD_LETTER_TOPIC), 1)
        self._partitions |= {topic: count for topic, count in (partitions or {}).items() if topic in EVENT_TOPICS}
        self._partitions[ACTIONS_TOPIC] = 1  # their order counts
        self._open().close()

    def producer(self) -> LocalProducer:
        """A producer; may be shared by threads."""
        return LocalProducer(self._open(), self._now_ns)

    def consumer(self, at: Callable[[str], None] = nowhere) -> LocalConsumer:
        """A consumer; with its first poll it owns all partitions.

        Earlier ones of this process are fenced then; while another process polls, it is refused with `LogInUse`.
        """
        return LocalConsumer(self._open(), self._now_ns, at)

    def amender(self, at: Callable[[str], None] = nowhere) -> LocalAmender:
        """An amender of the evidence log."""
        return LocalAmender(self._open(), self._now_ns, at)

    def entry_reader(self) -> LocalEntryReader:
        """A reader of the evidence log."""
        return LocalEntryReader(self._open())

    def message_reader(self) -> LocalMessageReader:
        """A reader of kept messages."""
        return LocalMessageReader(self._open())

    def sizes(self) -> tuple[PartitionSize, ...]:
        """What lies in each partition, in the order they were made."""
        file = self._open()
        try:
            with file.reading("read its sizes") as connection:
                rows = connection.execute(
                    "SELECT name, partition, begin_offset, begin_bytes, position, position_bytes, end_offset, end_bytes"
                    " FROM partitions JOIN topics USING (topic) ORDER BY slot"
                ).fetchall()
        finally:
            file.close()
        return tuple(
            PartitionSize(
                topic,
                partition,
                (end - position) if topic in EVENT_TOPICS else 0,
                (end_bytes - position_bytes) if topic in EVENT_TOPICS else 0,
                end - begin,
                end_bytes - begin_bytes,
            )
            for topic, partition, begin, begin_bytes, position, position_bytes, end, end_bytes in rows
        )

    def stamps(self) -> Stamps:
        """What its stamps say about the clock."""
        file = self._open()
        try:
            with file.reading("read its stamps") as connection:
                return look_at_stamps(connection, self._now_ns())
        finally:
            file.close()

    def _open(self) -> LogFile:
        return LogFile(self._folder, limits=self._limits, partitions=self._partitions)


@dataclass(slots=True)
class _Sending:
    """What one sender waits for."""

    topic: str
    messages: tuple[Outgoing, ...]
    size: int
    done: threading.Event = field(default_factory=threading.Event)
    refusal: BrokerUnavailable | OutOfSequence | None = None
    places: list[tuple[int, int]] = field(default_factory=list)


class LocalProducer:
    """Appends; senders that wait at the same time share one transaction and one fsync."""

    def __init__(self, file: LogFile, now_ns: Callable[[], int]) -> None:
        """Take over `file` and start the thread that writes."""
        self._file, self._now_ns = file, now_ns
        self._queue: deque[_Sending] = deque()
        self._queued_bytes = 0
        self._changed = threading.Condition()
        self._closed = False
        self._drain = Drain(file.worked_off_bytes)
        self._writer = threading.Thread(target=self._write_all, name="local-log-writer", daemon=True)
        self._writer.start()

    def send(self, topic: str, messages: Sequence[Outgoing]) -> None:
        """Append in order; return when it is on disk. Raises `BrokerFull` when there is no room for it.

        The last number of a stream is written in the transaction that appends, and remembered for the 100,000 streams
        that sent last: what is numbered is appended once, whoever is killed when.
        """
        if messages:
            self._send(topic, messages)

    def record(self, topic: str, message: Outgoing) -> Place:
        """Append one message and say where it lies; raises what `send` raises."""
        ((partition, offset),) = self._send(topic, [message])
        with self._file.reading("see the topic's id") as connection:
            (topic_id,) = connection.execute("SELECT topic_id FROM topics WHERE name = ?", (topic,)).fetchone()
        return Place(topic, UUID(bytes=topic_id), partition, offset)

    def _send(self, topic: str, messages: Sequence[Outgoing]) -> list[tuple[int, int]]:
        sending = _Sending(topic, tuple(messages), sum(map(message_bytes, messages)))
        self._enqueue(sending)
        sending.done.wait()
        if sending.refusal is not None:
            raise sending.refusal
        return sending.places

    def close(self) -> None:
        """Write what is queued and stop; safe to call twice."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._writer.join()
        self._file.close()

    def _enqueue(self, sending: _Sending) -> None:
        limits = self._file.limits
        with self._changed:
            # a message larger than the whole queue is let in alone
            has_room = self._changed.wait_for(
                lambda: self._closed or not self._queue or self._queued_bytes + sending.size <= limits.queue_bytes,
                timeout=limits.lock_timeout_s,
            )
            if self._closed or not self._writer.is_alive():
                raise BrokerUnavailable(f"local log {self._file.path}: the producer is closed")
            if not has_room:
                raise BrokerFull(f"local log {self._file.path}: too slow: senders waited for room in its queue")
            self._queue.append(sending)
            self._queued_bytes += sending.size
            self._changed.notify_all()

    def _write_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closed)
                group = list(self._queue)
                self._queue.clear()
                self._queued_bytes = 0
                self._changed.notify_all()
            if not group:
                return
            failure: BrokerUnavailable | None = BrokerUnavailable(f"local log {self._file.path}: its writer stopped")
            try:
                self._write(group)
                failure = None
            except BrokerUnavailable as error:
                failure = error
            finally:
                for sending in group:
                    if failure is not None:  # one of its own for every thread that raises it
                        sending.refusal = type(failure)(str(failure))
                    sending.done.set()
            with suppress(BrokerUnavailable):  # acknowledged already; a log that only grows is refused by room()
                self._file.bound_wal()

    def _write(self, group: Sequence[_Sending]) -> None:
        room = self._file.room()
        self._drain.look()
        with self._file.writing("append") as connection:
            appender = Appender(connection, self._now_ns())
            for sending in group:
                try:
                    messages = [each for each in sending.messages if streams.is_new(connection, each.numbered)]
                except OutOfSequence as error:
                    sending.refusal = error
                    continue
                if sending.topic in EVENT_TOPICS and sending.topic != ACTIONS_TOPIC:  # what people do is never put off
                    if sending.size > room:
                        sending.refusal = BrokerFull(
                            f"local log {self._file.path}: full:"
                            f" {self._file.waiting_limit // MIB} MiB may wait for the worker",
                            self._drain.seconds_for(sending.size - room),
                        )
                        continue
                    room -= sending.size
                sending.places = appender.append(sending.topic, messages)
                streams.move(connection, messages, self._now_ns())
            appender.finish()
