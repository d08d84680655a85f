"""A worker whose store hangs, refuses, or does what nobody can tell: it waits, says so, and goes on by itself."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

import otlp_messages as otlp
from embedded_pipeline import Pipeline, running_pipeline
from losing_proxy import LosingProxy
from onshore_pipeline import assembly
from onshore_pipeline.batches import BatchLimits
from onshore_pipeline.broker import Outgoing
from onshore_pipeline.errors import BrokerUnavailable, CommitFenced, StoreUnavailable
from onshore_pipeline.waits import Waits
from onshore_pipeline.worker import Worker
from onshore_pipeline.worker_status import StatusFile
from running_stack import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.broker import Consumer


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    with running_pipeline(tmp_path) as running:
        try:
            yield running
        finally:
            if running.store.is_running():
                running.store.resume()


class Running:
    """A worker on a thread, watched through its status file."""

    def __init__(self, pipeline: Pipeline, client: Client | None = None, consumer: Consumer | None = None) -> None:
        self.status_file = pipeline.settings.data_dir / "worker.json"
        self.consumer = _Counting(consumer or assembly.consumer(pipeline.settings))
        limits = BatchLimits(10, 64 << 20, assess_at_once=1, poll_timeout_s=0.05)
        self.worker = Worker(
            self.consumer, client or pipeline.client, pipeline.judgement, limits, status=StatusFile(self.status_file)
        )
        self.stop = threading.Event()
        self.answered: list[bool] = []
        self._thread = threading.Thread(target=lambda: self.answered.append(self.worker.run(self.stop)))
        self._thread.start()

    def status(self) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self.status_file.read_text()) if self.status_file.exists() else {}
        return said

    def end(self, within_s: float = 10) -> None:
        self.stop.set()
        self._thread.join(within_s)
        assert not self._thread.is_alive()


class _Counting:
    """The real consumer; counts what was handed out and how often it was held."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self.handed_out = self.held = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._consumer, name)

    def poll(self, **bounds: Any) -> Any:
        polled = self._consumer.poll(**bounds)
        self.handed_out += len(polled.messages)
        return polled

    def hold(self, timeout_s: float) -> None:
        self.held += 1
        self._consumer.hold(timeout_s)


@contextmanager
def running(pipeline: Pipeline, client: Client | None = None, consumer: Consumer | None = None) -> Iterator[Running]:
    worker = Running(pipeline, client, consumer)
    try:
        yield worker
    finally:
        worker.stop.set()


def all_is_there_once(pipeline: Pipeline, events: int, messages: int) -> None:
    pipeline.sequence()
    assert pipeline.one("SELECT count() FROM evidence_log") == messages
    assert pipeline.one("SELECT count() FROM events_current") == events
    assert pipeline.one("SELECT uniqExact(event_id) FROM events_current") == events


def test_while_the_store_hangs_the_worker_takes_a_bounded_number_of_messages_and_says_since_when(
    pipeline: Pipeline,
) -> None:
    pipeline.store.suspend()
    began = datetime.now(UTC)
    pipeline.send("otlp_logs", [otlp.logs([otlp.movement()] * 3) for _ in range(100)])
    with running(pipeline) as work:
        wait_until(lambda: work.status().get("state") == "waiting", "the worker says that it waits")
        said = work.status()
        assert (said["waits_for"], said["waits_because"]) == ("store", "an insert has no answer yet")
        assert began <= datetime.fromisoformat(said["waits_since"]) <= datetime.now(UTC)
        assert work.consumer.handed_out <= 30, "two attempts of ten, and ten that wait"
        held = work.consumer.held
        wait_until(lambda: work.consumer.held > held + 2, "the partitions are held again and again")
        assert work.worker.progress.messages == 0
        pipeline.store.resume()
        wait_until(lambda: work.worker.progress.messages == 100, "everything is committed")
        assert work.worker.progress.failed_attempts == 0, "a store that only paused costs no attempt"
        wait_until(lambda: work.status().get("state") == "working", "the worker says that it works")
        work.end()
        assert work.answered == [True]
    all_is_there_once(pipeline, 300, 100)


def test_on_kafka_a_store_that_hangs_for_longer_than_the_poll_interval_costs_no_partition(
    pipeline: Pipeline, fresh_tansu: str
) -> None:
    from onshore_pipeline.kafka_broker import KafkaConsumer, KafkaSettings
    from onshore_pipeline.kafka_topics import ensure_topics
    from onshore_pipeline.producers import open_producer

    settings = KafkaSettings((fresh_tansu,), session_timeout_s=1.0, max_poll_interval_s=2.0, look_for_topics_s=0.2)
    ensure_topics(settings)
    with closing(open_producer(kafka=settings, now_ns=time.time_ns)) as producer:
        producer.send("otlp_logs", [Outgoing(otlp.logs([otlp.movement()])) for _ in range(30)])
    pipeline.store.suspend()
    with closing(KafkaConsumer(settings)) as consumer, running(pipeline, consumer=consumer) as work:
        wait_until(lambda: work.consumer.held, "the worker has messages and waits for the store")
        began = time.monotonic()
        wait_until(lambda: time.monotonic() - began > 3 * settings.max_poll_interval_s, "it waits for long")
        assert work.worker.progress.messages == 0
        pipeline.store.resume()
        wait_until(lambda: work.worker.progress.messages == 30, "everything is committed")
        assert work.worker.progress.failed_attempts == 0, "nobody took the partitions away"
        work.end()


def test_a_worker_whose_store_hangs_ends_in_time_when_asked_and_leaves_nothing_half_done(pipeline: Pipeline) -> None:
    pipeline.store.suspend()
    pipeline.send("otlp_logs", [otlp.logs([otlp.movement()])])
    with running(pipeline) as work:
        wait_until(lambda: work.consumer.held, "it waits for an answer")
        work.end(within_s=5)
        assert work.answered == [False], "an insert is still out there, and whoever runs the worker must know"
    pipeline.store.resume()
    pipeline.work()
    all_is_there_once(pipeline, 1, 1)


@pytest.mark.parametrize("table", ["attempts", "events", "violations"])
def test_an_insert_whose_outcome_nobody_knows_is_never_committed(pipeline: Pipeline, table: str) -> None:
    """The rows are stored and the answer is lost: the attempt stays unseen and is made again under another id."""
    proxy = LosingProxy(("127.0.0.1", int(pipeline.url.rpartition(":")[2])))
    client = assembly.store_client(pipeline.settings, f"http://127.0.0.1:{proxy.port}")
    pipeline.send("otlp_logs", [otlp.logs([otlp.movement()])])
    try:
        with running(pipeline, client) as work:
            wait_until(lambda: work.worker.progress.messages == 1, "the way is clear")
            proxy.lose("reset", to=b"INTO+" + table.encode())
            pipeline.send("otlp_logs", [otlp.logs([otlp.movement()] * 2)])
            wait_until(lambda: work.worker.progress.failed_attempts, "an attempt is given up")
            assert (proxy.lost, work.worker.progress.messages) == (1, 1)
            proxy.lose(None)
            wait_until(lambda: work.worker.progress.messages == 2, "it is committed")
            work.end()
    finally:
        client.close()
        proxy.close()
    assert pipeline.one(f"SELECT uniqExact(attempt_id) FROM {table}") == 3, "the lost one was stored"
    all_is_there_once(pipeline, 3, 2)


def test_a_store_that_is_gone_is_waited_for_and_computed_for_only_once_it_is_back(pipeline: Pipeline) -> None:
    again = pipeline.store.cmdline()
    again[again.index("--port") + 1] = pipeline.url.rpartition(":")[2]
    with running(pipeline) as work:
        pipeline.store.kill()
        pipeline.send("otlp_logs", [otlp.logs([otlp.movement()]) for _ in range(5)])
        wait_until(lambda: work.status().get("state") == "waiting", "the worker says that it waits")
        failed, handed_out, held = work.worker.progress.failed_attempts, work.consumer.handed_out, work.consumer.held
        wait_until(lambda: work.consumer.held > held + 8, "it goes on waiting")
        assert (work.worker.progress.failed_attempts, work.consumer.handed_out) == (failed, handed_out)
        with subprocess.Popen(again, stdin=subprocess.PIPE) as store:
            wait_until(lambda: work.worker.progress.messages == 5, "everything is committed")
            work.end()
            all_is_there_once(pipeline, 5, 5)
            store.kill()


def test_a_spell_keeps_its_beginning_and_pauses_grow_up_to_ten_seconds() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    waits = Waits(lambda: now)
    assert waits.state() == {"state": "working"}
    waits.begin_after(StoreUnavailable("connection refused"))
    began, now = now, now + timedelta(minutes=3)
    waits.begin_after(StoreUnavailable("time out"))
    assert waits.state() == {
        "state": "waiting",
        "waits_for": "store",
        "waits_because": "time out",
        "waits_since": began.isoformat(),
    }
    assert [waits.next_pause_s() for _ in range(8)] == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]
    waits.begin_after(BrokerUnavailable("no leader"))
    assert (waits.state()["waits_for"], waits.state()["waits_since"]) == ("broker", now.isoformat())
    waits.end()
    waits.begin_after(CommitFenced("another member"))
    assert waits.is_for("broker")
    assert waits.next_pause_s() == 0.2


def test_silence_becomes_a_spell_after_five_seconds_and_counts_from_its_beginning() -> None:
    now = began = datetime(2026, 1, 1, tzinfo=UTC)
    waits = Waits(lambda: now)
    waits.for_answer("store", "no answer")
    now += timedelta(seconds=4)
    waits.for_answer("store", "no answer")
    assert waits.current is None, "a large insert takes a moment"
    now += timedelta(seconds=1)
    waits.for_answer("store", "no answer")
    assert waits.state()["waits_since"] == began.isoformat()
