"""The promises of `onshore_pipeline.broker`, held against every broker."""

from __future__ import annotations

import json
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Protocol
from uuid import UUID, uuid4

import pytest

from onshore_pipeline.broker import Advance, Message, Outgoing
from onshore_pipeline.errors import BrokerUnavailable, CommitFenced

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from onshore_pipeline.broker import (
        Clock,
        Consumer,
        EntryReader,
        LoggedEntry,
        MessageReader,
        Polled,
        Producer,
        Retained,
    )


class Broker(Protocol):
    """What conftest hands over."""

    clock: Callable[[], int] | None
    stamped_by: Clock
    entries: Callable[[], list[LoggedEntry]]
    dead_letters: Callable[[], list[Outgoing]]
    outwait: Callable[[Consumer], None]

    def producer(self) -> Producer: ...
    def consumer(self) -> Consumer: ...
    def entry_reader(self) -> EntryReader: ...
    def message_reader(self) -> MessageReader: ...
    def poll(self, consumer: Consumer, *, expect: int, max_messages: int = 1000, max_bytes: int = ...) -> Polled: ...


def send(broker: Broker, *values: bytes, topic: str = "otlp_logs") -> None:
    broker.producer().send(topic, [Outgoing(value) for value in values])


def advance(messages: Sequence[Message]) -> Advance:
    """Progress over messages of one partition."""
    first, last = messages[0], messages[-1]
    return Advance(first.topic, first.topic_id, first.partition, first.offset, last.offset + 1)


def entry(note: str) -> bytes:
    """An entry that claims no message."""
    return json.dumps({"kind": "amends", "note": note}).encode()


def of(message: Message) -> bytes:
    """The entry of a message."""
    place = {"topic_id": str(message.topic_id), "partition": message.partition, "offset": message.offset}
    return json.dumps({"kind": "message", "note": message.value.decode()} | place).encode()


def values(polled: Polled) -> list[bytes]:
    return [message.value for message in polled.messages]


def test_what_send_returned_from_is_polled_in_order(broker: Broker) -> None:
    producer = broker.producer()
    for number in range(20):
        producer.send("otlp_logs", [Outgoing(b"%d-%d" % (number, each)) for each in range(3)])
    polled = broker.poll(broker.consumer(), expect=60)
    assert values(polled) == [b"%d-%d" % (number, each) for number in range(20) for each in range(3)]
    assert [message.offset for message in polled.messages] == list(range(60))
    assert polled.gaps == ()


def test_senders_in_many_threads_lose_and_double_nothing(broker: Broker) -> None:
    producer = broker.producer()

    def work(sender: int) -> None:
        for number in range(10):
            producer.send("otlp_spans", [Outgoing(b"%d-%d" % (sender, number))])

    threads = [threading.Thread(target=work, args=(sender,)) for sender in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    polled = values(broker.poll(broker.consumer(), expect=80))
    assert len(polled) == 80
    for sender in range(8):
        assert [value for value in polled if value.startswith(b"%d-" % sender)] == [
            b"%d-%d" % (sender, number) for number in range(10)
        ]


def test_values_and_headers_come_back_byte_for_byte(broker: Broker) -> None:
    headers = (("onshore-tenant", b"bank"), ("übung", bytes(range(256))), ("onshore-tenant", b""))
    sent = [Outgoing(bytes(range(256)) * 3, headers, key=b"k"), Outgoing(b""), Outgoing(b"x" * 5_000_000)]
    broker.producer().send("otlp_metrics", sent)
    polled = broker.poll(broker.consumer(), expect=3)
    assert values(polled) == [message.value for message in sent]
    assert [message.headers for message in polled.messages] == [headers, (), ()]


def test_a_message_says_whose_clock_stamped_it(broker: Broker) -> None:
    send(broker, b"a", b"b")
    first, second = broker.poll(broker.consumer(), expect=2).messages
    if broker.clock is not None:
        assert (first.clock, first.timestamp_ns) == ("broker", broker.clock())
    else:  # Tansu hands back the sender's time even on a topic with LogAppendTime, and says so
        assert first.clock == broker.stamped_by
        assert abs(first.timestamp_ns - time.time_ns()) < 60e9
    assert first.timestamp_ns <= second.timestamp_ns


def test_each_message_is_handed_out_once_until_rewound(broker: Broker) -> None:
    send(broker, b"a", b"b", b"c")
    consumer = broker.consumer()
    assert values(broker.poll(consumer, expect=2, max_messages=2)) == [b"a", b"b"]
    assert values(broker.poll(consumer, expect=1)) == [b"c"]
    assert values(consumer.poll(max_messages=9, max_bytes=99, timeout_s=0.1)) == []
    consumer.rewind()
    assert values(broker.poll(consumer, expect=3)) == [b"a", b"b", b"c"]


def test_a_member_that_holds_keeps_its_place_for_longer_than_one_that_is_silent(broker: Broker) -> None:
    send(broker, b"a", b"b", b"c")
    consumer = broker.consumer()
    first = broker.poll(consumer, expect=1, max_messages=1).messages
    held_until = time.monotonic() + 4  # the brokers under test give up on a silent member after 2 s
    while time.monotonic() < held_until:
        consumer.hold(0.3)
    send(broker, b"d")
    consumer.hold(0.3)
    consumer.commit([of(each) for each in first], [advance(first)])
    rest = broker.poll(consumer, expect=3)
    assert values(rest) == [b"b", b"c", b"d"]
    consumer.commit([of(each) for each in rest.messages], [advance(rest.messages)])


def test_holding_lasts_as_long_as_asked_and_what_was_not_committed_goes_to_the_next_member(broker: Broker) -> None:
    send(broker, b"a", b"b")
    consumer = broker.consumer()
    moved = advance(broker.poll(consumer, expect=2).messages)
    started = time.monotonic()
    consumer.hold(0.4)
    assert 0.3 < time.monotonic() - started < 10
    consumer.close()
    newer = broker.consumer()
    assert values(broker.poll(newer, expect=2)) == [b"a", b"b"]
    newer.commit([entry("a"), entry("b")], [moved])


def test_positions_move_by_commit_only(broker: Broker) -> None:
    send(broker, b"a", b"b", b"c")
    with closing(broker.consumer()) as consumer:
        assert len(broker.poll(consumer, expect=3).messages) == 3
    with closing(broker.consumer()) as consumer:
        polled = broker.poll(consumer, expect=3)
        assert values(polled) == [b"a", b"b", b"c"]
        consumer.commit([of(each) for each in polled.messages[:2]], [advance(polled.messages[:2])])
        consumer.rewind()
        assert values(broker.poll(consumer, expect=1)) == [b"c"]
    assert values(broker.poll(broker.consumer(), expect=1)) == [b"c"]


def test_entries_dead_letters_and_positions_move_together(broker: Broker) -> None:
    send(broker, b"a", b"b")
    send(broker, b"m", topic="otlp_metrics")
    consumer = broker.consumer()
    messages = broker.poll(consumer, expect=3).messages
    logs = [message for message in messages if message.topic == "otlp_logs"]
    metrics = [message for message in messages if message.topic == "otlp_metrics"]
    letter = Outgoing(b"\x00broken", (("onshore-reason", b"not a message"),))
    entries = [of(each) for each in (*logs, *metrics)]
    consumer.commit(entries, [advance(logs), advance(metrics)], [letter])
    assert [each.value for each in broker.entries()] == entries
    assert broker.dead_letters() == [letter]
    assert {(lag.topic, lag.next_offset) for lag in consumer.lag() if lag.next_offset} == {
        ("otlp_logs", 2),
        ("otlp_metrics", 1),
    }


def test_a_commit_that_does_not_begin_at_the_position_is_fenced_and_writes_nothing(broker: Broker) -> None:
    send(broker, b"a", b"b")
    send(broker, b"m", topic="otlp_metrics")
    consumer = broker.consumer()
    messages = broker.poll(consumer, expect=3).messages
    logs = [message for message in messages if message.topic == "otlp_logs"]
    metrics = [message for message in messages if message.topic == "otlp_metrics"]
    with pytest.raises(CommitFenced, match="otlp_logs"):
        consumer.commit(
            [entry("entry m"), entry("entry b")], [advance(metrics), advance(logs[1:])], [Outgoing(b"letter")]
        )
    assert broker.entries() == []
    assert broker.dead_letters() == []
    consumer.rewind()
    assert len(broker.poll(consumer, expect=3).messages) == 3


def test_a_commit_for_a_topic_of_another_identity_is_fenced(broker: Broker) -> None:
    send(broker, b"a")
    consumer = broker.consumer()
    broker.poll(consumer, expect=1)
    with pytest.raises(CommitFenced):
        consumer.commit([entry("entry")], [Advance("otlp_logs", uuid4(), 0, 0, 1)])
    assert broker.entries() == []


def test_the_same_commit_again_is_fenced(broker: Broker) -> None:
    send(broker, b"a")
    consumer = broker.consumer()
    (message,) = broker.poll(consumer, expect=1).messages
    consumer.commit([of(message)], [advance([message])])
    with pytest.raises(CommitFenced):
        consumer.commit([of(message)], [advance([message])])
    assert [each.value for each in broker.entries()] == [of(message)]


def test_a_consumer_that_was_replaced_can_no_longer_commit(broker: Broker) -> None:
    send(broker, b"a", b"b")
    older = broker.consumer()
    moved = advance(broker.poll(older, expect=2).messages)
    broker.outwait(older)
    newer = broker.consumer()
    polled = broker.poll(newer, expect=2)
    assert values(polled) == [b"a", b"b"]
    entries = [of(each) for each in polled.messages]
    newer.commit(entries, [advance(polled.messages)])
    with pytest.raises(CommitFenced):
        older.commit([entry("zombie a"), entry("zombie b")], [moved])
    assert [each.value for each in broker.entries()] == entries


def test_entries_without_progress_may_be_committed_beside_the_worker(broker: Broker) -> None:
    send(broker, b"a")
    consumer = broker.consumer()
    (message,) = broker.poll(consumer, expect=1).messages
    broker.consumer().commit([entry("amends")], [])
    consumer.commit([of(message)], [advance([message])])
    assert [each.value for each in broker.entries()] == [entry("amends"), of(message)]


def test_a_poll_keeps_to_its_bounds_but_gives_one_message_at_least(broker: Broker) -> None:
    send(broker, b"x" * 1000, b"y" * 1000, b"z" * 1000)
    consumer = broker.consumer()
    assert [value[:1] for value in values(broker.poll(consumer, expect=1, max_messages=1))] == [b"x"]
    assert [value[:1] for value in values(broker.poll(consumer, expect=1, max_bytes=10))] == [b"y"]
    assert [value[:1] for value in values(broker.poll(consumer, expect=1))] == [b"z"]


def test_a_poll_with_nothing_to_give_returns_in_time(broker: Broker) -> None:
    send(broker, b"a")
    consumer = broker.consumer()
    broker.poll(consumer, expect=1)
    started = time.monotonic()
    assert consumer.poll(max_messages=1, max_bytes=1, timeout_s=0.3).messages == ()
    assert 0.2 < time.monotonic() - started < 10
    assert broker.entry_reader().read(after={}, max_entries=1, timeout_s=0.1) == ()


def test_a_reader_resumes_behind_any_position(broker: Broker) -> None:
    send(broker, b"a", b"b", b"c")
    consumer = broker.consumer()
    messages = broker.poll(consumer, expect=3).messages
    for message in messages:
        consumer.commit([of(message)], [advance([message])])
    entries = broker.entries()
    assert [each.value for each in entries] == [of(message) for message in messages]
    assert [each.position for each in entries] == sorted({each.position for each in entries})
    with closing(broker.entry_reader()) as reader:
        for start, rest in ((entries[0], entries[1:]), (entries[1], entries[2:]), (entries[0], entries[1:])):
            read: list[LoggedEntry] = []
            while len(read) < len(rest):
                at = read[-1].position if read else start.position
                read += reader.read(after={start.partition: at}, max_entries=1, timeout_s=5.0)
            assert read == rest


def test_lag_counts_from_the_committed_position(broker: Broker) -> None:
    send(broker, b"a", b"b", b"c")
    consumer = broker.consumer()
    messages = broker.poll(consumer, expect=3).messages
    lags = {(lag.topic, lag.partition): (lag.next_offset, lag.end_offset) for lag in consumer.lag()}
    assert lags["otlp_logs", 0] == (0, 3)
    assert lags["otlp_spans", 0] == (0, 0)
    consumer.commit([of(each) for each in messages[:2]], [advance(messages[:2])])
    lags = {(lag.topic, lag.partition): (lag.next_offset, lag.end_offset) for lag in consumer.lag()}
    assert lags["otlp_logs", 0] == (2, 3)


def test_a_topic_keeps_its_identity(broker: Broker) -> None:
    identities: list[dict[str, UUID]] = []
    send(broker, b"a")
    send(broker, b"s", topic="otlp_spans")
    for _ in range(2):
        with closing(broker.consumer()) as consumer:
            messages = broker.poll(consumer, expect=2).messages
            identities.append({message.topic: message.topic_id for message in messages})
    assert identities[0] == identities[1]
    assert len(set(identities[0].values())) == 2


def test_closing_twice_is_safe_and_a_closed_producer_refuses(broker: Broker) -> None:
    producer = broker.producer()
    for opened in (producer, broker.consumer(), broker.entry_reader()):
        opened.close()
        opened.close()
    with pytest.raises(BrokerUnavailable):
        producer.send("otlp_logs", [Outgoing(b"late")])


def kept(reader: MessageReader, topic: str) -> Retained:
    """What is kept of a topic's one partition."""
    (found,) = (each for each in reader.retained() if each.topic == topic)
    return found


def test_kept_messages_are_read_again_exactly_as_they_were_polled(broker: Broker) -> None:
    headers = (("onshore-tenant", b"bank"), ("übung", bytes(range(256))))
    broker.producer().send("otlp_logs", [Outgoing(b"%d" % number, headers) for number in range(10)])
    send(broker, b"m", topic="otlp_metrics")
    polled = [each for each in broker.poll(broker.consumer(), expect=11).messages if each.topic == "otlp_logs"]
    reader = broker.message_reader()
    source = kept(reader, "otlp_logs")
    assert (source.topic_id, source.partition) == (polled[0].topic_id, polled[0].partition)
    assert source.begin == 0
    assert source.end == 10 or broker.clock is None  # Tansu counts its end too low
    assert list(reader.read(source, 0, 10, max_bytes=1 << 20)) == polled
    assert list(reader.read(source, 3, 6, max_bytes=1 << 20)) == polled[3:6]
    assert list(reader.read(source, 8, 99, max_bytes=1 << 20)) == polled[8:]
    assert reader.read(source, 10, 99, max_bytes=1 << 20) == ()
    assert values_of(reader.read(kept(reader, "otlp_metrics"), 0, 1, max_bytes=1 << 20)) == [b"m"]


def test_dead_letters_are_read_again_as_they_were_committed(broker: Broker) -> None:
    send(broker, b"a", b"b")
    consumer = broker.consumer()
    polled = broker.poll(consumer, expect=2).messages
    letters = [Outgoing(b"%d" % number, (("onshore-dead-letter-stage", b"decode"),)) for number in range(3)]
    consumer.commit([of(each) for each in polled], [advance(polled)], letters)
    reader = broker.message_reader()
    (source,) = reader.retained(dead_letters=True)
    found = reader.read(source, source.begin, source.begin + 3, max_bytes=1 << 20)
    assert [Outgoing(each.value, each.headers) for each in found] == letters
    assert source.topic not in {each.topic for each in reader.retained()}


def test_kept_messages_come_in_portions_of_at_least_one(broker: Broker) -> None:
    send(broker, b"a" * 1000, b"b" * 10, b"c" * 10, b"d" * 10)
    reader = broker.message_reader()
    source = kept(reader, "otlp_logs")
    assert len(reader.read(source, 0, 4, max_bytes=5)) == 1
    assert [value[:1] for value in values_of(reader.read(source, 1, 4, max_bytes=20))] == [b"b", b"c"]


def test_reading_kept_messages_moves_nothing_and_works_beside_a_consumer(broker: Broker) -> None:
    send(broker, b"a", b"b", b"c")
    consumer, reader = broker.consumer(), broker.message_reader()
    first = broker.poll(consumer, expect=1, max_messages=1).messages
    assert len(reader.read(kept(reader, "otlp_logs"), 0, 3, max_bytes=1 << 20)) == 3
    consumer.commit([of(each) for each in first], [advance(first)])
    assert values_of(reader.read(kept(reader, "otlp_logs"), 0, 1, max_bytes=1 << 20)) == [b"a"]
    assert values(broker.poll(consumer, expect=2)) == [b"b", b"c"]


def values_of(messages: Sequence[Message]) -> list[bytes]:
    return [each.value for each in messages]
