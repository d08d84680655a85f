"""The promises of `broker.Amender`, held against every broker."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Protocol

import pytest

from onshore_pipeline.broker import Advance, Outgoing
from onshore_pipeline.errors import CommitFenced

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from onshore_pipeline.broker import Amender, Consumer, LoggedEntry, Message, Polled, Producer


class Broker(Protocol):
    """What conftest hands over."""

    entries: Callable[[], list[LoggedEntry]]
    dead_letters: Callable[[], list[Outgoing]]

    def producer(self) -> Producer: ...
    def consumer(self) -> Consumer: ...
    def amender(self) -> Amender: ...
    def poll(self, consumer: Consumer, *, expect: int) -> Polled: ...


def amends(note: str) -> bytes:
    return json.dumps({"kind": "amends", "dead_letter": note}, separators=(",", ":")).encode()


def of(message: Message) -> bytes:
    place = {"topic_id": str(message.topic_id), "partition": message.partition, "offset": message.offset}
    return json.dumps({"kind": "message"} | place).encode()


def advance(message: Message) -> Advance:
    return Advance(message.topic, message.topic_id, message.partition, message.offset, message.offset + 1)


def values(entries: Sequence[LoggedEntry]) -> list[bytes]:
    return [each.value for each in entries]


def test_what_is_amended_stands_in_the_log_with_its_dead_letters_beside_a_consumer_that_goes_on(broker: Broker) -> None:
    broker.producer().send("otlp_logs", [Outgoing(b"a"), Outgoing(b"b")])
    consumer, amender = broker.consumer(), broker.amender()
    first, second = broker.poll(consumer, expect=2).messages
    consumer.commit([of(first)], [advance(first)])
    assert amender.begin({}) == ()
    letter = Outgoing(b"\x00", (("onshore-dead-letter-reason", b"again"),))
    amender.commit([amends("one"), amends("two")], [letter])
    amender.commit([amends("three")])
    consumer.commit([of(second)], [advance(second)])
    assert values(broker.entries()) == [of(first), amends("one"), amends("two"), amends("three"), of(second)]
    assert broker.dead_letters() == [letter]


def test_an_amender_that_another_one_followed_can_commit_nothing_it_had_begun(broker: Broker) -> None:
    older, newer = broker.amender(), broker.amender()
    older.begin({})
    older.commit([amends("one")])
    assert values(newer.begin({})) == [amends("one")]
    with pytest.raises(CommitFenced):
        older.commit([amends("two")], [Outgoing(b"letter")])
    newer.commit([amends("three")])
    assert values(older.begin({})) == [amends("one"), amends("three")]
    older.commit([amends("four")])
    with pytest.raises(CommitFenced):
        newer.commit([amends("five")])
    assert values(broker.entries()) == [amends("one"), amends("three"), amends("four")]
    assert broker.dead_letters() == []


def test_to_begin_again_fences_oneself(broker: Broker) -> None:
    amender = broker.amender()
    with pytest.raises(CommitFenced):
        amender.commit([amends("before it began")])
    amender.begin({})
    amender.commit([amends("one")])
    assert values(amender.begin({})) == [amends("one")]
    amender.commit([amends("two")])
    assert values(broker.entries()) == [amends("one"), amends("two")]


def test_only_entries_behind_a_position_that_name_a_dead_letter_are_given(broker: Broker) -> None:
    broker.producer().send("otlp_logs", [Outgoing(b"a")])
    consumer, amender = broker.consumer(), broker.amender()
    (message,) = broker.poll(consumer, expect=1).messages
    amender.begin({})
    amender.commit([amends("one")])
    consumer.commit([of(message)], [advance(message)])
    amender.commit([amends("two")])
    one, two = amender.begin({})
    assert (one.value, two.value) == (amends("one"), amends("two"))
    assert amender.begin({one.partition: one.position}) == (two,)
    assert amender.begin({two.partition: two.position}) == ()


def test_closing_twice_is_safe(broker: Broker) -> None:
    amender = broker.amender()
    amender.begin({})
    amender.close()
    amender.close()
