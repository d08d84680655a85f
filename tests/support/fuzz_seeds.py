"""Requests to begin fuzzing with: one of every shape that the decoders know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData
from opentelemetry.proto.metrics.v1.metrics_pb2 import MetricsData
from opentelemetry.proto.trace.v1.trace_pb2 import Status, TracesData

if TYPE_CHECKING:
    from collections.abc import Iterator

VALUES = (
    AnyValue(string_value="tokyo-1"),
    AnyValue(int_value=-1),
    AnyValue(double_value=1e-7),
    AnyValue(bool_value=True),
    AnyValue(bytes_value=b"\x00\xff"),
    AnyValue(array_value=ArrayValue(values=[AnyValue(string_value="a"), AnyValue()])),
    AnyValue(kvlist_value=KeyValueList(values=[KeyValue(key="k", value=AnyValue(int_value=2**62))])),
)
ATTRIBUTES = [KeyValue(key=f"k{number}", value=value) for number, value in enumerate(VALUES)]


def seeds() -> Iterator[bytes]:
    """Each with the byte in front that chooses its signal."""
    for number, data in enumerate((_logs(), _spans(), _metrics())):
        yield bytes([number]) + data
    yield b"\x00" + b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"x"},"traceId":"00"}]}]}]}'


def _logs() -> bytes:
    data = LogsData()
    of_resource = data.resource_logs.add(schema_url="https://opentelemetry.io/schemas/1.44.0")
    of_resource.resource.attributes.extend(ATTRIBUTES)
    scope = of_resource.scope_logs.add()
    scope.scope.name = "scope"
    for body in VALUES:
        record = scope.log_records.add(time_unix_nano=1, severity_text="INFO", event_name="data.copy", body=body)
        record.attributes.extend(ATTRIBUTES)
        record.trace_id, record.span_id = bytes(range(16)), bytes(range(8))
    return data.SerializeToString()


def _spans() -> bytes:
    data = TracesData()
    span = data.resource_spans.add().scope_spans.add().spans.add(name="chat", kind=3, start_time_unix_nano=1)
    span.trace_id, span.span_id = bytes(range(16)), bytes(range(8))
    span.attributes.extend(ATTRIBUTES)
    span.status.code = Status.STATUS_CODE_ERROR
    return data.SerializeToString()


def _metrics() -> bytes:
    data = MetricsData()
    metrics = data.resource_metrics.add().scope_metrics.add().metrics
    metrics.add(name="cpu", unit="1").gauge.data_points.add(as_double=0.5).attributes.extend(ATTRIBUTES)
    metrics.add(name="bytes").sum.data_points.add(as_int=7)
    metrics.add(name="latency").histogram.data_points.add(count=3, sum=1.5)
    metrics.add(name="sizes").exponential_histogram.data_points.add(count=3)
    metrics.add(name="quantiles").summary.data_points.add(count=3, sum=2.5)
    return data.SerializeToString()
