"""What frames come to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onshore_dashboard import summaries
from onshore_dashboard.queries import RATE_STEP_SECONDS, seconds
from onshore_pipeline.controls.load import load_controls
from onshore_pipeline.domain.advice import what_to_send
from onshore_pipeline.domain.event import EVENT_COLUMNS
from onshore_pipeline.worker_reports import NEVER

NOW = datetime(2026, 11, 21, 12, 0, 7, tzinfo=UTC)
COUNTS = st.integers(0, 10**9)


def _verdicts(*rows: tuple[str, str, int]) -> pl.DataFrame:
    return pl.DataFrame(
        [(control, 1, "acme", verdict, events) for control, verdict, events in rows],
        schema={
            "control_id": pl.String,
            "version": pl.UInt32,
            "tenant": pl.String,
            "verdict": pl.String,
            "events": pl.UInt64,
        },
        orient="row",
    )


def _controls(*rows: tuple[str, int, str, str]) -> pl.DataFrame:
    return pl.DataFrame(
        [(id_, version, jurisdiction, f"title {version}", "Act", "violation", "high", "sure", status, "")
         for id_, version, jurisdiction, status in rows],
        schema={
            "control_id": pl.String, "version": pl.UInt32, "jurisdiction": pl.String, "title": pl.String,
            "instrument": pl.String, "kind": pl.String, "severity": pl.String, "confidence": pl.String,
            "status": pl.String, "needs": pl.String,
        },
        orient="row",
    )  # fmt: skip


def _flows(*rows: tuple[str, str | None, str | None, int]) -> pl.DataFrame:
    return pl.DataFrame(
        [(tenant, source, destination, events, 10, 1, ["US"]) for tenant, source, destination, events in rows],
        schema={
            "tenant": pl.String, "source": pl.String, "destination": pl.String, "events": pl.UInt64,
            "bytes": pl.UInt64, "firm": pl.UInt64, "controllers": pl.List(pl.String),
        },
        orient="row",
    )  # fmt: skip


def _flagged(*rows: tuple[str, str, str | None]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={"tenant": pl.String, "destination": pl.String, "source": pl.String}, orient="row")


def _standing(flows: pl.DataFrame, flagged: pl.DataFrame) -> dict[tuple[str | None, str | None], str]:
    classified = summaries.classify_flows(flows, flagged)
    return {
        (source, to): standing for source, to, standing in classified["source", "destination", "standing"].iter_rows()
    }


@given(COUNTS, COUNTS, COUNTS)
def test_what_could_not_be_decided_is_in_the_denominator_and_never_satisfied(good: int, bad: int, open_: int) -> None:
    tally = summaries.tally(_verdicts(("C", "satisfied", good), ("C", "violated", bad), ("C", "undetermined", open_)))
    assert tally.applicable == good + bad + open_
    assert tally.satisfied == good


def test_a_control_that_found_nothing_to_judge_is_listed_without_a_share() -> None:
    rows = summaries.by_control(
        _verdicts(("A", "satisfied", 3)), _controls(("A", 1, "AU", "executable"), ("B", 1, "AU", "executable"))
    )
    assert rows["control_id"].to_list() == ["A", "B"]
    assert rows["satisfied"].to_list() == [3, 0]


def test_controls_that_need_people_are_not_listed_as_if_they_judged() -> None:
    rows = summaries.by_control(_verdicts(), _controls(("A", 1, "AU", "review"), ("B", 1, "AU", "disabled")))
    assert rows.is_empty()


def test_verdicts_of_a_control_whose_text_is_gone_are_still_counted() -> None:
    rows = summaries.by_control(_verdicts(("GONE", "violated", 2)), _controls())
    assert rows.row(0, named=True)["violated"] == 2


def test_versions_of_a_control_count_together_under_the_newest_text() -> None:
    rows = summaries.by_control(
        _verdicts(("A", "satisfied", 3), ("A", "violated", 1)),
        _controls(("A", 1, "AU", "executable"), ("A", 2, "AU", "executable")),
    )
    assert rows.select("title", "satisfied", "violated").row(0) == ("title 2", 3, 1)


def test_requirements_of_every_jurisdiction_come_last() -> None:
    rows = summaries.by_control(
        _verdicts(), _controls(("S", 1, "*", "executable"), ("J", 1, "JP", "executable"), ("A", 1, "AU", "executable"))
    )
    assert list(summaries.by_jurisdiction(rows)) == ["AU", "JP", "*"]


def test_a_flow_with_an_unknown_end_is_neither_at_home_nor_abroad() -> None:
    totals = summaries.flow_totals(
        _flows(("t", "AU", None, 5), ("t", None, None, 2), ("t", "AU", "AU", 3), ("t", "AU", "US", 1))
    )
    assert (totals.within, totals.abroad, totals.unknown, totals.all) == (3, 1, 7, 11)


def test_a_breach_flags_the_flows_of_its_own_tenant_only() -> None:
    flows = _flows(("bank", "JP", "US", 5), ("port", "SG", "US", 5), ("bank", "JP", "JP", 9))
    assert _standing(flows, _flagged(("bank", "US", None))) == {
        ("JP", "US"): "flagged", ("SG", "US"): "abroad", ("JP", "JP"): "within",
    }  # fmt: skip


def test_a_breach_that_names_its_source_flags_no_other_flow() -> None:
    flows = _flows(("bank", "JP", "US", 5), ("bank", "SG", "US", 5), ("bank", None, "US", 1))
    assert _standing(flows, _flagged(("bank", "US", "JP"))) == {
        ("JP", "US"): "flagged", ("SG", "US"): "abroad", (None, "US"): "unknown",
    }  # fmt: skip


def test_flows_of_several_tenants_are_drawn_once() -> None:
    classified = summaries.classify_flows(_flows(("a", "JP", "US", 5), ("b", "JP", "US", 2)), _flagged())
    assert classified.select("events", "bytes", "firm").row(0) == (7, 20, 2)


def test_steps_without_a_commit_count_as_zero_in_the_rate() -> None:
    end = seconds(NOW) // RATE_STEP_SECONDS * RATE_STEP_SECONDS
    rate = pl.DataFrame({"at": [end - 10, end], "events": [120, 999]}, schema={"at": pl.UInt32, "events": pl.UInt64})
    series = summaries.rate_series(rate, NOW)
    assert len(series) == 90
    assert series[-1] == (end - 10, 12.0)
    assert summaries.events_per_second(series) == 2.0


@pytest.mark.parametrize(
    ("status", "waiting"),
    [
        (None, None),
        ({}, None),
        ({"lag": "many"}, None),
        ({"lag": []}, 0),
        ({"lag": [{"next_offset": 3, "end_offset": 10}, {"next_offset": 5, "end_offset": 5}]}, 7),
        ({"lag": [{"next_offset": 3, "end_offset": 10}, {"next_offset": None, "end_offset": 5}]}, None),
        ({"lag": [{"next_offset": 9, "end_offset": 7}]}, 0),
    ],
)
def test_lag_is_known_only_when_every_partition_says_so(status: dict[str, Any] | None, waiting: int | None) -> None:
    assert summaries.waiting_messages(status) == waiting


@pytest.mark.parametrize("at", [None, "yesterday", "2026-11-21T12:00:00"])
def test_a_status_without_a_time_zone_has_no_time(at: str | None) -> None:
    assert summaries.status_time({"at": at}) is None


def test_what_waits_is_as_old_as_the_worker_s_knowledge_of_it() -> None:
    status = {"at": "2026-11-29T12:00:00+00:00", "lag_at": "2026-11-29T11:00:00+00:00", "lag": []}
    assert summaries.status_time(status) == datetime(2026, 11, 29, 11, tzinfo=UTC)
    assert summaries.waiting_messages(status) == 0
    assert summaries.waiting_messages(status | {"lag_at": NEVER}) is None


def _heard(*rows: tuple[str, str, datetime]) -> pl.DataFrame:
    return pl.DataFrame(
        [(tenant, collector, ["otlp.log"], at, at, 1, 0, 0) for tenant, collector, at in rows],
        schema={
            "tenant": pl.String, "collector": pl.String, "source_formats": pl.List(pl.String),
            "last_heard": pl.Datetime("ns", "UTC"), "last_occurred": pl.Datetime("ns", "UTC"),
            "events": pl.UInt64, "dropped": pl.UInt64, "dropped_day": pl.UInt64,
        },
        orient="row",
    )  # fmt: skip


def test_a_collector_is_silent_after_five_minutes_and_the_longest_silence_comes_first() -> None:
    long_ago, lately, just_now = NOW - timedelta(days=3), NOW - timedelta(minutes=6), NOW - timedelta(seconds=3)
    heard = summaries.merge_heard(
        _heard(("t", "a", long_ago), ("t", "b", lately), ("t", "c", lately)),
        _heard(("t", "c", just_now), ("t", "new", just_now)),
        NOW,
    )
    assert dict(heard.select("collector", "silent").iter_rows()) == {"a": True, "b": True, "c": False, "new": False}
    assert heard["collector"][0] == "a"


def test_rollups_are_behind_only_while_something_committed_waits() -> None:
    committed = NOW - timedelta(minutes=2)
    assert summaries.rollups_behind(committed, committed + timedelta(seconds=1), NOW) is None
    assert summaries.rollups_behind(committed, committed - timedelta(seconds=1), NOW) == timedelta(minutes=2)
    assert summaries.rollups_behind(NOW - timedelta(seconds=3), committed, NOW) is None
    assert summaries.rollups_behind(None, None, NOW) is None


def test_there_is_advice_for_every_column_that_a_control_may_miss() -> None:
    controls = load_controls()
    read = {column.name for each in controls.executable for column in each.columns}
    for each in controls.windowed:
        read |= {column.name for column in (*each.key, *each.values)}
        read |= {column.name for role in each.roles for column in role.columns}
    read -= {column.name for column in EVENT_COLUMNS if column.required}
    names = read | {"outcome", "contradictions", "occurred_at", "messages wait"}
    assert len(names) > 20
    assert {name for name in names if what_to_send(name) == what_to_send("no such column")} == set()
    assert "`onshore.destination.country`" in what_to_send("destination_country")
