"""A store that was put back: what is written again, what cannot be, and nothing twice wherever a restore was killed."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import pytest

import otlp_messages as otlp
from embedded_pipeline import Pipeline, running_pipeline
from onshore_pipeline import assembly
from onshore_pipeline.actions import Action, record_action
from onshore_pipeline.assess import assess, message_id
from onshore_pipeline.failpoints import RESTORE_POINTS
from onshore_pipeline.jobs.incomplete import incomplete
from onshore_pipeline.jobs.restore import Restored
from onshore_pipeline.jobs.sweep import FACT_TABLES
from onshore_pipeline.store.writer import insert
from onshore_pipeline.wire.frames import Failure
from restoring import facts, forget, lose, restore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


# Of the points between two tables one stands for all: what it leaves is hidden, whatever it is. Before and behind all
# of it there is the command, which the chaos suite kills.
_DEATHS: Final = [
    point for point in RESTORE_POINTS if point.removeprefix("9.") not in {*FACT_TABLES[1:], "before", "after"}
]


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
    """Movements, calls, metrics, a numbered gap, a deed and what cannot be read, two messages an attempt."""
    pipeline.send("otlp_logs", [otlp.logs([otlp.movement()] * 3) for _ in range(messages)], tenant="acme")
    call = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "server.address": "api.openai.com"}
    pipeline.send("otlp_spans", [otlp.span(call, {"service.name": "app"})] * 2)
    gap: dict[str, str | int] = {
        "onshore.collector.id": "edge",
        "onshore.collector.sequence": 7,
        "onshore.data.count": 3,
    }
    pipeline.send("otlp_logs", [otlp.logs([gap], event_name="telemetry.gap")])
    pipeline.send("otlp_metrics", [otlp.gauges({"hw.gpu.utilization": 0.5}, {"host.name": "gpu1"})])
    pipeline.send("otlp_logs", [b"\x0anothing that is OTLP"])
    with closing(assembly.recorder(pipeline.settings)) as recorder:
        record_action(recorder, Action("finding.comment", "acme", "ana", "a test", {}))
    pipeline.work(max_messages=2)
    pipeline.sequence()


def test_a_whole_store_has_nothing_to_restore(played: Pipeline) -> None:
    pipeline = played
    assert min(len(rows) for name, rows in facts(pipeline).items() if name != "access_hourly") > 0
    assert incomplete(pipeline.client) == []
    before = facts(pipeline)
    assert restore(pipeline) == Restored()
    assert facts(pipeline) == before


@pytest.mark.parametrize("table", FACT_TABLES)
def test_rows_that_one_table_lost_are_noticed_and_come_back_as_they_were(played: Pipeline, table: str) -> None:
    pipeline = played
    before = facts(pipeline)
    lose(pipeline, table)
    found = incomplete(pipeline.client)
    assert found
    assert {name for each in found for name in each.tables} >= {table}
    done = restore(pipeline)
    assert done.whole == done.attempts == len(found)
    assert facts(pipeline) == before
    assert incomplete(pipeline.client) == []


def test_an_empty_store_is_filled_again_from_log_and_messages(played: Pipeline) -> None:
    pipeline = played
    before = facts(pipeline)
    lose(pipeline)
    pipeline.client.command("TRUNCATE TABLE evidence_log")
    pipeline.client.command("TRUNCATE TABLE rollup_runs")
    pipeline.sequence()
    assert pipeline.one("SELECT count() FROM events_current") == 0
    assert restore(pipeline).lost == []
    assert facts(pipeline) == before


def test_rows_that_stand_twice_are_noticed_and_stand_once_again(played: Pipeline) -> None:
    pipeline = played
    before = facts(pipeline)
    pipeline.client.command("INSERT INTO events SELECT * FROM events LIMIT 1")
    (found,) = incomplete(pipeline.client)
    assert found.found == found.events + 1
    restore(pipeline)
    assert facts(pipeline) == before


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
    lose(pipeline)
    forget(pipeline, "otlp_logs", 2)
    planned = restore(pipeline, plan=True)
    assert pipeline.one("SELECT count() FROM events") == 0
    assert pipeline.one("SELECT count() FROM restores") == 0
    assert restore(pipeline) == planned
    assert planned.lost_messages == 2


@pytest.mark.parametrize("point", _DEATHS)
def test_a_restore_that_was_killed_is_finished_by_the_next_and_shows_no_half_in_between(
    played: Pipeline, point: str
) -> None:
    pipeline = played
    before = facts(pipeline)
    lose(pipeline)

    def dies(reached: str) -> None:
        if reached == point:
            raise _Killed

    with pytest.raises(_Killed):
        restore(pipeline, dies)
    assert incomplete(pipeline.client) == [] or pipeline.one("SELECT count() FROM events_current") == 0
    restore(pipeline)
    assert facts(pipeline) == before
    assert pipeline.one("SELECT count() FROM restores") == pipeline.one("SELECT count() FROM restores_done") == 0


def test_messages_that_nobody_keeps_are_called_lost_in_the_log_once(pipeline: Pipeline) -> None:
    _play(pipeline)
    lose(pipeline)
    forget(pipeline, "otlp_logs", 3)
    for _ in range(2):  # the second one finds the first one's entries in the log, before they are copied
        done = restore(pipeline)
        assert {each.topic for each in done.lost} == {"otlp_logs"}
        assert [offset for each in done.lost for offset in range(each.offset, each.end)] == [0, 1, 2]
    pipeline.sequence()
    lost = "SELECT arrayJoin(range(offset, end_offset)) FROM evidence_log WHERE kind = 'lost' ORDER BY 1"
    assert pipeline.rows(lost) == [(0,), (1,), (2,)]
    assert incomplete(pipeline.client) == []
    assert restore(pipeline) == Restored()
    assert pipeline.rows(
        "SELECT kafka_offset, count() FROM events_current WHERE kafka_topic = 'otlp_logs' GROUP BY 1 ORDER BY 1"
    ) == [(3, 3), (4, 1)]
    _play(pipeline, 1)  # nothing that was called lost is in the way of what comes next
    assert incomplete(pipeline.client) == []


def test_rows_whose_messages_are_gone_are_never_thrown_away(pipeline: Pipeline) -> None:
    _play(pipeline)
    before = pipeline.rows("SELECT * FROM events_current ORDER BY ALL")
    lose(pipeline, "message_flows")
    forget(pipeline, "otlp_logs", 4)
    done = restore(pipeline)
    assert done.left > 0
    assert done.lost == []
    assert pipeline.rows("SELECT * FROM events_current ORDER BY ALL") == before


def test_what_was_sealed_is_never_written_as_something_else(played: Pipeline) -> None:
    pipeline = played
    lose(pipeline)
    other = replace(pipeline.judgement, salt_master=b"another secret of thirty-two bytes or more")
    done = restore(pipeline, judgement=other)
    assert done.whole == 0
    assert done.lost == []
    assert {"events_root", "salt_key"} <= {name for names in done.differs for name in names}
    assert pipeline.one("SELECT count() FROM events") == 0
    before = pipeline.rows("SELECT entry FROM evidence_log ORDER BY log_position")
    restore(pipeline)
    assert incomplete(pipeline.client) == []
    assert pipeline.rows("SELECT entry FROM evidence_log ORDER BY log_position") == before


def test_a_message_that_the_store_refused_comes_back_as_the_dead_letter_that_it_was(pipeline: Pipeline) -> None:
    pipeline.send("otlp_logs", [otlp.logs([otlp.movement()])])
    consumer = assembly.consumer(pipeline.settings)
    polled = consumer.poll(max_messages=9, max_bytes=1 << 20, timeout_s=1.0)
    attempt = assess(
        polled,
        pipeline.judgement,
        uuid4(),
        failed={message_id(each): (Failure(0, None, "write", "refused"),) for each in polled.messages},
    )
    for name, table in attempt.tables.items():
        insert(pipeline.client, name, table)
    consumer.commit(attempt.entries, attempt.advances, attempt.dead_letters)
    consumer.close()
    pipeline.sequence()
    assert incomplete(pipeline.client) == []
    lose(pipeline)
    assert restore(pipeline).whole == 1
    assert pipeline.rows("SELECT stage, kafka_offset FROM dead_letters_current") == [("write", 0)]
    assert pipeline.one("SELECT count() FROM events_current") == 0
