"""Messages of sealed entries whose rows nobody can make again: entries of kind `lost`, in the log itself."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from onshore_pipeline.broker import EVIDENCE_LOG_TOPIC, Outgoing
from onshore_pipeline.evidence.entry import lost_entry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from uuid import UUID

    from onshore_pipeline.assess import MessageId
    from onshore_pipeline.broker import EntryReader, Producer

_CHUNK: Final = 10_000


@dataclass(frozen=True, slots=True)
class LostRange:
    """Offsets [offset, end) of one attempt that the log names and the store has no rows of."""

    attempt_id: UUID
    topic: str
    topic_id: UUID
    partition: int
    offset: int
    end: int


def ranges(attempt: UUID, topics: Mapping[MessageId, str]) -> list[LostRange]:
    """Lost messages of one attempt (and the topic of each) as runs of offsets."""
    found: list[LostRange] = []
    for topic_id, partition, offset in sorted(topics):
        last = found[-1] if found else None
        if last and (last.topic_id, last.partition, last.end) == (topic_id, partition, offset):
            found[-1] = LostRange(attempt, last.topic, topic_id, partition, last.offset, offset + 1)
        else:
            topic = topics[topic_id, partition, offset]
            found.append(LostRange(attempt, topic, topic_id, partition, offset, offset + 1))
    return found


def seal_lost(
    lost: Sequence[LostRange], producer: Producer, reader: EntryReader, copied: Mapping[int, int], pipeline: str
) -> int:
    """Append an entry for every range that the log does not call lost already; how many.

    Args:
        lost: what was found, by what the store knows of the log.
        producer: appends to the log.
        reader: reads the log.
        copied: how far the store knows the log, by log partition: what stands behind that is read here.
        pipeline: version and digest of this code.

    Raises:
        BrokerUnavailable: run again later.
    """
    if not lost:
        return 0
    known = {_place(entry) for entry in _behind(reader, dict(copied)) if entry.get("kind") == "lost"}
    entries = [
        lost_entry(
            topic=each.topic,
            topic_id=each.topic_id,
            partition=each.partition,
            offset=each.offset,
            end=each.end,
            pipeline=pipeline,
            attempt=each.attempt_id,
        )
        for each in lost
        if (str(each.topic_id), each.partition, each.offset, each.end) not in known
    ]
    if entries:
        producer.send(EVIDENCE_LOG_TOPIC, [Outgoing(entry) for entry in entries])
    return len(entries)


def _place(entry: Mapping[str, object]) -> tuple[object, ...]:
    return entry["topic_id"], entry["partition"], entry["offset"], entry["end"]


def _behind(reader: EntryReader, after: dict[int, int]) -> Iterator[dict[str, object]]:
    """Entries behind `after`, until a quiet moment."""
    while entries := reader.read(after=after, max_entries=_CHUNK, timeout_s=1.0):
        for each in entries:
            after[each.partition] = each.position
            yield json.loads(each.value)
