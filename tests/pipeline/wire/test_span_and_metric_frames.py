from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.proto.metrics.v1.metrics_pb2 import MetricsData
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from onshore_pipeline.wire.decode import decode
from onshore_pipeline.wire.frames import RECORDS_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.proto.trace.v1.trace_pb2 import Span


def test_a_span_keeps_every_field(span: Callable[..., Span], spans: Callable[..., bytes]) -> None:
    sent = span(
        {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 12},
        trace_id=bytes(range(16)),
        span_id=bytes(range(8)),
        parent_span_id=bytes(range(1, 9)),
        name="chat llama-4",
        kind=3,
        start_time_unix_nano=1_700_000_000_000_000_001,
        end_time_unix_nano=1_700_000_001_000_000_000,
        status=Status(code=Status.STATUS_CODE_ERROR, message="timeout"),
    )
    for topic in ("otlp_spans", "otlp_traces"):
        decoded = decode([(topic, spans(sent), None)])
        assert decoded.records.to_dicts() == [
            dict.fromkeys(RECORDS_SCHEMA)
            | {
                "row": 0,
                "message": 0,
                "record_index": 0,
                "signal": "span",
                "resource": 0,
                "time_ns": 1_700_000_000_000_000_001,
                "end_ns": 1_700_000_001_000_000_000,
                "name": "chat llama-4",
                "span_kind": 3,
                "status_code": 2,
                "status_message": "timeout",
                "trace_id": bytes(range(16)),
                "span_id": bytes(range(8)),
                "parent_span_id": bytes(range(1, 9)),
            }
        ]
        assert decoded.attributes.rows() == [
            (0, "gen_ai.operation.name", "chat", None),
            (0, "gen_ai.usage.input_tokens", "12", 12),
        ]


def test_an_end_beyond_int64_and_a_short_parent_are_kept_as_attributes(
    span: Callable[..., Span], spans: Callable[..., bytes]
) -> None:
    decoded = decode([("otlp_spans", spans(span(end_time_unix_nano=2**64 - 1, parent_span_id=b"\x01")), None)])
    assert decoded.records.select("end_ns", "parent_span_id").rows() == [(None, None)]
    assert decoded.attributes.select("key", "text").rows() == [
        ("onshore.wire.end_time_unix_nano", str(2**64 - 1)),
        ("onshore.wire.parent_span_id", "01"),
    ]


def test_points_of_every_kind_come_out_in_the_order_sent() -> None:
    data = MetricsData()
    metrics = data.resource_metrics.add().scope_metrics.add().metrics
    summary = metrics.add(name="latency", unit="s").summary.data_points
    summary.add(time_unix_nano=1, count=2, sum=0.5)
    gauge = metrics.add(name="hw.gpu.utilization", unit="1").gauge.data_points
    gauge.add(time_unix_nano=2, as_double=0.25).attributes.add(key="hw.id").value.string_value = "gpu-0"
    gauge.add(time_unix_nano=3, as_int=7)
    gauge.add(time_unix_nano=4)
    gauge.add(time_unix_nano=5, as_double=9.0, flags=1)
    metrics.add(name="nothing")
    histogram = metrics.add(name="sizes").histogram.data_points
    histogram.add(time_unix_nano=2**63, count=2**64 - 1)
    histogram.add(count=1, sum=-1.5)
    metrics.add(name="exponential").exponential_histogram.data_points.add(count=3, sum=4.5)
    total = metrics.add(name="requests").sum.data_points.add(as_int=-4)
    total.attributes.add(key="b").value.int_value = 1
    total.attributes.add(key="a").value.bool_value = True
    decoded = decode([("otlp_metrics", data.SerializeToString(), None)])
    assert decoded.failures == ()
    assert decoded.record_counts == (0,)
    columns = ("point", "metric", "unit", "point_kind", "time_ns", "value", "sum", "count")
    assert decoded.points.select(columns).rows() == [
        (0, "latency", "s", "summary", 1, None, 0.5, 2),
        (1, "hw.gpu.utilization", "1", "gauge", 2, 0.25, None, None),
        (2, "hw.gpu.utilization", "1", "gauge", 3, 7.0, None, None),
        (3, "hw.gpu.utilization", "1", "gauge", 4, None, None, None),
        (4, "hw.gpu.utilization", "1", "gauge", 5, None, None, None),
        (5, "sizes", None, "histogram", None, None, None, 2**64 - 1),
        (6, "sizes", None, "histogram", None, None, -1.5, 1),
        (7, "exponential", None, "exponential_histogram", None, None, 4.5, 3),
        (8, "requests", None, "sum", None, -4.0, None, None),
    ]
    assert decoded.point_attributes.rows() == [(1, "hw.id", "gpu-0"), (8, "a", "true"), (8, "b", "1")]
