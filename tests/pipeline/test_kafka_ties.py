"""Kafka's evidence log belongs to one store, one group and one salt key, and everybody else is told so."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from onshore_pipeline.broker import EVIDENCE_LOG_TOPIC, STORES_TOPIC, Outgoing
from onshore_pipeline.errors import BrokerUnavailable, LogOfAnother
from onshore_pipeline.kafka_broker import KafkaConsumer
from onshore_pipeline.kafka_producer import KafkaProducer
from onshore_pipeline.kafka_security import KafkaSettings
from onshore_pipeline.kafka_ties import Tie, _append, claim, move, refuse_another, standing
from onshore_pipeline.kafka_topics import admin_client, ensure_topics
from running_stack import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def kafka(fresh_broker: str) -> KafkaSettings:
    made = KafkaSettings(
        bootstrap_servers=(fresh_broker,),
        group_id=uuid4().hex,
        request_timeout_s=10.0,
        session_timeout_s=1.0,
        max_poll_interval_s=6.0,
        look_for_topics_s=0.2,
    )
    ensure_topics(made)
    return made


def tie(group: str = "workers") -> Tie:
    return Tie(uuid4(), group, "0123")


def test_a_log_belongs_to_whoever_ties_it_first(kafka: KafkaSettings) -> None:
    ours = tie()
    assert standing(kafka).tie is None
    assert not refuse_another(kafka, ours)
    claim(kafka, ours, "host-a:1")
    claim(kafka, ours, "host-b:2")
    found = standing(kafka)
    assert (found.tie, found.by) == (ours, "host-a:1")
    assert refuse_another(kafka, replace(ours, salt_key=None))


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (lambda ours: replace(ours, store=uuid4()), "what one seals the other would hide"),
        (lambda ours: replace(ours, group="another"), "Set kafka_group to workers"),
        (lambda ours: replace(ours, salt_key="4567"), "Set salt_key_file to a copy"),
    ],
    ids=["store", "group", "salt key"],
)
def test_another_store_group_or_salt_key_is_refused_with_the_remedy(
    kafka: KafkaSettings, other: Callable[[Tie], Tie], words: str
) -> None:
    ours = tie()
    claim(kafka, ours, "host-a:1")
    for ask in (lambda: refuse_another(kafka, other(ours)), lambda: claim(kafka, other(ours), "host-b:2")):
        with pytest.raises(LogOfAnother, match=f"tied by host-a:1 to .*{words}.*onshore tie-log"):
            ask()
    assert standing(kafka).tie == ours


def test_of_two_that_tie_at_the_same_moment_the_first_in_the_topic_counts(kafka: KafkaSettings) -> None:
    ours, theirs = tie(), tie()
    untied = standing(kafka)
    assert _append(kafka, untied, ours, "a").tie == ours
    assert _append(kafka, untied, theirs, "b").tie == ours


def test_a_log_that_began_anew_is_nobodys(kafka: KafkaSettings) -> None:
    claim(kafka, tie(), "a")
    with admin_client(kafka) as admin:
        admin.delete_topics([EVIDENCE_LOG_TOPIC])
        wait_until(lambda: EVIDENCE_LOG_TOPIC not in admin.list_topics(), "the log is gone")
    with pytest.raises(BrokerUnavailable, match="onshore topics create"):
        standing(kafka)
    ensure_topics(kafka)
    assert standing(kafka).tie is None


def test_what_is_no_record_of_ours_stops_everybody(kafka: KafkaSettings) -> None:
    with closing(KafkaProducer(kafka)) as producer:
        producer.send(STORES_TOPIC, [Outgoing(b'{"log": "mine"}')])
    with pytest.raises(LogOfAnother, match=r"onshore_stores\[0\]@0 is no record of ours"):
        claim(kafka, tie(), "a")


def test_a_log_moves_when_nobody_is_at_work_and_whoever_comes_back_is_refused(fresh_kafka: str) -> None:
    kafka = KafkaSettings(
        bootstrap_servers=(fresh_kafka,), group_id=uuid4().hex, session_timeout_s=1.0, look_for_topics_s=0.2
    )
    ensure_topics(kafka)
    ours, theirs = tie(kafka.group_id), tie(kafka.group_id)
    claim(kafka, ours, "a")
    with closing(KafkaConsumer(kafka, check=lambda: refuse_another(kafka, ours))) as worker:

        def is_member() -> bool:
            worker.poll(max_messages=1, max_bytes=1, timeout_s=0.1)
            try:
                return bool(worker.lag())
            except BrokerUnavailable:  # it still joins
                return False

        wait_until(is_member, "the worker has partitions")
        with pytest.raises(LogOfAnother, match=rf"members of {kafka.group_id} \(1\): stop every one"):
            move(kafka, theirs, "b")
        assert standing(kafka).tie == ours
    assert move(kafka, theirs, "b") == (ours, theirs)
    assert move(kafka, theirs, "b") == (theirs, theirs)
    with closing(KafkaConsumer(kafka, check=lambda: refuse_another(kafka, ours))) as late:
        # it asked before the move, and joined behind it

        def poll() -> bool:
            late.poll(max_messages=1, max_bytes=1, timeout_s=0.1)
            return False

        with pytest.raises(LogOfAnother, match="what one seals the other would hide"):
            wait_until(poll, "partitions")
    assert move(kafka, ours, "a") == (theirs, ours)
