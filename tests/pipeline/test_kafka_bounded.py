"""Polls that take a bounded amount, on real brokers: what one poll leaves, the next one takes."""

from __future__ import annotations

import time
from contextlib import closing
from uuid import uuid4

import kafka

from onshore_pipeline.kafka_batches import Ceilings
from onshore_pipeline.kafka_bounded import BoundedConsumer

_SENT = 40
_SIZE = 1_000


def test_a_topic_without_news_does_not_keep_what_was_set_aside_of_another_one(fresh_broker: str) -> None:
    busy, idle = f"busy-{uuid4().hex[:8]}", f"idle-{uuid4().hex[:8]}"
    with kafka.KafkaAdminClient(bootstrap_servers=fresh_broker) as admin:
        admin.create_topics({name: {"num_partitions": 1, "replication_factor": 1} for name in (busy, idle)})
    with kafka.KafkaProducer(bootstrap_servers=fresh_broker) as producer:
        for _ in range(_SENT):
            producer.send(busy, bytes(_SIZE))
        producer.send(idle, b"one")
        producer.flush()
    ceilings = Ceilings(poll_bytes=3 * _SIZE)
    options = {"bootstrap_servers": fresh_broker, "auto_offset_reset": "earliest", "group_id": None}
    seen = {busy: 0, idle: 0}
    until = time.monotonic() + 20
    with closing(BoundedConsumer(ceilings=ceilings, **options)) as consumer:
        consumer.assign([kafka.TopicPartition(busy, 0), kafka.TopicPartition(idle, 0)])
        while seen != {busy: _SENT, idle: 1} and time.monotonic() < until:
            for source, records in consumer.poll(timeout_ms=200).items():
                seen[source.topic] += len(records)
                assert len(records) <= 3
    assert seen == {busy: _SENT, idle: 1}
