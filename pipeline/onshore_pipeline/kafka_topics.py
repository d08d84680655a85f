"""The topics Onshore needs in Kafka: which exist, who they are, whether they are set up for evidence."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import NAMESPACE_URL, UUID, uuid5

from kafka import IsolationLevel, KafkaAdminClient, OffsetSpec, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import TopicAlreadyExistsError

from onshore_pipeline.broker import (
    ACTIONS_TOPIC,
    DEAD_LETTER_TOPIC,
    EVIDENCE_LOG_TOPIC,
    FINDINGS_TOPIC,
    STORES_TOPIC,
    PartitionLag,
)
from onshore_pipeline.errors import BrokerUnavailable, OnshoreError
from onshore_pipeline.kafka_security import KafkaSettings, client_options, connected, kafka_errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_STAMPED: Final = {"message.timestamp.type": "LogAppendTime"}
_DELETED_ONLY: Final = {"cleanup.policy": "delete"}  # compaction would take messages away that nobody processed
_KEPT: Final = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
_OURS: Final = (EVIDENCE_LOG_TOPIC, DEAD_LETTER_TOPIC, STORES_TOPIC, ACTIONS_TOPIC)
_WANTED: Final = (*_OURS, FINDINGS_TOPIC)  # the last one tells a SIEM and may forget: nothing is derived from it
_UNKNOWN_TOPIC: Final = 3  # Kafka's error code UNKNOWN_TOPIC_OR_PARTITION


class TopicsUnfit(OnshoreError):
    """The evidence log would lose entries, or whose it is, or let senders stamp them; the text has the remedy."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic that exists.

    Attributes:
        name: its name.
        topic_id: Kafka's own UUID for it; from brokers that have none (older than 2.8), a UUIDv5 in the URL name space
            of 'kafka:<cluster id>/<topic>', which a topic made again under the same name shares.
        partitions: how many it has.
    """

    name: str
    topic_id: UUID
    partitions: int


@contextmanager
def admin_client(settings: KafkaSettings) -> Iterator[KafkaAdminClient]:
    """A client for questions about topics. Raises `BrokerUnavailable`."""
    admin = connected(settings, KafkaAdminClient, **client_options(settings))
    try:
        yield admin
    finally:
        admin.close()


def describe_topics(settings: KafkaSettings, admin: KafkaAdminClient, names: Iterable[str]) -> dict[str, Topic]:
    """Those of `names` that exist, by name. Raises `BrokerUnavailable`."""
    found: dict[str, Topic] = {}
    with kafka_errors(settings, "describe topics"):
        for each in admin.describe_topics(list(names)):
            if each["error_code"] == _UNKNOWN_TOPIC:
                continue
            if each["error_code"] != 0:
                raise BrokerUnavailable(
                    f"Kafka at {settings.servers}: cannot describe topic {each['name']}: error {each['error_code']}"
                )
            found[each["name"]] = Topic(each["name"], _topic_id(admin, each), len(each["partitions"]))
    return found


def ensure_topics(settings: KafkaSettings, *, partitions: int = 1, replication_factor: int = -1) -> tuple[str, ...]:
    """Make the topics that are missing, set up for evidence; returns their names.

    Args:
        settings: the cluster, and the event topics.
        partitions: of a new event topic; topics of our own always get one.
        replication_factor: of new topics; -1 = the cluster's default.

    Raises:
        BrokerUnavailable: the cluster did not answer or refused.
    """
    largest = {"max.message.bytes": str(settings.max_message_bytes)}
    wanted = dict.fromkeys(settings.topics, (partitions, _STAMPED | largest))
    wanted |= dict.fromkeys(_OURS, (1, _STAMPED | largest | _KEPT)) | {FINDINGS_TOPIC: (1, _STAMPED | largest)}
    with admin_client(settings) as admin:
        existing = describe_topics(settings, admin, wanted)
        missing = tuple(name for name in wanted if name not in existing)
        for name in missing:
            count, configs = wanted[name]
            topic = {"num_partitions": count, "replication_factor": replication_factor, "configs": configs}
            with kafka_errors(settings, f"create topic {name}"):
                try:
                    admin.create_topics({name: topic})
                except TopicAlreadyExistsError:
                    continue  # another process of ours was faster
        if missing:
            with kafka_errors(settings, "wait for new topics"):
                admin.wait_for_topics(list(missing), timeout_ms=int(settings.request_timeout_s * 1000))
    return missing


def check_topics(settings: KafkaSettings) -> tuple[str, ...]:
    """What is wrong with the topics, one sentence each with its remedy; empty when all is well.

    Raises `BrokerUnavailable`.
    """
    wanted = dict.fromkeys(settings.topics, _STAMPED | _DELETED_ONLY)
    wanted |= dict.fromkeys(_OURS, _STAMPED | _KEPT) | {FINDINGS_TOPIC: _STAMPED}
    complaints: list[str] = []
    with admin_client(settings) as admin:
        existing = describe_topics(settings, admin, wanted)
        complaints += (
            f"topic {name} is missing: make it, with {_spelled(wanted[name])}"
            for name in _WANTED
            if name not in existing
        )
        resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in existing]
        if not resources:
            return tuple(complaints)
        with kafka_errors(settings, "read the topics' configuration"):
            described = admin.describe_configs(resources, config_filter="all")["topic"]
    for name in existing:
        configs = {key: config["value"] for key, config in described[name].items()}
        wrong = {key: value for key, value in wanted[name].items() if configs.get(key, _DEFAULTS[key]) != value}
        if wrong:
            complaints.append(
                f"topic {name} lacks {_spelled(wrong)}: kafka-configs.sh --bootstrap-server"
                f" {settings.bootstrap_servers[0]} --alter --entity-type topics --entity-name {name}"
                f" --add-config {_spelled(wrong)}"
            )
    return tuple(complaints)


def refuse_unfit_log(complaints: Iterable[str]) -> None:
    """Stop where one of the `complaints` is about the evidence log or whose it is; the others may be lived with.

    Raises `TopicsUnfit`.
    """
    for complaint in complaints:
        if complaint.startswith((f"topic {EVIDENCE_LOG_TOPIC} ", f"topic {STORES_TOPIC} ")):
            raise TopicsUnfit(complaint)


def group_lag(settings: KafkaSettings) -> tuple[PartitionLag, ...]:
    """How far the group is behind on every event topic, seen from outside; a group without a position is at 0.

    Raises `BrokerUnavailable`.
    """
    with admin_client(settings) as admin:
        topics = describe_topics(settings, admin, settings.topics)
        sources = [
            TopicPartition(topic.name, number) for topic in topics.values() for number in range(topic.partitions)
        ]
        if not sources:
            return ()
        with kafka_errors(settings, "look at the group's positions"):
            committed = admin.list_group_offsets(settings.group_id).get(settings.group_id, {})
            ends = admin.list_partition_offsets(
                dict.fromkeys(sources, OffsetSpec.LATEST), isolation_level=IsolationLevel.READ_COMMITTED
            )
    return tuple(
        PartitionLag(
            source.topic,
            source.partition,
            committed[source].offset if source in committed else 0,
            ends[source].offset,
        )
        for source in sources
    )


# what Kafka does where a topic says nothing
_DEFAULTS: Final = {
    "message.timestamp.type": "CreateTime",
    "cleanup.policy": "delete",
    "retention.ms": "604800000",
    "retention.bytes": "-1",
}


def _spelled(configs: dict[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in configs.items())


def _topic_id(admin: KafkaAdminClient, described: dict[str, Any]) -> UUID:
    if described.get("topic_id"):
        return UUID(str(described["topic_id"]))
    return uuid5(NAMESPACE_URL, f"kafka:{admin.describe_cluster()['cluster_id']}/{described['name']}")
