"""Reading the evidence log back from Kafka."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from kafka import TopicPartition
from kafka.errors import OffsetOutOfRangeError

from onshore_pipeline.broker import EVIDENCE_LOG_TOPIC, Gap, LoggedEntry, Message
from onshore_pipeline.errors import BrokerUnavailable, LogCut
from onshore_pipeline.kafka_batches import UnreadableValue
from onshore_pipeline.kafka_bounded import BoundedConsumer
from onshore_pipeline.kafka_security import KafkaSettings, client_options, connected, kafka_errors
from onshore_pipeline.kafka_topics import admin_client, describe_topics

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from uuid import UUID

    from kafka.consumer.fetcher import ConsumerRecord

_LOG_APPEND_TIME: Final = 1  # Kafka's timestamp type of a message that the broker stamped
_LATEST_NS: Final = 2**63 - 1
_FETCH_BYTES: Final = 16 << 20
_QUIET_S: Final = 0.2  # a broker that counts its end too low still hands over the rest within this time
_CHUNK: Final = 10_000


def timestamp_ns(record: ConsumerRecord) -> int:
    """A message's time in ns; senders who wrote µs or ns for Kafka's ms are brought back to what an Int64 holds."""
    return min(max(int(record.timestamp), 0) * 1_000_000, _LATEST_NS)


def message_of(record: ConsumerRecord, topic_id: UUID) -> Message:
    """A message as the client hands it over."""
    # the message's own mark decides, not the topic's configuration: it is right for messages older than that, too
    stamped = record.timestamp_type == _LOG_APPEND_TIME
    return Message(
        record.topic,
        topic_id,
        record.partition,
        record.offset,
        timestamp_ns(record),
        "broker" if stamped else "sender",
        tuple((name, value or b"") for name, value in record.headers),
        record.value or b"",
        record.value.why if isinstance(record.value, UnreadableValue) else "",
    )


def held_bytes(message: Message) -> int:
    """What a message counts for where memory is bounded."""
    return len(message.value) + sum(len(name) + len(value) for name, value in message.headers)


def gap_before(message: Message, first: int, begin: int) -> Gap:
    """The offsets [first, message) without a message, where `begin` is the oldest one the broker has the log of.

    `begin` is asked for after the message was fetched: what lies behind it then was there to be fetched, too. Where the
    message cannot be read, those in front of it may be part of what cannot: none of them is called empty.
    """
    empty = 0 if message.unreadable else message.offset - max(first, min(begin, message.offset))
    return Gap(message.topic, message.topic_id, message.partition, first, message.offset, empty)


def reading_options(settings: KafkaSettings) -> dict[str, object]:
    """The keyword arguments of every consumer of ours: committed data only, no position but the ones we set."""
    return client_options(settings) | {
        "isolation_level": "read_committed",
        "auto_offset_reset": "none",
        "enable_auto_commit": False,
        "fetch_max_bytes": _FETCH_BYTES,
        "max_partition_fetch_bytes": _FETCH_BYTES,
        "metrics_enabled": False,
    }


class KafkaEntryReader:
    """The `EntryReader` for Kafka: no group, positions by hand; for one thread."""

    def __init__(self, settings: KafkaSettings) -> None:
        """Connect. Raises `BrokerUnavailable`, also when the topic is missing."""
        self._settings = settings
        self._consumer = connected(settings, BoundedConsumer, **reading_options(settings))
        try:
            self._assign()
        except BaseException:
            self.close()
            raise
        self._next: dict[int, int] = {}

    @property
    def log_id(self) -> UUID:
        """The log topic's own id."""
        return self._log_id

    def read(self, *, after: dict[int, int], max_entries: int, timeout_s: float) -> tuple[LoggedEntry, ...]:
        """Entries behind `after` (partition → position), in position order. Raises `BrokerUnavailable`."""
        with kafka_errors(self._settings, "read the evidence log"):
            for partition in self._partitions:
                wanted = after.get(partition, -1) + 1
                if self._next.get(partition) != wanted:
                    self._consumer.seek(TopicPartition(EVIDENCE_LOG_TOPIC, partition), wanted)
                    self._next[partition] = wanted
            try:
                fetched = self._consumer.poll(timeout_ms=int(timeout_s * 1000), max_records=max_entries)
            except OffsetOutOfRangeError as error:
                raise self._out_of_range(error.args[0]) from error
        entries = tuple(
            LoggedEntry(record.partition, record.offset, timestamp_ns(record), record.value or b"")
            for records in fetched.values()
            for record in records
        )
        self._next.update({entry.partition: entry.position + 1 for entry in entries})
        return entries

    def read_all(
        self, after: dict[int, int], until: Mapping[int, int] | None = None
    ) -> Iterator[tuple[LoggedEntry, ...]]:
        """Every entry behind `after` that is committed when this begins; moves `after` along.

        With `until` (partition → position) it reads on to there, and waits for transactions that are open before it.
        Raises `BrokerUnavailable`.
        """
        partitions = [TopicPartition(EVIDENCE_LOG_TOPIC, partition) for partition in self._partitions]
        timeout_ms = int(self._settings.request_timeout_s * 1000)
        with kafka_errors(self._settings, "read the evidence log"):
            ends = self._consumer.end_offsets(partitions, timeout_ms=timeout_ms)
        if until is not None:
            ends = {each: max(end, until.get(each.partition, 0)) for each, end in ends.items()}
        heard = time.monotonic()
        while True:
            entries = self.read(after=after, max_entries=_CHUNK, timeout_s=_QUIET_S)
            if entries:
                yield entries
                after.update({entry.partition: entry.position for entry in entries})
                heard = time.monotonic()
                continue
            with kafka_errors(self._settings, "read the evidence log"):
                if all(self._consumer.position(each, timeout_ms=timeout_ms) >= ends[each] for each in partitions):
                    return
            if time.monotonic() - heard > self._settings.request_timeout_s:
                raise BrokerUnavailable(f"Kafka at {self._settings.servers}: the evidence log does not read to its end")

    def span(self) -> dict[int, tuple[int, int]]:
        """Partition → (first position left, position behind the last committed one). Raises `BrokerUnavailable`."""
        partitions = [TopicPartition(EVIDENCE_LOG_TOPIC, partition) for partition in self._partitions]
        timeout_ms = int(self._settings.request_timeout_s * 1000)
        with kafka_errors(self._settings, "look for the evidence log's ends"):
            begins = self._consumer.beginning_offsets(partitions, timeout_ms=timeout_ms)
            ends = self._consumer.end_offsets(partitions, timeout_ms=timeout_ms)
        return {each.partition: (begins[each], ends[each]) for each in partitions}

    def _out_of_range(self, positions: Mapping[TopicPartition, int]) -> BrokerUnavailable:
        """Whether the log is cut or forgot its beginning."""
        span = self.span()
        told = f"Kafka at {self._settings.servers}: {EVIDENCE_LOG_TOPIC}"
        for source, position in positions.items():
            begin, end = span[source.partition]
            if position > end:
                return LogCut(f"{told}[{source.partition}] ends before {position}, which was read from it already")
            if position < begin:
                return BrokerUnavailable(f"{told}[{source.partition}] begins at {begin}: it must keep everything")
        return BrokerUnavailable(f"{told} does not have {positions} at the moment")

    def close(self) -> None:
        """Release the connection; safe to call twice."""
        with kafka_errors(self._settings, "close the reader"):
            self._consumer.close()

    def _assign(self) -> None:
        with admin_client(self._settings) as admin:  # a consumer's own question might make the topic
            topic = describe_topics(self._settings, admin, [EVIDENCE_LOG_TOPIC]).get(EVIDENCE_LOG_TOPIC)
        if topic is None:
            raise BrokerUnavailable(
                f"Kafka at {self._settings.servers}: topic {EVIDENCE_LOG_TOPIC} is missing: `onshore topics create`"
            )
        self._log_id, self._partitions = topic.topic_id, list(range(topic.partitions))
        self._consumer.assign([TopicPartition(EVIDENCE_LOG_TOPIC, partition) for partition in self._partitions])
