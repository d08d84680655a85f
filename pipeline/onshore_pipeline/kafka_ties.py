"""Whose the evidence log on Kafka is: one store's, one consumer group's, under one salt key.

Two stores on one log would each hold a part of what is sealed, and two groups would seal every message twice; nothing
in a commit tells either. So whoever commits first ties the log, in a topic of its own whose order decides: a record
counts if it names the record that counted before it (none, for the first), so of two that are written at the same
moment one counts, and everybody who reads on to his own knows which.
"""

from __future__ import annotations

import json
import time
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid4

import kafka
from kafka import TopicPartition

from onshore_pipeline.broker import EVIDENCE_LOG_TOPIC, STORES_TOPIC, Outgoing
from onshore_pipeline.errors import BrokerUnavailable, LogOfAnother
from onshore_pipeline.kafka_entries import reading_options
from onshore_pipeline.kafka_producer import KafkaProducer
from onshore_pipeline.kafka_security import KafkaSettings, connected, kafka_errors
from onshore_pipeline.kafka_topics import admin_client, describe_topics

if TYPE_CHECKING:
    from collections.abc import Iterator

_WAIT_MS: Final = 200
_NONE: Final = -1


@dataclass(frozen=True, slots=True)
class Tie:
    """Whose a log is.

    Attributes:
        store: the store's own id.
        group: the workers' consumer group.
        salt_key: tells the deployment's salt master from others; None = not asked for.
    """

    store: UUID
    group: str
    salt_key: str | None


@dataclass(frozen=True, slots=True)
class Tied:
    """What counts for a log at the moment; `position` is -1 and `tie` None while nobody has tied it."""

    log_id: UUID
    position: int
    tie: Tie | None
    by: str = ""


def standing(settings: KafkaSettings) -> Tied:
    """Whose the evidence log is. Raises `BrokerUnavailable`."""
    with closing(_Records(settings)) as records:
        return records.standing()


def claim(settings: KafkaSettings, wanted: Tie, by: str) -> None:
    """Tie the log, if nobody has yet; then make sure that it is tied to what is `wanted`.

    Raises:
        LogOfAnother: it is another's; the text says whose, and what to do.
        BrokerUnavailable: try again later.
    """
    found = standing(settings)
    if found.tie is None:
        found = _append(settings, found, wanted, by)
    _refuse(settings, found, wanted)


def refuse_another(settings: KafkaSettings, wanted: Tie) -> bool:
    """Stop where the log is another's; whether it is tied at all. Raises as `claim`."""
    found = standing(settings)
    if found.tie is None:
        return False
    _refuse(settings, found, wanted)
    return True


def move(settings: KafkaSettings, wanted: Tie, by: str) -> tuple[Tie | None, Tie]:
    """Tie the log to what is `wanted`, whosever it was; gives what counted and what counts now.

    Raises:
        LogOfAnother: somebody moved it at the same moment, or a worker or sequencer is still a member of a group.
        BrokerUnavailable: try again later.
    """
    before = standing(settings)
    if before.tie == wanted:
        return before.tie, wanted
    groups = {wanted.group} | ({before.tie.group} if before.tie else set())
    _refuse_members(settings, groups)
    after = _append(settings, before, wanted, by)
    _refuse(settings, after, wanted)
    _refuse_members(settings, groups)  # one that joined meanwhile may not have seen it
    return before.tie, wanted


def refuse_another_salt_key(settings: KafkaSettings, wanted: Tie) -> None:
    """Stop where the log is tied to another salt key. Raises as `claim`."""
    found = standing(settings)
    if found.tie is not None:
        _refuse(settings, found, replace(found.tie, salt_key=wanted.salt_key))


def _append(settings: KafkaSettings, found: Tied, wanted: Tie, by: str) -> Tied:
    """Write a record on top of what was found, and read on to it."""
    name = str(uuid4())
    record = {"record": name, "log": str(found.log_id), "instead_of": found.position, "by": by}
    record |= {key: str(value) for key, value in asdict(wanted).items()}
    with closing(KafkaProducer(settings)) as producer:
        producer.send(STORES_TOPIC, [Outgoing(json.dumps(record).encode())])
    with closing(_Records(settings)) as records:
        return records.standing(name)


class _Records:
    """The topic's records from its beginning."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        with admin_client(settings) as admin:
            topics = describe_topics(settings, admin, (EVIDENCE_LOG_TOPIC, STORES_TOPIC))
        for name in (EVIDENCE_LOG_TOPIC, STORES_TOPIC):
            if name not in topics:
                raise BrokerUnavailable(
                    f"Kafka at {settings.servers}: topic {name} is missing: `onshore topics create`"
                )
        self._log_id = topics[EVIDENCE_LOG_TOPIC].topic_id
        self._consumer = connected(settings, kafka.KafkaConsumer, **reading_options(settings))

    def standing(self, own: str | None = None) -> Tied:
        """What counts for the log, at least as of the record named `own`."""
        found, seen = Tied(self._log_id, _NONE, None), own is None
        deadline = time.monotonic() + self._settings.request_timeout_s
        for position, record in self._read():
            if record is None:
                if seen:
                    return found
                if time.monotonic() > deadline:
                    break
                continue
            seen = seen or record["record"] == own
            if UUID(record["log"]) == self._log_id and int(record["instead_of"]) == found.position:
                tie = Tie(UUID(record["store"]), str(record["group"]), str(record["salt_key"]))
                found = Tied(self._log_id, position, tie, str(record["by"]))
        raise BrokerUnavailable(f"Kafka at {self._settings.servers}: {STORES_TOPIC} does not read to its end")

    def _read(self) -> Iterator[tuple[int, dict[str, Any] | None]]:
        """Records with their positions; (_, None) each time there is nothing more at the moment."""
        source = TopicPartition(STORES_TOPIC, 0)
        timeout_ms = int(self._settings.request_timeout_s * 1000)
        with kafka_errors(self._settings, f"read {STORES_TOPIC}"):
            self._consumer.assign([source])
            self._consumer.seek_to_beginning(source)
            end = self._consumer.end_offsets([source], timeout_ms=timeout_ms)[source]
            deadline = time.monotonic() + self._settings.request_timeout_s
            while True:
                records = self._consumer.poll(timeout_ms=_WAIT_MS).get(source, [])
                for record in records:
                    yield record.offset, _parsed(record.offset, record.value or b"")
                if not records and self._consumer.position(source, timeout_ms=timeout_ms) >= end:
                    yield _NONE, None
                elif time.monotonic() > deadline:
                    return

    def close(self) -> None:
        with kafka_errors(self._settings, "close the reader"):
            self._consumer.close()


def _parsed(position: int, value: bytes) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads(value)
        UUID(record["log"]), UUID(record["store"]), int(record["instead_of"])
        if {"record", "group", "salt_key", "by"} <= record.keys():
            return record
    except (ValueError, KeyError, TypeError):
        pass
    raise LogOfAnother(f"{STORES_TOPIC}[0]@{position} is no record of ours: only the worker may write that topic")


def _refuse(settings: KafkaSettings, found: Tied, wanted: Tie) -> None:
    tie = found.tie
    assert tie is not None
    whose = f"the evidence log on Kafka at {settings.servers} was tied by {found.by} to"
    if tie.store != wanted.store:
        raise LogOfAnother(
            f"{whose} store {tie.store}, and this one is {wanted.store}: what one seals the other would hide. Use that"
            " store's data directory (data_dir) or address (clickhouse_url), or topics of another cluster. If that"
            " store is gone for good, stop every worker and sequencer and run `onshore tie-log`"
        )
    if tie.group != wanted.group:
        raise LogOfAnother(
            f"{whose} consumer group {tie.group}, and setting kafka_group is {wanted.group}: two groups would seal"
            f" every message twice. Set kafka_group to {tie.group}; to change it for good, stop every worker and"
            " sequencer and run `onshore tie-log`"
        )
    if wanted.salt_key not in {None, tie.salt_key}:
        raise LogOfAnother(
            f"{whose} salt key {tie.salt_key}, and this one's is {wanted.salt_key}: what it seals could not be opened"
            " or restored with the other. Set salt_key_file to a copy of that key (keys/salt.key of the data"
            " directory that made it); if it is lost, stop every worker and sequencer and run"
            " `onshore tie-log --another-salt-key`"
        )


def _refuse_members(settings: KafkaSettings, groups: set[str]) -> None:
    names = sorted({*groups, *(f"{each}-sequencer" for each in groups)})
    with admin_client(settings) as admin, kafka_errors(settings, "look who is at work"):
        try:
            described = admin.describe_groups(names)
        except (KeyError, ValueError) as error:
            raise BrokerUnavailable(f"Kafka at {settings.servers} does not say who is at work: {error!r}") from error
    at_work = [f"{name} ({len(described[name]['members'])})" for name in names if described[name].get("members")]
    if at_work:
        raise LogOfAnother(
            f"Kafka at {settings.servers}: workers or sequencers are members of {', '.join(at_work)}: stop every one of"
            f" them and run this again; one that was killed is a member for up to {settings.session_timeout_s:g} s"
        )
