from __future__ import annotations

import dataclasses
import hashlib
import json
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from onshore_pipeline.controls.compiled import compile_control
from onshore_pipeline.controls.counts import COUNTS_SCHEMA
from onshore_pipeline.controls.engine import Judged, judge
from onshore_pipeline.controls.examples import example_events
from onshore_pipeline.controls.fingerprints import VIOLATIONS_SCHEMA
from onshore_pipeline.controls.lists import DatedList, Period, day_end_ns, day_start_ns
from onshore_pipeline.controls.load import ControlSet, control_set, load_controls
from onshore_pipeline.domain.control import Control, Example
from onshore_pipeline.domain.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

SHIPPED_LISTS = load_controls().lists
LEAVES: dict[str, Any] = {
    "action": "data.copy",
    "home_jurisdictions": ("AU",),
    "categories": ("personal",),
    "destination_country": "US",
    "transfer_basis": "none",
    "dataset": "crm",
}


@pytest.fixture
def control(packs: ControlSet) -> Control:
    found = packs.control("AU-APP8-01")
    assert found is not None
    return found


def _judge(
    control: Control, *events: Mapping[str, Any], lists: Mapping[str, DatedList] | None = None, **changes: date | str
) -> Judged:
    examples = tuple(Example("", event, Verdict.VIOLATED) for event in events)
    changed = dataclasses.replace(control, examples=examples, **changes)  # type: ignore[arg-type]
    return judge(example_events(changed), control_set([compile_control(changed, lists or SHIPPED_LISTS)], {}))


def _verdicts(judged: Judged) -> list[tuple[int, str, str]]:
    return list(judged.counts.select("message", "verdict", "missing").iter_rows())


def test_an_unknown_destination_is_undetermined_and_named(control: Control) -> None:
    assert _verdicts(_judge(control, {**LEAVES, "destination_country": None})) == [
        (0, "undetermined", "destination_country")
    ]


def test_the_column_named_is_the_first_that_mattered(control: Control) -> None:
    judged = _judge(
        control,
        {**LEAVES, "categories": (), "destination_country": None},  # both matter; categories stand first
        {**LEAVES, "destination_country": "AU", "transfer_basis": None},  # at home no basis is needed
        {**LEAVES, "destination_country": None, "transfer_basis": "contract"},  # with a basis the place is indifferent
        {**LEAVES, "transfer_basis": None},
    )
    assert _verdicts(judged) == [
        (0, "undetermined", "categories"),
        (1, "satisfied", ""),
        (2, "satisfied", ""),
        (3, "undetermined", "transfer_basis"),
    ]


def test_a_contradiction_about_a_party_that_is_read_turns_satisfied_into_undetermined(control: Control) -> None:
    at_home = {**LEAVES, "destination_country": "AU"}
    judged = _judge(
        control,
        {**at_home, "contradictions": ("destination:region=AU,geoip=US",)},
        {**at_home, "contradictions": ("source:region=AU,geoip=US",)},  # this control does not read the source
        {**LEAVES, "contradictions": ("destination:region=AU,geoip=US",)},  # violated stays violated
        {**LEAVES, "action": "data.delete", "contradictions": ("destination:a,b",)},
    )
    assert _verdicts(judged) == [
        (0, "undetermined", "contradictions"),
        (1, "satisfied", ""),
        (2, "violated", ""),
    ]


@pytest.mark.parametrize("violated", ["key_country <> 'AU'", "key_custodian = 'Foreign Keys'"])
def test_a_contradicted_key_is_never_satisfied_whichever_of_its_columns_is_read(
    control: Control, violated: str
) -> None:
    at_home = {"action": "key.use", "key_country": "AU", "key_custodian": "Acme"}
    left_open = {**at_home, "key_country": None}  # as locating leaves it; the table has no candidates of a key
    claims = ("key:registered=AU,resource=ap-northeast-1",)
    judged = _judge(
        control,
        at_home,
        {**at_home, "contradictions": claims},
        {**left_open, "contradictions": claims},
        applies="action = 'key.use'",
        violated=violated,
    )
    assert [verdict for _, verdict, _ in _verdicts(judged)] == ["satisfied", "undetermined", "undetermined"]


def test_a_denied_attempt_is_no_breach_and_an_unknown_outcome_is_undetermined(control: Control) -> None:
    judged = _judge(control, {**LEAVES, "outcome": "denied"}, {**LEAVES, "outcome": "unknown"}, LEAVES)
    assert _verdicts(judged) == [(1, "undetermined", "outcome"), (2, "violated", "")]


def test_an_unknown_outcome_of_an_event_that_does_not_concern_it_is_not_undetermined(control: Control) -> None:
    assert _verdicts(_judge(control, {**LEAVES, "outcome": "unknown", "action": "network.flow"})) == []


def test_a_control_judges_from_its_first_day_to_the_end_of_its_last(control: Control) -> None:
    moments = [
        datetime(2024, 1, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(2024, 2, 1, tzinfo=UTC),
        datetime(2024, 2, 29, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(2024, 3, 1, tzinfo=UTC),
    ]
    judged = _judge(
        control,
        *({**LEAVES, "occurred_at": moment} for moment in moments),
        effective_from=date(2024, 2, 1),
        effective_to=date(2024, 2, 29),
    )
    assert [message for message, *_ in _verdicts(judged)] == [1, 2]


def test_a_dated_list_is_read_as_of_the_events_own_date(control: Control) -> None:
    period = Period(day_start_ns(date(2024, 2, 1)), day_end_ns(date(2024, 2, 29)))
    lists = {"partners": DatedList("partners", (("US", period), ("NZ", Period(None, None))), "")}
    days = [datetime(2024, month, 15, tzinfo=UTC) for month in (1, 2, 3)]
    judged = _judge(
        control,
        *({**LEAVES, "occurred_at": day} for day in days),
        {**LEAVES, "occurred_at": days[0], "destination_country": "NZ"},
        {**LEAVES, "occurred_at": days[1], "destination_country": None},
        lists=lists,
        violated="destination_country NOT IN @partners",
    )
    assert _verdicts(judged) == [
        (0, "violated", ""),
        (1, "satisfied", ""),
        (2, "violated", ""),
        (3, "satisfied", ""),
        (4, "undetermined", "destination_country"),
    ]


def test_counts_are_kept_apart_by_message_tenant_format_and_hour(control: Control) -> None:
    first = {**LEAVES, "occurred_at": datetime(2026, 1, 1, 10, 59, 59, tzinfo=UTC)}
    events = [
        first,
        first,
        {**first, "tenant": "other"},
        {**first, "source_format": "aws.cloudtrail"},
        {**first, "occurred_at": datetime(2026, 1, 1, 11, tzinfo=UTC)},
    ]
    changed = dataclasses.replace(control, examples=tuple(Example("", event, Verdict.VIOLATED) for event in events))
    frame = example_events(changed).with_columns(message=pl.Series([0, 0, 0, 0, 0], dtype=pl.UInt32))
    counts = judge(frame, control_set([compile_control(changed, SHIPPED_LISTS)], {})).counts
    assert counts.schema == COUNTS_SCHEMA
    assert counts.select("tenant", "source_format", pl.col("hour").dt.hour(), "events").rows() == [
        ("example", "otlp.log", 10, 2),
        ("other", "otlp.log", 10, 1),
        ("example", "aws.cloudtrail", 10, 1),
        ("example", "otlp.log", 11, 1),
    ]


def test_a_finding_is_the_same_for_the_same_fingerprint_and_can_be_computed_by_anyone(control: Control) -> None:
    odd = 'a"b\\c\n\x01é🦘'
    judged = _judge(
        control, {**LEAVES, "actor_id": odd}, {**LEAVES, "actor_id": odd, "bytes": 9}, LEAVES, {**LEAVES, "tenant": "x"}
    )
    violations = judged.violations
    assert violations.schema == VIOLATIONS_SCHEMA
    assert violations["row"].to_list() == [0, 1, 2, 3]
    ids = violations["finding_id"].to_list()
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
    texts = ["AU-APP8-01", "example", "crm", odd, "US"]
    canonical = json.dumps(texts, ensure_ascii=False, separators=(",", ":")).encode()
    assert ids[0] == hashlib.sha256(canonical).digest()[:16]
    assert violations["fingerprint"][2].to_list() == [
        {"key": "tenant", "value": "example"},
        {"key": "dataset", "value": "crm"},
        {"key": "actor_id", "value": "unknown"},
        {"key": "destination_country", "value": "US"},
    ]


def test_a_batch_without_events_or_controls_is_judged_to_empty_frames(packs: ControlSet, control: Control) -> None:
    events = example_events(control)
    for judged in (judge(events.clear(), packs), judge(events, control_set([], {}))):
        assert judged.counts.schema == COUNTS_SCHEMA
        assert judged.violations.schema == VIOLATIONS_SCHEMA
        assert judged.counts.is_empty()
        assert judged.violations.is_empty()


def test_all_controls_together_say_what_each_says_alone(packs: ControlSet) -> None:
    frame = pl.concat([example_events(compiled.control) for compiled in packs.executable])
    number = pl.int_range(pl.len(), dtype=pl.UInt32)
    frame = frame.with_columns(row=number, message=number)
    together = judge(frame, packs)
    alone = [judge(frame, control_set([compiled], {})) for compiled in packs.executable]
    order = ["message", "control_id"]
    assert together.counts.sort(order).equals(pl.concat([each.counts for each in alone]).sort(order))
    assert together.violations.equals(pl.concat([each.violations for each in alone]).sort("row", "control_id"))
