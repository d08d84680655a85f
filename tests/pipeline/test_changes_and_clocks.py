"""Code, controls or the clock change between two tries: one attempt counts, and what was sealed is not made anew."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import pytest

import otlp_messages as otlp
from embedded_pipeline import Pipeline, running_pipeline
from onshore_pipeline import assembly
from onshore_pipeline.broker import Outgoing
from onshore_pipeline.controls.load import control_set
from onshore_pipeline.embedded.local_log import LocalLog
from onshore_pipeline.jobs.incomplete import incomplete
from onshore_pipeline.jobs.sweep import sweep
from onshore_pipeline.registration import registration
from onshore_pipeline.stack import DataDir
from onshore_pipeline.store.writer import insert

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# ClickHouse refuses an insert into more than a hundred partitions, and partitions are months.
_MONTHS: Final = 102
_MONTH_NS: Final = 31 * 24 * 3600 * 10**9
_SEEN: Final = (
    "SELECT event_id, attempt_id, leaf_hash FROM events_current ORDER BY ALL",
    "SELECT * FROM violations_current ORDER BY ALL",
    "SELECT * FROM message_verdicts_current ORDER BY ALL",
    "SELECT entry FROM evidence_log ORDER BY log_position",
)


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    with running_pipeline(tmp_path) as running:
        yield running


def test_what_changed_between_a_crash_and_the_next_try_seals_once_and_unseals_nothing(pipeline: Pipeline) -> None:
    pipeline.send("otlp_logs", [otlp.logs([otlp.movement()] * 2)])
    consumer = assembly.consumer(pipeline.settings)
    dead = pipeline.attempt(consumer)  # under the controls that ship; dies between step 4 and step 5
    consumer.close()
    insert(pipeline.client, "attempts", registration(dead, "dead", pipeline.judgement, datetime.now(UTC)))
    for name, table in dead.tables.items():
        insert(pipeline.client, name, table)
    assert dead.tables["violations"].num_rows > 0

    before = pipeline.judgement
    pipeline.judgement = replace(before, pipeline="onshore of tomorrow", controls=control_set([], {}))
    pipeline.work()
    pipeline.sequence()
    (entry,) = (json.loads(row) for (row,) in pipeline.rows("SELECT entry FROM evidence_log"))
    assert entry["pipeline"] == "onshore of tomorrow"
    assert entry["controls"] == pipeline.judgement.controls.digest != before.controls.digest
    assert entry["attempt"] != str(dead.attempt_id)
    assert pipeline.one("SELECT uniqExact(attempt_id) FROM events") == 2
    assert pipeline.rows("SELECT DISTINCT toString(attempt_id) FROM events_current") == [(entry["attempt"],)]
    assert pipeline.one("SELECT count() FROM violations_current") == 0

    sealed = [pipeline.rows(query) for query in _SEEN]
    pipeline.judgement = before  # and back again: what is sealed is not looked at a second time
    pipeline.work()
    sweep(pipeline.client, datetime.now(UTC) + timedelta(minutes=2))
    pipeline.sequence()
    assert [pipeline.rows(query) for query in _SEEN] == sealed
    assert pipeline.rows("SELECT DISTINCT toString(attempt_id) FROM events") == [(entry["attempt"],)]
    assert incomplete(pipeline.client) == []


def test_a_clock_that_runs_through_years_in_one_batch_costs_no_message(pipeline: Pipeline) -> None:
    now = [1_500_000_000_000_000_000]
    log = LocalLog(DataDir(pipeline.settings.data_dir).messages, now_ns=lambda: now[0])
    with closing(log.producer()) as producer:
        for _ in range(_MONTHS):
            producer.send("otlp_logs", [Outgoing(otlp.logs([otlp.movement()]))])
            now[0] += _MONTH_NS
        now[0] = 0  # and all the way back
        producer.send("otlp_logs", [Outgoing(otlp.logs([otlp.movement()]))])
    pipeline.work(max_messages=_MONTHS + 1, until_failed=False)
    pipeline.sequence()
    assert pipeline.one("SELECT count() FROM evidence_log") == _MONTHS + 1
    assert pipeline.rows("SELECT count(), uniqExact(event_id) FROM events_current") == [(_MONTHS + 1, _MONTHS + 1)]
    assert pipeline.one("SELECT sum(dead_lettered) FROM evidence_log") == 0
    entries = [json.loads(row) for (row,) in pipeline.rows("SELECT entry FROM evidence_log ORDER BY offset")]
    stamps = [entry["timestamp"] for entry in entries]
    assert stamps[:-1] == sorted(stamps[:-1])
    assert stamps[-1] == 0, "as the clock says that was set back"
    months = [datetime.fromtimestamp(stamp // 10**9, UTC).strftime("%Y-%m") for stamp in stamps]
    assert [entry["salt_key"][:7] for entry in entries] == months
    assert len(set(months)) > 100
    assert incomplete(pipeline.client) == []
