"""Kafka's own kinds of trouble: a member that falls asleep, two members at once, a broker of three that dies."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from apache_kafka import KafkaUnavailable, delete_topics, running_kafka
from chaos_load import SMALL, Play, load
from chaos_senders import Sender, compare
from chaos_stack import chaos_stack
from failpoint_matrix import Matrix
from onshore_pipeline.broker import TENANT_HEADER, Outgoing
from running_stack import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from apache_kafka import KafkaCluster
    from chaos_report import Report
    from chaos_stack import ChaosStack
    from onshore_pipeline.broker import Producer

pytestmark = [pytest.mark.chaos, pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")]


WORKERS = ("worker", "worker-2")


@pytest.fixture
def apache(kafka_cluster: KafkaCluster, tmp_path: Path) -> Iterator[Matrix]:
    delete_topics(kafka_cluster.bootstrap)
    with chaos_stack(tmp_path, kafka_cluster.bootstrap) as stack:
        yield Matrix(stack, load(3, events=SMALL), checked=False)


@pytest.mark.parametrize("point", ["1.after", "3.after", "4.events", "5.before"])
def test_a_worker_that_was_asleep_beyond_its_session_and_wakes_up_commits_nothing(
    apache: Matrix, point: str, report: Report
) -> None:
    stack = apache.stack
    stack.start("sequencer")
    stack.start("worker", f"{point}:pause", armed=True)
    apache.send()
    wait_until(lambda: stack.is_stopped("worker"), f"the worker stops at {point}")
    stack.start("worker-2")
    stack.settle(apache.sent, within_s=90)  # all of it by the second: the first one sleeps, and its session is over
    assert stack.is_stopped("worker")
    committed = stack.one("SELECT count() FROM evidence_log")
    stack.signal("worker", signal.SIGCONT)
    apache.send()
    stack.settle(apache.sent, within_s=90)
    wait_until(lambda: "given up" in stack.said("worker"), "the worker gives its attempt up")
    stack.check()
    assert stack.one("SELECT count() FROM evidence_log") > committed
    assert stack.is_alive("worker")
    stack.kill("worker-2")
    report.add(f"worker asleep at {point} beyond its session, another one at work", apache.finish())


def test_two_workers_of_which_one_dies_again_and_again_share_the_work(apache: Matrix, report: Report) -> None:
    stack = apache.stack
    stack.start("sequencer")
    stack.start("receiver")
    senders = [Sender(f"both-{number}", stack.otlp, number) for number in range(2)]
    for part in WORKERS:
        stack.start(part)
    spans = stack.producer()
    try:
        for sender in senders:
            sender.start()
        for turn in range(6):
            wait_for_more(senders)
            wait_until(lambda: both_commit(stack, spans), "both of them commit", 60)
            part = WORKERS[turn % 2]
            stack.kill(part)
            stack.start(part)
    finally:
        spans.close()
        for sender in senders:
            sender.stop()
    apache.play.send_rest()
    messages = stack.contents().count
    stack.settle(messages, within_s=120)
    stack.check()
    stack.check_truth(apache.load.truth)
    found = f"{messages:,} messages; {compare(stack.client, senders)}; {apache.play}"
    report.add("two workers, each killed three times, Apache Kafka", found)


def both_commit(stack: ChaosStack, producer: Producer) -> bool:
    """Whether both workers have, with another message of a topic that the one without logs reads."""
    producer.send("otlp_spans", [Outgoing(b"", ((TENANT_HEADER, b"default"),))])
    return all(map(stack.has_committed, WORKERS))


@pytest.mark.timeout(600)
def test_one_of_three_brokers_that_dies_costs_nothing(tmp_path: Path, report: Report) -> None:
    try:
        with (
            running_kafka(tmp_path / "kafka", brokers=3) as cluster,
            chaos_stack(tmp_path / "stack", cluster.bootstrap) as stack,
        ):
            for part in ("receiver", "worker", "sequencer"):
                stack.start(part)
            play = Play(stack.producer, load(len(cluster.brokers) + 1, events=SMALL))
            senders = [Sender(f"three-{number}", stack.otlp, number) for number in range(2)]
            try:
                for sender in senders:
                    sender.start()
                for broker in cluster.brokers:
                    wait_for_more(senders)
                    broker.kill()
                    play.send()
                    wait_for_more(senders)
                    broker.start()
                    cluster.wait_until_ready()
                wait_for_more(senders)
            finally:
                for sender in senders:
                    sender.stop()
            play.send_rest()
            messages = stack.contents().count
            stack.settle(messages, within_s=240)  # a commit that met a death may wait for its time limit
            stack.check()
            stack.check_truth(play.load.truth)
            found = f"{messages:,} messages; {compare(stack.client, senders)}; {play}"
            report.add("each of three brokers killed in turn, senders go on", found)
    except KafkaUnavailable as missing:
        pytest.skip(str(missing))


def wait_for_more(senders: list[Sender], messages: int = 5, within_s: float = 90) -> None:
    """Until so many more messages were acknowledged."""
    before = sum(len(sender.acknowledged) for sender in senders)
    wait_until(
        lambda: sum(len(sender.acknowledged) for sender in senders) >= before + messages,
        f"{messages} more messages are acknowledged",
        within_s,
    )
