"""A new local log in the place of an old one: nothing is doubled, nothing that waits is forgotten silently."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

import otlp_messages as otlp
from embedded_pipeline import Pipeline, running_pipeline
from onshore_pipeline import assembly
from onshore_pipeline.broker import Outgoing
from onshore_pipeline.embedded import new_log
from onshore_pipeline.embedded.local_log import LocalLog
from onshore_pipeline.embedded.new_log import EPOCH_FILE, MessagesWait, begin_new_log
from onshore_pipeline.errors import LogInUse
from onshore_pipeline.evidence.signed_note import parse_note
from onshore_pipeline.jobs.log_statement import statement_problems
from onshore_pipeline.signing_key import KeySource
from onshore_pipeline.stack import DataDir
from running_stack import data_dir_in, run_onshore, running_stack

if TYPE_CHECKING:
    from pathlib import Path

    from onshore_pipeline.settings import Settings


def _folder(pipeline: Pipeline) -> Path:
    return DataDir(pipeline.settings.data_dir).messages


def _play(pipeline: Pipeline, messages: int) -> None:
    pipeline.send("otlp_logs", [otlp.logs([otlp.movement()])] * messages)
    pipeline.work()
    pipeline.sequence()


def test_a_new_log_goes_on_beside_what_was_sealed_and_says_what_was_before_it(tmp_path: Path) -> None:
    with running_pipeline(tmp_path) as pipeline:
        _play(pipeline, 3)
        with closing(assembly.entry_reader(pipeline.settings)) as reader:
            old = str(reader.log_id)
        begun = begin_new_log(_folder(pipeline))
        assert begun.left_waiting == {}
        assert begun.log_id != old
        assert begun.kept_in is not None
        assert (begun.kept_in / "log.sqlite3").is_file()
        epoch = json.loads((_folder(pipeline) / EPOCH_FILE).read_text())
        assert (epoch["log_id"], epoch["statement"]) == (begun.log_id, None)
        assert (epoch["previous"]["log_id"], epoch["previous"]["entries"]) == (old, 3)
        assert not set(epoch["topics"].values()) & set(epoch["previous"]["topics"].values())
        _play(pipeline, 2)
        assert pipeline.rows("SELECT count(), uniqExact(event_id) FROM events_current") == [(5, 5)]
        assert pipeline.one("SELECT uniqExact(log_id) FROM evidence_log") == 2
        assert pipeline.one("SELECT sum(events) FROM findings WHERE control_id = 'AU-APP8-01'") == 5


def _send(folder: Path, messages: int) -> None:
    with closing(LocalLog(folder, now_ns=lambda: 1).producer()) as producer:
        producer.send("otlp_logs", [Outgoing(b"x")] * messages)


def test_messages_that_wait_are_counted_and_kept_unless_they_are_left_behind(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    _send(folder, 4)
    with pytest.raises(MessagesWait, match="4 messages wait in the local log \\(4 in otlp_logs\\)"):
        begin_new_log(folder)
    assert not (folder / EPOCH_FILE).exists()
    begun = begin_new_log(folder, leave_waiting=True)
    assert begun.left_waiting == {"otlp_logs": 4}
    assert json.loads((folder / EPOCH_FILE).read_text())["previous"]["left_waiting"] == {"otlp_logs": 4}
    assert begin_new_log(folder).left_waiting == {}


@pytest.fixture
def killed_in_between(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, str]:
    """The folder of a log whose successor was killed between the two renames, and the old log's id."""
    folder = data_dir_in(tmp_path) / "log"
    folder.parent.mkdir()
    _send(folder, 1)
    old = _log_id(folder)

    def killed(*folders: Path) -> None:
        raise KeyboardInterrupt(folders)

    with monkeypatch.context() as dying:
        dying.setattr(new_log, "_take_place", killed)
        with pytest.raises(KeyboardInterrupt):
            begin_new_log(folder, leave_waiting=True)
    assert not folder.exists()
    return folder, old


def _log_id(folder: Path) -> str:
    with closing(LocalLog(folder, now_ns=lambda: 1).entry_reader()) as reader:
        return str(reader.log_id)


def _epoch(folder: Path) -> tuple[str, str]:
    """The log that the folder's file is about, and the one before it."""
    epoch = json.loads((folder / EPOCH_FILE).read_text())
    return epoch["log_id"], epoch["previous"]["log_id"]


def test_one_that_was_killed_between_the_renames_is_finished_by_the_next_start(
    killed_in_between: tuple[Path, str], tmp_path: Path
) -> None:
    folder, old = killed_in_between
    with running_stack(tmp_path, "--no-dashboard"):
        assert _epoch(folder) == (_log_id(folder), old)
    assert not folder.with_name("log.next").exists()


def test_a_log_that_came_about_in_between_is_tied_to_the_one_before(killed_in_between: tuple[Path, str]) -> None:
    folder, old = killed_in_between
    _send(folder, 1)  # a version that did not look, or a command that only asks
    between = _log_id(folder)
    begun = begin_new_log(folder, leave_waiting=True)
    assert begun.kept_in is not None
    assert _epoch(begun.kept_in) == (between, old)
    assert _epoch(folder) == (begun.log_id, between)


def test_one_that_was_killed_between_the_renames_is_finished_by_the_next(killed_in_between: tuple[Path, str]) -> None:
    folder, old = killed_in_between
    folder.mkdir()  # as an earlier version's `onshore up` did
    begun = begin_new_log(folder)
    assert begun.left_waiting == {"otlp_logs": 1}
    assert begun.kept_in is not None
    assert begun.kept_in.is_dir()
    assert _epoch(folder) == (begun.log_id, old)
    assert sorted(each.name for each in folder.parent.iterdir()) == ["log", begun.kept_in.name]


def test_a_log_that_a_worker_reads_is_left_alone(tmp_path: Path) -> None:
    run = (
        "import sys, time; from pathlib import Path; from onshore_pipeline.embedded.log_ownership import Ownership;"
        "o = Ownership(Path(sys.argv[1])); o.claim(); print('held', flush=True); time.sleep(60)"
    )
    folder = tmp_path / "log"
    _send(folder, 1)
    with subprocess.Popen([sys.executable, "-c", run, str(folder)], stdout=subprocess.PIPE, text=True) as worker:
        try:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "held\n"
            with pytest.raises(LogInUse):
                begin_new_log(folder, leave_waiting=True)
        finally:
            worker.kill()
    assert (folder / "log.sqlite3").is_file()


def test_the_command_says_what_it_did_and_refuses_what_it_cannot(tmp_path: Path) -> None:
    data = tmp_path / "data"
    _send(data / "log", 2)
    refused = run_onshore(tmp_path, "new-log", "--data-dir", "data")
    assert (refused.returncode, "2 messages wait" in refused.stderr) == (2, True)
    assert "let the worker work them off" in refused.stderr
    assert "--leave-waiting" in refused.stderr
    assert (data / "log" / "log.sqlite3").is_file()
    done = run_onshore(tmp_path, "new-log", "--data-dir", "data", "--leave-waiting", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["left_waiting"] == {"otlp_logs": 2}
    kafka = run_onshore(tmp_path, "new-log", "--data-dir", "data", ONSHORE_KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:9")
    assert (kafka.returncode, "kafka_bootstrap_servers" in kafka.stderr) == (2, True)
    nowhere = run_onshore(tmp_path, "new-log", "--data-dir", "nowhere")
    assert (nowhere.returncode, (tmp_path / "nowhere").exists()) == (2, False)


def _trouble(settings: Settings) -> str:
    keys = KeySource(settings)().verifier_keys()
    found = statement_problems(DataDir(settings.data_dir).messages, keys)
    return "".join(f"{each.what}: {each.why}" for each in found)


def test_who_began_a_new_log_and_why_is_signed_and_sealed(tmp_path: Path) -> None:
    with running_pipeline(tmp_path) as pipeline:
        assert _trouble(pipeline.settings) == ""  # nothing was before this log
        _play(pipeline, 1)
        name = ("new-log", "--data-dir", str(tmp_path), "--as", "Kim Lee", "--reason", "only an old copy was left")
        done = run_onshore(tmp_path, *name)
        assert done.returncode == 0, done.stderr
        assert _trouble(pipeline.settings) == ""
        file = _folder(pipeline) / EPOCH_FILE
        epoch = json.loads(file.read_text())
        note = parse_note(epoch["statement"].encode())
        told = json.loads(note.text.splitlines()[1])
        assert (told["by"], told["reason"]) == ("Kim Lee", "only an old copy was left")
        assert (told["log_id"], told["previous"]) == (epoch["log_id"], epoch["previous"])
        pipeline.work()
        pipeline.sequence()
        sealed = pipeline.rows(
            "SELECT who, reason, attributes['onshore.log.statement'] FROM message_actions_current"
            " WHERE action = 'log.begin'"
        )
        assert sealed == [("Kim Lee", "only an old copy was left", epoch["statement"])]
        for changed, why in (
            (epoch | {"log_id": "another"}, "about another log"),
            (epoch | {"previous": epoch["previous"] | {"entries": 0}}, "log: it says another previous than was signed"),
            (epoch | {"statement": epoch["statement"].replace("Kim", "Tim")}, "is bad"),
            (epoch | {"statement": None}, "uncheckable: nobody signed"),
        ):
            file.write_text(json.dumps(changed))
            assert why in _trouble(pipeline.settings)
