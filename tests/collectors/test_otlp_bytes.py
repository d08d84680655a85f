"""Requests that are put together from bytes are what the protobuf library makes of the same records."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from onshore_collectors.files import otlp

# Where a length needs another byte.
EDGES = tuple(edge + more for edge in (1 << 7, 1 << 14, 1 << 21) for more in (-9, -2, -1, 0, 1))

Record = tuple[str, int, int, dict[str, str | int]]
Scope = tuple[str, str, list[Record]]

texts = st.text() | st.sampled_from(EDGES).map(lambda size: "x" * size)
times = st.integers(1, (1 << 63) - 1)
values = st.text() | st.integers(-(1 << 63), (1 << 63) - 1)
named = st.dictionaries(st.text(min_size=1), values, max_size=4)
records = st.lists(st.tuples(texts, times, times, named), max_size=4)
scopes = st.lists(st.tuples(st.text(), st.text(min_size=1), records), max_size=3)


def ours(resource: dict[str, str | int], parts: list[Scope]) -> bytes:
    return otlp.request(
        otlp.resource_of(resource),
        [
            otlp.scope_logs(
                scope,
                name,
                [otlp.log_record(text.encode(), at, seen, otlp.attributes(about)) for text, at, seen, about in some],
            )
            for scope, name, some in parts
        ],
    )


def the_library_s(resource: dict[str, str | int], parts: list[Scope]) -> bytes:
    logs = ResourceLogs(resource=Resource(attributes=otlp.pairs(resource)))
    for scope, name, some in parts:
        about_scope = InstrumentationScope(name=scope, attributes=otlp.pairs({"encoding.format": name}))
        found = [
            LogRecord(
                time_unix_nano=at,
                observed_time_unix_nano=seen,
                body=AnyValue(string_value=text),
                attributes=otlp.pairs(about),
            )
            for text, at, seen, about in some
        ]
        logs.scope_logs.append(ScopeLogs(scope=about_scope, log_records=found))
    return ExportLogsServiceRequest(resource_logs=[logs]).SerializeToString()


@given(named, scopes)
def test_the_library_reads_and_writes_them_as_its_own(resource: dict[str, str | int], parts: list[Scope]) -> None:
    mine, theirs = ours(resource, parts), the_library_s(resource, parts)
    # a record's times stand together here, and the library puts the second one last: the same fields in another order
    assert len(mine) == len(theirs)
    assert ExportLogsServiceRequest.FromString(mine).SerializeToString() == theirs


def test_a_record_without_a_time_has_none_for_the_library() -> None:
    request = otlp.request(otlp.resource_of({}), [otlp.scope_logs("s", "f", [otlp.log_record(b"t", 0, 5, b"")])])
    (record,) = ExportLogsServiceRequest.FromString(request).resource_logs[0].scope_logs[0].log_records
    assert (record.time_unix_nano, record.observed_time_unix_nano, record.body.string_value) == (0, 5, "t")


@given(named, texts)
def test_a_record_of_the_library_stands_in_a_scope_as_it_is(about: dict[str, str | int], text: str) -> None:
    record = LogRecord(attributes=otlp.pairs(about), body=AnyValue(string_value=text))
    request = otlp.request(otlp.resource_of({}), [otlp.scope_logs("s", "f", [otlp.plain_record(record)])])
    (found,) = ExportLogsServiceRequest.FromString(request).resource_logs[0].scope_logs[0].log_records
    assert found == record
