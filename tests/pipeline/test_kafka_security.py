"""Users and permissions as compose/kafka/ ships them: each part may do its work, and nobody anything else."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from apache_kafka import KafkaUnavailable
from onshore_pipeline.actions import Action, event_id_of, record_action
from onshore_pipeline.broker import EVENT_TOPICS, Advance, Outgoing
from onshore_pipeline.errors import BrokerUnavailable
from onshore_pipeline.kafka_broker import KafkaConsumer
from onshore_pipeline.kafka_entries import KafkaEntryReader
from onshore_pipeline.kafka_messages import KafkaMessageReader
from onshore_pipeline.kafka_producer import KafkaProducer
from onshore_pipeline.kafka_security import KafkaSettings
from onshore_pipeline.kafka_ties import Tie, claim, refuse_another
from onshore_pipeline.kafka_topics import check_topics, ensure_topics
from onshore_pipeline.leadership import lead_by_group
from secured_kafka import SecuredKafka, running_secured_kafka

if TYPE_CHECKING:
    from collections.abc import Iterator
    from threading import Event


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    try:
        with running_secured_kafka(tmp_path_factory.mktemp("secured")) as cluster:
            assert ensure_topics(by(cluster, "onshore-admin")) == (
                *EVENT_TOPICS,
                "onshore_evidence_log",
                "onshore_dead_letters",
                "onshore_stores",
                "onshore_findings",
            )
            yield cluster
    except KafkaUnavailable as missing:
        pytest.skip(str(missing))


def by(cluster: SecuredKafka, user: str, password: str | None = None) -> KafkaSettings:
    """How a user reaches the cluster."""
    return KafkaSettings(
        bootstrap_servers=(cluster.brokers[0].address,),
        security_protocol="SASL_SSL",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_username=user,
        sasl_password=password or cluster.password(user),
        ca_file=cluster.secrets / "ca.pem",
        member="worker-0",
        request_timeout_s=10.0,
        commit_timeout_s=15.0,
        session_timeout_s=6.0,
    )


def send(settings: KafkaSettings, topic: str) -> None:
    with closing(KafkaProducer(settings)) as producer:
        producer.send(topic, [Outgoing(b"{}")])


def test_receiver_worker_and_sequencer_do_their_work(secured: SecuredKafka) -> None:
    send(by(secured, "onshore-receiver"), "otlp_logs")
    worker = by(secured, "onshore-worker")
    assert ensure_topics(worker) == ()
    assert check_topics(worker) == ()
    ours = Tie(uuid4(), worker.group_id, "key")
    claim(worker, ours, "this test")
    with closing(KafkaConsumer(worker)) as consumer:
        for _ in range(40):
            messages = consumer.poll(max_messages=1, max_bytes=1000, timeout_s=0.5).messages
            if messages:
                break
        (message,) = messages
        entry = {"kind": "message", "topic_id": str(message.topic_id), "partition": 0, "offset": 0}
        advance = Advance("otlp_logs", message.topic_id, 0, 0, 1)
        consumer.commit([json.dumps(entry).encode()], [advance], [Outgoing(b"letter")])
    sequencer = by(secured, "onshore-sequencer")
    assert ensure_topics(sequencer) == ()
    assert refuse_another(sequencer, ours)
    with closing(KafkaEntryReader(sequencer)) as reader:
        (logged,) = reader.read(after={}, max_entries=10, timeout_s=10)
    assert json.loads(logged.value) == entry
    send(sequencer, "onshore_actions")  # changes of the registries, and runs of controls, which are recorded once
    with closing(KafkaMessageReader(sequencer)) as kept:
        [actions] = [each for each in kept.retained() if each.topic == "onshore_actions"]
        assert kept.read(actions, actions.begin, actions.end, max_bytes=1000)


def test_an_operator_records_an_action_and_is_told_where_it_lies(secured: SecuredKafka) -> None:
    action = Action("finding.comment", "acme", "rina", "a word", {})
    with closing(KafkaProducer(by(secured, "onshore-operator"))) as recorder:
        first, second = record_action(recorder, action), record_action(recorder, action)
    assert (first.place.topic, first.place.partition) == ("onshore_actions", 0)
    assert first.place.topic_id == second.place.topic_id
    assert second.place.offset > first.place.offset
    assert event_id_of(first.place) == first.event_id != second.event_id


def test_a_sequencer_may_lead(secured: SecuredKafka, stop: Event) -> None:
    with lead_by_group(by(secured, "onshore-sequencer"), stop) as over:
        assert not over.is_set()


@pytest.fixture
def stop() -> Event:
    from threading import Event

    return Event()


@pytest.mark.parametrize(
    ("user", "topic"),
    [
        ("onshore-worker", "otlp_logs"),
        ("onshore-receiver", "onshore_actions"),
        ("onshore-worker", "onshore_actions"),
        ("onshore-operator", "otlp_logs"),
        ("onshore-operator", "onshore_evidence_log"),
        ("onshore-sequencer", "otlp_logs"),
        ("onshore-worker", "onshore_findings"),
        ("onshore-receiver", "onshore_evidence_log"),
        ("onshore-sequencer", "onshore_evidence_log"),
    ],
)
def test_nobody_writes_what_is_not_theirs(secured: SecuredKafka, user: str, topic: str) -> None:
    with pytest.raises(BrokerUnavailable, match=r"(?i)authoriz"):
        send(by(secured, user), topic)


def test_a_wrong_password_is_refused_and_never_shown(secured: SecuredKafka) -> None:
    with pytest.raises(BrokerUnavailable) as refusal:
        send(by(secured, "onshore-receiver", "guessed"), "otlp_logs")
    assert "guessed" not in str(refusal.value)
