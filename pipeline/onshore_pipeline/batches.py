"""Attempts of a size that memory holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from onshore_pipeline.broker import Polled
from onshore_pipeline.isolate import encoding_of
from onshore_pipeline.wire.decode import count_at_most

if TYPE_CHECKING:
    from onshore_pipeline.broker import Gap, Message

MOST_RECORDS: Final = 40_000  # in one attempt


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How much one attempt may hold, how many are computed at once, how long a poll waits for the first message.

    Beside those that are computed, one attempt may be written, and one wait for that so that neither stands idle.
    """

    max_messages: int
    max_bytes: int
    max_records: int = MOST_RECORDS
    assess_at_once: int = 2
    poll_timeout_s: float = 0.2

    @property
    def most_under_way(self) -> int:
        """Attempts that are begun and not committed, at most."""
        return self.assess_at_once + 2


def split(polled: Polled, max_records: int) -> tuple[Polled, ...]:
    """The same messages in the same order, in attempts of at most `max_records` records; one message stays whole.

    The attempts are about equal: a small one behind a full one costs nearly as much as the full one.
    """
    counts = [
        1 if each.unreadable else count_at_most(each.topic, each.value, encoding_of(each)) for each in polled.messages
    ]
    total = sum(counts)
    most = min(max_records, total // max(1, -(-total // max_records)) + max(counts, default=0))
    attempts: list[Polled] = []
    begun: list[Message] = []
    records = 0
    gaps = {(gap.topic_id, gap.partition, gap.end): gap for gap in polled.gaps}
    taken: list[Gap] = []
    for message, held in zip(polled.messages, counts, strict=True):
        if begun and records + held > most:
            attempts.append(Polled(tuple(begun), tuple(taken)))
            begun, taken, records = [], [], 0
        if gap := gaps.pop((message.topic_id, message.partition, message.offset), None):
            taken.append(gap)
        begun.append(message)
        records += held
    return (*attempts, Polled(tuple(begun), (*taken, *gaps.values())))
