"""What Apache Kafka refuses, hides and stamps: fenced transactions, large letters, the broker's clock."""

from __future__ import annotations

import json
import os
from contextlib import closing
from typing import TYPE_CHECKING
from uuid import uuid4

import kafka
import pytest
from kafka import TopicPartition
from kafka.errors import ProducerFencedError

from onshore_pipeline.broker import DEAD_LETTER_TOPIC, Advance, Gap, Message, Outgoing, Polled
from onshore_pipeline.kafka_broker import KafkaConsumer, KafkaEntryReader
from onshore_pipeline.kafka_producer import KafkaProducer
from onshore_pipeline.kafka_security import KafkaSettings
from onshore_pipeline.kafka_topics import check_topics, ensure_topics
from onshore_pipeline.kafka_transactions import Transactions

if TYPE_CHECKING:
    from collections.abc import Sequence


@pytest.fixture
def settings(fresh_kafka: str) -> KafkaSettings:
    """An empty cluster with our topics, a group that nobody had before."""
    own = uuid4().hex
    made = KafkaSettings(
        bootstrap_servers=(fresh_kafka,),
        group_id=own,
        transactional_id_prefix=own,
        request_timeout_s=10.0,
        commit_timeout_s=10.0,
        session_timeout_s=6.0,
        look_for_topics_s=0.2,
    )
    ensure_topics(made)
    return made


def send(settings: KafkaSettings, *values: bytes) -> None:
    with closing(KafkaProducer(settings)) as producer:
        producer.send("otlp_logs", [Outgoing(value) for value in values])


def poll(consumer: KafkaConsumer, count: int) -> Polled:
    """Polls until `count` messages are there; each poll's gap stands in front of its messages."""
    messages: list[Message] = []
    gaps: list[Gap] = []
    for _ in range(60):
        polled = consumer.poll(max_messages=count - len(messages), max_bytes=1 << 24, timeout_s=0.5)
        messages += polled.messages
        gaps += polled.gaps
        if len(messages) == count:
            return Polled(tuple(messages), tuple(gaps))
    raise AssertionError(f"{len(messages)} of {count} messages came")


def entries(messages: Sequence[Message]) -> list[bytes]:
    return [
        json.dumps({"kind": "message", "topic_id": str(each.topic_id), "partition": 0, "offset": each.offset}).encode()
        for each in messages
    ]


def advance(messages: Sequence[Message]) -> Advance:
    first, last = messages[0], messages[-1]
    return Advance(first.topic, first.topic_id, first.partition, first.offset, last.offset + 1)


def test_readers_never_see_what_a_fenced_worker_wrote(settings: KafkaSettings) -> None:
    zombie = Transactions(settings)
    with closing(KafkaEntryReader(settings)) as reader, closing(zombie):
        zombie.open()
        assert zombie._producer is not None
        zombie._producer.begin_transaction()
        zombie._producer.send("onshore_evidence_log", value=b"zombie", partition=0).get(10)
        successor = Transactions(settings)
        successor._id = zombie._id
        with closing(successor):
            successor.open()  # ends the zombie's transaction and fences it
            successor.commit([b"successor"], [], {}, None)
            with pytest.raises(ProducerFencedError):
                zombie._producer.commit_transaction()
        read = reader.read(after={}, max_entries=10, timeout_s=5)
        assert [entry.value for entry in read] == [b"successor"]


def test_the_brokers_clock_stamps_messages_and_a_topic_without_it_is_told_how(
    settings: KafkaSettings, fresh_kafka: str
) -> None:
    send(settings, b"a")
    with closing(KafkaConsumer(settings)) as consumer:
        assert poll(consumer, 1).messages[0].clock == "broker"
    assert check_topics(settings) == ()
    with kafka.KafkaAdminClient(bootstrap_servers=fresh_kafka) as admin:
        admin.delete_topics(["otlp_spans"])
        admin.create_topics(
            {
                "otlp_foreign": {
                    "num_partitions": 1,
                    "replication_factor": 1,
                    "configs": {"message.timestamp.type": "CreateTime"},
                }
            }
        )
    foreign = KafkaSettings(bootstrap_servers=settings.bootstrap_servers, topics=("otlp_foreign",))
    (complaint,) = check_topics(foreign)
    assert "otlp_foreign" in complaint
    assert "--add-config message.timestamp.type=LogAppendTime" in complaint


def test_a_dead_letter_larger_than_a_message_may_be_does_not_block_its_commit(settings: KafkaSettings) -> None:
    send(settings, b"a")
    original = os.urandom(settings.max_message_bytes - 100)
    headers = (("onshore-dead-letter-stage", b"decode"), ("onshore-dead-letter-reason", b"x" * 100_000))
    with closing(KafkaConsumer(settings)) as consumer:
        messages = poll(consumer, 1).messages
        consumer.commit(entries(messages), [advance(messages)], [Outgoing(original, headers)])
    source = TopicPartition(DEAD_LETTER_TOPIC, 0)
    with kafka.KafkaConsumer(bootstrap_servers=settings.bootstrap_servers, isolation_level="read_committed") as reader:
        reader.assign([source])
        reader.seek(source, 0)
        (letter,) = reader.poll(timeout_ms=5000)[source]
    told = dict(letter.headers)
    assert letter.value == b""
    assert told["onshore-dead-letter-stage"] == b"decode"
    assert told["onshore-dead-letter-bytes"] == str(len(original)).encode()
    assert len(told["onshore-dead-letter-reason"]) < 20_000
