"""What a finding is about, for whoever has to do something: its law, why it matters, what to do first, its events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

    from onshore_pipeline.findings.standing import Standing, Store

MOST_EVENTS: Final = 10

# A text that was replaced in place has the version of the one before: the newest is what people read.
_CONTROL: Final = """
SELECT title, instrument, rationale, evidence, remediation FROM controls
WHERE control_id = {control:String} AND version = {version:UInt32} ORDER BY loaded_at DESC LIMIT 1
"""
_EVENTS: Final = """
SELECT toString(event_id) AS event_id, occurred_at FROM violations_current WHERE finding_id = {finding:UUID}
ORDER BY occurred_at DESC, event_id LIMIT {most:UInt32}
"""
# Windows, sequences and absences name some of the events that they are of, not when those happened.
_SAMPLES: Final = """
SELECT DISTINCT event_id FROM (
    SELECT toString(arrayJoin(sample_event_ids)) AS event_id, w.since AS since FROM windowed_current AS w
    WHERE finding_id = {finding:UUID} AND verdict = 'violated' ORDER BY since DESC
) LIMIT {most:UInt32}
"""


@dataclass(frozen=True, slots=True)
class About:
    """What is behind a finding.

    Attributes:
        title, instrument, rationale, evidence, remediation: as its control says; '' where the store has no such text.
        events: ids of its newest events, ten at most, each with when it happened; None: a window of many names it.
    """

    title: str
    instrument: str
    rationale: str
    evidence: str
    remediation: str
    events: tuple[tuple[str, datetime | None], ...]


def about(store: Store, finding: Standing) -> About:
    """What its control says, and which events to look at. Raises as the store does."""
    asked = {"control": finding.control_id, "version": finding.control_version}
    texts = store.frame(_CONTROL, asked).rows()
    title, instrument, rationale, evidence, remediation = texts[0] if texts else ("", "", "", "", "")
    wanted = {"finding": finding.finding_id, "most": MOST_EVENTS}
    events = tuple(store.frame(_EVENTS, wanted).iter_rows())
    if not events:
        events = tuple((event_id, None) for (event_id,) in store.frame(_SAMPLES, wanted).iter_rows())
    return About(title, instrument, rationale, evidence, remediation, events)
