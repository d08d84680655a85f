"""The commands that look at a running stack."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from otlp_messages import logs, movement
from running_stack import MESSAGES, RunningStack, run_onshore

if TYPE_CHECKING:
    from pathlib import Path


def test_status_says_what_is_stored_and_that_nothing_waits(stack: RunningStack, tmp_path: Path, mark: str) -> None:
    stack.send_logs(logs([movement() | {"log.record.uid": mark}]))
    stack.wait_for_events(mark, 1)
    done = run_onshore(tmp_path, "status", "--data-dir", str(stack.data_dir), "--json")
    told = json.loads(done.stdout)
    assert told["worker"] == "running"
    assert told["events"] == stack.one("SELECT count() FROM events_current")
    assert told["records"] == told["events"] + told["dead_lettered"]
    assert told["messages"] == stack.one(MESSAGES)
    assert done.returncode == (1 if told["attention"] else 0)
    assert done.stderr == ""


def test_status_for_people_says_the_same(stack: RunningStack, tmp_path: Path) -> None:
    done = run_onshore(tmp_path, "status", "--data-dir", str(stack.data_dir))
    assert "waiting messages" in done.stdout
    assert done.stderr == ""


def test_doctor_finds_this_machine_fit(stack: RunningStack, tmp_path: Path) -> None:
    done = run_onshore(tmp_path, "doctor", "--data-dir", str(stack.data_dir), "--json")
    checks = {check["name"]: check for check in json.loads(done.stdout)}
    assert checks["Python"]["good"]
    assert checks["chdb-core"]["good"]
    assert done.returncode == 0
    assert done.stderr == ""


def test_nothing_is_left_to_migrate(stack: RunningStack, tmp_path: Path) -> None:
    done = run_onshore(tmp_path, "migrate", "--plan", "--data-dir", str(stack.data_dir))
    assert (done.returncode, done.stdout, done.stderr) == (0, "the store is up to date\n", "")


def test_controls_in_the_store_are_those_that_are_listed(stack: RunningStack, tmp_path: Path) -> None:
    done = run_onshore(tmp_path, "controls", "list", "--json")
    listed = {(row["id"], row["version"]) for row in json.loads(done.stdout)}
    assert done.returncode == 0
    assert ("AU-APP8-01", 2) in listed
    assert set(stack.rows("SELECT DISTINCT control_id, version FROM controls")) == listed


def test_a_command_without_a_stack_says_how_to_get_one(tmp_path: Path) -> None:
    done = run_onshore(tmp_path, "status", "--data-dir", str(tmp_path / "nothing"))
    (line,) = done.stderr.splitlines()
    assert "run `onshore up`" in line
    assert (done.returncode, done.stdout) == (2, "")


def test_history_that_is_judged_again_by_the_same_rules_comes_out_the_same(
    stack: RunningStack, tmp_path: Path, mark: str
) -> None:
    stack.send_logs(logs([movement() | {"log.record.uid": mark}]))
    stack.wait_for_events(mark, 1)
    now = datetime.now(UTC)
    since, until = (f"{now + timedelta(minutes=minutes):%Y-%m-%dT%H:%M}Z" for minutes in (-1, 2))
    asked = ["rejudge", "--from", since, "--to", until, "--as-known", "then", "--data-dir", str(stack.data_dir)]
    done = run_onshore(tmp_path, *asked, "--json", within_s=120)
    told = json.loads(done.stdout)
    assert (done.returncode, told["verdicts"], told["examples"], told["gone"]) == (0, [], [], 0), done.stderr
    assert told["events"] > 0
    assert "comes out as it was sealed" in run_onshore(tmp_path, *asked, within_s=120).stdout
    assert run_onshore(tmp_path, "rejudge", "--from", until, "--to", since).returncode == 2
