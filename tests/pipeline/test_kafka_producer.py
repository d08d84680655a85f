"""A producer outlives whatever becomes of the broker; with a real Apache Kafka."""

from __future__ import annotations

import gc
import logging
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from apache_kafka import KafkaUnavailable, running_kafka
from broker_contents import kafka_contents
from onshore_pipeline.broker import Outgoing
from onshore_pipeline.errors import BrokerUnavailable
from onshore_pipeline.kafka_producer import KafkaProducer
from onshore_pipeline.kafka_security import KafkaSettings
from onshore_pipeline.kafka_topics import ensure_topics
from running_stack import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from apache_kafka import KafkaCluster


@pytest.fixture
def cluster(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[KafkaCluster]:
    caplog.set_level(logging.CRITICAL, logger="kafka")  # its records would keep refused sockets alive
    try:
        with running_kafka(tmp_path / "kafka") as cluster:
            yield cluster
    except KafkaUnavailable as missing:
        pytest.skip(str(missing))
    gc.collect()


def fails(producer: KafkaProducer, value: bytes) -> None:
    with pytest.raises(BrokerUnavailable):
        producer.send("otlp_logs", [Outgoing(value)])


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_a_producer_sends_again_after_a_broker_died_with_a_message_under_way_and_stayed_away(
    cluster: KafkaCluster,
) -> None:
    kafka = KafkaSettings((cluster.bootstrap,), topics=("otlp_logs",), request_timeout_s=2.0)
    ensure_topics(kafka)
    threads = threading.active_count()
    with closing(KafkaProducer(kafka)) as producer:
        producer.send("otlp_logs", [Outgoing(b"before")])
        (broker,) = cluster.brokers
        broker.pause()  # takes the next message and does not answer
        sending = threading.Thread(target=fails, args=(producer, b"under way"))
        sending.start()
        sending.join(0.5)
        broker.kill()
        sending.join(30)
        assert not sending.is_alive()
        fails(producer, b"nobody there")
        cluster.start()

        def is_sent() -> bool:
            try:
                producer.send("otlp_logs", [Outgoing(b"after")])
            except BrokerUnavailable:
                return False
            return True

        wait_until(is_sent, "the producer sends again", 20)
        wait_until(lambda: threading.active_count() <= threads + 1, "the producers that failed have ended", 20)
    sent = [value for kept in kafka_contents(kafka).messages.values() for value in kept.values()]
    assert sent in ([b"before", b"after"], [b"before", b"under way", b"after"])
