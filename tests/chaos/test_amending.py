"""Dead letters are replayed and given up, killed at every point of that, on every broker: each is closed once."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

import otlp_messages as otlp
from apache_kafka import delete_topics
from chaos_load import SMALL, Play, load
from chaos_stack import ChaosStack, chaos_stack
from onshore_pipeline import assembly
from onshore_pipeline.assess import assess_without
from onshore_pipeline.broker import TENANT_HEADER, Outgoing
from onshore_pipeline.failpoints import AMENDING_POINTS
from onshore_pipeline.jobs.wanted_letters import Wanted, ids
from onshore_pipeline.registration import registration
from onshore_pipeline.rule_texts import RuleTexts
from onshore_pipeline.store.reader import Reader
from onshore_pipeline.store.writer import insert
from onshore_pipeline.wire.frames import Failure
from running_stack import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from apache_kafka import KafkaCluster
    from chaos_report import Report
    from onshore_pipeline.broker import Message

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]
REPLAYED = (*AMENDING_POINTS, "5.entries", "5.committed")
DISCARDED = ("10.noted", "5.entries", "5.committed", "10.committed")
SAID = ("--as", "kim", "--reason", "the decoder was repaired")


def test_letters_are_closed_once_on_the_local_log_though_every_command_is_killed(
    tmp_path: Path, report: Report
) -> None:
    report.add("dead letters replayed and given up, killed at every point, local log", closed_once(tmp_path))


def test_letters_are_closed_once_on_tansu(tmp_path: Path, fresh_tansu: str, report: Report) -> None:
    report.add("dead letters replayed and given up, killed at every point, Tansu", closed_once(tmp_path, fresh_tansu))


def test_letters_are_closed_once_on_apache_kafka(tmp_path: Path, kafka_cluster: KafkaCluster, report: Report) -> None:
    delete_topics(kafka_cluster.bootstrap)
    found = closed_once(tmp_path, kafka_cluster.bootstrap)
    report.add("dead letters replayed and given up, killed at every point, Apache Kafka", found)


def closed_once(folder: Path, bootstrap: str = "") -> str:
    with chaos_stack(folder, bootstrap) as stack:
        stack.start("sequencer")
        kills = len(REPLAYED) + len(DISCARDED)
        fail_on(stack, kills + 2)
        stack.settle(kills + 2)
        letters = open_letters(stack)
        assert len(letters) == kills + 2
        play = Play(stack.producer, load(2, events=SMALL))
        play.send()
        stack.start("worker")  # goes on beside all that
        for point in REPLAYED:
            stack.dies(point, "dead-letters", "replay", letters.pop(), *SAID)
        for point in DISCARDED:
            stack.dies(point, "dead-letters", "discard", letters.pop(), *SAID)
        play.send_rest()
        stack.settle(kills + 2 + play.sent)
        left = open_letters(stack)
        assert len(left) > len(letters)  # some of the commands died too early
        done = stack.onshore("dead-letters", "replay", *left, *SAID, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        assert json.loads(done.stdout)["closed"] == len(left)
        entries = len(stack.contents().entries)
        wait_until(lambda: stack.one("SELECT uniqExact(log_position) FROM evidence_log") >= entries, "all is copied")
        stack.settle(kills + 2 + play.sent)
        stack.check()
        stack.check_truth(play.load.truth)
        kinds = stack.client.query("SELECT kind, uniqExact(log_position) FROM evidence_log GROUP BY kind").result_rows
        count = {str(kind): int(entries) for kind, entries in kinds}
        assert count["amends"] + count["discards"] == kills + 2
        return f"{kills} kills; {count['amends']} letters replayed, {count['discards']} given up, each once; {play}"


def fail_on(stack: ChaosStack, messages: int) -> None:
    """So many messages are sent and become dead letters, by a worker that has a bug."""
    # of the two records one can never be read: its letter makes an event and another letter
    value = otlp.with_invalid_utf8(otlp.logs([otlp.movement(), otlp.movement(actor_id="marker")]), b"marker")
    with closing(stack.producer()) as producer:
        producer.send("otlp_logs", [Outgoing(value, ((TENANT_HEADER, b"default"),))] * messages)
    judgement = assembly.judgement(stack.settings)
    RuleTexts().keep(stack.client, judgement)
    with closing(assembly.consumer(stack.settings)) as consumer:
        polled: list[Message] = []

        def some() -> bool:
            took = consumer.poll(max_messages=messages - len(polled), max_bytes=1 << 26, timeout_s=1)
            if took.messages:
                # what the sequencer records itself may come between: the bug is not about that
                sent = [at for at, message in enumerate(took.messages) if message.topic == "otlp_logs"]
                polled.extend(took.messages[at] for at in sent)
                broken = tuple(Failure(at, None, "judge", "a bug of that day") for at in sent)
                attempt = assess_without(took, judgement, uuid4(), broken, lambda _: None)
                now = datetime.now(UTC)
                insert(stack.client, "attempts", registration(attempt, "a bug", judgement, now))
                for name, table in attempt.tables.items():
                    insert(stack.client, name, table)
                consumer.commit(attempt.entries, attempt.advances, attempt.dead_letters)
            return len(polled) == messages

        wait_until(some, f"{messages} messages are polled", 60)


def open_letters(stack: ChaosStack) -> list[str]:
    """Those of the bug, not those of records that can never be read."""
    writer = json.loads(stack.data.credentials.read_text())["writer"]
    reader = Reader(f"http://127.0.0.1:{stack.port('store')}", writer["user"], writer["password"])
    return list(ids(reader, Wanted(state="open", reason_like="a bug")))
