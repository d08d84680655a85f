"""Two deployments on one Kafka: the second is refused before it seals anything, and a log moves only on purpose."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from chaos_stack import ChaosStack, chaos_stack
from onshore_pipeline.broker import Outgoing
from otlp_messages import logs, movement
from running_stack import run_onshore, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SENT = 5


@pytest.fixture
def two(fresh_kafka: str, tmp_path: Path) -> Iterator[tuple[ChaosStack, ChaosStack]]:
    with (
        chaos_stack(tmp_path / "a", fresh_kafka) as first,
        chaos_stack(tmp_path / "b", fresh_kafka, claim=False) as second,
    ):
        yield first, second


def refused(stack: ChaosStack, part: str) -> str:
    """Start a part that must end by itself; gives its last line."""
    process = stack.start(part, wait=False)
    wait_until(lambda: process.poll() is not None, f"{part} ends")
    assert process.returncode == 2, stack.said(part)
    assert not stack.is_ready(part)
    return stack.said(part).strip().splitlines()[-1]


def send(stack: ChaosStack) -> None:
    with closing(stack.producer()) as producer:
        producer.send("otlp_logs", [Outgoing(logs([movement()])) for _ in range(_SENT)])


def seen(stack: ChaosStack) -> tuple[int, int]:
    return stack.one("SELECT sum(events) FROM evidence_log FINAL"), stack.one("SELECT count() FROM events_current")


def test_a_second_store_on_a_log_is_refused_and_the_log_moves_only_on_purpose(
    two: tuple[ChaosStack, ChaosStack],
) -> None:
    first, second = two
    sequencer = first.start("sequencer", wait=False)
    first.start("worker")
    for part in ("worker", "sequencer"):
        assert "what one seals the other would hide" in refused(second, part)
    send(first)
    wait_until(lambda: seen(first) == (_SENT, _SENT), "the first store has all of it")
    assert sequencer.poll() is None
    assert (second.one("SELECT count() FROM evidence_log"), second.one("SELECT count() FROM events")) == (0, 0)
    assert "what one seals the other would hide" in second.onshore("restore").stderr
    at_work = second.onshore("tie-log", "--another-salt-key")
    assert (at_work.returncode, "stop every one of them" in at_work.stderr) == (2, True)
    first.stop("worker")
    first.stop("sequencer")
    other_key = second.onshore("tie-log")
    assert (other_key.returncode, "Set salt_key_file to a copy" in other_key.stderr) == (2, True)
    wait_until(
        lambda: second.onshore("tie-log", "--another-salt-key", "--json").returncode == 0, "Kafka misses the members"
    )
    assert "belongs to this store already" in second.onshore("tie-log").stdout
    assert "what one seals the other would hide" in refused(first, "worker")
    second.start("worker")
    second.start("sequencer", wait=False)
    send(second)
    wait_until(lambda: seen(second) == (2 * _SENT, _SENT), "the second store goes on behind the first")
    report = json.loads(second.onshore("status", "--json").stdout)
    assert report["events_missing"] == _SENT
    assert any(line.startswith(f"{_SENT} sealed events have no rows") for line in report["attention"])


def test_another_group_on_a_log_is_refused(two: tuple[ChaosStack, ChaosStack]) -> None:
    first, _ = two
    first.start("worker")
    here = ("--data-dir", str(first.data.path), "--store-url", f"http://127.0.0.1:{first.port('store')}")
    told = first.environment | {"ONSHORE_KAFKA_GROUP": "another"}
    for part in ("worker", "sequencer"):
        ended = run_onshore(first.folder, part, *here, within_s=60, **told)
        assert (ended.returncode, "Set kafka_group to onshore" in ended.stderr) == (2, True)
