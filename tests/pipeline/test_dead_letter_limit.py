"""A worker stops, and says so, before a fault on our side turns everything into dead letters."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

import otlp_messages as otlp
from embedded_pipeline import Pipeline, running_pipeline
from onshore_pipeline import assembly, dead_letter_history
from onshore_pipeline.assess import Attempt
from onshore_pipeline.batches import BatchLimits
from onshore_pipeline.broker import Outgoing
from onshore_pipeline.dead_letter_limit import DeadLetterLimit, DeadLetterWatch, Outcome, outcome_of
from onshore_pipeline.domain import unreadable
from onshore_pipeline.errors import TooManyDeadLetters
from onshore_pipeline.settings import load_settings
from onshore_pipeline.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BROKEN = b"\x0anothing that is OTLP"


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    with running_pipeline(tmp_path) as running:
        yield running


def attempt(good: int, broken: int = 0, *, halved: int = 0, records: int = 10) -> Attempt:
    """An attempt at messages of `records` each: good ones, ones nobody can read, ones of which a half is left."""
    counts = [(records, 0)] * good + [(0, 1)] * broken + [(records // 2, records - records // 2)] * halved
    entries = [json.dumps({"events": events, "dead_lettered": dead}).encode() for events, dead in counts]
    letter = Outgoing(b"", (("onshore-dead-letter-reason", b"no protobuf"),))
    events, dead = sum(each for each, _ in counts), sum(each for _, each in counts)
    return Attempt(uuid4(), {}, tuple(entries), (), (letter,) * (broken + halved), events + dead, events, dead)


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def watching(seen: tuple[Outcome, ...] = (), clock: Clock | None = None) -> DeadLetterWatch:
    limit = DeadLetterLimit(max_share=0.1, max_per_minute=40, floor_messages=5, window_messages=100)
    return DeadLetterWatch(limit, seen, clock or Clock())


def test_a_few_bad_messages_on_a_quiet_day_stop_nobody() -> None:
    watch = watching()
    for _ in range(4):
        watch.add(watch.checked(attempt(0, broken=1)))


def test_the_share_of_messages_that_nobody_can_read_stops() -> None:
    watch = watching()
    watch.add(watch.checked(attempt(91, broken=9)))
    with pytest.raises(TooManyDeadLetters, match=r"15 of the newest 115 messages could not be used at all.*0\.1 of"):
        watch.checked(attempt(9, broken=6))
    watch.checked(attempt(9, broken=1))


def test_the_share_of_records_stops_where_every_message_is_still_of_use() -> None:
    with pytest.raises(TooManyDeadLetters, match=r"50 of the newest 200 records could not be used, more than 0\.1"):
        watching().checked(attempt(10, halved=10))


def test_what_was_committed_before_counts_and_is_forgotten_with_the_window() -> None:
    watch = watching()
    watch.add(watch.checked(attempt(91, broken=9)))
    watch.add(watch.checked(attempt(100)))
    watch.checked(attempt(95, broken=5))
    with pytest.raises(TooManyDeadLetters):
        watching((Outcome(990, 100, 910, 9, 9, 9),)).checked(attempt(0, broken=2))


def test_the_rate_stops_whatever_the_share_and_only_within_a_minute() -> None:
    clock = Clock()
    watch = watching(clock=clock)
    watch.add(watch.checked(attempt(1000, broken=40)))
    with pytest.raises(TooManyDeadLetters, match="41 messages within a minute had dead letters, more than 40"):
        watch.checked(attempt(1000, broken=1))
    clock.now_s += 61
    watch.checked(attempt(1000, broken=1))


def test_the_share_forgets_after_an_hour() -> None:
    clock = Clock()
    watch = watching(clock=clock)
    watch.add(watch.checked(attempt(91, broken=9)))
    clock.now_s += 3601
    watch.checked(attempt(0, broken=4))


def test_an_attempt_without_dead_letters_is_never_refused() -> None:
    watching((Outcome(999, 10, 10, 10, 10, 10),)).checked(attempt(1))


def test_the_refusal_names_reason_and_remedy_in_one_line() -> None:
    with pytest.raises(TooManyDeadLetters) as refused:
        watching().checked(attempt(0, broken=7))
    text = str(refused.value)
    assert "7 more records" in text
    assert "no protobuf" in text
    assert "ONSHORE_MAX_DEAD_LETTER_SHARE" in text
    assert "\n" not in text


def work(pipeline: Pipeline, watch: DeadLetterWatch) -> None:
    consumer = assembly.consumer(pipeline.settings)
    limits = BatchLimits(50, 64 << 20, assess_at_once=1, poll_timeout_s=0.05)
    try:
        Worker(consumer, pipeline.client, pipeline.judgement, limits, dead_letters=watch).run(threading.Event())
    finally:
        consumer.close()


def test_a_worker_beyond_the_limit_commits_nothing_of_the_attempt_and_every_message_waits(pipeline: Pipeline) -> None:
    pipeline.send("otlp_logs", [otlp.logs([otlp.movement()])] * 50 + [BROKEN] * 60)
    with pytest.raises(TooManyDeadLetters):
        work(pipeline, dead_letter_history.watch(pipeline.client, pipeline.settings))
    pipeline.sequence()
    assert pipeline.one("SELECT count() FROM evidence_log") == 50
    assert pipeline.one("SELECT count() FROM dead_letters_current") == 0
    with pytest.raises(TooManyDeadLetters):
        work(pipeline, dead_letter_history.watch(pipeline.client, pipeline.settings))
    assert pipeline.one("SELECT count() FROM dead_letters_current") == 0
    lag = {each.topic: each for each in assembly.consumer(pipeline.settings).lag()}["otlp_logs"]
    assert (lag.next_offset, lag.end_offset) == (50, 110)


def test_a_worker_that_starts_counts_what_became_dead_letters_before_it(pipeline: Pipeline) -> None:
    raised = load_settings({"data_dir": pipeline.settings.data_dir, "max_dead_letter_share": 1.0})
    pipeline.send("otlp_logs", [BROKEN] * 50 + [otlp.logs([otlp.movement()])])
    stop = threading.Event()
    watch = dead_letter_history.watch(pipeline.client, raised)
    consumer = assembly.consumer(pipeline.settings)
    worker = Worker(consumer, pipeline.client, pipeline.judgement, BatchLimits(50, 1 << 20), dead_letters=watch)
    runner = threading.Thread(target=worker.run, args=(stop,))
    runner.start()
    while worker.progress.messages < 51:
        stop.wait(0.02)
    stop.set()
    runner.join()
    consumer.close()
    pipeline.sequence()
    assert pipeline.one("SELECT sum(dead_lettered) FROM evidence_log") == 50
    pipeline.send("otlp_logs", [BROKEN])
    with pytest.raises(TooManyDeadLetters, match="51 of the newest 52 "):
        work(pipeline, dead_letter_history.watch(pipeline.client, pipeline.settings))


def unread(count: int) -> bytes:
    """A message as a reader of files sends it: `count` stretches that are no record, and a record."""
    told: dict[str, str | int] = {unreadable.REASON: "is not JSON", unreadable.FILE: "/logs/a.json", unreadable.LINE: 3}
    return otlp.logs([told] * count + [otlp.movement()])


def test_what_a_reader_of_files_could_not_read_stops_nobody_and_is_kept(pipeline: Pipeline) -> None:
    pipeline.send("otlp_logs", [unread(3)] * 60)
    watch = dead_letter_history.watch(pipeline.client, pipeline.settings)
    stop, consumer = threading.Event(), assembly.consumer(pipeline.settings)
    limits = BatchLimits(50, 64 << 20, assess_at_once=1, poll_timeout_s=0.05)
    worker = Worker(consumer, pipeline.client, pipeline.judgement, limits, dead_letters=watch)
    runner = threading.Thread(target=worker.run, args=(stop,))
    runner.start()
    while worker.progress.messages < 60 and runner.is_alive():
        stop.wait(0.02)
    stop.set()
    runner.join()
    consumer.close()
    pipeline.sequence()
    letters = "SELECT stage, reason, count() FROM dead_letters_current GROUP BY stage, reason"
    assert pipeline.rows(letters) == [("collect", "/logs/a.json, line 3: is not JSON", 180)]
    assert pipeline.one("SELECT sum(dead_lettered) FROM evidence_log") == 180
    assert pipeline.one("SELECT count() FROM events_current") == 60


def test_beside_it_what_we_cannot_read_is_counted_by_itself(pipeline: Pipeline) -> None:
    consumer = assembly.consumer(pipeline.settings)
    pipeline.send("otlp_logs", [unread(3), BROKEN, otlp.logs([otlp.movement()] * 2), unread(1)])
    attempted = pipeline.attempt(consumer)
    consumer.close()
    outcome = outcome_of(attempted, 5.0)
    assert attempted.dead_lettered == 5
    assert outcome == Outcome(5.0, 4, attempted.records, dead_records=1, dead_messages=1, unusable_messages=1)
