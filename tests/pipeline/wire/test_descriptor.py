"""Our descriptors must be wire-compatible with opentelemetry-proto, field by field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from onshore_pipeline.wire import descriptor

if TYPE_CHECKING:
    from google.protobuf.message import Message

OFFICIAL: dict[str, type[Message]] = {
    "AnyValue": common_pb2.AnyValue,
    "KeyValue": common_pb2.KeyValue,
    "Resource": resource_pb2.Resource,
    "Scope": common_pb2.InstrumentationScope,
    "LogRecord": logs_pb2.LogRecord,
    "Status": trace_pb2.Status,
    "Span": trace_pb2.Span,
    "NumberDataPoint": metrics_pb2.NumberDataPoint,
    "HistogramDataPoint": metrics_pb2.HistogramDataPoint,
    "ExponentialHistogramDataPoint": metrics_pb2.ExponentialHistogramDataPoint,
    "SummaryDataPoint": metrics_pb2.SummaryDataPoint,
    "HistogramPoints": metrics_pb2.Histogram,
    "ExponentialHistogramPoints": metrics_pb2.ExponentialHistogram,
    "SummaryPoints": metrics_pb2.Summary,
    "Metric": metrics_pb2.Metric,
}
# Where our message has another name for what several official ones share, by number.
SHARED: dict[str, list[tuple[Descriptor, dict[str, str]]]] = {
    "NumberPoints": [(metrics_pb2.Gauge.DESCRIPTOR, {}), (metrics_pb2.Sum.DESCRIPTOR, {})],
    "Request": [
        (logs_pb2.LogsData.DESCRIPTOR, {"resources": "resource_logs"}),
        (trace_pb2.TracesData.DESCRIPTOR, {"resources": "resource_spans"}),
        (metrics_pb2.MetricsData.DESCRIPTOR, {"resources": "resource_metrics"}),
    ],
    "ResourceRecords": [
        (logs_pb2.ResourceLogs.DESCRIPTOR, {"scopes": "scope_logs"}),
        (trace_pb2.ResourceSpans.DESCRIPTOR, {"scopes": "scope_spans"}),
        (metrics_pb2.ResourceMetrics.DESCRIPTOR, {"scopes": "scope_metrics"}),
    ],
    "ScopeRecords": [
        (logs_pb2.ScopeLogs.DESCRIPTOR, {"records": "log_records"}),
        (trace_pb2.ScopeSpans.DESCRIPTOR, {"records": "spans"}),
        (metrics_pb2.ScopeMetrics.DESCRIPTOR, {"records": "metrics"}),
    ],
}
CASES: list[tuple[str, Any, dict[str, str]]] = [(name, kind.DESCRIPTOR, {}) for name, kind in OFFICIAL.items()] + [
    (name, official, names) for name, all_of_it in SHARED.items() for official, names in all_of_it
]
# An enum is an int32 on the wire.
WIRE_TYPE = {FieldDescriptor.TYPE_ENUM: FieldDescriptor.TYPE_INT32}


@pytest.mark.parametrize(("name", "official", "names"), CASES, ids=lambda case: getattr(case, "name", str(case)))
def test_every_field_has_the_number_and_the_type_of_the_official_one(
    name: str, official: Descriptor, names: dict[str, str]
) -> None:
    ours = descriptor._pool().FindMessageTypeByName(f"onshore.{name}")
    for field in ours.fields:
        theirs = official.fields_by_name[names.get(field.name, field.name)]
        assert field.number == theirs.number, field.name
        if field.type == FieldDescriptor.TYPE_BYTES and theirs.type == FieldDescriptor.TYPE_MESSAGE:
            continue  # decoded later; bytes and messages are the same on the wire
        assert field.type == WIRE_TYPE.get(theirs.type, theirs.type), field.name


def test_every_message_we_declare_is_checked_here() -> None:
    assert set(descriptor._MESSAGES) == set(OFFICIAL) | set(SHARED)


def test_every_kind_of_value_that_otlp_knows_is_declared() -> None:
    ours = descriptor._pool().FindMessageTypeByName("onshore.AnyValue")
    assert set(ours.fields_by_name) == set(common_pb2.AnyValue.DESCRIPTOR.fields_by_name)
