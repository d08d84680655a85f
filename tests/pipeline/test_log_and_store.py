"""The log and the store come from different days: which of the two is believed, and when nothing may go on."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

import otlp_messages as otlp
from embedded_pipeline import Pipeline, running_pipeline
from onshore_pipeline import assembly
from onshore_pipeline.broker import EVIDENCE_LOG_TOPIC
from onshore_pipeline.errors import StoreUnavailable
from onshore_pipeline.log_check import LogBehindStore, refuse_older_log
from onshore_pipeline.sequencer import Sequencer
from onshore_pipeline.stack import DataDir

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    with running_pipeline(tmp_path) as running:
        yield running


def _play(pipeline: Pipeline, messages: int, *, events: int = 2) -> None:
    pipeline.send("otlp_logs", [otlp.logs([otlp.movement()] * events) for _ in range(messages)])
    pipeline.work()
    pipeline.sequence()


def _log_folder(pipeline: Pipeline) -> Path:
    return DataDir(pipeline.settings.data_dir).messages


def _put_back(pipeline: Pipeline, backup: Path) -> None:
    shutil.rmtree(_log_folder(pipeline))
    shutil.copytree(backup, _log_folder(pipeline))


def test_a_log_that_was_lost_begins_again_and_nothing_is_doubled_or_hidden(pipeline: Pipeline) -> None:
    _play(pipeline, 5)
    shutil.rmtree(_log_folder(pipeline))
    _play(pipeline, 3)
    assert pipeline.one("SELECT count() FROM evidence_log") == 8
    assert pipeline.one("SELECT uniqExact(log_id) FROM evidence_log") == 2
    assert pipeline.one("SELECT count() FROM events_current") == 16
    assert pipeline.one("SELECT uniqExact(event_id) FROM events_current") == 16
    assert pipeline.one("SELECT sum(events) FROM findings WHERE control_id = 'AU-APP8-01'") == 16


def test_an_older_copy_of_the_log_is_refused(pipeline: Pipeline, tmp_path: Path) -> None:
    _play(pipeline, 2)
    shutil.copytree(_log_folder(pipeline), tmp_path / "backup")
    _play(pipeline, 2)
    _put_back(pipeline, tmp_path / "backup")
    reader = assembly.entry_reader(pipeline.settings)
    with pytest.raises(LogBehindStore, match="ends before entry 3"):
        Sequencer(reader, pipeline.client)
    reader.close()


def test_an_older_copy_of_the_log_that_was_written_on_is_refused(pipeline: Pipeline, tmp_path: Path) -> None:
    _play(pipeline, 2)
    shutil.copytree(_log_folder(pipeline), tmp_path / "backup")
    _play(pipeline, 2)
    _put_back(pipeline, tmp_path / "backup")
    pipeline.send("otlp_logs", [otlp.logs([otlp.movement(action="data.read")])] * 3)
    pipeline.work()
    reader = assembly.entry_reader(pipeline.settings)
    with pytest.raises(LogBehindStore, match="another entry 3"):
        refuse_older_log(reader, pipeline.client)
    reader.close()


def test_a_store_that_is_behind_or_empty_is_no_reason_to_refuse(pipeline: Pipeline) -> None:
    _play(pipeline, 4)
    pipeline.client.command("DELETE FROM evidence_log WHERE log_position > 1")
    pipeline.sequence()
    assert pipeline.one("SELECT count() FROM evidence_log") == 4
    pipeline.client.command("TRUNCATE TABLE evidence_log")
    pipeline.sequence()
    assert pipeline.rows("SELECT log_position, log_index FROM evidence_log ORDER BY log_position") == [
        (position, position) for position in range(4)
    ]


def test_a_store_put_back_under_a_running_sequencer_is_noticed_before_anything_is_left_out(pipeline: Pipeline) -> None:
    reader = assembly.entry_reader(pipeline.settings)
    pipeline.send("otlp_logs", [otlp.logs([otlp.movement()])] * 3)
    pipeline.work()
    running = Sequencer(reader, pipeline.client)
    assert running.step(max_entries=10, timeout_s=0.0).entries == 3
    pipeline.client.command("DELETE FROM evidence_log WHERE log_position > 0")
    with pytest.raises(StoreUnavailable, match="put back"):
        running.check_store()
    pipeline.send("otlp_logs", [otlp.logs([otlp.movement()])])
    pipeline.work()
    with pytest.raises(StoreUnavailable, match="put back"):
        running.step(max_entries=10, timeout_s=0.0)
    running.close()
    pipeline.sequence()
    assert pipeline.rows("SELECT log_position FROM evidence_log ORDER BY log_position") == [(0,), (1,), (2,), (3,)]


def test_two_sequencers_that_copy_the_same_entries_write_the_same_rows(pipeline: Pipeline) -> None:
    pipeline.send("otlp_logs", [otlp.logs([otlp.movement()])] * 3)
    pipeline.work()
    both = [Sequencer(assembly.entry_reader(pipeline.settings), pipeline.client) for _ in range(2)]
    for each in both:
        assert each.step(max_entries=10, timeout_s=0.0).entries == 3
    for each in both:
        each.close()
    assert pipeline.one("SELECT count() FROM evidence_log") == 6
    assert pipeline.one("SELECT count() FROM (SELECT DISTINCT * FROM evidence_log)") == 3
    assert pipeline.one("SELECT count() FROM evidence_log FINAL") == 3
    pipeline.sequence()
    assert pipeline.one("SELECT sum(events) FROM findings WHERE control_id = 'AU-APP8-01'") == 3


def test_an_entry_of_a_kind_that_covers_nothing_moves_nothing_even_as_a_partitions_first(pipeline: Pipeline) -> None:
    _play(pipeline, 1)
    entry = json.loads(str(pipeline.one("SELECT entry FROM evidence_log")))
    other = json.dumps({**entry, "kind": "amends", "partition": 9, "offset": 5}).encode()
    first = json.dumps({**entry, "partition": 9, "offset": 3}).encode()
    pipeline.send(EVIDENCE_LOG_TOPIC, [other])
    pipeline.sequence()
    pipeline.send(EVIDENCE_LOG_TOPIC, [first])
    pipeline.sequence()
    assert pipeline.rows("SELECT kind, offset, log_index FROM evidence_log WHERE partition = 9 ORDER BY log_index") == [
        ("amends", 5, 0), ("message", 3, 1),
    ]  # fmt: skip
