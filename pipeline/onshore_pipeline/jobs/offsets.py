"""Which offsets of each topic-partition the evidence log speaks of, and which of them had no message."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from onshore_pipeline.jobs.coverage import GAPS
from onshore_pipeline.jobs.coverage_rows import Covered

if TYPE_CHECKING:
    from uuid import UUID

    from clickhouse_connect.driver.client import Client

# Entries of several log partitions may be copied out of the order of their times.
_OVERLAP: Final = timedelta(minutes=10)
_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)

_SPANS: Final = """
SELECT topic_id, partition, any(toString(topic)), min(offset), max(end_offset), max(appended_at)
FROM evidence_log WHERE kind IN ('message', 'gap') AND appended_at >= {since:DateTime64(9, 'UTC')}
GROUP BY topic_id, partition
"""
# The last `empty` offsets of a gap never were messages.
_GAPS: Final = """
SELECT topic_id, partition, log_index, end_offset - offset, JSONExtractUInt(entry, 'empty'), appended_at
FROM evidence_log WHERE kind = 'gap' AND appended_at >= {since:DateTime64(9, 'UTC')}
"""


@dataclass(slots=True)
class _Span:
    topic: str
    first: int
    end: int
    gaps: dict[int, tuple[int, int]] = field(default_factory=dict)  # by log index: offsets, and how many were empty
    last_gap: datetime | None = None


class Offsets:
    """Counted once over the whole log, then only over what was added; an entry that is read twice counts once."""

    def __init__(self) -> None:
        """Nothing is read yet."""
        self._spans: dict[tuple[UUID, int], _Span] = {}
        self._newest = _LONG_AGO

    @property
    def newest(self) -> datetime:
        """When the newest entry was appended."""
        return self._newest

    def read(self, client: Client) -> None:
        """Take in what was added."""
        since = {"since": max(_LONG_AGO, self._newest - _OVERLAP)}
        for topic_id, partition, topic, first, end, newest in client.query(_SPANS, parameters=since).result_rows:
            span = self._spans.setdefault((topic_id, int(partition)), _Span(topic, int(first), int(end)))
            span.first, span.end = min(span.first, int(first)), max(span.end, int(end))
            self._newest = max(self._newest, newest.replace(tzinfo=UTC))
        for topic_id, partition, index, offsets, empty, at in client.query(_GAPS, parameters=since).result_rows:
            span = self._spans[topic_id, int(partition)]
            span.gaps[int(index)] = (int(offsets), int(empty))
            span.last_gap = at.replace(tzinfo=UTC)

    def covered(self) -> list[Covered]:
        """One row a topic-partition."""
        return [_row(partition, span) for (_, partition), span in self._spans.items()]


def _row(partition: int, span: _Span) -> Covered:
    offsets, empty = (sum(column) for column in zip(*span.gaps.values(), strict=True)) if span.gaps else (0, 0)
    expected, lost = span.end - span.first - empty, offsets - empty
    return Covered(
        "offsets", "missed" if lost else "seen", source=f"{span.topic}[{partition}]", until=span.last_gap,
        unit="offsets", expected=expected, seen=expected - lost, control_id=GAPS if lost else "",
        why=f"{lost:,} of the offsets {span.first} to {span.end - 1} had no message when they were read",
    )  # fmt: skip
