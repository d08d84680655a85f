"""Builders of OTLP requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, LogsData
from opentelemetry.proto.trace.v1.trace_pb2 import Span, TracesData

if TYPE_CHECKING:
    from collections.abc import Callable


def _value(value: object) -> AnyValue:
    built = AnyValue()
    if isinstance(value, list):
        built.array_value.values.extend(_value(item) for item in value)
        built.array_value.SetInParent()
    elif isinstance(value, dict):
        built.kvlist_value.values.extend(KeyValue(key=key, value=_value(item)) for key, item in value.items())
        built.kvlist_value.SetInParent()
    elif value is not None:
        members = {bool: "bool_value", int: "int_value", float: "double_value", bytes: "bytes_value"}
        setattr(built, members.get(type(value), "string_value"), value)
    return built


def _attributes(pairs: object) -> list[KeyValue]:
    items = pairs.items() if isinstance(pairs, dict) else pairs
    return [KeyValue(key=key, value=_value(value)) for key, value in items]  # type: ignore[attr-defined]


def _log(attributes: object = (), body: object = None, **fields: Any) -> LogRecord:
    record = LogRecord(attributes=_attributes(attributes), **fields)
    if body is not None:
        record.body.CopyFrom(_value(body))
    return record


def _logs(*records: LogRecord, resource: object = ()) -> bytes:
    data = LogsData()
    of_resource = data.resource_logs.add()
    of_resource.resource.attributes.extend(_attributes(resource))
    of_resource.scope_logs.add().log_records.extend(records)
    return data.SerializeToString()


def _span(attributes: object = (), **fields: Any) -> Span:
    return Span(attributes=_attributes(attributes), **fields)


def _spans(*spans: Span) -> bytes:
    data = TracesData()
    data.resource_spans.add().scope_spans.add().spans.extend(spans)
    return data.SerializeToString()


@pytest.fixture(scope="session")
def attributes() -> Callable[..., list[KeyValue]]:
    """KeyValues of a mapping, or of pairs where keys repeat; values by their Python type."""
    return _attributes


@pytest.fixture(scope="session")
def log() -> Callable[..., LogRecord]:
    """log(attributes, body, **fields of LogRecord)."""
    return _log


@pytest.fixture(scope="session")
def logs() -> Callable[..., bytes]:
    """logs(*records, resource=attributes): an encoded request with one resource and one scope."""
    return _logs


@pytest.fixture(scope="session")
def span() -> Callable[..., Span]:
    """span(attributes, **fields of Span)."""
    return _span


@pytest.fixture(scope="session")
def spans() -> Callable[..., bytes]:
    """spans(*spans): an encoded request with one resource and one scope."""
    return _spans
