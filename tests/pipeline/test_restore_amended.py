"""A store from before dead letters were replayed or discarded: what was made of them comes back, or is called lost."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

import invariants
import otlp_messages as otlp
from broker_contents import local_contents
from embedded_pipeline import Pipeline, running_pipeline
from onshore_pipeline import assembly
from onshore_pipeline.amend import amend
from onshore_pipeline.errors import EvidenceAltered
from onshore_pipeline.failed_records import FailedRecords
from onshore_pipeline.jobs.amending import begin
from onshore_pipeline.jobs.coverage import LOST
from onshore_pipeline.jobs.incomplete import incomplete
from onshore_pipeline.jobs.letters import portions, sealed_entries, verified
from onshore_pipeline.jobs.restore import Restored
from onshore_pipeline.jobs.stored_leaves import with_altered_leaves
from onshore_pipeline.jobs.sweep import FACT_TABLES
from onshore_pipeline.stack import DataDir, salt_master
from onshore_pipeline.store.writer import insert
from onshore_pipeline.wire.frames import Failure
from replaying import close, fail_on, reader_of
from restoring import facts, forget, lose, restore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BROKEN = b"\x0anothing that is OTLP"
_OF_REPLAYS = "attempt_id IN (SELECT assumeNotNull(attempt_id) FROM evidence_log WHERE kind = 'amends')"


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """Letters of a whole message and of records, replayed and discarded; tests leave the log as they found it."""
    with running_pipeline(tmp_path_factory.mktemp("amended")) as running:
        _play(running)
        yield running


def _play(pipeline: Pipeline) -> None:
    letters = fail_on(pipeline, [otlp.logs([otlp.movement()] * 5), otlp.logs([otlp.movement()] * 2)], (1, 3), None)
    one_bad = otlp.with_invalid_utf8(otlp.logs([otlp.movement(), otlp.movement(actor_id="marker")]), b"marker")
    letters += fail_on(pipeline, [one_bad], None)
    assert close(pipeline, "replay", letters).events == 5
    assert len(close(pipeline, "discard", fail_on(pipeline, [BROKEN])).closed) == 1
    fail_on(pipeline, [BROKEN])
    pipeline.sequence()


def _check(pipeline: Pipeline) -> None:
    contents = local_contents(DataDir(pipeline.settings.data_dir).messages)
    invariants.check(pipeline.client, contents, salt_master(pipeline.settings))


def _seen(pipeline: Pipeline) -> dict[str, list[tuple[Any, ...]]]:
    actions = "SELECT DISTINCT dead_letter_id, action, who, why, attempt_id FROM dead_letter_actions"
    closed = f"{actions} WHERE outcome IN ('replayed', 'discarded') ORDER BY ALL"
    return {
        **facts(pipeline),
        "states": pipeline.rows("SELECT * FROM dead_letter_states ORDER BY ALL"),
        "closed": pipeline.rows(closed),
    }


def test_events_of_a_replay_come_back_from_the_messages_that_the_broker_keeps(pipeline: Pipeline) -> None:
    before = _seen(pipeline)
    for table in FACT_TABLES:
        pipeline.client.command(f"DELETE FROM {table} WHERE {_OF_REPLAYS}")
    (found,) = incomplete(pipeline.client)
    assert (found.messages, found.events, found.found) == (3, 5, 0)
    planned = restore(pipeline, plan=True)
    assert restore(pipeline) == planned
    assert (planned.whole, planned.events, planned.lost) == (1, 5, [])
    assert _seen(pipeline) == before
    _check(pipeline)


def test_an_empty_store_gets_letters_events_of_replays_and_discards_back_with_who_and_why(pipeline: Pipeline) -> None:
    before = _seen(pipeline)
    lose(pipeline)
    for table in ("evidence_log", "rollup_runs", "dead_letter_actions"):
        pipeline.client.command(f"TRUNCATE TABLE {table}")
    pipeline.sequence()
    assert (restore(pipeline).lost, incomplete(pipeline.client)) == ([], [])
    assert _seen(pipeline) == before, "stage and reason of each letter included"
    assert restore(pipeline) == Restored()
    _check(pipeline)


def test_events_of_a_replay_come_back_from_a_letter_that_only_the_store_still_has(tmp_path: Path) -> None:
    with running_pipeline(tmp_path) as pipeline:
        _play(pipeline)
        before = _seen(pipeline)
        for table in FACT_TABLES:
            pipeline.client.command(f"DELETE FROM {table} WHERE {_OF_REPLAYS}")
        forget(pipeline, "otlp_logs", 5)
        forget(pipeline, "onshore_dead_letters", 6)
        done = restore(pipeline)
        assert (done.whole, done.left, done.lost) == (1, 0, [])
        assert _seen(pipeline) == before


def test_a_record_that_failed_again_and_is_readable_today_comes_back_as_the_letter_that_it_was(tmp_path: Path) -> None:
    with running_pipeline(tmp_path) as pipeline:
        letters = fail_on(pipeline, [otlp.logs([otlp.movement()] * 4)], (0, 1, 3))
        reader = reader_of(pipeline)
        with (
            closing(assembly.amender(pipeline.settings)) as amender,
            closing(assembly.entry_reader(pipeline.settings)) as log,
        ):
            begin(amender, pipeline.client, log.log_id)
            ((letter,),) = portions(reader, letters)
            failed = verified(letter, sealed_entries(reader, [letter]))
            assert isinstance(failed, FailedRecords)
            bug = {letter.letter_id: (Failure(0, (1,), "judge", "a bug of the next day"),)}
            attempt = amend([failed], pipeline.judgement, uuid4(), who="kim", why="test", known=bug).attempt
            for name, table in attempt.tables.items():
                insert(pipeline.client, name, table)
            amender.commit(attempt.entries, attempt.dead_letters)
        pipeline.sequence()
        again = [
            row[0]
            for row in pipeline.rows("SELECT toString(dead_letter_id) FROM dead_letter_states WHERE state = 'open'")
        ]
        assert close(pipeline, "replay", again).events == 1
        pipeline.sequence()
        before = _seen(pipeline)
        assert len(before["events_current"]) == 4
        assert [row[0] for row in pipeline.rows("SELECT reason FROM dead_letters ORDER BY 1")] == [
            "a bug of that day",
            "a bug of the next day",
        ]
        lose(pipeline)
        assert restore(pipeline).whole == 3
        assert facts(pipeline) == {name: before[name] for name in facts(pipeline)}
        _check(pipeline)


def test_messages_that_only_the_dead_letter_topic_still_has_come_back_from_there(tmp_path: Path) -> None:
    with running_pipeline(tmp_path) as pipeline:
        _play(pipeline)
        before = _seen(pipeline)
        lose(pipeline)
        forget(pipeline, "otlp_logs", 5)
        done = restore(pipeline)
        assert (done.lost, dict(done.differs), done.left) == ([], {}, 0)
        assert _seen(pipeline) == before


def test_what_nobody_keeps_is_called_lost_and_counted_once_and_the_next_restore_has_nothing_to_do(
    tmp_path: Path,
) -> None:
    with running_pipeline(tmp_path) as pipeline:
        _play(pipeline)
        records = pipeline.one("SELECT count() FROM events_current")
        dead = pipeline.one("SELECT sum(records) FROM dead_letter_states WHERE state != 'replayed'")
        lose(pipeline)
        forget(pipeline, "otlp_logs", 5)
        forget(pipeline, "onshore_dead_letters", 6)
        done = restore(pipeline)
        assert done.lost_messages == 8, "five messages, and three of them a second time as what a replay made of them"
        pipeline.sequence()
        assert incomplete(pipeline.client) == []
        assert pipeline.one(f"SELECT sum(events) FROM findings WHERE control_id = '{LOST}'") == records + dead
        assert restore(pipeline) == Restored()
        assert pipeline.one("SELECT count() FROM events_current") == 0


def test_a_replay_that_is_lost_leaves_the_message_itself_as_it_is(tmp_path: Path) -> None:
    with running_pipeline(tmp_path) as pipeline:
        close(pipeline, "replay", fail_on(pipeline, [otlp.logs([otlp.movement()] * 5)], (1, 3)))
        pipeline.sequence()
        pipeline.client.command(f"DELETE FROM events WHERE {_OF_REPLAYS}")
        for table in ("message_flows", "message_collectors", "message_verdicts", "violations", "dead_letters"):
            pipeline.client.command(f"TRUNCATE TABLE {table}")
        forget(pipeline, "otlp_logs", 1)
        forget(pipeline, "onshore_dead_letters", 1)
        done = restore(pipeline)
        assert (done.lost_messages, done.left) == (1, 1)
        pipeline.sequence()
        assert pipeline.one("SELECT count() FROM events_current") == 3
        assert pipeline.one(f"SELECT sum(events) FROM findings WHERE control_id = '{LOST}'") == 2


def test_a_replay_that_comes_out_differently_today_is_not_written_and_is_named(pipeline: Pipeline) -> None:
    before = _seen(pipeline)
    for table in FACT_TABLES:
        pipeline.client.command(f"DELETE FROM {table} WHERE {_OF_REPLAYS}")
    other = replace(pipeline.judgement, salt_master=b"another secret of thirty-two bytes or more")
    done = restore(pipeline, judgement=other)
    assert (done.whole, done.lost) == (0, [])
    assert sorted(name for names in done.examples.values() for name in names) == [
        "otlp_logs[0]@0",
        "otlp_logs[0]@1",
        "otlp_logs[0]@2",
    ]
    assert {"events_root", "salt_key"} <= {name for names in done.differs for name in names}
    restore(pipeline)
    assert _seen(pipeline) == before


def _alter_a_leaf(pipeline: Pipeline) -> None:
    """Write one event of the first message again, with another leaf."""
    place = "kafka_offset = 0 AND record_index = 0"
    columns = "* REPLACE (reverse(leaf_hash)::FixedString(32) AS leaf_hash)"
    pipeline.client.command("CREATE TABLE one_event AS events ENGINE = Memory")
    pipeline.client.command(f"INSERT INTO one_event SELECT {columns} FROM events WHERE {place}")
    pipeline.client.command(f"DELETE FROM events WHERE {place}")
    pipeline.client.command("INSERT INTO events SELECT * FROM one_event")
    pipeline.client.command("DROP TABLE one_event")


def test_leaves_that_were_altered_are_found_and_written_again_where_the_message_is_kept(pipeline: Pipeline) -> None:
    before = _seen(pipeline)
    assert list(with_altered_leaves(pipeline.client)) == []
    _alter_a_leaf(pipeline)
    assert incomplete(pipeline.client) == [], "numbers do not show it"
    (altered,) = with_altered_leaves(pipeline.client)
    assert str(altered).startswith("otlp_logs[0]@0 ")
    assert restore(pipeline) == Restored()
    assert restore(pipeline, hashes=True).whole == 1
    assert _seen(pipeline) == before


def test_altered_leaves_of_a_message_that_nobody_keeps_are_named_and_left(tmp_path: Path) -> None:
    with running_pipeline(tmp_path) as pipeline:
        pipeline.send("otlp_logs", [otlp.logs([otlp.movement()] * 3)] * 2)
        pipeline.work()
        pipeline.sequence()
        _alter_a_leaf(pipeline)
        forget(pipeline, "otlp_logs", 2)
        before = facts(pipeline)
        done = restore(pipeline, hashes=True)
        assert [(each.topic, each.offset) for each in done.altered] == [("otlp_logs", 0)]
        assert facts(pipeline) == before


def test_a_store_that_has_other_leaves_than_were_written_to_it_is_named_and_not_shown(tmp_path: Path) -> None:
    with running_pipeline(tmp_path) as pipeline:
        pipeline.send("otlp_logs", [otlp.logs([otlp.movement()] * 3)])
        pipeline.work()
        pipeline.sequence()
        before = facts(pipeline)
        lose(pipeline)

        def alters(point: str) -> None:
            if point == "9.dead_letters":
                _alter_a_leaf(pipeline)

        with pytest.raises(EvidenceAltered, match=r"otlp_logs\[0\]@0 .*do not give the sealed root"):
            restore(pipeline, alters)
        assert pipeline.one("SELECT count() FROM events_current") == 0
        restore(pipeline, hashes=True)
        assert facts(pipeline) == before
