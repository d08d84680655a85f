"""Whatever is sent, the fast decoder gives the frames that the reference decoder gives."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import polars as pl
from google.protobuf import json_format
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, LogsData, ResourceLogs, ScopeLogs
from opentelemetry.proto.metrics.v1 import metrics_pb2 as m
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status, TracesData
from polars.testing import assert_frame_equal

from onshore_pipeline.wire.decode import decode
from same_frames import FRAMES, TOPICS, assert_equal_decoders, assert_equal_where_accepted, failed

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from onshore_pipeline.wire.fast import Signal
    from onshore_pipeline.wire.frames import Decoded

texts = st.text(max_size=6)
keys = st.one_of(st.sampled_from(["", "a", "b", "key", "encoding.format"]), texts)
scalars = st.one_of(
    st.just(AnyValue()),
    st.builds(AnyValue, string_value=texts),
    st.builds(AnyValue, bool_value=st.booleans()),
    st.builds(AnyValue, int_value=st.integers(-(2**63), 2**63 - 1)),
    st.builds(AnyValue, double_value=st.floats()),
    st.builds(AnyValue, bytes_value=st.binary(max_size=6)),
    st.builds(AnyValue, string_value_strindex=st.integers(0, 5)),
)


def key_values(values: st.SearchStrategy[AnyValue]) -> st.SearchStrategy[list[KeyValue]]:
    return st.lists(st.builds(KeyValue, key=keys, value=st.none() | values), max_size=4)


def containers(values: st.SearchStrategy[AnyValue]) -> st.SearchStrategy[AnyValue]:
    arrays = st.builds(ArrayValue, values=st.lists(values, max_size=3))
    maps = st.builds(KeyValueList, values=key_values(values))
    return st.one_of(st.builds(AnyValue, array_value=arrays), st.builds(AnyValue, kvlist_value=maps))


any_values = st.recursive(scalars, containers, max_leaves=5)
attribute_lists = key_values(any_values)
times = st.one_of(st.just(0), st.integers(0, 2**64 - 1), st.integers(2**63 - 1, 2**63))
trace_ids = st.one_of(st.binary(min_size=16, max_size=16), st.binary(max_size=17), st.just(bytes(16)))
span_ids = st.one_of(st.binary(min_size=8, max_size=8), st.binary(max_size=9))
resources = st.none() | st.builds(Resource, attributes=attribute_lists)
scopes = st.none() | st.builds(InstrumentationScope, name=texts, version=texts, attributes=attribute_lists)

log_records = st.builds(
    LogRecord,
    time_unix_nano=times,
    observed_time_unix_nano=times,
    severity_number=st.integers(-1, 24),
    severity_text=texts,
    body=st.none() | any_values,
    attributes=attribute_lists,
    flags=st.integers(0, 1),
    trace_id=trace_ids,
    span_id=span_ids,
    event_name=texts,
)
otlp_spans = st.builds(
    Span,
    trace_id=trace_ids,
    span_id=span_ids,
    parent_span_id=span_ids,
    trace_state=texts,
    name=texts,
    kind=st.integers(0, 6),
    start_time_unix_nano=times,
    end_time_unix_nano=times,
    attributes=attribute_lists,
    events=st.lists(st.builds(Span.Event, name=texts), max_size=1),
    status=st.none() | st.builds(Status, message=texts, code=st.integers(0, 2)),
)


def points(kind: Any, **values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    point = st.builds(kind, attributes=attribute_lists, time_unix_nano=times, flags=st.integers(0, 1), **values)
    return st.lists(point, max_size=3)


counts = st.integers(0, 2**64 - 1)
numbers = st.one_of(
    points(m.NumberDataPoint),
    points(m.NumberDataPoint, as_double=st.floats()),
    points(m.NumberDataPoint, as_int=st.integers(-(2**63), 2**63 - 1)),
)
sums = st.none() | st.floats()
metrics = st.one_of(
    st.builds(m.Metric, name=texts, unit=texts),
    st.builds(m.Metric, name=texts, unit=texts, gauge=st.builds(m.Gauge, data_points=numbers)),
    st.builds(m.Metric, name=texts, unit=texts, sum=st.builds(m.Sum, data_points=numbers)),
    st.builds(
        m.Metric,
        name=texts,
        histogram=st.builds(m.Histogram, data_points=points(m.HistogramDataPoint, count=counts, sum=sums)),
    ),
    st.builds(
        m.Metric,
        name=texts,
        exponential_histogram=st.builds(
            m.ExponentialHistogram, data_points=points(m.ExponentialHistogramDataPoint, count=counts, sum=sums)
        ),
    ),
    st.builds(
        m.Metric,
        name=texts,
        summary=st.builds(m.Summary, data_points=points(m.SummaryDataPoint, count=counts, sum=st.floats())),
    ),
)


def several(kind: Any, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.builds(kind, **fields), max_size=2)


scope_logs = several(ScopeLogs, scope=scopes, log_records=st.lists(log_records, max_size=3), schema_url=texts)
scope_spans = several(ScopeSpans, scope=scopes, spans=st.lists(otlp_spans, max_size=3), schema_url=texts)
scope_metrics = several(m.ScopeMetrics, scope=scopes, metrics=st.lists(metrics, max_size=3), schema_url=texts)
requests: st.SearchStrategy[tuple[Signal, Message]] = st.one_of(
    st.tuples(
        st.just("logs"),
        st.builds(
            LogsData,
            resource_logs=several(ResourceLogs, resource=resources, scope_logs=scope_logs, schema_url=texts),
        ),
    ),
    st.tuples(
        st.just("spans"),
        st.builds(
            TracesData,
            resource_spans=several(ResourceSpans, resource=resources, scope_spans=scope_spans, schema_url=texts),
        ),
    ),
    st.tuples(
        st.just("metrics"),
        st.builds(
            m.MetricsData,
            resource_metrics=several(m.ResourceMetrics, resource=resources, scope_metrics=scope_metrics),
        ),
    ),
)
thorough = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@given(requests, requests)
@thorough
def test_of_well_formed_requests(first: tuple[Signal, Message], second: tuple[Signal, Message]) -> None:
    values = [first[1].SerializeToString()]
    if first[0] == second[0]:
        values.append(second[1].SerializeToString())
    assert_equal_decoders(first[0], [*values, b"", *values])


def field(number: int, content: bytes) -> bytes:
    size = len(content)
    return bytes([number << 3 | 2, *([size] if size < 128 else [size & 127 | 128, size >> 7])]) + content


# Messages sent in several parts: protobuf merges them, and of a oneof the last member counts.
merged_values = st.lists(scalars | any_values, max_size=3).map(
    lambda values: b"".join(value.SerializeToString() for value in values)
)
merged_key_values = st.tuples(st.sampled_from([b"", b"a", b"b", b"\xff"]), merged_values, merged_values).map(
    lambda parts: field(2, parts[1]) + field(1, parts[0]) + field(2, parts[2])
)
merged_logs = st.tuples(log_records, log_records, merged_values, merged_values, merged_key_values).map(
    lambda parts: (
        parts[0].SerializeToString()
        + field(5, parts[2])
        + parts[1].SerializeToString()
        + field(6, parts[4])
        + field(5, parts[3])
    )
)
merged_metrics = st.lists(metrics, max_size=3).map(lambda parts: b"".join(part.SerializeToString() for part in parts))


@given(st.lists(merged_logs, max_size=3), merged_key_values, merged_key_values)
@thorough
def test_of_logs_sent_in_parts(records: list[bytes], first: bytes, second: bytes) -> None:
    scope = field(1, field(3, first)) + b"".join(field(2, record) for record in records if len(record) < 2**14)
    resource = field(1, field(1, first)) + field(1, field(1, second))
    request = resource + b"".join(field(2, scope) for _ in range(2) if len(scope) < 2**14)
    assert_equal_decoders("logs", [field(1, request)] if len(request) < 2**14 else [])


@given(st.lists(merged_metrics, max_size=3))
@thorough
def test_of_metrics_sent_in_parts(sent: list[bytes]) -> None:
    scope = b"".join(field(2, metric) for metric in sent if len(metric) < 2**12)
    value = field(1, field(2, scope)) if len(scope) < 2**13 else b""
    assert_equal_decoders("metrics", [value, b"", value])


def with_hex_ids(document: Any) -> Any:
    if isinstance(document, list):
        return [with_hex_ids(item) for item in document]
    if not isinstance(document, dict):
        return document
    return {
        name: base64.b64decode(value).hex() if name in {"traceId", "spanId", "parentSpanId"} else with_hex_ids(value)
        for name, value in document.items()
    }


@given(requests)
@thorough
def test_of_the_same_request_in_json(request: tuple[Signal, Message]) -> None:
    signal, data = request
    document = with_hex_ids(json_format.MessageToDict(data, use_integers_for_enums=True))
    as_json = decode([(TOPICS[signal], json.dumps(document).encode(), "otlp_json")])
    as_protobuf = decode([(TOPICS[signal], data.SerializeToString(), "otlp_proto")])
    for name in FRAMES:
        assert_frame_equal(getattr(as_json, name), getattr(as_protobuf, name), check_exact=True)
    assert failed(as_json) == failed(as_protobuf)
    assert as_json.record_counts == as_protobuf.record_counts


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, bytes, None]:
    signal, data = draw(requests)
    value = bytearray(data.SerializeToString())
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(value)))
        end = draw(st.integers(start, min(len(value), start + 4)))
        value[start:end] = draw(st.binary(max_size=4))
    return TOPICS[signal], bytes(value[: draw(st.integers(0, len(value)))] if draw(st.booleans()) else value), None


@given(damaged())
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_of_damaged_requests_that_either_accepts(message: tuple[str, bytes, None]) -> None:
    signal = next(signal for signal, topic in TOPICS.items() if topic == message[0])
    assert_equal_where_accepted(signal, message[1])


def of_message(decoded: Decoded, message: int, name: str, key: str) -> pl.DataFrame:
    owners = {"row": decoded.records, "point": decoded.points, "resource": decoded.resources}[key]
    ids = owners.filter(pl.col("message") == message).select(key)
    ranks = {old: new for new, old in enumerate(ids[key].to_list())}
    frame: pl.DataFrame = getattr(decoded, name)
    mine = frame.join(ids, on=key, how="semi", maintain_order="left")
    mine = mine.with_columns(pl.col(key).replace_strict(ranks, return_dtype=pl.UInt32)) if ranks else mine
    return mine.drop({"row", "point", "resource", "message"} - {key}, strict=False)


@given(st.lists(damaged(), min_size=1, max_size=4))
@thorough
def test_damaged_messages_fail_or_decode_whatever_else_is_in_the_batch(messages: list[tuple[str, bytes, None]]) -> None:
    batch = decode(messages)
    for position, message in enumerate(messages):
        alone = decode([message])
        assert failed(alone) == {(0, index) for number, index in failed(batch) if number == position}
        assert alone.record_counts == (batch.record_counts[position],)
        if (0, None) not in failed(alone):
            assert alone.record_counts[0] == alone.records.height + len(failed(alone))
        for name, key in zip(FRAMES, ("row", "row", "resource", "resource", "point", "point"), strict=True):
            assert_frame_equal(of_message(batch, position, name, key), of_message(alone, 0, name, key))


@given(st.binary(max_size=200), st.sampled_from([*TOPICS.values(), "otlp_traces", "elsewhere"]))
@thorough
def test_random_bytes_never_raise(value: bytes, topic: str) -> None:
    for encoding in (None, "otlp_proto", "otlp_json", "otlp_yaml"):
        decoded = decode([(topic, value, encoding)])
        assert decoded.record_counts[0] == decoded.records.height + len(failed(decoded) - {(0, None)})
