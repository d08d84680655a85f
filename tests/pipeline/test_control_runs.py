"""A row an hour and control says that it ran, and an hour without one is a finding."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

import otlp_messages as otlp
from embedded_pipeline import Pipeline, running_pipeline
from onshore_pipeline.commands import control_runs
from onshore_pipeline.controls.load import PACKS, check_controls, control_set
from onshore_pipeline.embedded.credentials import USER_OF_ROLE, Role, load_or_create
from onshore_pipeline.errors import OnshoreError
from onshore_pipeline.jobs.control_runs import differences
from onshore_pipeline.rule_texts import RuleTexts
from onshore_pipeline.stack import DataDir
from onshore_pipeline.store.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Iterator

LEFT_OUT = "AU-APP8-01"
EVENTS = 3


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """An hour with every control, then one in which a worker had a folder without one of them."""
    with running_pipeline(tmp_path_factory.mktemp("runs")) as running:
        _work(running)
        whole = running.judgement
        found, _, lists = check_controls(PACKS)
        fewer = control_set([each for each in found if each.control.id != LEFT_OUT], lists)
        running.judgement = replace(whole, controls=fewer)
        _work(running)
        # An hour passes between the two, as the log tells it.
        running.client.command(
            "INSERT INTO evidence_log SELECT * REPLACE (appended_at - INTERVAL 1 HOUR AS appended_at)"
            " FROM evidence_log WHERE offset = 0"
        )
        running.client.command("OPTIMIZE TABLE evidence_log FINAL")
        running.judge_windows()
        running.measure()
        running.measure()  # findings are made of what the measurement before made visible
        yield running


def _work(pipeline: Pipeline) -> None:
    RuleTexts().keep(pipeline.client, pipeline.judgement)
    pipeline.send("otlp_logs", [otlp.logs([otlp.movement()] * EVENTS)])
    pipeline.work()
    pipeline.sequence()


def every_id(pipeline: Pipeline) -> set[str]:
    controls = pipeline.judgement.controls
    return {each.control.id for each in controls.executable} | {each.control.id for each in controls.windowed}


def test_each_control_has_a_row_for_each_hour_with_what_it_was_put_to_and_what_it_said(pipeline: Pipeline) -> None:
    rows = pipeline.rows(
        "SELECT hour, toString(control_id), events_seen, in_scope, satisfied + violated + undetermined, looks_at"
        " FROM control_runs"
    )
    executable = every_id(pipeline)
    hours = sorted({row[0] for row in rows})
    assert len(hours) == 2
    assert {row[1] for row in rows if row[0] == hours[0]} == executable | {LEFT_OUT}
    assert {row[1] for row in rows if row[0] == hours[1]} == executable
    assert {row[2] for row in rows} == {EVENTS}
    assert all(row[3] == row[4] for row in rows)
    judged = "SELECT sum(events) FROM message_verdicts_current"
    assert sum(row[3] for row in rows if row[5] == "event") == pipeline.one(judged) > 0
    windowed = {each.control.id: each.windowed.kind for each in pipeline.judgement.controls.windowed}
    assert {row[1]: row[5] for row in rows if row[5] != "event"} == windowed
    assert {"window", "sequence", "absence"} == set(windowed.values())


def test_the_rows_can_be_derived_again_and_one_that_was_changed_is_found(pipeline: Pipeline) -> None:
    now = datetime.now(UTC)
    since, until = now - timedelta(days=1), now + timedelta(hours=1)
    assert differences(pipeline.client, since, until) == []
    pipeline.client.command(
        "INSERT INTO control_runs_built SELECT * REPLACE (violated + 1 AS violated) FROM control_runs_built"
        " WHERE control_id = 'SOV-01-01' ORDER BY generation DESC LIMIT 1"
    )
    assert len(differences(pipeline.client, since, until)) == 1


def test_an_hour_in_which_a_control_did_not_run_is_a_finding(pipeline: Pipeline) -> None:
    found = pipeline.rows("SELECT fingerprint['source_id'], events FROM findings WHERE control_id = 'ONS-COV-12'")
    assert found == [(LEFT_OUT, EVENTS)]
    [(state, expected, seen)] = pipeline.rows(
        f"SELECT state, expected, seen FROM coverage WHERE kind = 'control_run' AND source = '{LEFT_OUT}'"
    )
    assert (state, expected, seen) == ("missed", EVENTS, 0)


def test_runs_and_the_texts_behind_them_are_told_on_the_command_line(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = _reader(pipeline)
    monkeypatch.setattr(control_runs, "reader_of", lambda _: store)
    assert control_runs.list_runs(control=LEFT_OUT, as_json=True) == 0
    [run] = json.loads(capsys.readouterr().out)
    assert (run["control"], run["events_seen"]) == (LEFT_OUT, EVENTS)
    control_runs.show_history(LEFT_OUT, as_of=f"{datetime.now(UTC):%Y-%m-%d}", as_json=True)
    shown = json.loads(capsys.readouterr().out)
    assert shown["text"] == (PACKS / "au" / f"{LEFT_OUT}.yaml").read_text(encoding="utf-8")
    assert shown["sha256"] == run["sha256"]
    with pytest.raises(OnshoreError, match="no text of it is known to have judged on 2020-01-01"):
        control_runs.show_history(LEFT_OUT, as_of="2020-01-01")


def test_hours_in_which_a_control_ran_and_gaps_are_told_by_control(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(control_runs, "reader_of", lambda _: _reader(pipeline))
    assert control_runs.list_runs(by_control=True, as_json=True) == 0
    told = {row["control"]: row for row in json.loads(capsys.readouterr().out)}
    # What windows come to is expected once it can be known, some minutes after the hour.
    events = {each.control.id for each in pipeline.judgement.controls.executable} | {LEFT_OUT}
    assert events <= set(told) <= every_id(pipeline) | {LEFT_OUT}
    missed = told.pop(LEFT_OUT)
    assert (missed["hours_run"], missed["hours_expected"], len(missed["gaps"])) == (1, 2, 1)
    assert missed["gaps"][0] > missed["last_run"]
    whole = {(row["hours_run"], row["hours_expected"], len(row["gaps"])) for row in told.values()}
    assert whole <= {(2, 2, 0), (1, 1, 0)}
    assert {row["looks_at"] for row in told.values() if row["hours_expected"] == 2} >= {"event"}
    assert control_runs.list_runs(control=LEFT_OUT, by_control=True) == 0
    assert f"1 of 2 hours; not in {missed['gaps'][0][:16]}" in capsys.readouterr().out


def _reader(pipeline: Pipeline) -> Reader:
    password = load_or_create(DataDir(pipeline.settings.data_dir).credentials).passwords[Role.READER]
    return Reader(pipeline.url, USER_OF_ROLE[Role.READER], password)
