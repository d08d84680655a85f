"""Retention by itself: only where a register says so, once an interval, after its tombstone, and seen by `status`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

import otlp_messages as otlp
from embedded_pipeline import Pipeline, running_pipeline
from exporting import reader_of
from onshore_pipeline import assembly
from onshore_pipeline.actions import Action, record_action
from onshore_pipeline.commands.acting import record
from onshore_pipeline.commands.attention import attention
from onshore_pipeline.commands.status import status
from onshore_pipeline.errors import OnshoreError
from onshore_pipeline.jobs.keep import keep
from onshore_pipeline.jobs.retention import RetentionJob, last_said, retention_path
from onshore_pipeline.sequencer import Sequencer
from onshore_pipeline.stack import DataDir
from onshore_pipeline.store_lock import changing_alone
from running_stack import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from onshore_pipeline.settings import Settings

LATER = timedelta(days=31)


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    with running_pipeline(tmp_path / "data") as running:
        yield running


def registered(pipeline: Pipeline, text: str = "- {keep: 30d, why: a test}\n") -> Settings:
    """Settings with a folder of registries; `text` stands in retention.yaml, written a day ago."""
    folder = pipeline.settings.data_dir / "context"
    folder.mkdir(exist_ok=True)
    file = folder / "retention.yaml"
    file.write_text(text)
    a_day_ago = time.time() - 86_400
    os.utime(file, (a_day_ago, a_day_ago))
    return pipeline.settings.model_copy(update={"context_dir": folder})


def job(
    pipeline: Pipeline, settings: Settings, clock: Callable[[], datetime], at: Any = lambda _: None
) -> RetentionJob:
    return RetentionJob(
        settings,
        lambda: (assembly.store_client(settings, pipeline.url), reader_of(pipeline)),
        lambda action: record(settings, action),
        at,
        clock,
    )


def later() -> datetime:
    return datetime.now(UTC) + LATER


def play(pipeline: Pipeline) -> None:
    pipeline.send("otlp_logs", [otlp.logs([otlp.movement()] * 3)] * 2, tenant="acme")
    pipeline.work()
    pipeline.sequence()


def kept_until(pipeline: Pipeline, retention: RetentionJob, done: Callable[[], object]) -> None:
    """A worker and the loop of the sequencer, both for real, until `done`."""
    stop = threading.Event()
    sequencer = Sequencer(assembly.entry_reader(pipeline.settings), pipeline.client)
    loop = threading.Thread(target=keep, args=(sequencer, pipeline.client, stop), kwargs={"retention": retention})
    loop.start()
    try:
        while not done():
            pipeline.work()
            assert loop.is_alive()
    finally:
        stop.set()
        loop.join()
        retention.close()
        sequencer.close()


def said(pipeline: Pipeline) -> Any:
    return last_said(retention_path(pipeline.settings))


def test_what_is_due_is_deleted_beside_the_sequencer_with_its_tombstone_in_the_log(pipeline: Pipeline) -> None:
    play(pipeline)
    settings = registered(pipeline)
    retention = job(pipeline, settings, later)
    kept_until(pipeline, retention, lambda: said(pipeline) and said(pipeline).deleted)
    assert said(pipeline).deleted == 6
    assert (said(pipeline).state, said(pipeline).trouble) == ("waiting", "")
    rows = pipeline.rows("SELECT tenant, action, actor_id, actor_type, reason FROM events_current")
    assert rows == [("acme", "evidence.delete", "onshore retention", "service", "retention.yaml:1: keep 30d (a test)")]
    steps = pipeline.rows("SELECT step FROM deletions ORDER BY at")
    assert [step for (step,) in steps] == ["planned", "sealing", "sealed", "deleted"]


def test_without_a_register_nothing_is_ever_looked_at(pipeline: Pipeline) -> None:
    play(pipeline)
    retention = job(pipeline, pipeline.settings, later)
    retention.look()
    assert said(pipeline).state == "off"
    assert pipeline.one("SELECT count() FROM events_current") == 6


def test_a_register_counts_an_interval_after_it_was_changed(pipeline: Pipeline) -> None:
    settings = registered(pipeline)
    changed = datetime.now(UTC)
    assert settings.context_dir is not None
    os.utime(settings.context_dir / "retention.yaml", (changed.timestamp(), changed.timestamp()))
    retention = job(pipeline, settings, lambda: changed + timedelta(minutes=59))
    retention.look()
    assert said(pipeline).state == "waiting"
    due = datetime.fromisoformat(said(pipeline).next_at)
    assert abs(due - changed - timedelta(minutes=60)) < timedelta(milliseconds=1)


def test_what_a_hold_names_stays_and_is_counted(pipeline: Pipeline) -> None:
    play(pipeline)
    settings = registered(pipeline)
    told = {"onshore.hold.id": "h", "onshore.hold.tenant": "acme", "onshore.hold.review": "2099-01-01"}
    with closing(assembly.recorder(settings)) as recorder:
        record_action(recorder, Action("hold.place", "acme", "ana", "a case", told))
    pipeline.work()
    pipeline.sequence()
    retention = job(pipeline, settings, later)
    retention.look()
    wait_until(lambda: said(pipeline) and said(pipeline).ran_at, "a run")
    assert (said(pipeline).deleted, said(pipeline).held) == (0, 6)
    assert pipeline.one("SELECT count() FROM events_current WHERE tenant = 'acme' AND domain = 'data_movement'") == 6


def test_it_waits_for_a_restore_and_tries_again_soon(pipeline: Pipeline) -> None:
    play(pipeline)
    settings = registered(pipeline)
    now = later()
    retention = job(pipeline, settings, lambda: now)
    with changing_alone(DataDir(settings.data_dir)):
        retention.look()
        wait_until(lambda: said(pipeline) and said(pipeline).next_at, "it gives way")
    assert datetime.fromisoformat(said(pipeline).next_at) == now + timedelta(minutes=1)
    assert pipeline.one("SELECT count() FROM leaves") == 0


def test_a_register_that_cannot_be_read_is_trouble_that_status_says(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    play(pipeline)
    retention = job(pipeline, registered(pipeline, "- {keep: for ever, why: a test}\n"), later)
    retention.look()
    wait_until(lambda: said(pipeline) and said(pipeline).trouble, "trouble")
    password = pipeline.settings.data_dir / "writer.password"
    password.write_text(json.loads(DataDir(pipeline.settings.data_dir).credentials.read_text())["writer"]["password"])
    for name, value in (("URL", pipeline.url), ("USER", "onshore"), ("PASSWORD_FILE", str(password))):
        monkeypatch.setenv(f"ONSHORE_CLICKHOUSE_{name}", value)
    status(data_dir=pipeline.settings.data_dir, as_json=True)
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert "retention.yaml" in told["retention_trouble"]
    assert any(line.startswith("what is due is not deleted") for line in told["attention"])


def test_a_run_that_is_overdue_calls_for_attention() -> None:
    report = {
        "store": "answers", "worker": "running", "receiver": "answers", "put_off_s": None, "sequencer": "running",
        "log_behind_s": 0, "log_error": "",
    }  # fmt: skip
    late = (datetime.now(UTC) - timedelta(minutes=11)).isoformat()
    assert attention(report | {"retention_next_at": datetime.now(UTC).isoformat()}) == []
    (line,) = attention(report | {"retention_next_at": late})
    assert "should have run" in line


_CHILD = """
import os, signal, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from onshore_pipeline import assembly
from onshore_pipeline.commands.acting import record
from onshore_pipeline.failpoints import Failpoint
from onshore_pipeline.jobs.retention import RetentionJob
from onshore_pipeline.settings import load_settings
folder, url, point = sys.argv[1:]
settings = load_settings({"data_dir": Path(folder), "context_dir": Path(folder) / "context"})
connect = lambda: (assembly.store_client(settings, url), assembly.store_reader(settings, url))
at = Failpoint(point, "kill")
job = RetentionJob(settings, connect, lambda action: record(settings, action), at,
                   lambda: datetime.now(UTC) + timedelta(days=31))
job.look()
job._thread.join()
"""


@pytest.mark.parametrize("point", ["14.planned", "14.sealing", "14.tombstone", "14.events", "14.violations"])
def test_a_job_that_was_killed_is_ended_by_the_next(pipeline: Pipeline, point: str) -> None:
    play(pipeline)
    settings = registered(pipeline)
    folder = str(settings.data_dir)
    with subprocess.Popen([sys.executable, "-c", _CHILD, folder, pipeline.url, point]) as child:
        while child.poll() is None:
            pipeline.work()
            pipeline.sequence()
    assert child.returncode == -9
    retention = job(pipeline, settings, later)
    kept_until(pipeline, retention, lambda: said(pipeline).state == "waiting" and not _begun(pipeline))
    assert pipeline.one("SELECT count() FROM events_current WHERE domain = 'data_movement'") == 0
    assert pipeline.one("SELECT uniqExact(event_id) FROM leaves_deleted") == 6
    tombstones = pipeline.one("SELECT count() FROM message_actions_current WHERE action = 'evidence.delete'")
    assert tombstones == 1


def _begun(pipeline: Pipeline) -> bool:
    ended = pipeline.one("SELECT uniqExactIf(deletion_id, step = 'deleted') FROM deletions")
    return not ended or bool(pipeline.one("SELECT count() FROM events_current WHERE domain = 'data_movement'"))


def test_who_takes_rows_away_does_it_alone(pipeline: Pipeline) -> None:
    data = DataDir(pipeline.settings.data_dir)
    with changing_alone(data), pytest.raises(OnshoreError, match="let it end first"), changing_alone(data):
        pass
