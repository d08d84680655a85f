"""Restoring from Apache Kafka: kept messages come back as they were, deleted ones are called lost in the log topic."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from kafka import KafkaAdminClient, TopicPartition

import otlp_messages as otlp
from embedded_pipeline import Pipeline, running_pipeline
from onshore_pipeline import assembly
from onshore_pipeline.assess import Attempt, assess
from onshore_pipeline.broker import Outgoing, Polled
from onshore_pipeline.jobs.aggregate import attempts_behind, rebuild
from onshore_pipeline.jobs.incomplete import incomplete
from onshore_pipeline.jobs.lost import seal_lost
from onshore_pipeline.jobs.restore import Restored, Restorer
from onshore_pipeline.jobs.sweep import FACT_TABLES
from onshore_pipeline.log_check import LogBehindStore, refuse_older_log
from onshore_pipeline.registration import registration
from onshore_pipeline.sequencer import Sequencer, stands
from onshore_pipeline.settings import load_settings
from onshore_pipeline.store.writer import insert
from running_stack import wait_until

if TYPE_CHECKING:
    from pathlib import Path

_MESSAGES = 6
_SEEN = "SELECT * FROM {} ORDER BY ALL"


def _commit(pipeline: Pipeline) -> list[Attempt]:
    """Steps 1 to 5, two messages an attempt, until all messages are committed."""
    attempts: list[Attempt] = []
    with closing(assembly.consumer(pipeline.settings)) as consumer:
        while sum(len(each.entries) for each in attempts) < _MESSAGES:
            polled = consumer.poll(max_messages=2, max_bytes=1 << 20, timeout_s=1.0)
            if polled == Polled():
                continue
            attempt = assess(polled, pipeline.judgement, uuid4())
            insert(pipeline.client, "attempts", registration(attempt, "w", pipeline.judgement, datetime.now(UTC)))
            for name, table in attempt.tables.items():
                insert(pipeline.client, name, table)
            consumer.commit(attempt.entries, attempt.advances, attempt.dead_letters)
            attempts.append(attempt)
    return attempts


def _sequence(pipeline: Pipeline) -> None:
    """Step 6 until a quiet moment, and 8."""
    with closing(assembly.entry_reader(pipeline.settings)) as reader:
        sequencer = Sequencer(reader, pipeline.client)
        while sequencer.step(max_entries=1000, timeout_s=2.0).entries:
            pass
        rebuild(pipeline.client, attempts_behind(pipeline.client), sequencer.position, sequencer.log_id)


def _restore(pipeline: Pipeline) -> tuple[Restored, int]:
    with (
        closing(assembly.message_reader(pipeline.settings)) as messages,
        closing(assembly.entry_reader(pipeline.settings)) as log,
        closing(assembly.producer(pipeline.settings)) as producer,
    ):
        restorer = Restorer(pipeline.client, messages, pipeline.judgement)
        done = restorer.run()
        copied = stands(pipeline.client, log.log_id)[0]
        sealed = seal_lost(done.lost, producer, log, copied, pipeline.judgement.pipeline)
        restorer.roll_up(log.log_id)
    return done, sealed


def test_kept_messages_come_back_and_deleted_ones_are_called_lost_once(fresh_kafka: str, tmp_path: Path) -> None:
    with running_pipeline(tmp_path) as local:
        flags = {"data_dir": tmp_path, "geoip_dir": tmp_path / "none", "kafka_bootstrap_servers": fresh_kafka}
        pipeline = replace(local, settings=load_settings({**flags, "kafka_group": f"restore-{uuid4().hex}"}))
        with closing(assembly.producer(pipeline.settings)) as producer:
            values = [otlp.logs([otlp.movement()] * 3) for _ in range(_MESSAGES)]
            producer.send("otlp_logs", [Outgoing(value, key=b"one partition") for value in values])
        _commit(pipeline)
        _sequence(pipeline)
        before = {table: pipeline.rows(_SEEN.format(f"{table}_current")) for table in FACT_TABLES}
        assert len(before["events"]) == 3 * _MESSAGES

        for table in FACT_TABLES:
            pipeline.client.command(f"TRUNCATE TABLE {table}")
        done, sealed = _restore(pipeline)
        assert (done.events, done.lost, sealed) == (3 * _MESSAGES, [], 0)
        assert {table: pipeline.rows(_SEEN.format(f"{table}_current")) for table in FACT_TABLES} == before
        assert incomplete(pipeline.client) == []

        for table in FACT_TABLES:
            pipeline.client.command(f"TRUNCATE TABLE {table}")
        (partition,) = {row[0] for row in pipeline.rows("SELECT partition FROM evidence_log")}
        with closing(KafkaAdminClient(bootstrap_servers=fresh_kafka)) as admin:
            admin.delete_records({TopicPartition("otlp_logs", partition): 3})
        first, sealed = _restore(pipeline)
        assert (first.events, first.lost_messages) == (9, 3)
        again, sealed_again = _restore(pipeline)
        assert again.lost == first.lost
        assert (sealed, sealed_again) == (len(first.lost), 0)
        _sequence(pipeline)
        assert pipeline.one("SELECT sum(end_offset - offset) FROM evidence_log WHERE kind = 'lost'") == 3
        assert incomplete(pipeline.client) == []
        assert pipeline.rows("SELECT DISTINCT kafka_offset FROM events_current ORDER BY 1") == [(3,), (4,), (5,)]
        assert pipeline.one("SELECT events FROM findings WHERE control_id = 'ONS-COV-02'") == 9

        with closing(assembly.consumer(pipeline.settings)) as consumer:  # a worker goes on behind what is committed
            assert consumer.poll(max_messages=9, max_bytes=1 << 20, timeout_s=3.0) == Polled()


def test_a_log_that_ends_before_what_the_store_copied_is_refused_as_an_older_one(
    fresh_kafka: str, tmp_path: Path
) -> None:
    with running_pipeline(tmp_path) as local:
        flags = {"data_dir": tmp_path, "geoip_dir": tmp_path / "none", "kafka_bootstrap_servers": fresh_kafka}
        pipeline = replace(local, settings=load_settings({**flags, "kafka_group": f"restore-{uuid4().hex}"}))
        with closing(assembly.producer(pipeline.settings)) as producer:
            producer.send("otlp_logs", [Outgoing(otlp.logs([otlp.movement()]))] * _MESSAGES)
        _commit(pipeline)
        _sequence(pipeline)
        with closing(assembly.entry_reader(pipeline.settings)) as log:
            refuse_older_log(log, pipeline.client)
            later = "SELECT * REPLACE (log_position + 1000 AS log_position) FROM evidence_log LIMIT 1"
            pipeline.client.command(f"INSERT INTO evidence_log {later}")
            with pytest.raises(LogBehindStore, match="ends before entry"):
                refuse_older_log(log, pipeline.client)


def _without_rows(pipeline: Pipeline) -> Restored:
    for table in FACT_TABLES:
        pipeline.client.command(f"TRUNCATE TABLE {table}")
    with closing(assembly.message_reader(pipeline.settings)) as messages:
        return Restorer(pipeline.client, messages, pipeline.judgement).run()


def test_a_topic_that_the_broker_does_not_know_is_not_called_lost_and_one_made_again_is(
    fresh_kafka: str, tmp_path: Path
) -> None:
    with running_pipeline(tmp_path) as local:
        flags = {"data_dir": tmp_path, "geoip_dir": tmp_path / "none", "kafka_bootstrap_servers": fresh_kafka}
        pipeline = replace(local, settings=load_settings({**flags, "kafka_group": f"restore-{uuid4().hex}"}))
        with closing(assembly.producer(pipeline.settings)) as producer:
            producer.send("otlp_logs", [Outgoing(otlp.logs([otlp.movement()]))] * _MESSAGES)
        _commit(pipeline)
        _sequence(pipeline)
        with closing(KafkaAdminClient(bootstrap_servers=fresh_kafka)) as admin:
            admin.delete_topics(["otlp_logs"])
            wait_until(lambda: "otlp_logs" not in admin.list_topics(), "the topic is gone")
        done = _without_rows(pipeline)
        assert (done.unknown, done.lost) == ({"otlp_logs": _MESSAGES}, [])
        assembly.kafka(pipeline.settings)
        done = _without_rows(pipeline)
        assert (done.unknown, done.lost_messages) == ({}, _MESSAGES)
