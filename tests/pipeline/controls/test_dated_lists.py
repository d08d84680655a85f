"""Law is dated: the same flow on the days before and after a country joins or leaves a list."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from onshore_pipeline.controls.engine import judge
from onshore_pipeline.controls.examples import example_events
from onshore_pipeline.controls.load import control_set
from onshore_pipeline.domain.control import Example
from onshore_pipeline.domain.verdict import Verdict

if TYPE_CHECKING:
    from onshore_pipeline.controls.load import ControlSet
    from onshore_pipeline.domain.control import EventValue


@pytest.mark.parametrize(
    ("control_id", "flow", "before", "verdict_before", "after", "verdict_after"),
    [
        (
            "EU-GDPR44-01",
            {"categories": ("eu_personal",), "destination_country": "KR", "transfer_basis": "none"},
            *("2021-12-16T23:59:59Z", "violated", "2021-12-17T00:00:00Z", "satisfied"),
        ),
        (
            "EU-GDPR44-01",  # adequate by a decision of its own half a year after it left the Economic Area
            {"categories": ("eu_personal",), "destination_country": "GB", "transfer_basis": "none"},
            *("2020-12-31T23:59:59Z", "satisfied", "2021-01-01T00:00:00Z", "violated"),
        ),
        (
            "EU-GDPR44-01",
            {"categories": ("eu_personal",), "destination_country": "GB", "transfer_basis": "none"},
            *("2021-06-27T23:59:59Z", "violated", "2021-06-28T00:00:00Z", "satisfied"),
        ),
        (
            "AU-HCF-01",
            {
                "home_jurisdictions": ("AU",),
                "categories": ("au_government",),
                "classification": "PROTECTED",
                "destination_entity": "Microsoft",
            },
            *("2021-11-30T23:59:59Z", "violated", "2021-12-01T00:00:00Z", "satisfied"),
        ),
        (
            "US-DSP301-01",
            {"categories": ("us_human_omic",), "destination_country": "US", "actor_country": "RU"},
            *("2025-04-07T23:59:59Z", "not_applicable", "2025-04-08T00:00:00Z", "violated"),
        ),
    ],
)
def test_a_flow_is_judged_by_the_list_of_its_own_day(
    packs: ControlSet,
    control_id: str,
    flow: dict[str, EventValue],
    before: str,
    verdict_before: str,
    after: str,
    verdict_after: str,
) -> None:
    [compiled] = [each for each in packs.executable if each.control.id == control_id]
    examples = tuple(
        Example("", {"action": "data.copy", **flow, "occurred_at": datetime.fromisoformat(at).astimezone(UTC)}, wanted)
        for at, wanted in ((before, Verdict(verdict_before)), (after, Verdict(verdict_after)))
    )
    events = example_events(dataclasses.replace(compiled.control, examples=examples))
    counts = judge(events, control_set([compiled], packs.lists)).counts
    given = dict(counts.select("message", "verdict").rows())
    assert [given.get(row, "not_applicable") for row in range(2)] == [verdict_before, verdict_after]
