"""Once an hour of runs is complete, the evidence log commits to its rows: once, whatever is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import otlp_messages as otlp
from embedded_pipeline import Pipeline, running_pipeline
from onshore_pipeline import assembly
from onshore_pipeline.actions import Action, record_action
from onshore_pipeline.broker import ACTIONS_TOPIC
from onshore_pipeline.controls.load import PACKS, check_controls, control_set
from onshore_pipeline.failpoints import RUNS_POINTS
from onshore_pipeline.jobs.audit_runs import SealedRuns, audit_runs
from onshore_pipeline.jobs.control_run_rows import derive, root
from onshore_pipeline.jobs.control_runs import restore_runs
from onshore_pipeline.jobs.windowed import forget
from restoring import lose, restore
from sealed_runs import count, log_behind, run, seal

if TYPE_CHECKING:
    from collections.abc import Iterator


SEALS = "SELECT hour, root, windowed_root, rows, events FROM control_run_seals ORDER BY hour"
RECORDED = "SELECT count() FROM message_actions_current WHERE action = 'control.seal'"
_LOG = "SELECT count() FROM evidence_log WHERE topic = 'onshore_actions' AND kind = 'message'"
_EVER = (datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
_CHILD = """
import sys
from datetime import UTC, datetime
from pathlib import Path
import psutil
from embedded_pipeline import Pipeline
from onshore_pipeline import assembly
from onshore_pipeline.failpoints import at_failpoint
from onshore_pipeline.settings import load_settings
from sealed_runs import seal
folder = Path(sys.argv[1])
settings = load_settings({"data_dir": folder, "geoip_dir": folder / "no-geoip"})
client = assembly.store_client(settings, sys.argv[2])
seal(Pipeline(settings, client, assembly.judgement(settings), psutil.Process(), sys.argv[2]), at_failpoint(sys.argv[3]))
"""


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    """An hour in which five events were sealed, and that is over."""
    with running_pipeline(tmp_path / "data") as running:
        running.settings = running.settings.model_copy(update={"local_log_kept_hours": 100.0})
        run(running, otlp.logs([otlp.movement()] * 3), otlp.logs([otlp.movement(destination_country="AU")] * 2))
        yield running


def sealed(pipeline: Pipeline) -> list[tuple[Any, ...]]:
    """What is sealed once the worker has taken up what was recorded."""
    pipeline.work()
    pipeline.sequence()
    return pipeline.rows(SEALS)


def problems(pipeline: Pipeline) -> tuple[list[str], SealedRuns]:
    seen = SealedRuns()
    return [each.why for each in audit_runs(pipeline.client, *_EVER, seen)], seen


def test_an_hour_that_is_over_is_sealed_once_and_the_seal_is_an_event_like_any_other(pipeline: Pipeline) -> None:
    assert seal(pipeline) == 1
    assert seal(pipeline) == 0  # recorded, and no worker has taken it up
    [(hour, of_events, of_windows, rows, events)] = sealed(pipeline)
    began = hour.replace(tzinfo=UTC)
    runs = derive(pipeline.client, began, began + timedelta(hours=1))
    assert of_events == root(each for each in runs if each.looks_at == "event")
    assert of_windows == root(each for each in runs if each.looks_at != "event")
    assert (rows, events) == (len(runs), 5)
    assert rows == pipeline.one("SELECT count() FROM control_runs_and_totals")
    assert {each.looks_at for each in runs} == {"event", "window", "sequence", "absence"}
    assert seal(pipeline) == 0
    assert (pipeline.one(RECORDED), pipeline.one(_LOG)) == (1, 1)
    [(actor, kind, outcome)] = pipeline.rows(
        "SELECT actor_id, actor_type, outcome FROM events_current WHERE action = 'control.seal'"
    )
    assert (actor, kind, outcome) == ("onshore sequencer", "service", "success")
    judged = f"""SELECT DISTINCT verdict FROM message_verdicts_current
        WHERE topic_id IN (SELECT topic_id FROM evidence_log WHERE topic = '{ACTIONS_TOPIC}')"""
    assert pipeline.rows(judged) == [("satisfied",)]
    assert problems(pipeline) == ([], SealedRuns(hours=1))


def test_an_hour_that_is_not_over_or_not_counted_or_not_judged_is_not_sealed(pipeline: Pipeline) -> None:
    seal(pipeline)
    sealed(pipeline)
    run(pipeline, otlp.logs([otlp.movement()]), hours_ago=0)
    assert pipeline.one("SELECT uniqExact(hour) FROM control_runs_and_totals") == 2
    assert seal(pipeline) == 0
    assert len(sealed(pipeline)) == 1


def test_an_hour_in_which_only_seals_were_sealed_waits_for_one_with_more(tmp_path: Path) -> None:
    with running_pipeline(tmp_path / "data") as pipeline:
        run(pipeline, otlp.logs([otlp.movement()] * 3), hours_ago=9)
        assert seal(pipeline) == 1
        pipeline.work(log_behind(pipeline, hours=7).consumer())
        pipeline.sequence()
        count(pipeline)
        assert pipeline.one("SELECT uniqExact(hour) FROM control_runs_and_totals") == 2
        assert seal(pipeline) == 0
        run(pipeline, otlp.logs([otlp.movement()]), hours_ago=5)
        assert seal(pipeline) == 2
        assert [events for *_, events in sealed(pipeline)] == [3, 1, 1]
        assert problems(pipeline)[0] == []


@pytest.mark.parametrize("point", RUNS_POINTS)
def test_a_sequencer_that_is_killed_leaves_one_seal_of_each_hour(pipeline: Pipeline, point: str) -> None:
    argv = [sys.executable, "-c", _CHILD, str(pipeline.settings.data_dir), pipeline.url, f"{point}:kill"]
    support = Path(__file__).parents[1] / "support"
    path = {"PYTHONPATH": ":".join([str(support), *sys.path]), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(argv, env=path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    seal(pipeline)
    assert len(sealed(pipeline)) == 1
    seal(pipeline)
    assert len(sealed(pipeline)) == 1
    assert pipeline.one(RECORDED) == 1
    assert problems(pipeline)[0] == []


def test_an_audit_names_the_hour_whose_rows_are_not_what_was_sealed(pipeline: Pipeline) -> None:
    seal(pipeline)
    sealed(pipeline)
    pipeline.client.command(
        "INSERT INTO control_runs_built SELECT * REPLACE (violated + 1 AS violated) FROM control_runs_built"
        " WHERE control_id = 'SOV-01-01'"
    )
    assert problems(pipeline)[0] == ["the rows of control_runs are not those that were sealed"]
    with closing(assembly.entry_reader(pipeline.settings)) as log:
        assert restore_runs(pipeline.client, log.log_id) == 1
        assert problems(pipeline)[0] == []
        assert restore_runs(pipeline.client, log.log_id) == 0
    pipeline.client.command(
        "INSERT INTO message_verdicts SELECT * REPLACE (events + 1 AS events) FROM message_verdicts"
        " WHERE control_id = 'AU-APP8-01'"
    )
    assert problems(pipeline)[0] == ["entries and verdicts do not give the rows that were sealed"]


def test_seals_and_runs_come_back_with_a_restore_and_no_hour_is_sealed_again(pipeline: Pipeline) -> None:
    seal(pipeline)
    before = sealed(pipeline)
    rows = f"SELECT * FROM control_runs_and_totals WHERE hour = '{before[0][0]:%Y-%m-%d %H:%M:%S}' ORDER BY ALL"
    kept = pipeline.rows(rows)
    lose(pipeline)
    pipeline.client.command("TRUNCATE TABLE control_runs_built")
    forget(pipeline.client)
    assert seal(pipeline) == 0  # rows are missing: nothing is said about hours that are not whole
    assert restore(pipeline).lost == []
    assert pipeline.rows(SEALS) == before
    count(pipeline)
    assert pipeline.rows(rows) == kept
    assert problems(pipeline) == ([], SealedRuns(hours=1))
    assert seal(pipeline) == 0
    assert pipeline.one(RECORDED) == 1


def test_a_retired_control_leaves_no_gap_once_its_file_is_gone(pipeline: Pipeline) -> None:
    _decide(pipeline, "control.retire", "AU-APP8-01", datetime.now(UTC))
    _decide(pipeline, "control.retire", "SOV-16-01", datetime.now(UTC))
    _decide(pipeline, "control.activate", "SOV-16-01", datetime.now(UTC) + timedelta(seconds=5))
    _judged_without(pipeline, "AU-APP8-01", "SOV-16-01")
    missed = pipeline.rows("SELECT control_id, sum(missed) FROM control_hours GROUP BY 1 HAVING sum(missed) > 0")
    assert missed == [("SOV-16-01", 1)]


def test_a_retirement_that_was_withdrawn_excuses_nothing(pipeline: Pipeline) -> None:
    now = datetime.now(UTC)
    for control in ("AU-APP8-01", "SOV-16-01"):
        _decide(pipeline, "control.retire", control, now)
    _decide(pipeline, "control.activate", "SOV-16-01", now + timedelta(seconds=5))
    _decide(pipeline, "control.withdraw", "SOV-16-01", now + timedelta(seconds=5))  # what stands is its retirement
    _decide(pipeline, "control.withdraw", "AU-APP8-01", now)
    _judged_without(pipeline, "AU-APP8-01", "SOV-16-01")
    missed = pipeline.rows("SELECT control_id, sum(missed) FROM control_hours GROUP BY 1 HAVING sum(missed) > 0")
    assert missed == [("AU-APP8-01", 1)]


def _decide(pipeline: Pipeline, action: str, control: str, at: datetime) -> None:
    told = {"onshore.control.id": control, "onshore.control.effective_at": f"{at:%Y-%m-%dT%H:%M:%S.%fZ}"}
    with closing(assembly.recorder(pipeline.settings)) as recorder:
        record_action(recorder, Action(action, "default", "ada", "the law ended", told))
    pipeline.work()
    pipeline.sequence()


def _judged_without(pipeline: Pipeline, *left_out: str) -> None:
    """An event of now is judged without some controls."""
    found, _, lists = check_controls(PACKS)
    fewer = control_set([each for each in found if each.control.id not in left_out], lists)
    pipeline.judgement = replace(pipeline.judgement, controls=fewer)
    run(pipeline, otlp.logs([otlp.movement()]), hours_ago=0)
