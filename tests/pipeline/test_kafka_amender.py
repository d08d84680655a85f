"""Amending on Kafka while a worker's transaction is open in front of what an earlier amender committed."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillWaiting
from contextlib import closing
from uuid import uuid4

import pytest
from kafka import KafkaProducer

from onshore_pipeline.broker import EVIDENCE_LOG_TOPIC
from onshore_pipeline.errors import BrokerUnavailable, CommitFenced
from onshore_pipeline.kafka_amender import KafkaAmender
from onshore_pipeline.kafka_security import KafkaSettings
from onshore_pipeline.kafka_topics import ensure_topics

ONE = b'{"dead_letter":"one","kind":"amends"}'


@pytest.fixture
def settings(fresh_kafka: str) -> KafkaSettings:
    own = uuid4().hex
    made = KafkaSettings((fresh_kafka,), group_id=own, transactional_id_prefix=own, request_timeout_s=8.0)
    ensure_topics(made)
    return made


def test_what_was_amended_behind_an_open_transaction_is_seen_before_anything_else_is_amended(
    settings: KafkaSettings,
) -> None:
    worker = KafkaProducer(bootstrap_servers=settings.servers, transactional_id=uuid4().hex, acks="all")
    worker.init_transactions()
    with closing(KafkaAmender(settings)) as older, closing(KafkaAmender(settings)) as newer:
        older.begin({})
        worker.begin_transaction()
        worker.send(EVIDENCE_LOG_TOPIC, value=b'{"kind":"message"}', partition=0).get(10)
        older.commit([ONE])
        with ThreadPoolExecutor(1) as threads:
            begun = threads.submit(newer.begin, {})
            with pytest.raises(StillWaiting):
                begun.result(2)
            worker.abort_transaction()
            assert [entry.value for entry in begun.result(20)] == [ONE]
        with pytest.raises(CommitFenced):
            older.commit([ONE])
    worker.close()


def test_one_that_cannot_read_to_the_end_in_time_amends_nothing(settings: KafkaSettings) -> None:
    worker = KafkaProducer(bootstrap_servers=settings.servers, transactional_id=uuid4().hex, acks="all")
    worker.init_transactions()
    worker.begin_transaction()
    worker.send(EVIDENCE_LOG_TOPIC, value=b'{"kind":"message"}', partition=0).get(10)
    with closing(KafkaAmender(settings)) as amender:
        with pytest.raises(BrokerUnavailable, match="does not read to its end"):
            amender.begin({})
        with pytest.raises(CommitFenced):
            amender.commit([ONE])
        threading.Thread(target=worker.abort_transaction).start()
        assert amender.begin({}) == ()
        amender.commit([ONE])
    worker.close()
