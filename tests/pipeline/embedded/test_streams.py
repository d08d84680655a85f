"""How many runs of numbered messages the local log remembers, and what becomes of one that was forgotten."""

from __future__ import annotations

import hashlib
import itertools
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from onshore_pipeline.broker import Outgoing
from onshore_pipeline.embedded import streams
from onshore_pipeline.embedded.local_log import LocalLog
from onshore_pipeline.errors import OutOfSequence
from onshore_pipeline.numbered import Numbered

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from onshore_pipeline.embedded.local_log import LocalProducer


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalLog:
    """One that remembers three runs, whose clock moves whenever it is looked at."""
    monkeypatch.setattr(streams, "_REMEMBERED", 3)
    clock = itertools.count(1_700_000_000_000_000_000, 1_000_000)
    return LocalLog(tmp_path, now_ns=lambda: next(clock))


@pytest.fixture
def producer(log: LocalLog) -> Iterator[LocalProducer]:
    with closing(log.producer()) as producer:
        yield producer


def send(producer: LocalProducer, stream: str, number: int, value: bytes = b"") -> None:
    value = value or f"{stream} {number}".encode()
    numbered = Numbered(stream, number, hashlib.sha256(value).digest())
    producer.send("otlp_logs", [Outgoing(value, numbered=numbered)])


def values(log: LocalLog) -> list[bytes]:
    with closing(log.consumer()) as consumer:
        return [each.value for each in consumer.poll(max_messages=100, max_bytes=1 << 20, timeout_s=0).messages]


def test_the_run_that_was_silent_for_longest_is_forgotten_first(log: LocalLog, producer: LocalProducer) -> None:
    for stream in ("a", "b", "c"):
        send(producer, stream, 5)
    send(producer, "a", 6)
    send(producer, "d", 0)  # b is forgotten
    for stream, number in (("a", 6), ("c", 5), ("d", 0)):
        send(producer, stream, number)  # known: taken before
    with pytest.raises(OutOfSequence):
        send(producer, "a", 5)
    assert values(log) == [b"a 5", b"b 5", b"c 5", b"a 6", b"d 0"]
    send(producer, "b", 5)  # not known any more: the double that the decision page names
    assert values(log)[-1:] == [b"b 5"]
    with pytest.raises(OutOfSequence):
        send(producer, "b", 4)


def test_runs_are_remembered_over_a_restart_and_by_every_producer_of_the_log(log: LocalLog) -> None:
    with closing(log.producer()) as first, closing(log.producer()) as second:
        send(first, "a", 1)
        send(second, "a", 1)
        send(second, "a", 2)
        with pytest.raises(OutOfSequence):
            send(first, "a", 1)
    with closing(log.producer()) as later:
        send(later, "a", 2)
        with pytest.raises(OutOfSequence):
            send(later, "a", 2, b"something else")
    assert values(log) == [b"a 1", b"a 2"]
