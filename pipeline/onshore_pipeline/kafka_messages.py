"""Messages that Kafka still keeps, by their offsets: for whoever assesses them again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from kafka import TopicPartition

from onshore_pipeline.broker import DEAD_LETTER_TOPIC, Retained
from onshore_pipeline.errors import BrokerUnavailable
from onshore_pipeline.kafka_bounded import BoundedConsumer
from onshore_pipeline.kafka_entries import held_bytes, message_of, reading_options
from onshore_pipeline.kafka_security import KafkaSettings, connected, kafka_errors
from onshore_pipeline.kafka_topics import admin_client, describe_topics

if TYPE_CHECKING:
    from onshore_pipeline.broker import Message

_WAIT_MS: Final = 200


class KafkaMessageReader:
    """Reads kept messages outside of any group; for one thread."""

    def __init__(self, settings: KafkaSettings) -> None:
        """Connect. Raises `BrokerUnavailable`."""
        self._settings = settings
        self._timeout_ms = int(settings.request_timeout_s * 1000)
        self._consumer = connected(settings, BoundedConsumer, **reading_options(settings))

    def retained(self, *, dead_letters: bool = False) -> tuple[Retained, ...]:
        """What is kept of every event partition, or of the dead-letter topic. Raises `BrokerUnavailable`."""
        names = [DEAD_LETTER_TOPIC] if dead_letters else self._settings.topics
        with admin_client(self._settings) as admin:
            topics = describe_topics(self._settings, admin, names)
        sources = [TopicPartition(topic.name, each) for topic in topics.values() for each in range(topic.partitions)]
        if not sources:
            return ()
        with kafka_errors(self._settings, "look at what is kept"):
            self._consumer.assign(sources)
            begins, ends = (self._known(ask, sources) for ask in ("beginning_offsets", "end_offsets"))
        return tuple(
            Retained(each.topic, topics[each.topic].topic_id, each.partition, begins[each], ends[each])
            for each in sorted(sources)
        )

    def read(self, source: Retained, first: int, end: int, *, max_bytes: int) -> tuple[Message, ...]:
        """Kept messages with offsets in [first, end), in order. Raises `BrokerUnavailable`."""
        partition = TopicPartition(source.topic, source.partition)
        messages: list[Message] = []
        size = 0
        first = max(first, source.begin)
        if first >= end:
            return ()
        with kafka_errors(self._settings, "read kept messages"):
            self._consumer.assign([partition])
            self._consumer.seek(partition, first)
            behind = self._known("end_offsets", [partition])[partition]
            heard = time.monotonic()
            while (position := self._consumer.position(partition, timeout_ms=self._timeout_ms)) < end:
                records = self._consumer.poll(timeout_ms=_WAIT_MS).get(partition, [])
                for record in records:
                    message = message_of(record, source.topic_id)
                    size += held_bytes(message)
                    if record.offset >= end or (messages and size > max_bytes):
                        return tuple(messages)
                    messages.append(message)
                if records:
                    heard = time.monotonic()
                elif position >= behind:
                    break
                elif time.monotonic() - heard > self._settings.request_timeout_s:
                    raise BrokerUnavailable(
                        f"Kafka at {self._settings.servers}: {source.topic}[{source.partition}] does not read to {end}"
                    )
        return tuple(messages)

    def _known(self, ask: str, sources: list[TopicPartition]) -> dict[TopicPartition, int]:
        """Offsets of partitions; the client leaves out, with a KeyError, those whose leader it has not learned yet."""
        deadline = time.monotonic() + self._settings.request_timeout_s
        while True:
            try:
                known: dict[TopicPartition, int] = getattr(self._consumer, ask)(sources, timeout_ms=self._timeout_ms)
            except KeyError:
                if time.monotonic() > deadline:
                    raise BrokerUnavailable(f"Kafka at {self._settings.servers}: a partition has no leader") from None
                time.sleep(_WAIT_MS / 1000)
            else:
                return known

    def close(self) -> None:
        """Release the connection; safe to call twice."""
        with kafka_errors(self._settings, "close the reader"):
            self._consumer.close()
