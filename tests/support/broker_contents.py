"""What a broker holds, read past our own code: with SQLite, or with another consumer."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from onshore_pipeline.broker import ACTIONS_TOPIC, DEAD_LETTER_TOPIC, EVENT_TOPICS, EVIDENCE_LOG_TOPIC
from onshore_pipeline.embedded.log_file import FILE_NAME
from onshore_pipeline.embedded.log_records import unpack_headers
from onshore_pipeline.jobs.control_run_seals import SEAL

if TYPE_CHECKING:
    from pathlib import Path

    from onshore_pipeline.kafka_security import KafkaSettings

Source = tuple[str, UUID, int]  # topic, its id, partition
Headers = tuple[tuple[str, bytes], ...]


@dataclass
class Contents:
    """Everything in the topics that count.

    Attributes:
        messages: value by offset, of every message that is still kept.
        ends: behind the last message of each partition.
        entries: the evidence log's entries, in order.
        dead_letters: value and headers.
    """

    messages: dict[Source, dict[int, bytes]] = field(default_factory=dict)
    ends: dict[Source, int] = field(default_factory=dict)
    entries: list[bytes] = field(default_factory=list)
    dead_letters: list[tuple[bytes, Headers]] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Messages that were ever sent, but for the seals of runs that a sequencer records once an hour."""
        kept = (
            value for source, values in self.messages.items() if source[0] == ACTIONS_TOPIC for value in values.values()
        )
        return sum(self.ends.values()) - sum(SEAL.encode() in value for value in kept)


def local_contents(folder: Path) -> Contents:
    """Of the local log in `folder`; its processes may run meanwhile."""
    found = Contents()
    with closing(sqlite3.connect(f"file:{folder / FILE_NAME}?mode=ro", uri=True, timeout=30)) as connection:
        connection.execute("BEGIN")
        partitions = connection.execute(
            "SELECT slot, name, topic_id, partition, end_offset FROM partitions JOIN topics USING (topic) ORDER BY slot"
        ).fetchall()
        for slot, topic, topic_id, partition, end in partitions:
            rows = connection.execute(
                "SELECT id & ((1 << 40) - 1), headers, value FROM messages WHERE id >> 40 = ? ORDER BY id", (slot,)
            ).fetchall()
            if topic in EVENT_TOPICS:
                source = (topic, UUID(bytes=topic_id), partition)
                found.messages[source] = {offset: value for offset, _, value in rows}
                found.ends[source] = end
            elif topic == EVIDENCE_LOG_TOPIC:
                found.entries += [value for _, _, value in rows]
            elif topic == DEAD_LETTER_TOPIC:
                found.dead_letters += [(value, unpack_headers(headers)) for _, headers, value in rows]
    return found


def kafka_contents(settings: KafkaSettings) -> Contents:
    """Of Kafka, with a plain consumer that sees committed transactions only."""
    import kafka

    from onshore_pipeline.kafka_topics import admin_client, describe_topics

    found = Contents()
    wanted = (*EVENT_TOPICS, EVIDENCE_LOG_TOPIC, DEAD_LETTER_TOPIC)
    with admin_client(settings) as admin:
        ids = {name: topic.topic_id for name, topic in describe_topics(settings, admin, wanted).items()}
    with kafka.KafkaConsumer(
        bootstrap_servers=list(settings.bootstrap_servers),
        isolation_level="read_committed",
        enable_auto_commit=False,
        max_poll_records=10_000,
    ) as consumer:
        sources = [
            kafka.TopicPartition(topic, partition)
            for topic in sorted(ids)
            for partition in sorted(consumer.partitions_for_topic(topic) or ())
        ]
        ends = consumer.end_offsets(sources)
        consumer.assign(sources)
        consumer.seek_to_beginning()
        read: dict[Any, list[Any]] = {source: [] for source in sources}
        while any(consumer.position(source) < ends[source] for source in sources):
            for source, records in consumer.poll(timeout_ms=500).items():
                read[source] += records
    for source in sources:
        records = sorted(read[source], key=lambda record: record.offset)
        if source.topic in EVENT_TOPICS:
            named = (source.topic, ids[source.topic], source.partition)
            found.messages[named] = {record.offset: record.value for record in records}
            found.ends[named] = ends[source]
        elif source.topic == EVIDENCE_LOG_TOPIC:
            found.entries += [record.value for record in records]
        else:
            found.dead_letters += [(record.value, tuple(record.headers)) for record in records]
    return found
