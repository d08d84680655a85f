"""Where a worker begins in a partition: what the evidence log says, however the group's offsets came about.

An offset that we committed carries its topic's id as metadata and moved in one transaction with its entries; one that
somebody set by hand carries none. Reading the whole log at every start would take as long as the log is old, so the
newest entries are read and compared always, and all of them only where these and the group's offset do not settle it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

import structlog

from onshore_pipeline.broker import EVIDENCE_LOG_TOPIC
from onshore_pipeline.errors import BrokerUnavailable
from onshore_pipeline.kafka_entries import KafkaEntryReader

if TYPE_CHECKING:
    from kafka import OffsetAndMetadata, TopicPartition

    from onshore_pipeline.broker import LoggedEntry
    from onshore_pipeline.kafka_security import KafkaSettings

_log = structlog.get_logger("kafka")

TAIL_ENTRIES: Final = 20_000
_READ_AGAIN: Final = 5  # a transaction's offsets may be seen a moment before its entries


@dataclass(frozen=True, slots=True)
class Owned:
    """A partition that was just given to us.

    Attributes:
        source: its name.
        topic_id: the topic's UUID.
        begin: the oldest offset left.
        end: behind the newest one.
        committed: what the group has for it.
    """

    source: TopicPartition
    topic_id: UUID
    begin: int
    end: int
    committed: OffsetAndMetadata | None

    @property
    def ours(self) -> bool:
        """Whether the group's offset moved together with the log's entries, for this very topic."""
        return self.committed is not None and self.committed.metadata == str(self.topic_id)


@dataclass(slots=True)
class Place:
    """Where this worker stands in a partition that it owns.

    Attributes:
        topic_id: the topic's UUID when the partition was taken over.
        found: what the group had committed when we last looked; another value now means another member.
        committed: the position, which the evidence log decides.
        next_offset: behind what was handed out last.
    """

    topic_id: UUID
    found: int | None
    committed: int
    next_offset: int


class LoggedPositions:
    """Where the log ends for each partition; reads what it must once, then only what is new."""

    def __init__(self, settings: KafkaSettings, tail_entries: int = TAIL_ENTRIES) -> None:
        """Nothing is read yet."""
        self._settings, self._tail_entries = settings, tail_entries
        self._after: dict[int, int] = {}
        self._ends: dict[tuple[UUID, int], int] = {}
        self._whole = False  # everything since the log's beginning was read

    def starts(self, owned: list[Owned]) -> dict[TopicPartition, int]:
        """The offset to begin at, for each partition.

        Raises `BrokerUnavailable`, also when entries are missing that the group's offsets say were committed: beginning
        there would leave messages without evidence, beginning earlier would judge them twice.
        """
        reader = KafkaEntryReader(self._settings)
        try:
            self._read_tail(reader)
            if not self._whole and not all(self._settled(each) for each in owned):
                self._forget(whole=True)
                self._read(reader)
            for _ in range(_READ_AGAIN):
                if not any(self._behind(each) for each in owned):
                    break
                self._read(reader)
        finally:
            reader.close()
        return {each.source: self._start(each) for each in owned}

    def _settled(self, owned: Owned) -> bool:
        """Whether the tail is enough; a partition that never held a message has nothing in the log."""
        return (owned.topic_id, owned.source.partition) in self._ends or owned.ours or owned.end == 0

    def _behind(self, owned: Owned) -> bool:
        """Whether entries are missing for what we committed."""
        logged = self._ends.get((owned.topic_id, owned.source.partition), 0 if self._whole else None)
        return owned.committed is not None and owned.ours and logged is not None and logged < owned.committed.offset

    def _start(self, owned: Owned) -> int:
        logged = self._ends.get((owned.topic_id, owned.source.partition))
        if owned.committed is None:
            return owned.begin if logged is None else logged
        group = int(owned.committed.offset)
        if self._behind(owned):
            raise BrokerUnavailable(self._lost(owned.source, group, logged))
        start = (group if owned.ours else owned.begin) if logged is None else logged
        # an id of an earlier topic under this name is no disagreement
        if start != group and (owned.ours or not owned.committed.metadata):
            _log.warning(
                "the group's offset is not where the evidence log ends; the log is followed",
                topic=owned.source.topic,
                partition=owned.source.partition,
                group_offset=group,
                begins_at=start,
            )
        return start

    def _lost(self, source: TopicPartition, group: int, logged: int | None) -> str:
        """What is missing, and the remedy: a log that forgot its end goes on there, one that is gone begins anew."""
        told = (
            f"Kafka at {self._settings.servers}: {EVIDENCE_LOG_TOPIC}"
            f" {'has nothing' if logged is None else f'ends before offset {logged}'}"
            f" for {source.topic}[{source.partition}], but group {self._settings.group_id} committed up to {group}:"
            " entries were lost. Put the log topic back; if that cannot be, stop all workers and "
        )
        if logged is None:
            return told + (
                "begin with new event topics, because what was sealed stays in the store and offsets would be used"
                f" twice: copy what {source.topic}[{source.partition}] holds from offset {group} on elsewhere, since"
                f" nobody has judged it; delete topic {source.topic}; run `onshore topics create`; send the copies"
                " again"
            )
        return told + (
            "give up what was lost, so that those messages are judged again: kafka-consumer-groups.sh"
            f" --bootstrap-server {self._settings.bootstrap_servers[0]} --group {self._settings.group_id} --topic"
            f" {source.topic}:{source.partition} --reset-offsets --to-offset {logged} --execute"
        )

    def _read_tail(self, reader: KafkaEntryReader) -> None:
        """Read what is new; where that is more than the tail, or another log, start over with the tail."""
        span = reader.span()
        new = {partition: end - 1 - self._after.get(partition, begin - 1) for partition, (begin, end) in span.items()}
        another = any(end <= self._after.get(partition, -1) for partition, (_, end) in span.items())
        if another or max(new.values()) > self._tail_entries:
            self._forget(whole=all(end - begin <= self._tail_entries for begin, end in span.values()))
            self._after = {each: max(begin, end - self._tail_entries) - 1 for each, (begin, end) in span.items()}
        elif not self._after:
            self._whole = True
        self._read(reader)

    def _read(self, reader: KafkaEntryReader) -> None:
        for entries in reader.read_all(self._after):
            for entry in entries:
                self._note(entry)

    def _forget(self, *, whole: bool) -> None:
        self._after, self._ends, self._whole = {}, {}, whole

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
