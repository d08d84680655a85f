"""The protocol of docs/commit-protocol.md on the embedded stack's real log and store."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

import otlp_messages as otlp
from demo_judgement import shipped_judgement
from embedded_pipeline import Pipeline, running_pipeline
from onshore_pipeline import assembly
from onshore_pipeline.assess import assess
from onshore_pipeline.batches import split
from onshore_pipeline.broker import EVIDENCE_LOG_TOPIC, TENANT_HEADER, Advance, Gap, Message, Polled
from onshore_pipeline.errors import BrokerUnavailable, EvidenceAltered, StoreRefusesAll
from onshore_pipeline.isolate import find_broken, isolate, without_records
from onshore_pipeline.jobs.aggregate import attempts_behind, rebuild
from onshore_pipeline.jobs.sweep import sweep
from onshore_pipeline.sequencer import Sequencer
from onshore_pipeline.store.writer import insert
from onshore_pipeline.wire.decode import decode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from onshore_pipeline.assess import Attempt
    from onshore_pipeline.broker import Consumer
    from onshore_pipeline.wire.frames import Failure


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    with running_pipeline(tmp_path) as running:
        yield running


class _Crashing:
    """A consumer whose first commit fails before anything is written, as a kill -9 at that point would."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer, self._crashed = consumer, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._consumer, name)

    def commit(self, *arguments: Any) -> None:
        if not self._crashed:
            self._crashed = True
            raise BrokerUnavailable("killed between write and commit")
        self._consumer.commit(*arguments)


def _write(pipeline: Pipeline, attempt: Attempt, *, registered_at: datetime | None = None) -> None:
    """Steps 3 and 4 of an attempt that never commits."""
    when = registered_at or datetime.now(UTC)
    pipeline.client.insert(
        "attempts",
        [
            [
                attempt.attempt_id, "test", when, "", "", "",
                [each.topic_id for each in attempt.advances], [each.partition for each in attempt.advances],
                [each.first for each in attempt.advances], [each.next_offset for each in attempt.advances],
            ]
        ],
    )  # fmt: skip
    for name, table in attempt.tables.items():
        insert(pipeline.client, name, table)


def test_what_goes_in_is_in_the_log_and_in_the_store_once(pipeline: Pipeline) -> None:
    pipeline.send("otlp_logs", [otlp.logs([otlp.movement()] * 3) for _ in range(7)], tenant="acme")
    pipeline.send("otlp_logs", [b"\x0anothing that is OTLP", b""])
    pipeline.work(max_messages=2)
    pipeline.sequence()
    assert pipeline.one("SELECT count() FROM evidence_log") == 9
    assert pipeline.rows("SELECT sum(records), sum(events), sum(dead_lettered) FROM evidence_log") == [(22, 21, 1)]
    assert pipeline.one("SELECT count() FROM events_current") == 21
    assert pipeline.one("SELECT uniqExact(event_id) FROM events_current") == 21
    assert pipeline.rows("SELECT DISTINCT tenant FROM events_current") == [("acme",)]
    assert pipeline.rows("SELECT stage, payload FROM dead_letters_current") == [("decode", "\nnothing that is OTLP")]


def test_rows_of_an_attempt_that_never_committed_are_not_seen_and_are_swept(pipeline: Pipeline) -> None:
    pipeline.send("otlp_logs", [otlp.logs([otlp.movement()] * 4)])
    consumer = assembly.consumer(pipeline.settings)
    lost = pipeline.attempt(consumer)
    _write(pipeline, lost)
    consumer.close()
    assert pipeline.one("SELECT count() FROM events") == 4
    assert pipeline.one("SELECT count() FROM events_current") == 0
    assert sweep(pipeline.client).rows == 0, "it may still be about to commit"

    pipeline.work()
    pipeline.sequence()
    assert pipeline.one("SELECT count() FROM events") == 8
    assert pipeline.one("SELECT count() FROM events_current") == 4
    later = datetime.now(UTC) + timedelta(minutes=2)
    assert sweep(pipeline.client, later).dead_attempts == 1
    assert pipeline.one("SELECT count() FROM events") == 4
    assert pipeline.rows("SELECT attempt_id FROM attempts") == [(lost.attempt_id,)]


def test_rows_that_a_woken_worker_writes_after_the_sweep_stay_unseen(pipeline: Pipeline) -> None:
    pipeline.send("otlp_logs", [otlp.logs([otlp.movement()])])
    consumer = assembly.consumer(pipeline.settings)
    stopped = pipeline.attempt(consumer)
    _write(pipeline, stopped)
    pipeline.work()
    pipeline.sequence()
    sweep(pipeline.client, datetime.now(UTC) + timedelta(minutes=2))
    for name, table in stopped.tables.items():
        insert(pipeline.client, name, table)
    assert pipeline.one("SELECT count() FROM events_current") == 1
    assert pipeline.one("SELECT count() FROM violations_current") == pipeline.one("SELECT sum(events) FROM findings")
    consumer.close()


def test_an_attempt_that_failed_to_commit_is_made_again_and_counts_once(pipeline: Pipeline) -> None:
    pipeline.send("otlp_logs", [otlp.logs([otlp.movement()] * 2) for _ in range(3)])
    crashed = pipeline.work(_Crashing(assembly.consumer(pipeline.settings)))
    assert crashed.progress.failed_attempts == 1
    pipeline.work()
    pipeline.sequence()
    assert pipeline.one("SELECT count() FROM events_current") == 6
    assert pipeline.one("SELECT count() FROM evidence_log") == 3
    assert pipeline.one("SELECT sum(events) FROM findings WHERE control_id = 'AU-APP8-01'") == 6


def test_rollups_are_the_same_however_often_they_are_built(pipeline: Pipeline) -> None:
    pipeline.send("otlp_logs", [otlp.logs([otlp.movement(), otlp.movement(destination_country="AU")])])
    pipeline.work()
    pipeline.sequence()
    queries = (
        "SELECT * FROM verdict_counts ORDER BY ALL", "SELECT * FROM flows_hourly ORDER BY ALL",
        "SELECT * FROM findings ORDER BY finding_id",
    )  # fmt: skip
    before = [pipeline.rows(query) for query in queries]
    attempts = {row[0] for row in pipeline.rows("SELECT assumeNotNull(attempt_id) FROM evidence_log")}
    rebuild(pipeline.client, attempts, {0: 0}, uuid4())
    assert [pipeline.rows(query) for query in queries] == before
    assert all(before)
    violated = pipeline.one("SELECT sum(events) FROM verdict_counts WHERE verdict = 'violated'")
    assert violated == pipeline.one("SELECT count() FROM violations_current")


def test_a_sequencer_that_starts_again_goes_on_where_the_store_ends(pipeline: Pipeline) -> None:
    pipeline.send("otlp_logs", [otlp.logs([otlp.movement()])])
    pipeline.work()
    pipeline.sequence()
    pipeline.send("otlp_logs", [otlp.logs([otlp.movement()])])
    pipeline.work()
    pipeline.sequence()
    assert pipeline.rows("SELECT log_index, offset FROM evidence_log ORDER BY log_index") == [(0, 0), (1, 1)]
    assert attempts_behind(pipeline.client) == frozenset()


def test_a_log_that_names_an_offset_twice_stops_the_sequencer(pipeline: Pipeline) -> None:
    pipeline.send("otlp_logs", [otlp.logs([otlp.movement()])])
    pipeline.work()
    pipeline.sequence()
    entry = str(pipeline.one("SELECT entry FROM evidence_log")).encode()
    pipeline.send(EVIDENCE_LOG_TOPIC, [entry])
    sequencer = Sequencer(assembly.entry_reader(pipeline.settings), pipeline.client)
    with pytest.raises(EvidenceAltered, match="again"):
        sequencer.step(max_entries=10, timeout_s=0.0)
    sequencer.close()


def test_what_the_store_refuses_becomes_a_dead_letter_and_the_rest_goes_on(pipeline: Pipeline) -> None:
    pipeline.client.command("ALTER TABLE events ADD CONSTRAINT allowed CHECK ifNull(dataset, '') != 'forbidden'")
    datasets = ("patients", "forbidden", "patients", "patients")
    sent = [otlp.logs([otlp.movement(data_set=name)] * 2) for name in datasets]
    pipeline.send("otlp_logs", sent)
    pipeline.work(until_failed=False)
    pipeline.sequence()
    assert pipeline.one("SELECT count() FROM events_current") == 6
    assert pipeline.rows("SELECT offset, events, dead_lettered FROM evidence_log ORDER BY offset") == [
        (0, 2, 0), (1, 0, 1), (2, 2, 0), (3, 2, 0),
    ]  # fmt: skip
    assert pipeline.one("SELECT stage FROM dead_letters_current") == "write"
    letters = pipeline.client.query("SELECT hex(payload) FROM dead_letters_current").result_rows
    assert [bytes.fromhex(row[0]) for row in letters] == [sent[1]]


def test_a_store_that_refuses_everything_stops_the_worker_instead_of_dead_lettering_everything(
    pipeline: Pipeline,
) -> None:
    pipeline.client.command("ALTER TABLE events ADD CONSTRAINT allowed CHECK 1 = 0")
    pipeline.send("otlp_logs", [otlp.logs([otlp.movement()]) for _ in range(20)])
    with pytest.raises(StoreRefusesAll, match=r"refused 6 messages one after the other.*Constraint.*--stage write"):
        pipeline.work(until_failed=False)
    pipeline.sequence()
    assert pipeline.one("SELECT count() FROM dead_letters_current") == 5


def test_one_record_that_breaks_a_stage_costs_one_record() -> None:
    message = Message("otlp_logs", uuid4(), 0, 0, 1, "broker", (), otlp.logs([otlp.movement()] * 100))

    def attempt(messages: Sequence[Message], left_out: Sequence[Failure]) -> None:
        gone = {index for failure in left_out for index in failure.record_indexes or ()}
        if messages and 77 not in gone:
            raise RuntimeError("a stage has a bug")

    (found,) = find_broken([message], attempt, lambda: "locate")
    assert (found.record_indexes, found.stage, found.reason) == ((77,), "locate", "RuntimeError: a stage has a bug")
    decoded = decode([("otlp_logs", message.value, None)])
    left = without_records(decoded, [found])
    assert left.records["record_index"].to_list() == [index for index in range(100) if index != 77]
    assert left.records["row"].to_list() == list(range(99))
    assert left.attributes.height == decoded.attributes.height * 99 // 100


def test_batches_hold_a_bounded_number_of_records_and_keep_their_order() -> None:
    values = [otlp.logs([otlp.movement()] * 40) for _ in range(5)]
    topic = uuid4()
    messages = tuple(Message("otlp_logs", topic, 0, n, 1, "broker", (), value) for n, value in enumerate(values))
    assert [[each.offset for each in part.messages] for part in split(Polled(messages), 100)] == [[0, 1], [2, 3], [4]]


def test_attempts_of_one_poll_are_about_equal_so_that_no_small_one_follows_a_full_one() -> None:
    value = otlp.logs([otlp.movement()] * 10)
    topic = uuid4()
    messages = tuple(Message("otlp_logs", topic, 0, number, 1, "broker", (), value) for number in range(60))
    sizes = [len(part.messages) for part in split(Polled(messages), 600)]
    assert sum(sizes) == 60
    assert len(sizes) == 2
    assert max(sizes) - min(sizes) <= 4


def test_a_gap_stays_in_front_of_the_message_at_which_it_ends() -> None:
    judgement = shipped_judgement()
    topic = uuid4()
    value = otlp.logs([otlp.movement()] * 40)
    tenant = ((TENANT_HEADER, b"acme"),)
    messages = tuple(Message("otlp_logs", topic, 0, offset, 1, "broker", tenant, value) for offset in (2, 3, 5, 8))
    gaps = (Gap("otlp_logs", topic, 0, 0, 2), Gap("otlp_logs", topic, 0, 4, 5, 1), Gap("otlp_logs", topic, 0, 6, 8, 2))
    whole = assess(Polled(messages, gaps), judgement, uuid4())
    told = [json.loads(each) for each in whole.entries]
    assert [(each["kind"], each["offset"], each.get("empty")) for each in told] == [
        ("gap", 0, 0), ("message", 2, None), ("message", 3, None), ("gap", 4, 1), ("message", 5, None), ("gap", 6, 2),
        ("message", 8, None),
    ]  # fmt: skip
    assert whole.advances == (Advance("otlp_logs", topic, 0, 0, 9),)
    parts = split(Polled(messages, gaps), 100)
    assert [part.gaps for part in parts] == [gaps[:1], gaps[1:]]
    spans = [assess(part, judgement, uuid4()).advances for part in parts]
    assert spans == [(Advance("otlp_logs", topic, 0, 0, 4),), (Advance("otlp_logs", topic, 0, 4, 9),)]


def test_what_breaks_a_stage_is_found_by_halving() -> None:
    def attempt(offsets: Sequence[int]) -> None:
        if {3, 6} & set(offsets):
            raise RuntimeError("a stage has a bug")

    found = isolate(range(8), attempt, lambda: "judge")
    assert [(position, stage, str(error)) for position, stage, error in found] == [
        (3, "judge", "a stage has a bug"),
        (6, "judge", "a stage has a bug"),
    ]
    assert isolate(range(3), attempt, lambda: "judge") == []
