"""How many records a message holds is told before it is decoded, and never too low."""

from __future__ import annotations

import json
import timeit
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import MetricsData

from onshore_pipeline.wire.counting import MAX_PARTS
from onshore_pipeline.wire.decode import count_at_most, decode

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.proto.trace.v1.trace_pb2 import Span


def metrics(*points: int) -> bytes:
    """One metric for every number, with so many points."""
    data = MetricsData()
    scope = data.resource_metrics.add().scope_metrics.add()
    for count in points:
        metric = scope.metrics.add(name="m")
        for value in range(count):
            metric.sum.data_points.add(as_int=value, time_unix_nano=1)
    return data.SerializeToString()


def test_protobuf_parts_are_counted(
    logs: Callable[..., bytes], span: Callable[..., Span], spans: Callable[..., bytes]
) -> None:
    assert count_at_most("otlp_logs", logs(*[LogRecord()] * 500), None) == 502  # with a resource and a scope
    assert count_at_most("otlp_spans", spans(span(name="a"), span(name="b")), "otlp_proto") == 4
    assert count_at_most("otlp_metrics", metrics(0, 3, 4), None) == 2 + 3 + 7


def test_what_fails_whole_counts_nothing() -> None:
    assert count_at_most("otlp_logs", b"\xff\xff", None) == 0
    assert count_at_most("otlp_logs", b"", None) == 0
    assert count_at_most("elsewhere", b"\x0a\x00", None) == 0


@pytest.mark.parametrize("records", [[{}, {}, {}], [None, 0, "x", {}], [0], []])
def test_no_json_holds_more_records_than_were_counted(records: list[object]) -> None:
    document = {"resourceLogs": [{"scopeLogs": [{"logRecords": records}, {"logRecords": records}]}]}
    value = json.dumps(document).encode()
    (decoded,) = decode([("otlp_logs", value, None)]).record_counts
    assert decoded == 2 * len(records)
    assert count_at_most("otlp_logs", value, None) >= decoded


@given(st.binary(max_size=60), st.sampled_from(["otlp_logs", "otlp_spans", "otlp_metrics"]))
def test_bytes_of_any_kind_are_counted_without_an_error(value: bytes, topic: str) -> None:
    for encoding in (None, "otlp_json", "otlp_proto"):
        count = count_at_most(topic, value, encoding)
        decoded = decode([(topic, value, encoding)])
        assert count >= max(decoded.record_counts[0], decoded.points.height)


def test_a_metric_with_too_many_points_fails() -> None:
    decoded = decode([("otlp_metrics", metrics(MAX_PARTS + 1), None), ("otlp_metrics", metrics(1), None)])
    (failure,) = decoded.failures
    assert (failure.message, failure.record_indexes) == (0, None)
    assert failure.reason == "131073 data points in one message, 131072 are allowed: send smaller batches"
    assert decoded.points["message"].to_list() == [1]


def test_counting_is_cheap(log: Callable[..., LogRecord], logs: Callable[..., bytes]) -> None:
    value = logs(*[log({f"key.{number}": "value" for number in range(12)}, "x" * 200)] * 500)
    assert len(value) > 200_000
    taken_s = min(timeit.repeat(lambda: count_at_most("otlp_logs", value, None), number=20, repeat=10)) / 20
    assert taken_s < 0.001  # 15 µs on an idle machine
