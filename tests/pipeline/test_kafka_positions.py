"""The evidence log decides where a worker begins, whatever happened to the group's offsets."""

from __future__ import annotations

import json
import time
from contextlib import closing
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from structlog.testing import capture_logs

from onshore_pipeline.broker import EVIDENCE_LOG_TOPIC, Advance, Outgoing
from onshore_pipeline.errors import BrokerUnavailable, CommitFenced, MessageTooLarge
from onshore_pipeline.sequencer import Place, Places, evidence_row
from running_stack import wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onshore_pipeline.broker import Consumer, Message
    from onshore_pipeline.kafka_security import KafkaSettings


def settings(address: str, **changes: object) -> KafkaSettings:
    from onshore_pipeline.kafka_security import KafkaSettings

    chosen: dict[str, Any] = {
        "bootstrap_servers": (address,),
        "topics": ("otlp_logs",),
        "request_timeout_s": 5.0,
        "session_timeout_s": 1.0,
        "max_poll_interval_s": 2.0,
        "look_for_topics_s": 0.1,
    }
    return KafkaSettings(**(chosen | changes))


def poll(consumer: Consumer, expect: int) -> list[Message]:
    messages: list[Message] = []
    deadline = time.monotonic() + 10
    while len(messages) < expect and time.monotonic() < deadline:
        messages += consumer.poll(max_messages=100, max_bytes=1 << 20, timeout_s=0.5).messages
    return messages


def commit(consumer: Consumer, messages: Sequence[Message]) -> None:
    first, last = messages[0], messages[-1]
    places = [{"topic_id": str(each.topic_id), "partition": each.partition, "offset": each.offset} for each in messages]
    told = {"kind": "message", "topic": first.topic, "attempt": str(UUID(int=1))}
    entries = [json.dumps(told | place).encode() for place in places]
    consumer.commit(entries, [Advance(first.topic, first.topic_id, 0, first.offset, last.offset + 1)])


def four_of_six_committed(kafka: KafkaSettings) -> UUID:
    """Six messages a to f, of which the group committed the first four; gives the topic's id."""
    from onshore_pipeline.kafka_broker import KafkaConsumer
    from onshore_pipeline.kafka_producer import KafkaProducer
    from onshore_pipeline.kafka_topics import ensure_topics

    ensure_topics(kafka)
    with closing(KafkaProducer(kafka)) as producer:
        producer.send("otlp_logs", [Outgoing(value.encode()) for value in "abcdef"])
    with closing(KafkaConsumer(kafka)) as consumer:
        messages = poll(consumer, 6)
        commit(consumer, messages[:2])
        commit(consumer, messages[2:4])
    return messages[0].topic_id


def set_offset(kafka: KafkaSettings, offset: int, metadata: str = "") -> None:
    """What kafka-consumer-groups.sh --reset-offsets does; with the topic's id, what our own commit does."""
    import kafka as library

    source = library.TopicPartition("otlp_logs", 0)
    with library.KafkaConsumer(
        bootstrap_servers=kafka.bootstrap_servers[0], group_id=kafka.group_id, enable_auto_commit=False
    ) as consumer:
        consumer.assign([source])
        consumer.commit({source: library.OffsetAndMetadata(offset, metadata, -1)})


@pytest.mark.parametrize("offset", [1, 6], ids=["backward", "forward"])
def test_offsets_that_somebody_reset_are_set_right_by_the_log(fresh_broker: str, offset: int) -> None:
    from onshore_pipeline.kafka_broker import KafkaConsumer

    kafka = settings(fresh_broker)
    four_of_six_committed(kafka)
    set_offset(kafka, offset)
    with capture_logs() as logs, closing(KafkaConsumer(kafka)) as consumer:
        messages = poll(consumer, 2)
        assert [(each.offset, each.value) for each in messages] == [(4, b"e"), (5, b"f")]
        commit(consumer, messages)
    (warning,) = [each for each in logs if each["log_level"] == "warning"]
    assert (warning["group_offset"], warning["begins_at"]) == (offset, 4)


def test_an_older_offset_of_ours_is_set_right_and_a_log_that_lost_entries_is_refused(fresh_broker: str) -> None:
    from kafka import OffsetAndMetadata, TopicPartition

    from onshore_pipeline.kafka_positions import LoggedPositions, Owned

    kafka = settings(fresh_broker)
    topic_id = four_of_six_committed(kafka)
    source = TopicPartition("otlp_logs", 0)

    def at(offset: int, topic_id: UUID) -> list[Owned]:
        # Tansu forgets the metadata of offsets; Kafka hands it back
        return [Owned(source, topic_id, 0, 6, OffsetAndMetadata(offset, str(topic_id), -1))]

    positions = LoggedPositions(kafka)
    assert positions.starts(at(2, topic_id)) == {source: 4}
    assert positions.starts(at(4, topic_id)) == {source: 4}
    with pytest.raises(BrokerUnavailable, match=r"ends before offset 4 for otlp_logs\[0\].*--to-offset 4 --execute"):
        positions.starts(at(5, topic_id))
    with pytest.raises(BrokerUnavailable, match=r"has nothing for otlp_logs\[0\].*begin with new event topics"):
        positions.starts(at(5, uuid4()))


def sequenced(kafka: KafkaSettings, places: Places) -> Places:
    """Where every topic-partition stands once the log was copied behind `places`, as the sequencer sees it."""
    from onshore_pipeline.kafka_entries import KafkaEntryReader

    found = dict(places)
    with closing(KafkaEntryReader(kafka)) as reader:
        for entries in reader.read_all({}):
            for entry in entries:
                evidence_row(entry, found, reader.log_id)
    return found


def make_again(kafka: KafkaSettings, topic: str) -> None:
    from onshore_pipeline.kafka_topics import admin_client, ensure_topics

    with admin_client(kafka) as admin:
        admin.delete_topics([topic])
        wait_until(lambda: topic not in admin.list_topics(), f"{topic} is gone")
    ensure_topics(kafka)


def test_after_the_log_was_lost_new_event_topics_go_on_beside_what_was_sealed(fresh_kafka: str) -> None:
    from onshore_pipeline.kafka_broker import KafkaConsumer
    from onshore_pipeline.kafka_producer import KafkaProducer

    kafka = settings(fresh_kafka)
    old = str(four_of_six_committed(kafka))
    sealed = sequenced(kafka, {})
    make_again(kafka, EVIDENCE_LOG_TOPIC)
    lost = (
        r"has nothing for otlp_logs\[0\], but .* up to 4: .*new event topics.*from offset 4 on.*delete topic otlp_logs;"
    )
    with closing(KafkaConsumer(kafka)) as consumer, pytest.raises(BrokerUnavailable, match=lost):
        poll(consumer, 1)
    make_again(kafka, "otlp_logs")
    with closing(KafkaProducer(kafka)) as producer:
        producer.send("otlp_logs", [Outgoing(value) for value in (b"e", b"f")])
    with closing(KafkaConsumer(kafka)) as consumer:
        messages = poll(consumer, 2)
        assert [each.value for each in messages] == [b"e", b"f"]
        commit(consumer, messages)
    assert sequenced(kafka, sealed) == {(old, 0): Place(4, 4), (str(messages[0].topic_id), 0): Place(2, 2)}


def test_after_the_log_lost_its_end_what_it_no_longer_names_is_judged_again(fresh_kafka: str) -> None:
    from onshore_pipeline.kafka_broker import KafkaConsumer

    kafka = settings(fresh_kafka)
    topic_id = str(four_of_six_committed(kafka))
    set_offset(kafka, 5, topic_id)  # as if an entry had been committed, and lost
    with closing(KafkaConsumer(kafka)) as consumer:
        with pytest.raises(BrokerUnavailable, match=r"--topic otlp_logs:0 --reset-offsets --to-offset 4 --execute"):
            poll(consumer, 1)
        set_offset(kafka, 4)
        messages = poll(consumer, 2)
        assert [each.value for each in messages] == [b"e", b"f"]
        commit(consumer, messages)
    assert sequenced(kafka, {}) == {(topic_id, 0): Place(6, 6)}


def test_a_position_that_moved_while_we_worked_fences_the_commit(fresh_broker: str) -> None:
    from onshore_pipeline.kafka_broker import KafkaConsumer

    kafka = settings(fresh_broker)
    topic_id = four_of_six_committed(kafka)
    with closing(KafkaConsumer(kafka)) as consumer:
        messages = poll(consumer, 2)
        consumer._places = {  # as if the group had said something else before
            source: type(place)(place.topic_id, 3, place.committed, place.next_offset)
            for source, place in consumer._places.items()
        }
        assert messages[0].topic_id == topic_id
        with pytest.raises(CommitFenced, match="moved by another"):
            commit(consumer, messages)


@pytest.mark.parametrize("tail_entries", [1, 100])
def test_the_tail_of_the_log_settles_most_and_the_whole_log_the_rest(fresh_broker: str, tail_entries: int) -> None:
    from kafka import OffsetAndMetadata, TopicPartition

    from onshore_pipeline.kafka_positions import LoggedPositions, Owned

    kafka = settings(fresh_broker)
    topic_id, other = four_of_six_committed(kafka), uuid4()
    positions = LoggedPositions(kafka, tail_entries)
    known = Owned(TopicPartition("otlp_logs", 0), topic_id, 0, 6, OffsetAndMetadata(4, str(topic_id), -1))
    empty = Owned(TopicPartition("otlp_spans", 0), other, 0, 0, None)
    unknown = Owned(TopicPartition("otlp_spans", 1), other, 7, 9, None)
    assert positions.starts([known, empty]) == {known.source: 4, empty.source: 0}
    assert positions._whole is (tail_entries == 100)
    assert positions.starts([known, unknown]) == {known.source: 4, unknown.source: 7}
    assert positions._whole


def test_a_sender_with_a_wrong_unit_of_time_does_not_leave_the_range_of_nanoseconds() -> None:
    from onshore_pipeline.kafka_entries import timestamp_ns

    times = {
        -1: 0,
        1_700_000_000_000: 1_700_000_000_000_000_000,
        1_700_000_000_000_000: 2**63 - 1,
        2**63 - 1: 2**63 - 1,
    }
    for sent, expected in times.items():
        assert timestamp_ns(SimpleNamespace(timestamp=sent)) == expected


def test_a_message_that_is_too_large_is_told_apart_from_a_broker_that_is_away(fresh_broker: str) -> None:
    from onshore_pipeline.kafka_producer import KafkaProducer
    from onshore_pipeline.kafka_topics import ensure_topics

    kafka = settings(fresh_broker, max_message_bytes=100_000)
    ensure_topics(kafka)
    with closing(KafkaProducer(kafka)) as producer:
        with pytest.raises(MessageTooLarge, match="a message of 200000 bytes is more than otlp_logs takes"):
            producer.send("otlp_logs", [Outgoing(b"x" * 200_000)])
        producer.send("otlp_logs", [Outgoing(b"x" * 50_000)])
