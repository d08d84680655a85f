"""Where findings of windows stand: what was a recurrence stays one, and what was restated is none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import pytest

from embedded_pipeline import Pipeline, running_pipeline
from house import House, counted
from onshore_pipeline.commands import finding_texts
from onshore_pipeline.findings import life
from onshore_pipeline.findings.about import about
from onshore_pipeline.findings.history import RESTATEMENT, history, restatements

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAY: Final = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
LONG_AGO: Final = DAY - timedelta(days=5)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with running_pipeline(tmp_path_factory.mktemp("standings") / "data") as running:
        yield running


def house_of(pipeline: Pipeline, folder: Path, control: str, told: str) -> House:
    controls = folder / "controls"
    controls.mkdir()
    (controls / "v1.yaml").write_text(told)
    return House(pipeline, controls, control)


def export(house: House, tenant: str, at: datetime, size: int, *, now: datetime | None = None) -> None:
    house.violate(tenant, at, action="data.export", data_bytes=size)
    house.pipeline.judge_windows(now)


def test_what_comes_later_changes_nothing_of_the_history(pipeline: Pipeline, tmp_path: Path) -> None:
    house, tenant = house_of(pipeline, tmp_path, "ACME-02", counted()), uuid4().hex
    export(house, tenant, datetime.now(UTC), 200)
    house.act(tenant, life.RESOLVE)
    assert house.finding(tenant).state == "resolved"
    export(house, tenant, datetime.now(UTC), 1)
    house.act(tenant, life.ACKNOWLEDGE)
    house.act(tenant, life.RESOLVE)
    before = house.finding(tenant).life.steps
    assert [step.action for step in before] == [life.RESOLVE, life.RECURRENCE, life.ACKNOWLEDGE, life.RESOLVE]
    export(house, tenant, datetime.now(UTC), 1)
    found = house.finding(tenant)
    assert found.life.steps[:4] == before
    assert [step.action for step in found.life.steps[4:]] == [life.RECURRENCE]
    assert not any(step.refused for step in found.life.steps)
    assert found.due is not None
    assert found.due.runs_from == found.life.steps[-1].at


def test_a_late_event_of_a_day_that_was_over_before_the_closing_opens_nothing(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    house, tenant = house_of(pipeline, tmp_path, "ACME-02", counted()), uuid4().hex
    export(house, tenant, LONG_AGO, 200)
    house.act(tenant, life.RESOLVE)
    export(house, tenant, LONG_AGO + timedelta(days=1), 200)
    assert (house.finding(tenant).state, house.finding(tenant).events) == ("resolved", 2)


def test_a_text_that_judges_next_year_says_nothing_about_a_finding_of_today(pipeline: Pipeline, tmp_path: Path) -> None:
    house, tenant = house_of(pipeline, tmp_path, "ACME-02", counted()), uuid4().hex
    house.activate(2, datetime(2099, 1, 1, tzinfo=UTC), counted(2, severity="critical"))
    export(house, tenant, LONG_AGO, 200)
    assert (house.finding(tenant).control_version, house.finding(tenant).severity) == (1, "high")


def test_a_violation_that_was_restated_is_no_recurrence_of_what_was_closed(pipeline: Pipeline, tmp_path: Path) -> None:
    house, tenant = house_of(pipeline, tmp_path, "ACME-03", counted(control="ACME-03", below=True)), uuid4().hex
    export(house, tenant, LONG_AGO, 60)
    assert house.finding(tenant).events == 1
    assert "1 window, last" in finding_texts.lines(house.finding(tenant), datetime.now(UTC))[0]
    house.act(tenant, life.RESOLVE)
    later = DAY + timedelta(days=3)
    export(house, tenant, datetime.now(UTC), 100, now=later)
    assert house.finding(tenant).state == "resolved"
    export(house, tenant, LONG_AGO, 60, now=later + timedelta(minutes=1))
    found = house.finding(tenant)
    assert (found.state, found.events, found.last_seen) == ("resolved", 0, LONG_AGO)
    assert [step.action for step in found.life.steps] == [life.RESOLVE]


def test_a_finding_whose_violations_were_restated_says_so_and_stays_for_a_person_to_close(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    house, tenant = house_of(pipeline, tmp_path, "ACME-03", counted(control="ACME-03", below=True)), uuid4().hex
    export(house, tenant, LONG_AGO, 60)
    [(event, at)] = about(house.reader(), house.finding(tenant)).events
    assert pipeline.rows(f"SELECT toString(event_id) FROM events_current WHERE tenant = '{tenant}'") == [(event,)]
    assert at is None  # a window names it
    house.act(tenant, life.ACKNOWLEDGE)
    export(house, tenant, LONG_AGO, 60)
    found, now = house.finding(tenant), datetime.now(UTC)
    assert about(house.reader(), found).events == ()
    [restated] = restatements(house.reader(), found.finding_id)
    assert (restated.before, restated.after, restated.since, restated.left) == ("violated", "satisfied", LONG_AGO, 0)
    assert (found.state, found.events, found.restated_on) == ("acknowledged", 0, restated.at)
    steps = history(found, now, [restated])
    assert [step.action for step in steps] == [life.ACKNOWLEDGE, RESTATEMENT]
    assert steps[-1].state == "acknowledged"
    shown = "\n".join(finding_texts.details(found, now, 0, [restated]))
    assert f"{'violated by':<18} 0 windows, nothing violates the control any more" in shown
    assert "violated -> satisfied; no violation left: acknowledged" in shown
    assert "nothing is left of 1 of them" in finding_texts.summary([found], 1)
    told = finding_texts.restatement_json(restated)
    assert (told["looks_at"], told["verdict_before"], told["key"]["dataset"]) == ("window", "violated", "patients")
