"""Numbered messages on Kafka: exact for one process that sends, a double that names itself behind its end."""

from __future__ import annotations

import hashlib
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import kafka as library
import pytest

from broker_contents import kafka_contents
from onshore_pipeline import kafka_streams
from onshore_pipeline.broker import RUN_HEADER, SEQUENCE_HEADER, Outgoing
from onshore_pipeline.errors import BrokerUnavailable, OutOfSequence
from onshore_pipeline.kafka_producer import KafkaProducer
from onshore_pipeline.kafka_security import KafkaSettings
from onshore_pipeline.kafka_streams import Remembered
from onshore_pipeline.kafka_topics import ensure_topics
from onshore_pipeline.numbered import Numbered

if TYPE_CHECKING:
    from collections.abc import Sequence


def message(stream: str, number: int, value: bytes = b"") -> Outgoing:
    value = value or f"{stream} {number}".encode()
    headers = ((RUN_HEADER, stream.encode()), (SEQUENCE_HEADER, str(number).encode()))
    return Outgoing(value, headers, numbered=Numbered(stream, number, hashlib.sha256(value).digest()))


@pytest.fixture
def kafka(fresh_broker: str) -> KafkaSettings:
    settings = KafkaSettings((fresh_broker,), topics=("otlp_logs",), request_timeout_s=5.0)
    ensure_topics(settings)
    return settings


def values(kafka: KafkaSettings) -> list[bytes]:
    found = kafka_contents(kafka).messages
    return [value for (topic, *_), kept in found.items() if topic == "otlp_logs" for value in kept.values()]


def test_a_number_is_appended_once_and_never_backwards_or_with_other_bytes(kafka: KafkaSettings) -> None:
    with closing(KafkaProducer(kafka)) as producer:
        for each in (message("a", 3), message("a", 3), message("b", 3), message("a", 4), message("a", 4)):
            producer.send("otlp_logs", [each])
        for wrong in (message("a", 3), message("a", 4, b"something else")):
            with pytest.raises(OutOfSequence):
                producer.send("otlp_logs", [wrong])
        producer.send("otlp_logs", [message("a", 4), Outgoing(b"no number"), message("b", 4)])
    assert values(kafka) == [b"a 3", b"b 3", b"a 4", b"no number", b"b 4"]


def test_another_process_does_not_know_the_numbers_and_what_it_doubles_carries_the_same_one(
    kafka: KafkaSettings,
) -> None:
    for _ in range(2):
        with closing(KafkaProducer(kafka)) as producer:
            producer.send("otlp_logs", [message("a", 3)])

    options = {"bootstrap_servers": list(kafka.bootstrap_servers), "auto_offset_reset": "earliest", "group_id": None}
    with closing(library.KafkaConsumer(**options)) as consumer:
        consumer.assign([library.TopicPartition("otlp_logs", 0)])
        found: list[dict[str, bytes]] = []
        for _ in range(50):
            for records in consumer.poll(timeout_ms=200).values():
                found += [dict(record.headers) for record in records]
            if len(found) == 2:
                break
    assert [(each[RUN_HEADER], each[SEQUENCE_HEADER]) for each in found] == [(b"a", b"3")] * 2


# --- what the process remembers ---


def sending(remembered: Remembered, *messages: Outgoing) -> list[bytes]:
    with remembered.sending(messages) as new:
        return [each.value for each in new]


def test_what_was_not_appended_is_not_remembered() -> None:
    remembered = Remembered()

    def fails(messages: Sequence[Outgoing]) -> None:
        with remembered.sending(messages):
            raise BrokerUnavailable("no answer")

    with pytest.raises(BrokerUnavailable):
        fails([message("a", 1)])
    assert sending(remembered, message("a", 1)) == [b"a 1"]
    assert sending(remembered, message("a", 1)) == []


def test_a_run_sends_one_message_after_the_other_and_others_do_not_wait_for_it() -> None:
    remembered, entered, let_go = Remembered(), threading.Event(), threading.Event()

    def hold() -> None:
        with remembered.sending([message("a", 1)]):
            entered.set()
            assert let_go.wait(10)

    holding = threading.Thread(target=hold)
    holding.start()
    assert entered.wait(10)
    with pytest.raises(BrokerUnavailable, match="same stream is under way"):
        sending(remembered, message("a", 1))
    assert sending(remembered, message("b", 1)) == [b"b 1"]
    let_go.set()
    holding.join(10)
    assert sending(remembered, message("a", 1)) == []


def test_the_run_that_was_silent_for_longest_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_streams, "_REMEMBERED", 2)
    remembered = Remembered()
    for each in (message("a", 1), message("b", 1), message("a", 2), message("c", 1)):
        sending(remembered, each)
    assert sending(remembered, message("a", 2)) == []
    assert sending(remembered, message("c", 1)) == []
    assert sending(remembered, message("b", 1)) == [b"b 1"]
