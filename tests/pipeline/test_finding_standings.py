"""Where findings stand over real events and actions: recurrences, clocks, and which text of a control they are of."""

from __future__ import annotations

import hashlib
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from embedded_pipeline import Pipeline, running_pipeline
from house import House, new_house, text
from onshore_pipeline import assembly
from onshore_pipeline.actions import Action, record_action
from onshore_pipeline.findings import life
from onshore_pipeline.findings.deadlines import ClockTexts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with running_pipeline(tmp_path_factory.mktemp("standings") / "data") as running:
        yield running


@pytest.fixture
def house(pipeline: Pipeline, tmp_path: Path) -> House:
    return new_house(pipeline, tmp_path)


def seconds_from_now(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def test_a_clock_of_detection_runs_from_when_the_recurrence_arrived_and_not_from_its_senders_time(house: House) -> None:
    tenant = uuid4().hex
    house.violate(tenant, seconds_from_now(-3600))
    house.act(tenant, life.RESOLVE)
    closed = house.finding(tenant).life.closed_at
    assert closed is not None
    house.violate(tenant, closed + timedelta(milliseconds=1))  # sent a while after it happened
    found, (_, arrived) = house.finding(tenant), house.arrived(tenant)
    assert [step.action for step in found.life.steps] == [life.RESOLVE, life.RECURRENCE]
    assert found.life.steps[-1].at == arrived
    assert found.due is not None
    assert found.due.runs_from == arrived


def test_where_a_sender_stamps_messages_an_event_is_known_when_the_log_had_it(house: House) -> None:
    tenant = uuid4().hex
    house.violate(tenant, seconds_from_now(-60))
    table = f"violations WHERE tenant = '{tenant}'"
    house.pipeline.client.command(f"INSERT INTO violations SELECT * REPLACE (NULL AS ingested_at) FROM {table}")
    house.pipeline.client.command(f"DELETE FROM {table} AND ingested_at IS NOT NULL")
    due = house.finding(tenant).due
    logged = house.pipeline.one(
        f"SELECT min(appended_at) FROM evidence_log WHERE attempt_id IN (SELECT attempt_id FROM {table})"
    )
    assert due is not None
    assert due.runs_from == logged.replace(tzinfo=UTC)


@pytest.mark.parametrize("start", ["detected", "occurred"])
def test_a_senders_time_of_years_ahead_moves_no_deadline_and_keeps_nothing_open(house: House, start: str) -> None:
    (house.controls / "v1.yaml").write_text(text(int(start == "occurred") + 3, start))
    tenant = uuid4().hex
    house.violate(tenant, datetime(2030, 1, 1, tzinfo=UTC))
    [first] = house.arrived(tenant)
    due = house.finding(tenant).due
    assert due is not None
    assert due.runs_from == first
    house.act(tenant, life.RESOLVE)
    assert house.finding(tenant).state == "resolved"  # it was known when this was said
    house.violate(tenant, datetime(2030, 1, 1, tzinfo=UTC))
    found, (_, again) = house.finding(tenant), house.arrived(tenant)
    assert (found.state, found.due is not None and found.due.runs_from) == ("open", again)
    house.act(tenant, life.ACKNOWLEDGE)
    house.act(tenant, life.RESOLVE)
    found = house.finding(tenant)
    assert [step.refused for step in found.life.steps] == [""] * 4
    assert found.state == "resolved"


def test_what_is_older_than_the_closing_counts_and_opens_nothing(house: House) -> None:
    tenant = uuid4().hex
    house.violate(tenant, seconds_from_now(-60))
    house.act(tenant, life.RESOLVE)
    house.violate(tenant, seconds_from_now(-30))
    assert (house.finding(tenant).state, house.finding(tenant).events) == ("resolved", 2)


def test_a_text_that_is_activated_for_later_changes_no_deadline(house: House) -> None:
    tenant = uuid4().hex
    house.violate(tenant, seconds_from_now(-60))
    before = house.finding(tenant).deadlines
    house.activate(99, datetime(2099, 1, 1, tzinfo=UTC), text(99, deadline="1h", severity="critical"))
    house.violate(uuid4().hex, seconds_from_now(-60))  # and the store has the text
    assert [each.within for each in before] == ["7d"]
    assert house.finding(tenant).deadlines == before


def test_each_texts_clock_runs_from_what_that_text_found(house: House) -> None:
    tenant, changes = uuid4().hex, seconds_from_now(-600).replace(microsecond=0)
    house.activate(2, changes, text(2, deadline="1h", severity="critical"))
    house.violate(tenant, changes - timedelta(seconds=1))
    assert [each.within for each in house.finding(tenant).deadlines] == ["7d"]
    house.violate(tenant, changes)
    found = house.finding(tenant)
    assert [(each.within, each.runs_from) for each in found.deadlines] == [
        (within, arrived) for within, arrived in zip(("7d", "1h"), house.arrived(tenant), strict=True)
    ]
    assert found.due is not None
    assert found.due.within == "1h"
    house.violate(tenant, changes - timedelta(seconds=2))
    found = house.finding(tenant)
    assert (found.control_version, found.severity) == (2, "critical")  # of the newest that found something


def test_a_clock_control_counts_as_its_text_was_when_the_incident_began(house: House) -> None:
    changes = datetime(2026, 6, 1, tzinfo=UTC)
    texts = {
        ("NAMED-01", 1): "clock: {start: aware, deadline: 72h}",
        ("NAMED-01", 2): "clock: {start: aware, deadline: 24h}",
        ("NAMES-01", 1): "clocks: [NAMED-01]",
    }
    for (control, version), told in texts.items():
        row = f"'{control}', {version}, unhex('{hashlib.sha256(told.encode()).hexdigest()}'), '{told}', now64(3)"
        house.pipeline.client.command(
            f"INSERT INTO controls (control_id, version, digest, text, loaded_at) SELECT {row}"
        )
    with closing(assembly.recorder(house.pipeline.settings)) as recorder:
        said = {"id": "NAMED-01", "version": "2", "effective_at": changes.isoformat()}
        about = {f"onshore.control.{name}": value for name, value in said.items()}
        record_action(recorder, Action("control.activate", "default", "rina", "the law changes", about))
    house.work()
    clocks = ClockTexts(house.reader(), {"NAMES-01"})
    within = [
        each.clock.deadline
        for moment in (changes - timedelta(seconds=1), changes)
        for each in clocks.clocks_of("NAMES-01", 1, moment)
    ]
    assert within == ["72h", "24h"]
