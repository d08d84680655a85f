"""Reading the evidence log back from Kafka: for the sequencer, and to find where the workers stand."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Final
from uuid import UUID

import kafka
from kafka import TopicPartition

from onshore_pipeline.broker import EVIDENCE_LOG_TOPIC, LoggedEntry
from onshore_pipeline.errors import BrokerUnavailable
from onshore_pipeline.kafka_security import KafkaSettings, client_options, connected, kafka_errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_FETCH_BYTES: Final = 16 << 20
_QUIET_S: Final = 0.2  # a broker that counts its end too low still hands over the rest within this time
_CHUNK: Final = 10_000


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
        self._consumer = connected(settings, kafka.KafkaConsumer, **reading_options(settings))
        try:
            self._assign()
        except BaseException:
            self.close()
            raise
        self._next: dict[int, int] = {}

    def read(self, *, after: dict[int, int], max_entries: int, timeout_s: float) -> tuple[LoggedEntry, ...]:
        """Entries behind `after` (partition → position), in position order. Raises `BrokerUnavailable`."""
        with kafka_errors(self._settings, "read the evidence log"):
            for partition in self._partitions:
                wanted = after.get(partition, -1) + 1
                if self._next.get(partition) != wanted:
                    self._consumer.seek(TopicPartition(EVIDENCE_LOG_TOPIC, partition), wanted)
                    self._next[partition] = wanted
            fetched = self._consumer.poll(timeout_ms=int(timeout_s * 1000), max_records=max_entries)
        entries = tuple(
            LoggedEntry(record.partition, record.offset, record.timestamp * 1_000_000, record.value or b"")
            for records in fetched.values()
            for record in records
        )
        self._next.update({entry.partition: entry.position + 1 for entry in entries})
        return entries

    def read_all(self, after: dict[int, int]) -> Iterator[tuple[LoggedEntry, ...]]:
        """Every entry behind `after` that is committed when this begins; moves `after` along.

        Raises `BrokerUnavailable`.
        """
        partitions = [TopicPartition(EVIDENCE_LOG_TOPIC, partition) for partition in self._partitions]
        timeout_ms = int(self._settings.request_timeout_s * 1000)
        with kafka_errors(self._settings, "read the evidence log"):
            ends = self._consumer.end_offsets(partitions, timeout_ms=timeout_ms)
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

    def close(self) -> None:
        """Release the connection; safe to call twice."""
        with kafka_errors(self._settings, "close the reader"):
            self._consumer.close()

    def _assign(self) -> None:
        with kafka_errors(self._settings, "look for the evidence log"):
            self._partitions = sorted(self._consumer.partitions_for_topic(EVIDENCE_LOG_TOPIC))
        if not self._partitions:
            raise BrokerUnavailable(
                f"Kafka at {self._settings.servers}: topic {EVIDENCE_LOG_TOPIC} is missing: make it first"
            )
        self._consumer.assign([TopicPartition(EVIDENCE_LOG_TOPIC, partition) for partition in self._partitions])


class LoggedPositions:
    """Where the log ends for each partition; needed where the group has no position (a new group, expired offsets).

    Reads the whole log once, then only what is new.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        """Nothing is read yet."""
        self._settings = settings
        self._after: dict[int, int] = {}
        self._ends: dict[tuple[UUID, int], int] = {}

    def read(self) -> Mapping[tuple[UUID, int], int]:
        """(topic id, partition) → the offset behind the last message or gap of that partition in the log.

        Raises `BrokerUnavailable`, also for an entry that cannot be read: positions found without it might be wrong.
        """
        reader = KafkaEntryReader(self._settings)
        try:
            for entries in reader.read_all(self._after):
                for entry in entries:
                    self._note(entry)
        finally:
            reader.close()
        return self._ends

    def _note(self, logged: LoggedEntry) -> None:
        try:
            entry = json.loads(logged.value)
            kind = entry.get("kind", "message")
            if kind not in ("message", "gap"):
                return
            source = (UUID(entry["topic_id"]), int(entry["partition"]))
            end = int(entry["offset"]) + 1 if kind == "message" else int(entry["end"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BrokerUnavailable(
                f"{EVIDENCE_LOG_TOPIC}[{logged.partition}]@{logged.position}: not an entry of ours: {error!r}"
            ) from error
        self._ends[source] = max(end, self._ends.get(source, 0))
