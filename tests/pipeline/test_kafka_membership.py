"""A member of the group stays one, whatever the others do; on a real Apache Kafka."""

from __future__ import annotations

import threading
from contextlib import closing
from typing import TYPE_CHECKING
from uuid import uuid4

import kafka as library

from onshore_pipeline.broker import Outgoing
from onshore_pipeline.kafka_broker import KafkaConsumer
from onshore_pipeline.kafka_entries import reading_options
from onshore_pipeline.kafka_membership import member_options
from onshore_pipeline.kafka_producer import KafkaProducer
from onshore_pipeline.kafka_security import KafkaSettings
from onshore_pipeline.kafka_topics import ensure_topics
from running_stack import wait_until

if TYPE_CHECKING:
    from onshore_pipeline.broker import Message


def settings(bootstrap: str, *topics: str, group: str) -> KafkaSettings:
    return KafkaSettings(
        (bootstrap,),
        topics=topics,
        group_id=group,
        transactional_id_prefix=group,
        request_timeout_s=10.0,
        session_timeout_s=6.0,
        look_for_topics_s=0.1,
    )


def test_joining_anew_for_longer_than_one_poll_ends_well(fresh_kafka: str) -> None:
    group = uuid4().hex[:8]
    ours = settings(fresh_kafka, "otlp_logs", "otlp_spans", group=group)
    ensure_topics(settings(fresh_kafka, "otlp_logs", group=group), partitions=2)
    options = reading_options(ours) | member_options(ours) | {"auto_offset_reset": "latest"}
    other = library.KafkaConsumer(**options)
    other.subscribe(["otlp_logs"])
    is_over = threading.Event()

    def polls() -> None:
        while not is_over.is_set():
            other.poll(timeout_ms=100)

    with closing(KafkaConsumer(ours)) as consumer, closing(KafkaProducer(ours)) as producer:
        came: list[Message] = []

        def poll() -> bool:
            came.extend(consumer.poll(max_messages=10, max_bytes=1 << 20, timeout_s=0.2).messages)
            return bool(came)

        def both_are_members() -> bool:
            poll()
            other.poll(timeout_ms=100)
            return len(other.assignment()) == 1

        wait_until(both_are_members, "the partitions are shared")
        ensure_topics(ours)
        producer.send("otlp_spans", [Outgoing(b"of the new topic")])
        for _ in range(10):
            poll()  # joins anew, for the new topic, and waits for the other, which is silent
        assert not came
        goes_on = threading.Thread(target=polls)
        goes_on.start()
        try:
            wait_until(poll, "the new topic is read", 20)
        finally:
            is_over.set()
            goes_on.join(20)
            other.close(autocommit=False)
    assert [message.value for message in came] == [b"of the new topic"]
