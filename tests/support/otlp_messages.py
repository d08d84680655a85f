"""OTLP messages to send, built like any sender builds them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

AT_NS = 1_790_000_000_000_000_000


def logs(
    records: Sequence[Mapping[str, str | int]],
    *,
    resource: Mapping[str, str] | None = None,
    at_ns: int | Sequence[int] = AT_NS,
    body: str = "",
    event_name: str = "data.copy",
) -> bytes:
    """One message with a record for each mapping of attributes."""
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    for key, text in (resource or {}).items():
        group.resource.attributes.add(key=key).value.string_value = text
    scope = group.scope_logs.add()
    times = [at_ns] * len(records) if isinstance(at_ns, int) else at_ns
    for attributes, when in zip(records, times, strict=True):
        record = scope.log_records.add(time_unix_nano=when, event_name=event_name)
        if body:
            record.body.string_value = body
        for key, value in attributes.items():
            holder = record.attributes.add(key=key).value
            if isinstance(value, int):
                holder.int_value = value
            else:
                holder.string_value = value
    return request.SerializeToString()


def encoded(bodies: Sequence[str], encoding: str, resource: Mapping[str, str]) -> bytes:
    """One message of raw records, marked as the collector's encoding extensions mark them."""
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    for key, text in resource.items():
        group.resource.attributes.add(key=key).value.string_value = text
    scope = group.scope_logs.add()
    scope.scope.attributes.add(key="encoding.format").value.string_value = encoding
    for body in bodies:
        scope.log_records.add().body.string_value = body
    return request.SerializeToString()


def span(attributes: Mapping[str, str], resource: Mapping[str, str], *, kind: Literal[2, 3] = 3) -> bytes:
    """One message with one span of a second; kind 2 is a server, 3 a client."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    for key, text in resource.items():
        group.resource.attributes.add(key=key).value.string_value = text
    made = group.scope_spans.add().spans.add(
        name="chat", kind=kind, trace_id=bytes(range(16)), span_id=bytes(range(8)), start_time_unix_nano=AT_NS
    )
    made.end_time_unix_nano = AT_NS + 1_000_000_001
    for key, text in attributes.items():
        made.attributes.add(key=key).value.string_value = text
    return request.SerializeToString()


def gauges(values: Mapping[str, float], resource: Mapping[str, str]) -> bytes:
    """One message with one point of each metric."""
    request = ExportMetricsServiceRequest()
    group = request.resource_metrics.add()
    for key, text in resource.items():
        group.resource.attributes.add(key=key).value.string_value = text
    metrics = group.scope_metrics.add().metrics
    for name, value in values.items():
        metrics.add(name=name).gauge.data_points.add(as_double=value, time_unix_nano=AT_NS)
    return request.SerializeToString()


def movement(**changes: str | int) -> dict[str, str | int]:
    """Attributes of a data movement; `data_set="x"` stands for onshore.data.set and so on."""
    told: dict[str, str | int] = {
        "onshore.domain": "data_movement",
        "onshore.action": "data.copy",
        "onshore.outcome": "success",
        "onshore.actor.id": "kim",
        "onshore.source.country": "AU",
        "onshore.destination.country": "US",
        "onshore.data.home": "AU",
        "onshore.data.categories": "personal",
        "onshore.data.set": "patients",
        "onshore.transfer.basis": "none",
        "onshore.data.bytes": 1000,
    }
    return told | {f"onshore.{name.replace('_', '.', 1)}": value for name, value in changes.items()}


def with_invalid_utf8(message: bytes, marker: bytes) -> bytes:
    """The same message with one byte of `marker` made invalid; lengths stay as they are."""
    assert message.count(marker) == 1
    return message.replace(marker, b"\xff" + marker[1:])
