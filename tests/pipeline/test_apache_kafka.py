"""What only a real Apache Kafka does: aborted transactions, deleted records, topics made again."""

from __future__ import annotations

import hashlib
import json
import random
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import kafka as library
import pytest
from kafka.admin import ConfigResource, ConfigResourceType

from onshore_pipeline.broker import EVENT_TOPICS, Advance, Gap, Message, Outgoing, Polled
from onshore_pipeline.errors import BrokerUnavailable, CommitFenced
from onshore_pipeline.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from onshore_pipeline.broker import Consumer
    from onshore_pipeline.kafka_security import KafkaSettings

SOURCE = library.TopicPartition("otlp_logs", 0)


@pytest.fixture
def kafka(fresh_kafka: str) -> KafkaSettings:
    """Settings of a group of its own, with our topics made."""
    from onshore_pipeline.kafka_topics import ensure_topics

    made = settings(fresh_kafka)
    ensure_topics(made)
    return made


def settings(bootstrap: str, **changes: object) -> KafkaSettings:
    from onshore_pipeline.kafka_security import KafkaSettings

    own = uuid4().hex[:8]
    chosen: dict[str, Any] = {
        "bootstrap_servers": tuple(bootstrap.split(",")),
        "topics": ("otlp_logs",),
        "group_id": own,
        "transactional_id_prefix": own,
        "request_timeout_s": 10.0,
        "commit_timeout_s": 15.0,
        "session_timeout_s": 3.0,
        "max_poll_interval_s": 30.0,
        "look_for_topics_s": 0.1,
    }
    return KafkaSettings(**(chosen | changes))


def send(kafka: KafkaSettings, *values: bytes) -> None:
    from onshore_pipeline.kafka_producer import KafkaProducer

    with closing(KafkaProducer(kafka)) as producer:
        producer.send("otlp_logs", [Outgoing(value) for value in values])


def poll(consumer: Consumer, expect: int, within_s: float = 20.0) -> Polled:
    """Poll until so many messages came."""
    messages: list[Message] = []
    gaps: list[Gap] = []
    deadline = time.monotonic() + within_s
    while len(messages) < expect and time.monotonic() < deadline:
        polled = consumer.poll(max_messages=100, max_bytes=1 << 20, timeout_s=0.5)
        messages += polled.messages
        gaps += polled.gaps
    return Polled(tuple(messages), tuple(gaps))


def commit(consumer: Consumer, polled: Polled) -> None:
    """Commit one partition's messages and gaps, as the worker does."""
    spans = [("gap", gap.first, gap.end) for gap in polled.gaps]
    spans += [("message", each.offset, each.offset + 1) for each in polled.messages]
    of = polled.messages[0]
    about = {"topic_id": str(of.topic_id), "partition": of.partition}
    entries = [
        json.dumps(about | {"kind": kind, "offset": first, "end": end}).encode()
        for kind, first, end in sorted(spans, key=lambda span: span[1])
    ]
    first, end = min(span[1] for span in spans), max(span[2] for span in spans)
    consumer.commit(entries, [Advance(of.topic, of.topic_id, of.partition, first, end)])


def logged(kafka: KafkaSettings) -> list[tuple[str, int]]:
    """Kind and offset of every committed entry."""
    from onshore_pipeline.kafka_entries import KafkaEntryReader

    with closing(KafkaEntryReader(kafka)) as reader:
        found = [json.loads(each.value) for chunk in reader.read_all({}) for each in chunk]
    return [(each["kind"], each["offset"]) for each in found]


@pytest.fixture
def foreign(kafka: KafkaSettings) -> Callable[..., None]:
    """Sends values in one transaction of somebody else, committed or aborted."""

    def transact(*values: bytes, abort: bool = False) -> None:
        producer = library.KafkaProducer(bootstrap_servers=kafka.servers, transactional_id=uuid4().hex)
        with closing(producer):
            producer.init_transactions()
            producer.begin_transaction()
            for value in values:
                producer.send("otlp_logs", value=value, partition=0)
            producer.flush()
            (producer.abort_transaction if abort else producer.commit_transaction)()

    return transact


def test_what_a_sender_aborted_is_never_polled_and_not_called_lost(
    kafka: KafkaSettings, foreign: Callable[..., None]
) -> None:
    from onshore_pipeline.kafka_broker import KafkaConsumer

    foreign(b"taken back", b"this too", abort=True)  # offsets 0 and 1, and a marker at 2
    foreign(b"a", b"b")  # 3 and 4, and a marker at 5
    send(kafka, b"c")
    with closing(KafkaConsumer(kafka)) as consumer:
        polled = poll(consumer, 3)
        assert [each.value for each in polled.messages] == [b"a", b"b", b"c"]
        topic_id = polled.messages[0].topic_id
        assert polled.gaps == (
            Gap("otlp_logs", topic_id, 0, 0, 3, empty=3),
            Gap("otlp_logs", topic_id, 0, 5, 6, empty=1),
        )
        commit(consumer, polled)
    assert logged(kafka) == [("gap", 0), ("message", 3), ("message", 4), ("gap", 5), ("message", 6)]


def test_records_deleted_before_they_were_read_are_told_apart_from_markers(
    kafka: KafkaSettings, foreign: Callable[..., None]
) -> None:
    from onshore_pipeline.kafka_broker import KafkaConsumer
    from onshore_pipeline.kafka_topics import admin_client

    send(kafka, b"a", b"b", b"c")
    foreign(b"taken back", abort=True)  # offset 3, and a marker at 4
    send(kafka, b"d")
    with closing(KafkaConsumer(kafka)) as consumer:
        first = Polled(poll(consumer, 4).messages[:1])
        commit(consumer, first)
    with admin_client(kafka) as admin:
        admin.delete_records({SOURCE: 3})
    with closing(KafkaConsumer(kafka)) as consumer:
        polled = poll(consumer, 1)
        assert [each.value for each in polled.messages] == [b"d"]
        assert polled.gaps == (Gap("otlp_logs", polled.messages[0].topic_id, 0, 1, 5, empty=2),)
        commit(consumer, polled)
    assert logged(kafka) == [("message", 0), ("gap", 1), ("message", 5)]


def test_records_deleted_under_a_reading_worker_become_a_gap(kafka: KafkaSettings) -> None:
    from onshore_pipeline.kafka_broker import KafkaConsumer
    from onshore_pipeline.kafka_topics import admin_client

    with closing(KafkaConsumer(kafka)) as consumer, admin_client(kafka) as admin:
        send(kafka, b"a")
        commit(consumer, poll(consumer, 1))
        consumer.hold(1.0)  # outlasts the fetch that is under way; nothing is fetched ahead
        send(kafka, b"b", b"c", b"d")
        admin.delete_records({SOURCE: 3})
        polled = poll(consumer, 1)
        assert [each.value for each in polled.messages] == [b"d"]
        commit(consumer, polled)
    assert logged(kafka) == [("message", 0), ("gap", 1), ("message", 3)]


def test_a_topic_made_again_begins_at_its_first_message_with_an_identity_of_its_own(kafka: KafkaSettings) -> None:
    from onshore_pipeline.kafka_broker import KafkaConsumer
    from onshore_pipeline.kafka_topics import admin_client, ensure_topics

    send(kafka, b"old 0", b"old 1")
    with closing(KafkaConsumer(kafka)) as consumer:
        old = poll(consumer, 2)
        commit(consumer, Polled(old.messages[:1]))
        with admin_client(kafka) as admin:
            admin.delete_topics(["otlp_logs"])
            while "otlp_logs" in admin.list_topics():
                time.sleep(0.05)
        ensure_topics(kafka)
        send(kafka, b"new 0", b"new 1")
        with pytest.raises(CommitFenced):
            commit(consumer, Polled(old.messages[1:]))
        consumer.rewind()
    with closing(KafkaConsumer(kafka)) as consumer:
        new = poll(consumer, 2)
        assert [(each.offset, each.value) for each in new.messages] == [(0, b"new 0"), (1, b"new 1")]
        assert new.messages[0].topic_id != old.messages[0].topic_id
        commit(consumer, new)
    assert logged(kafka) == [("message", 0), ("message", 0), ("message", 1)]


@pytest.mark.parametrize("size", [70_000, 3_000_000], ids=["smaller", "larger than the others"])
def test_a_dead_letter_that_is_too_large_for_its_topic_goes_without_its_value_and_blocks_nothing(
    kafka: KafkaSettings, size: int
) -> None:
    from onshore_pipeline.kafka_broker import KafkaConsumer
    from onshore_pipeline.kafka_topics import admin_client

    with admin_client(kafka) as admin:
        limit = {"max.message.bytes": "50000"}
        admin.alter_configs(
            [ConfigResource(ConfigResourceType.TOPIC, "onshore_dead_letters", configs=limit)], incremental=True
        )
    value = random.Random(1).randbytes(size)
    origin = ("onshore-dead-letter-offset", b"0")
    letters = [Outgoing(b"small", (origin,)), Outgoing(value, (("theirs", b"x" * 60_000), origin))]
    send(kafka, b"a")
    with closing(KafkaConsumer(kafka)) as consumer:
        (message,) = poll(consumer, 1).messages
        entry = {"kind": "message", "topic_id": str(message.topic_id), "partition": 0, "offset": 0}
        advance = Advance("otlp_logs", message.topic_id, 0, 0, 1)
        consumer.commit([json.dumps(entry).encode()], [advance], letters)
    assert logged(kafka) == [("message", 0)]
    found = read_all(kafka, "onshore_dead_letters")
    assert [each.value for each in found] == [b"small", b""]
    assert list(found[1].headers) == [
        origin,
        ("onshore-dead-letter-bytes", str(size).encode()),
        ("onshore-dead-letter-sha256", hashlib.sha256(value).hexdigest().encode()),
    ]


def read_all(kafka: KafkaSettings, topic: str) -> list[Any]:
    """What a stranger who reads committed messages finds."""
    found: list[Any] = []
    with library.KafkaConsumer(
        bootstrap_servers=kafka.servers, isolation_level="read_committed", auto_offset_reset="earliest"
    ) as consumer:
        source = library.TopicPartition(topic, 0)
        consumer.assign([source])
        end = consumer.end_offsets([source])[source]
        while consumer.position(source) < end:
            found += consumer.poll(timeout_ms=500).get(source, [])
    return found


def test_looking_makes_no_topic_and_starting_makes_them_with_the_partitions_that_settings_name(
    fresh_kafka: str, tmp_path: Path
) -> None:
    from onshore_pipeline import assembly
    from onshore_pipeline.kafka_topics import admin_client, check_topics, describe_topics

    chosen = Settings(data_dir=tmp_path, kafka_bootstrap_servers=fresh_kafka, kafka_partitions=3)
    with pytest.raises(BrokerUnavailable, match=r"topic onshore_evidence_log is missing: `onshore topics create`"):
        assembly.entry_reader(chosen, make_topics=False)
    kafka = settings(fresh_kafka, topics=EVENT_TOPICS)
    names = [*EVENT_TOPICS, "onshore_evidence_log", "onshore_dead_letters"]
    with admin_client(kafka) as admin:
        assert describe_topics(kafka, admin, names) == {}
        assembly.kafka(chosen)
        made = {name: topic.partitions for name, topic in describe_topics(kafka, admin, names).items()}
    ours = dict.fromkeys(("onshore_actions", "onshore_evidence_log", "onshore_dead_letters"), 1)
    assert made == dict.fromkeys(EVENT_TOPICS, 3) | ours
    assert check_topics(kafka) == ()
    assembly.entry_reader(chosen, make_topics=False).close()


def test_an_evidence_log_that_senders_stamp_or_that_forgets_is_refused_with_the_remedy(
    fresh_kafka: str, tmp_path: Path
) -> None:
    from onshore_pipeline import assembly
    from onshore_pipeline.kafka_topics import TopicsUnfit, admin_client

    chosen = Settings(data_dir=tmp_path, kafka_bootstrap_servers=fresh_kafka)
    wrong = {"message.timestamp.type": "CreateTime"}
    with admin_client(settings(fresh_kafka)) as admin:
        topic = {"num_partitions": 1, "replication_factor": 1, "configs": wrong}
        admin.create_topics({"onshore_evidence_log": topic})
        with pytest.raises(TopicsUnfit) as refusal:
            assembly.consumer(chosen)
        remedy = str(refusal.value).partition("--add-config ")[2]
        assert remedy == "message.timestamp.type=LogAppendTime,retention.ms=-1"
        right = dict(each.split("=") for each in remedy.split(","))
        admin.alter_configs(
            [ConfigResource(ConfigResourceType.TOPIC, "onshore_evidence_log", configs=right)], incremental=True
        )
        assembly.consumer(chosen).close()


def test_a_worker_restarted_under_its_name_has_its_partitions_at_once_and_fences_the_one_before(
    fresh_kafka: str,
) -> None:
    from onshore_pipeline.kafka_broker import KafkaConsumer
    from onshore_pipeline.kafka_topics import ensure_topics

    kafka = settings(fresh_kafka, member="worker-0", session_timeout_s=60.0)
    ensure_topics(kafka)
    send(kafka, b"a", b"b")
    with closing(KafkaConsumer(kafka)) as asleep, closing(KafkaConsumer(kafka)) as restarted:
        old = poll(asleep, 2)
        began = time.monotonic()
        commit(restarted, poll(restarted, 2))
        assert time.monotonic() - began < 30  # half of what a member without a name would wait for
        with pytest.raises(CommitFenced):
            commit(asleep, old)
    assert logged(kafka) == [("message", 0), ("message", 1)]


def stay(member: Consumer, *, holds: bool) -> None:
    """Stay in the group for a moment, with nothing more to be had."""
    if holds:
        member.hold(0.2)
    else:
        assert member.poll(max_messages=100, max_bytes=1 << 20, timeout_s=0.2) == Polled()


@pytest.mark.parametrize("holds", [False, True], ids=["polls", "holds"])
def test_what_is_under_way_on_partitions_that_stay_is_committed_over_a_rebalance(
    fresh_kafka: str, *, holds: bool
) -> None:
    from onshore_pipeline.kafka_broker import KafkaConsumer
    from onshore_pipeline.kafka_producer import KafkaProducer
    from onshore_pipeline.kafka_topics import ensure_topics

    kafka = settings(fresh_kafka, session_timeout_s=25.0)
    ensure_topics(kafka, partitions=4)
    with closing(KafkaConsumer(kafka)) as first, closing(KafkaConsumer(kafka)) as second:
        with closing(KafkaProducer(kafka)) as producer:
            for number in range(40):
                producer.send("otlp_logs", [Outgoing(b"%d" % number, key=b"%d" % number)])
        polled = poll(first, 40)
        moved: list[Message] = []
        stop = threading.Event()

        def take_some() -> None:
            while not stop.is_set():
                moved.extend(second.poll(max_messages=100, max_bytes=1 << 20, timeout_s=0.2).messages)

        other = threading.Thread(target=take_some)
        other.start()
        try:
            deadline = time.monotonic() + 60
            while len({each.partition for each in moved}) < 2 and time.monotonic() < deadline:
                stay(first, holds=holds)
            for _ in range(5):
                stay(first, holds=holds)
        finally:
            stop.set()
            other.join()
        taken = {each.partition for each in moved}
        assert len(taken) == 2
        for partition in range(4):
            of_it = Polled(tuple(each for each in polled.messages if each.partition == partition))
            if partition in taken:
                with pytest.raises(CommitFenced):
                    commit(first, of_it)
            else:
                commit(first, of_it)
        for partition in taken:
            commit(second, Polled(tuple(each for each in moved if each.partition == partition)))
    assert len(logged(kafka)) == 40
