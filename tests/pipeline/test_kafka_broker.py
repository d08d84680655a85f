"""Kafka beyond the contract: settings, topics, where a group begins, transactions left open, a broker that dies."""

from __future__ import annotations

import gc
import json
import logging
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

import pytest

from onshore_pipeline.broker import Advance, Gap, Message, Outgoing, Polled
from onshore_pipeline.errors import BrokerUnavailable, CommitFenced, SettingsError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Sequence

    from onshore_pipeline.broker import Consumer
    from onshore_pipeline.kafka_security import KafkaSettings


def settings(address: str, **changes: object) -> KafkaSettings:
    from onshore_pipeline.kafka_security import KafkaSettings

    chosen: dict[str, Any] = {
        "bootstrap_servers": (address,),
        "topics": ("otlp_logs",),
        "request_timeout_s": 5.0,
        "commit_timeout_s": 10.0,
        "session_timeout_s": 1.0,
        "max_poll_interval_s": 2.0,
        "look_for_topics_s": 0.1,
    }
    return KafkaSettings(**(chosen | changes))


def send(settings: KafkaSettings, *values: bytes, topic: str = "otlp_logs") -> None:
    from onshore_pipeline.producers import open_producer

    with closing(open_producer(kafka=settings, now_ns=time.time_ns)) as producer:
        producer.send(topic, [Outgoing(value) for value in values])


def poll(consumer: Consumer, expect: int) -> Polled:
    messages: list[Message] = []
    gaps: list[Gap] = []
    deadline = time.monotonic() + 30
    while len(messages) < expect and time.monotonic() < deadline:
        polled = consumer.poll(max_messages=100, max_bytes=1 << 20, timeout_s=0.5)
        messages += polled.messages
        gaps += polled.gaps
    return Polled(tuple(messages), tuple(gaps))


def values(messages: Sequence[Message]) -> list[bytes]:
    return [message.value for message in messages]


def advance(messages: Sequence[Message]) -> Advance:
    first, last = messages[0], messages[-1]
    return Advance(first.topic, first.topic_id, first.partition, first.offset, last.offset + 1)


def entries(messages: Sequence[Message]) -> list[bytes]:
    """Entries with the members that say what they stand for."""
    return [
        json.dumps(
            {
                "kind": "message",
                "topic_id": str(message.topic_id),
                "partition": message.partition,
                "offset": message.offset,
            }
        ).encode()
        for message in messages
    ]


def test_a_password_never_shows() -> None:
    secret = settings(
        "k:9093",
        security_protocol="SASL_SSL",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_username="onshore",
        sasl_password="hunter2",
    )
    assert "hunter2" not in repr(secret)
    assert "hunter2" not in str(secret)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"bootstrap_servers": ()}, "kafka_bootstrap_servers"),
        ({"security_protocol": "TLS"}, "kafka_security_protocol"),
        ({"security_protocol": "SASL_SSL"}, "kafka_sasl_mechanism"),
        ({"security_protocol": "SASL_SSL", "sasl_mechanism": "PLAIN"}, "kafka_sasl_username"),
        (
            {"security_protocol": "SASL_SSL", "sasl_mechanism": "PLAIN", "sasl_username": "u"},
            "kafka_sasl_password_file",
        ),
        ({"sasl_username": "u"}, "kafka_security_protocol"),
        ({"ca_file": "ca.pem"}, "kafka_ca_file"),
        ({"compression": "gzip"}, "kafka_compression"),
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(changes: dict[str, object], name: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        settings("k:9092", **changes)
    assert refusal.value.name == name


def test_missing_topics_are_made_for_evidence_and_others_are_left_alone(fresh_broker: str) -> None:
    from onshore_pipeline.kafka_topics import admin_client, check_topics, describe_topics, ensure_topics

    kafka = settings(fresh_broker)
    with admin_client(kafka) as admin:
        senders_clock = {"message.timestamp.type": "CreateTime"}
        admin.create_topics({"otlp_logs": {"num_partitions": 3, "replication_factor": 1, "configs": senders_clock}})
        admin.wait_for_topics(["otlp_logs"], timeout_ms=5000)
        assert [complaint.split()[1] for complaint in check_topics(kafka)] == [
            "onshore_evidence_log",
            "onshore_dead_letters",
            "onshore_stores",
            "onshore_actions",
            "onshore_findings",
            "otlp_logs",
        ]
        made = ("onshore_evidence_log", "onshore_dead_letters", "onshore_stores", "onshore_actions", "onshore_findings")
        assert ensure_topics(kafka) == made
        assert ensure_topics(kafka) == ()
        (complaint,) = check_topics(kafka)
        assert "--entity-name otlp_logs --add-config message.timestamp.type=LogAppendTime" in complaint
        described = describe_topics(kafka, admin, ["otlp_logs", "onshore_evidence_log", "nowhere"])
        assert {name: topic.partitions for name, topic in described.items()} == {
            "otlp_logs": 3,
            "onshore_evidence_log": 1,
        }
        assert str(described["otlp_logs"].topic_id) == admin.describe_topics(["otlp_logs"])[0]["topic_id"]


def test_a_broker_without_topic_ids_gives_one_that_is_derived() -> None:
    from onshore_pipeline.kafka_topics import _topic_id

    class OldBroker:
        def describe_cluster(self) -> dict[str, str]:
            return {"cluster_id": "c1"}

    derived = _topic_id(OldBroker(), {"name": "otlp_logs", "topic_id": None})
    assert derived == uuid5(NAMESPACE_URL, "kafka:c1/otlp_logs")


def test_a_group_without_positions_begins_where_the_evidence_log_ends(fresh_broker: str) -> None:
    from onshore_pipeline.kafka_broker import KafkaConsumer
    from onshore_pipeline.kafka_topics import ensure_topics, group_lag

    kafka = settings(fresh_broker)
    ensure_topics(kafka)
    send(kafka, b"a", b"b", b"c")
    with closing(KafkaConsumer(kafka)) as consumer:
        messages = poll(consumer, 3).messages[:2]
        consumer.commit(entries(messages), [advance(messages)])
    with closing(KafkaConsumer(settings(fresh_broker, group_id="another"))) as consumer:
        rest = poll(consumer, 1).messages
        assert values(rest) == [b"c"]
        consumer.commit(entries(rest), [advance(rest)])
    lags = {name: group_lag(settings(fresh_broker, group_id=name))[0] for name in ("onshore", "another", "none")}
    assert {name: lag.next_offset for name, lag in lags.items()} == {"onshore": 2, "another": 3, "none": 0}


def test_a_foreign_entry_in_the_log_stops_a_group_without_positions(fresh_broker: str) -> None:
    from onshore_pipeline.kafka_broker import KafkaConsumer
    from onshore_pipeline.kafka_topics import ensure_topics

    kafka = settings(fresh_broker)
    ensure_topics(kafka)
    send(kafka, b"a")
    send(kafka, b"not an entry", topic="onshore_evidence_log")
    with closing(KafkaConsumer(kafka)) as consumer, pytest.raises(BrokerUnavailable, match="not an entry of ours"):
        poll(consumer, 1)


def test_markers_of_a_senders_transactions_are_empty_gaps_in_front_of_the_next_message(fresh_broker: str) -> None:
    import kafka as library

    from onshore_pipeline.kafka_broker import KafkaConsumer
    from onshore_pipeline.kafka_topics import ensure_topics

    kafka = settings(fresh_broker)
    ensure_topics(kafka)
    foreign = library.KafkaProducer(bootstrap_servers=fresh_broker, transactional_id="foreign")
    foreign.init_transactions()
    for value in (b"a", b"b"):  # each transaction leaves a marker behind its message
        foreign.begin_transaction()
        foreign.send("otlp_logs", value=value)
        foreign.commit_transaction()
    foreign.close()
    with closing(KafkaConsumer(kafka)) as consumer:
        polled = poll(consumer, 2)
        topic_id = polled.messages[0].topic_id
        assert (values(polled.messages), polled.gaps) == ([b"a", b"b"], (Gap("otlp_logs", topic_id, 0, 1, 2, empty=1),))
        consumer.commit(entries(polled.messages), [Advance("otlp_logs", topic_id, 0, 0, 3)])


def test_a_topic_that_appears_later_is_read(fresh_broker: str) -> None:
    from onshore_pipeline.kafka_broker import KafkaConsumer
    from onshore_pipeline.kafka_topics import admin_client, ensure_topics

    ensure_topics(settings(fresh_broker, topics=()))
    kafka = settings(fresh_broker, topics=("otlp_logs", "otlp_spans"))
    with closing(KafkaConsumer(kafka)) as consumer, admin_client(kafka) as admin:
        assert consumer.poll(max_messages=1, max_bytes=1, timeout_s=0.2) == Polled()
        made = {name for name in admin.list_topics() if not name.startswith("__")}
        assert made == {
            "onshore_evidence_log",
            "onshore_dead_letters",
            "onshore_stores",
            "onshore_actions",
            "onshore_findings",
        }  # reading makes none
        ensure_topics(settings(fresh_broker, topics=("otlp_spans",)))
        send(kafka, b"s", topic="otlp_spans")
        assert values(poll(consumer, 1).messages) == [b"s"]


def test_readers_see_an_entry_only_once_its_transaction_is_committed(fresh_broker: str) -> None:
    import kafka as library

    from onshore_pipeline.kafka_broker import KafkaEntryReader
    from onshore_pipeline.kafka_topics import ensure_topics

    kafka = settings(fresh_broker)
    ensure_topics(kafka)
    writer = library.KafkaProducer(bootstrap_servers=fresh_broker, transactional_id="writer")
    writer.init_transactions()
    writer.begin_transaction()
    writer.send("onshore_evidence_log", value=b"{}").get(5)
    with closing(KafkaEntryReader(kafka)) as reader:
        assert reader.read(after={}, max_entries=10, timeout_s=0.5) == ()
        writer.commit_transaction()
        assert [entry.value for entry in reader.read(after={}, max_entries=10, timeout_s=5)] == [b"{}"]
    writer.close()


def test_a_restarted_worker_of_the_same_name_fences_its_predecessor(fresh_broker: str) -> None:
    from onshore_pipeline.kafka_topics import ensure_topics
    from onshore_pipeline.kafka_transactions import Transactions

    kafka = settings(fresh_broker, member="worker-1")
    ensure_topics(kafka)
    with closing(Transactions(kafka)) as zombie, closing(Transactions(kafka)) as successor:
        zombie.open()
        successor.open()
        with pytest.raises(CommitFenced):
            zombie.commit([b"{}"], [], {}, None)
        successor.commit([b"{}"], [], {}, None)


@pytest.fixture
def refused_connections(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """kafka-python leaves the sockets of refused connections to the garbage collector, which says so.

    Its log records would keep them alive.
    """
    caplog.set_level(logging.CRITICAL, logger="kafka")
    yield
    gc.collect()


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
@pytest.mark.usefixtures("refused_connections")
def test_no_broker_is_reported_with_its_address_and_leaves_no_thread() -> None:
    from onshore_pipeline.kafka_broker import KafkaConsumer

    threads = threading.active_count()
    kafka = settings("127.0.0.1:1", request_timeout_s=1.0)
    with pytest.raises(BrokerUnavailable, match=r"Kafka at 127\.0\.0\.1:1: cannot connect"):
        send(kafka, b"a")
    with pytest.raises(BrokerUnavailable, match=r"Kafka at 127\.0\.0\.1:1: cannot connect"):
        KafkaConsumer(kafka)
    assert threading.active_count() == threads


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
@pytest.mark.usefixtures("refused_connections")
def test_a_broker_that_dies_leaves_nobody_waiting(mortal_tansu: tuple[str, subprocess.Popen[str]]) -> None:
    from onshore_pipeline.kafka_broker import KafkaConsumer
    from onshore_pipeline.kafka_producer import KafkaProducer
    from onshore_pipeline.kafka_topics import ensure_topics

    address, process = mortal_tansu
    kafka = settings(address, request_timeout_s=1.5, commit_timeout_s=2.0)
    ensure_topics(kafka)
    with closing(KafkaProducer(kafka)) as producer, closing(KafkaConsumer(kafka)) as consumer:
        producer.send("otlp_logs", [Outgoing(b"a")])
        messages = poll(consumer, 1).messages
        process.kill()
        process.wait()
        started = time.monotonic()
        with pytest.raises(BrokerUnavailable):
            consumer.commit(entries(messages), [advance(messages)])
        with pytest.raises(BrokerUnavailable):
            producer.send("otlp_logs", [Outgoing(b"b")])
        consumer.rewind()
        assert time.monotonic() - started < 15


def test_a_broker_that_says_of_groups_what_the_client_does_not_know_stops_no_worker(fresh_tansu: str) -> None:
    from onshore_pipeline.kafka_broker import KafkaConsumer
    from onshore_pipeline.kafka_producer import KafkaProducer
    from onshore_pipeline.kafka_topics import ensure_topics

    kafka = settings(fresh_tansu, member="worker-0", look_for_topics_s=0.0)
    ensure_topics(kafka)
    with closing(KafkaProducer(kafka)) as producer:
        producer.send("otlp_logs", [Outgoing(b"a")])
    with closing(KafkaConsumer(kafka)) as consumer:
        deadline, found = time.monotonic() + 30, tuple[Message, ...]()
        while not found and time.monotonic() < deadline:
            found = consumer.poll(max_messages=9, max_bytes=99, timeout_s=0.2).messages
        assert [each.value for each in found] == [b"a"]
        # it is a member now, and asks who has its name
        assert consumer.poll(max_messages=9, max_bytes=99, timeout_s=0.2) == Polled()
