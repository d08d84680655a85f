"""Samples of source formats as the OTLP messages that a collector sends: log records, or spans and metrics."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OBSERVED_NS: Final = 1_790_000_000_000_000_000
# What says nothing of another source: records, spans and points in OpenTelemetry's own conventions.
OTLP: Final = ("otlp.log", "otlp.metric", "otlp.span")
_KINDS: Final = {"internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}


@dataclass(frozen=True, slots=True)
class Sample:
    """One record as a source writes it and a collector sends it.

    Attributes:
        body: a log record's text; a span's name.
        about: what it shows.
        attributes: of the record or span.
        resource: attributes of its resource.
        scope: attributes of its scope.
        event_name: of a log record.
        kind: of a span.
        schema_url: the conventions' version that the resource says.
        points: of metrics: name, value, and where they have them labels; each is one resource's at one time.
    """

    body: str = ""
    about: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)
    resource: dict[str, str] = field(default_factory=dict)
    scope: dict[str, str] = field(default_factory=dict)
    event_name: str = ""
    kind: str = ""
    schema_url: str = ""
    points: list[dict[str, Any]] = field(default_factory=list)


def message_of(samples: Sequence[Sample], source_format: str) -> tuple[str, bytes]:
    """All samples as one message: its topic and its bytes."""
    if source_format == "otlp.span":
        return "otlp_spans", _spans(samples)
    if source_format == "otlp.metric":
        return "otlp_metrics", _metrics(samples)
    return "otlp_logs", _logs(samples, source_format)


def _logs(samples: Sequence[Sample], source_format: str) -> bytes:
    request = ExportLogsServiceRequest()
    for sample in samples:
        group = request.resource_logs.add(schema_url=sample.schema_url)
        _put(group.resource.attributes, sample.resource)
        scope = group.scope_logs.add()
        said = "log.record.format" in {**sample.resource, **sample.attributes} or sample.scope or sample.event_name
        unnamed = bool(said) or source_format in OTLP
        _put(scope.scope.attributes, sample.scope if unnamed else {"encoding.format": source_format})
        record = scope.log_records.add(observed_time_unix_nano=OBSERVED_NS, event_name=sample.event_name)
        record.body.string_value = sample.body
        _put(record.attributes, sample.attributes)
    return request.SerializeToString()


def _spans(samples: Sequence[Sample]) -> bytes:
    request = ExportTraceServiceRequest()
    for sample in samples:
        group = request.resource_spans.add(schema_url=sample.schema_url)
        _put(group.resource.attributes, sample.resource)
        span = group.scope_spans.add().spans.add(name=sample.body, kind=_KINDS[sample.kind])
        span.trace_id, span.span_id = b"\1" * 16, b"\2" * 8
        span.start_time_unix_nano, span.end_time_unix_nano = OBSERVED_NS, OBSERVED_NS + 1_000_000_000
        _put(span.attributes, sample.attributes)
    return request.SerializeToString()


def _metrics(samples: Sequence[Sample]) -> bytes:
    request = ExportMetricsServiceRequest()
    for sample in samples:
        group = request.resource_metrics.add(schema_url=sample.schema_url)
        _put(group.resource.attributes, sample.resource)
        scope = group.scope_metrics.add()
        for each in sample.points:
            point = scope.metrics.add(name=each["name"]).gauge.data_points.add(time_unix_nano=OBSERVED_NS)
            point.as_double = each["value"]
            _put(point.attributes, each.get("labels", {}))
    return request.SerializeToString()


def _put(attributes: Any, given: Mapping[str, Any]) -> None:
    for key, value in given.items():
        holder = attributes.add(key=key).value
        match value:
            case bool():
                holder.bool_value = value
            case int():
                holder.int_value = value
            case float():
                holder.double_value = value
            case list():
                for item in value:
                    holder.array_value.values.add().string_value = item
            case _:
                holder.string_value = value
