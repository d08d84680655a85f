"""What an operator does, recorded as evidence: one log record a deed, on a topic that only operators' commands write.

The worker reads it like any other topic, so that a deed is an event: located, judged, sealed, in the evidence log once.
Deeds that have effects (findings, waivers, controls, registries) have them only as rows of `message_actions`, which are
made of that topic alone (`action_facts`).
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid4

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import SEVERITY_NUMBER_INFO, LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from onshore_pipeline.action_facts import ACTION_ID
from onshore_pipeline.broker import ACTIONS_TOPIC, ENCODING_HEADER, TENANT_HEADER, Outgoing
from onshore_pipeline.errors import OnshoreError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onshore_pipeline.broker import Place, Recorder

_EVENT_ID_PREFIX: Final = b"\x04"
_LONGEST: Final = 8_192  # characters of one text: a reason is read by people


@dataclass(frozen=True, slots=True)
class Action:
    """One deed.

    Attributes:
        name: a dotted verb: finding.acknowledge, waiver.approve, control.activate, context.change, evidence.export ...
        tenant: whose data it is about.
        who: the person, as `--as` named them; a process where nobody did it by a command.
        reason: why; '' where none was asked for.
        attributes: what else there is to say, by its published name (onshore.finding.id, ...).
        actor_type: 'user' for a person, 'service' for what the deployment does by itself.
    """

    name: str
    tenant: str
    who: str
    reason: str
    attributes: Mapping[str, str]
    actor_type: str = "user"


@dataclass(frozen=True, slots=True)
class Recorded:
    """Where a deed lies in the log, the id of the event that it becomes, and its own."""

    place: Place
    event_id: UUID
    action_id: UUID


def record_action(recorder: Recorder, action: Action) -> Recorded:
    """Append a deed to the actions' topic; what this returned from is durable, and sealed as soon as a worker runs.

    Raises:
        OnshoreError: nobody is named, or a text is too long.
        BrokerUnavailable: the broker did not answer: it may have been recorded or not; doing it again does no harm to
            findings, since what is done twice changes nothing the second time.
    """
    if not action.who.strip():
        raise OnshoreError("--as: name the person who does this; it is recorded")
    for what, text in (("who", action.who), ("the reason", action.reason), *action.attributes.items()):
        if len(text) > _LONGEST:
            raise OnshoreError(f"{what}: {len(text):,} characters, {_LONGEST:,} are allowed")
    action_id = uuid4()
    place = recorder.record(ACTIONS_TOPIC, Outgoing(encoded(action, action_id), headers_of(action)))
    return Recorded(place, event_id_of(place), action_id)


def headers_of(action: Action) -> tuple[tuple[str, bytes], ...]:
    """The headers of the message that holds a deed."""
    return ((TENANT_HEADER, action.tenant.encode()), (ENCODING_HEADER, b"otlp_proto"))


def encoded(action: Action, action_id: UUID, at_ns: int | None = None) -> bytes:
    """The deed as one OTLP log record, done at `at_ns` (since 1970) or now."""
    now_ns = time.time_ns() if at_ns is None else at_ns
    told = {
        **action.attributes,
        "onshore.domain": "infrastructure",
        "onshore.action": action.name,
        "onshore.outcome": "success",
        "onshore.actor.id": action.who,
        "onshore.actor.type": action.actor_type,
        ACTION_ID: str(action_id),
        **({"onshore.reason": action.reason} if action.reason else {}),
    }
    record = LogRecord(
        time_unix_nano=now_ns,
        observed_time_unix_nano=now_ns,
        severity_number=SEVERITY_NUMBER_INFO,
        event_name=action.name,
        attributes=_pairs(told),
    )
    resource = Resource(attributes=_pairs({"service.name": "onshore"}))
    logs = ResourceLogs(resource=resource, scope_logs=[ScopeLogs(log_records=[record])])
    return ExportLogsServiceRequest(resource_logs=[logs]).SerializeToString()


def event_id_of(place: Place, record_index: int = 0) -> UUID:
    """The id that the event of a record has (docs/evidence-format.md), before any worker has seen it."""
    identity = place.topic_id.bytes + b"".join(
        number.to_bytes(size, "big") for number, size in ((place.partition, 4), (place.offset, 8), (record_index, 4))
    )
    digest = bytearray(hashlib.sha256(_EVENT_ID_PREFIX + identity).digest()[:16])
    digest[6] = (digest[6] & 0x0F) | 0x80
    digest[8] = (digest[8] & 0x3F) | 0x80
    return UUID(bytes=bytes(digest))


def _pairs(values: Mapping[str, str]) -> list[KeyValue]:
    return [KeyValue(key=key, value=AnyValue(string_value=value)) for key, value in sorted(values.items())]
