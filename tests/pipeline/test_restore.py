"""A store that was put back: what is written again, what cannot be, and nothing twice wherever a restore was killed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import pytest

import otlp_messages as otlp
from embedded_pipeline import Pipeline, running_pipeline
from onshore_pipeline import assembly
from onshore_pipeline.assess import assess, message_id
from onshore_pipeline.embedded.log_file import FILE_NAME
from onshore_pipeline.failpoints import RESTORE_POINTS, nowhere
from onshore_pipeline.jobs.incomplete import incomplete
from onshore_pipeline.jobs.lost import seal_lost
from onshore_pipeline.jobs.restore import Restored, Restorer
from onshore_pipeline.jobs.sweep import FACT_TABLES
from onshore_pipeline.sequencer import stands
from onshore_pipeline.stack import DataDir
from onshore_pipeline.store.writer import insert

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from onshore_pipeline.assess import Judgement

_ROLLUPS: Final = ("verdict_counts", "flows_hourly", "access_hourly", "findings")
# Of the points between two tables one stands for all: what it leaves is hidden, whatever it is.
_DEATHS: Final = [point for point in RESTORE_POINTS if point.removeprefix("9.") not in FACT_TABLES[1:]]


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    with running_pipeline(tmp_path / "data") as running:
        yield running


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """One for tests that leave it as they found it."""
    with running_pipeline(tmp_path_factory.mktemp("played")) as running:
        _play(running)
        yield running


class _Killed(Exception):
    """Stands for kill -9."""


def _play(pipeline: Pipeline, messages: int = 4) -> None:
    """Movements, model calls, metrics and something that cannot be read, two messages an attempt."""
    pipeline.send("otlp_logs", [otlp.logs([otlp.movement()] * 3) for _ in range(messages)], tenant="acme")
    call = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "server.address": "api.openai.com"}
    pipeline.send("otlp_spans", [otlp.span(call, {"service.name": "app"})] * 2)
    pipeline.send("otlp_metrics", [otlp.gauges({"hw.gpu.utilization": 0.5}, {"host.name": "gpu1"})])
    pipeline.send("otlp_logs", [b"\x0anothing that is OTLP"])
    pipeline.work(max_messages=2)
    pipeline.sequence()


def _facts(pipeline: Pipeline) -> dict[str, list[tuple[Any, ...]]]:
    """Everything that readers see, rollups included."""
    views = (*(f"{table}_current" for table in FACT_TABLES), *_ROLLUPS)
    return {view: pipeline.rows(f"SELECT * FROM {view} ORDER BY ALL") for view in views}


def _restore(
    pipeline: Pipeline,
    at: Callable[[str], None] = nowhere,
    *,
    plan: bool = False,
    judgement: Judgement | None = None,
) -> Restored:
    """What the command does, in this process."""
    judgement = judgement or pipeline.judgement
    with (
        closing(assembly.message_reader(pipeline.settings)) as messages,
        closing(assembly.entry_reader(pipeline.settings)) as log,
        closing(assembly.producer(pipeline.settings)) as producer,
    ):
        restorer = Restorer(pipeline.client, messages, judgement, plan=plan, at=at)
        done = restorer.run()
        if not plan:
            seal_lost(done.lost, producer, log, stands(pipeline.client, log.log_id)[0], judgement.pipeline)
            at("9.lost")
            restorer.roll_up(log.log_id)
    return done


def _lose(pipeline: Pipeline, *tables: str) -> None:
    """Empty tables; all facts and rollups where none is named."""
    for table in tables or (*FACT_TABLES, *(f"{rollup}_built" for rollup in _ROLLUPS)):
        pipeline.client.command(f"TRUNCATE TABLE {table}")


def _forget(pipeline: Pipeline, topic: str, until: int) -> None:
    """Let the local log's retention take messages of a topic below an offset."""
    with closing(sqlite3.connect(DataDir(pipeline.settings.data_dir).messages / FILE_NAME)) as file:
        (slot,) = file.execute(
            "SELECT slot FROM partitions JOIN topics USING (topic) WHERE name = ?", (topic,)
        ).fetchone()
        file.execute("DELETE FROM messages WHERE id >= ? AND id < ?", (slot << 40, (slot << 40) + until))
        file.execute("UPDATE partitions SET begin_offset = ? WHERE slot = ?", (until, slot))
        file.commit()


def test_a_whole_store_has_nothing_to_restore(played: Pipeline) -> None:
    pipeline = played
    assert min(len(rows) for name, rows in _facts(pipeline).items() if name != "access_hourly") > 0
    assert incomplete(pipeline.client) == []
    before = _facts(pipeline)
    assert _restore(pipeline) == Restored()
    assert _facts(pipeline) == before


@pytest.mark.parametrize("table", FACT_TABLES)
def test_rows_that_one_table_lost_are_noticed_and_come_back_as_they_were(played: Pipeline, table: str) -> None:
    pipeline = played
    before = _facts(pipeline)
    _lose(pipeline, table)
    found = incomplete(pipeline.client)
    assert found
    assert {name for each in found for name in each.tables} >= {table}
    done = _restore(pipeline)
    assert done.whole == done.attempts == len(found)
    assert _facts(pipeline) == before
    assert incomplete(pipeline.client) == []


def test_an_empty_store_is_filled_again_from_log_and_messages(played: Pipeline) -> None:
    pipeline = played
    before = _facts(pipeline)
    _lose(pipeline)
    pipeline.client.command("TRUNCATE TABLE evidence_log")
    pipeline.client.command("TRUNCATE TABLE rollup_runs")
    pipeline.sequence()
    assert pipeline.one("SELECT count() FROM events_current") == 0
    assert _restore(pipeline).lost == []
    assert _facts(pipeline) == before


def test_rows_that_stand_twice_are_noticed_and_stand_once_again(played: Pipeline) -> None:
    pipeline = played
    before = _facts(pipeline)
    pipeline.client.command("INSERT INTO events SELECT * FROM events LIMIT 1")
    (found,) = incomplete(pipeline.client)
    assert found.found == found.events + 1
    _restore(pipeline)
    assert _facts(pipeline) == before


def test_a_message_missing_where_another_stands_twice_is_noticed(pipeline: Pipeline) -> None:
    pipeline.send("otlp_logs", [otlp.logs([otlp.movement()] * 3)] * 2)
    pipeline.work()
    pipeline.sequence()
    pipeline.client.command("DELETE FROM events WHERE kafka_offset = 0")
    pipeline.client.command("INSERT INTO events SELECT * FROM events")
    (found,) = incomplete(pipeline.client)
    assert found.found == found.events
    assert found.tables == ("events",)


def test_a_plan_says_the_same_and_writes_nothing(pipeline: Pipeline) -> None:
    _play(pipeline)
    _lose(pipeline)
    _forget(pipeline, "otlp_logs", 2)
    planned = _restore(pipeline, plan=True)
    assert pipeline.one("SELECT count() FROM events") == 0
    assert pipeline.one("SELECT count() FROM restores") == 0
    assert _restore(pipeline) == planned
    assert planned.lost_messages == 2


@pytest.mark.parametrize("point", _DEATHS)
def test_a_restore_that_was_killed_is_finished_by_the_next_and_shows_no_half_in_between(
    played: Pipeline, point: str
) -> None:
    pipeline = played
    before = _facts(pipeline)
    _lose(pipeline)

    def dies(reached: str) -> None:
        if reached == point:
            raise _Killed

    with pytest.raises(_Killed):
        _restore(pipeline, dies)
    assert incomplete(pipeline.client) == [] or pipeline.one("SELECT count() FROM events_current") == 0
    _restore(pipeline)
    assert _facts(pipeline) == before
    assert pipeline.one("SELECT count() FROM restores") == pipeline.one("SELECT count() FROM restores_done") == 0


def test_messages_that_nobody_keeps_are_called_lost_in_the_log_once(pipeline: Pipeline) -> None:
    _play(pipeline)
    _lose(pipeline)
    _forget(pipeline, "otlp_logs", 3)
    for _ in range(2):  # the second one finds the first one's entries in the log, before they are copied
        done = _restore(pipeline)
        assert {each.topic for each in done.lost} == {"otlp_logs"}
        assert [offset for each in done.lost for offset in range(each.offset, each.end)] == [0, 1, 2]
    pipeline.sequence()
    lost = "SELECT arrayJoin(range(offset, end_offset)) FROM evidence_log WHERE kind = 'lost' ORDER BY 1"
    assert pipeline.rows(lost) == [(0,), (1,), (2,)]
    assert incomplete(pipeline.client) == []
    assert _restore(pipeline) == Restored()
    assert pipeline.rows(
        "SELECT kafka_offset, count() FROM events_current WHERE kafka_topic = 'otlp_logs' GROUP BY 1"
    ) == [(3, 3)]
    _play(pipeline, 1)  # nothing that was called lost is in the way of what comes next
    assert incomplete(pipeline.client) == []


def test_rows_whose_messages_are_gone_are_never_thrown_away(pipeline: Pipeline) -> None:
    _play(pipeline)
    before = pipeline.rows("SELECT * FROM events_current ORDER BY ALL")
    _lose(pipeline, "message_flows")
    _forget(pipeline, "otlp_logs", 4)
    done = _restore(pipeline)
    assert done.left > 0
    assert done.lost == []
    assert pipeline.rows("SELECT * FROM events_current ORDER BY ALL") == before


def test_what_was_sealed_is_never_written_as_something_else(played: Pipeline) -> None:
    pipeline = played
    _lose(pipeline)
    other = replace(pipeline.judgement, salt_master=b"another secret of thirty-two bytes or more")
    done = _restore(pipeline, judgement=other)
    assert done.whole == 0
    assert done.lost == []
    assert {"events_root", "salt_key"} <= {name for names in done.differs for name in names}
    assert pipeline.one("SELECT count() FROM events") == 0
    before = pipeline.rows("SELECT entry FROM evidence_log ORDER BY log_position")
    _restore(pipeline)
    assert incomplete(pipeline.client) == []
    assert pipeline.rows("SELECT entry FROM evidence_log ORDER BY log_position") == before


def test_a_message_that_the_store_refused_comes_back_as_the_dead_letter_that_it_was(pipeline: Pipeline) -> None:
    pipeline.send("otlp_logs", [otlp.logs([otlp.movement()])])
    consumer = assembly.consumer(pipeline.settings)
    polled = consumer.poll(max_messages=9, max_bytes=1 << 20, timeout_s=1.0)
    attempt = assess(
        polled, pipeline.judgement, uuid4(), refused={message_id(each): "refused" for each in polled.messages}
    )
    for name, table in attempt.tables.items():
        insert(pipeline.client, name, table)
    consumer.commit(attempt.entries, attempt.advances, attempt.dead_letters)
    consumer.close()
    pipeline.sequence()
    assert incomplete(pipeline.client) == []
    _lose(pipeline)
    assert _restore(pipeline).whole == 1
    assert pipeline.rows("SELECT stage, kafka_offset FROM dead_letters_current") == [("write", 0)]
    assert pipeline.one("SELECT count() FROM events_current") == 0
