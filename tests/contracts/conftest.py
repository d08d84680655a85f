"""The brokers that the contract suite holds to the same promises."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from uuid import uuid4

import pytest

from onshore_pipeline.broker import DEAD_LETTER_TOPIC, EVIDENCE_LOG_TOPIC, Outgoing, Polled
from onshore_pipeline.embedded.local_log import LocalLog
from onshore_pipeline.embedded.log_file import FILE_NAME
from onshore_pipeline.embedded.log_records import unpack_headers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from onshore_pipeline.broker import (
        Amender,
        Consumer,
        EntryReader,
        Gap,
        LoggedEntry,
        Message,
        MessageReader,
        Producer,
    )
    from onshore_pipeline.kafka_security import KafkaSettings


@dataclass
class Clock:
    """A clock that only moves when told to."""

    now_ns: int = 1_700_000_000_000_000_000

    def __call__(self) -> int:
        return self.now_ns


@dataclass
class Broker:
    """One kind of broker, empty; closes what it opened.

    Attributes:
        open_producer: opens a producer.
        open_consumer: opens a consumer (of the one group).
        open_entry_reader: opens a reader of the evidence log.
        open_message_reader: opens a reader of kept messages.
        open_amender: opens an amender.
        entries: all entries of the evidence log, in order, once nothing is open any more.
        dead_letters: the same of the dead letters.
        outwait: waits until the broker has given up on a consumer that does not poll.
        clock: the broker's clock, where it stamps messages and we hold it.
        stamped_by: whose clock the broker's messages carry.
        join_s: how long a consumer may need until it owns its partitions.
    """

    open_producer: Callable[[], Producer]
    open_consumer: Callable[[], Consumer]
    open_entry_reader: Callable[[], EntryReader]
    open_message_reader: Callable[[], MessageReader]
    open_amender: Callable[[], Amender]
    entries: Callable[[], list[LoggedEntry]]
    dead_letters: Callable[[], list[Outgoing]]
    outwait: Callable[[Consumer], None]
    clock: Clock | None
    join_s: float
    stamped_by: Literal["broker", "sender"] = "broker"
    opened: ExitStack = field(default_factory=ExitStack)

    def producer(self) -> Producer:
        return self.opened.enter_context(closing(self.open_producer()))

    def consumer(self) -> Consumer:
        return self.opened.enter_context(closing(self.open_consumer()))

    def entry_reader(self) -> EntryReader:
        return self.opened.enter_context(closing(self.open_entry_reader()))

    def message_reader(self) -> MessageReader:
        return self.opened.enter_context(closing(self.open_message_reader()))

    def amender(self) -> Amender:
        return self.opened.enter_context(closing(self.open_amender()))

    def poll(self, consumer: Consumer, *, expect: int, max_messages: int = 1000, max_bytes: int = 1 << 24) -> Polled:
        """Polls until `expect` messages are there or the group had time to settle."""
        messages: list[Message] = []
        gaps: list[Gap] = []
        deadline = time.monotonic() + self.join_s + 1.0
        while len(messages) < expect and time.monotonic() < deadline:
            polled = consumer.poll(max_messages=max_messages, max_bytes=max_bytes, timeout_s=0.5)
            messages += polled.messages
            gaps += polled.gaps
        return Polled(tuple(messages), tuple(gaps))


def kafka_settings(address: str, **changes: object) -> KafkaSettings:
    """Settings for a broker under test: short waits."""
    from onshore_pipeline.kafka_security import KafkaSettings

    chosen: dict[str, object] = {
        "bootstrap_servers": (address,),
        "request_timeout_s": 5.0,
        "commit_timeout_s": 10.0,
        "session_timeout_s": 3.0,
        "max_poll_interval_s": 6.0,
        "look_for_topics_s": 0.2,
    }
    return KafkaSettings(**(chosen | changes))  # type: ignore[arg-type]  # the fields are what the test says


@pytest.fixture
def local_broker(tmp_path: Path) -> Iterator[Broker]:
    clock = Clock()
    log = LocalLog(tmp_path, now_ns=clock)
    broker = Broker(
        log.producer,
        log.consumer,
        log.entry_reader,
        log.message_reader,
        log.amender,
        lambda: _local_entries(log),
        lambda: _local_dead_letters(tmp_path),
        lambda _: None,
        clock=clock,
        join_s=0.0,
    )
    with broker.opened:
        yield broker


@pytest.fixture
def tansu_broker(fresh_tansu: str) -> Iterator[Broker]:
    with _broker(kafka_settings(fresh_tansu), stamped_by="sender") as broker:
        yield broker


@pytest.fixture
def apache_kafka_broker(fresh_kafka: str) -> Iterator[Broker]:
    own = uuid4().hex
    with _broker(kafka_settings(fresh_kafka, group_id=own, transactional_id_prefix=own)) as broker:
        yield broker


@contextmanager
def _broker(settings: KafkaSettings, stamped_by: Literal["broker", "sender"] = "broker") -> Iterator[Broker]:
    """What speaks Kafka's protocol, with our topics in it and nothing else."""
    from onshore_pipeline.kafka_amender import KafkaAmender
    from onshore_pipeline.kafka_broker import KafkaConsumer, KafkaEntryReader
    from onshore_pipeline.kafka_messages import KafkaMessageReader
    from onshore_pipeline.kafka_producer import KafkaProducer
    from onshore_pipeline.kafka_topics import ensure_topics

    ensure_topics(settings)
    broker = Broker(
        lambda: KafkaProducer(settings),
        lambda: KafkaConsumer(settings),
        lambda: KafkaEntryReader(settings),
        lambda: KafkaMessageReader(settings),
        lambda: KafkaAmender(settings),
        lambda: _kafka_entries(settings),
        lambda: _kafka_dead_letters(settings.servers),
        _wait_until_out_of_group,
        clock=None,
        join_s=8.0,
        stamped_by=stamped_by,
    )
    with broker.opened:
        yield broker


@pytest.fixture(
    params=["local_broker", "tansu_broker", "apache_kafka_broker"], ids=["local-log", "tansu", "apache-kafka"]
)
def broker(request: pytest.FixtureRequest) -> Broker:
    chosen: Broker = request.getfixturevalue(request.param)
    return chosen


def _local_dead_letters(folder: Path) -> list[Outgoing]:
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
        rows = connection.execute(
            "SELECT value, headers FROM messages JOIN partitions ON slot = id >> 40 JOIN topics USING (topic)"
            " WHERE name = ? ORDER BY id",
            (DEAD_LETTER_TOPIC,),
        ).fetchall()
    return [Outgoing(value, unpack_headers(headers)) for value, headers in rows]


def _local_entries(log: LocalLog) -> list[LoggedEntry]:
    with closing(log.entry_reader()) as reader:  # one read of the file sees all that was committed
        return list(reader.read(after={}, max_entries=1000, timeout_s=0.0))


def _kafka_entries(settings: KafkaSettings) -> list[LoggedEntry]:
    from onshore_pipeline.kafka_entries import KafkaEntryReader

    ends = {0: _kafka_end(settings.servers, EVIDENCE_LOG_TOPIC)}
    with closing(KafkaEntryReader(settings)) as reader:
        return [entry for chunk in reader.read_all({}, ends) for entry in chunk]


def _kafka_end(address: str, topic: str) -> int:
    """Behind everything that was ever written, markers and what is still open included."""
    import kafka

    source = kafka.TopicPartition(topic, 0)
    with kafka.KafkaConsumer(bootstrap_servers=address) as consumer:
        return int(consumer.end_offsets([source])[source])


def _kafka_dead_letters(address: str) -> list[Outgoing]:
    import kafka

    source = kafka.TopicPartition(DEAD_LETTER_TOPIC, 0)
    end, found = _kafka_end(address, DEAD_LETTER_TOPIC), list[Outgoing]()
    with kafka.KafkaConsumer(bootstrap_servers=address, isolation_level="read_committed") as consumer:
        consumer.assign([source])
        consumer.seek(source, 0)
        deadline = time.monotonic() + 20
        while consumer.position(source) < end:
            assert time.monotonic() < deadline, f"the dead letters do not read to {end}"
            records = consumer.poll(timeout_ms=200).get(source, [])
            found += [Outgoing(record.value, tuple(record.headers)) for record in records]
    return found


def _wait_until_out_of_group(consumer: Consumer) -> None:
    from onshore_pipeline.kafka_broker import KafkaConsumer

    assert isinstance(consumer, KafkaConsumer)
    deadline, pause = time.monotonic() + 60, threading.Event()
    while consumer._consumer.group_metadata().generation_id >= 0:
        assert time.monotonic() < deadline
        pause.wait(0.05)
