"""The reference decoder: opentelemetry-proto objects, one record after the other. Slow and obviously right.

The fast decoder is tested against it and falls back to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import polars as pl
from google.protobuf.message import DecodeError
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK as NO_RECORDED_VALUE_MASK,
)

from onshore_pipeline.wire.any_value import text_of
from onshore_pipeline.wire.descriptor import (
    LOG_RECORD,
    METRIC,
    RESOURCE,
    SCOPE,
    SPAN,
    element_fault,
    message_class,
    request_fault,
    unreadable,
)
from onshore_pipeline.wire.envelope import ENCODING_FORMAT
from onshore_pipeline.wire.frames import (
    ATTRIBUTES_SCHEMA,
    POINT_ATTRIBUTES_SCHEMA,
    POINTS_SCHEMA,
    RECORDS_SCHEMA,
    RESOURCE_ATTRIBUTES_SCHEMA,
    RESOURCES_SCHEMA,
    WIRE_PREFIX,
)
from onshore_pipeline.wire.parts import Part, message_failures, record_failures

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope, KeyValue
    from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
    from opentelemetry.proto.resource.v1.resource_pb2 import Resource
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from onshore_pipeline.wire.envelope import Request
    from onshore_pipeline.wire.fast import Signal

_INT64_MAX: Final = 2**63 - 1
_ELEMENTS: Final = {"logs": LOG_RECORD, "spans": SPAN, "metrics": METRIC}
_ID_BYTES: Final = {"trace_id": 16, "span_id": 8, "parent_span_id": 8}

Row = dict[str, Any]


class _Unreadable(Exception):
    """A part cannot be read; its text is the reason."""


class _Rows:
    """Rows gathered so far; one list a frame, and what failed."""

    def __init__(self) -> None:
        self.records: list[Row] = []
        self.attributes: list[Row] = []
        self.resources: list[Row] = []
        self.resource_attributes: list[Row] = []
        self.points: list[Row] = []
        self.point_attributes: list[Row] = []
        self.failed_records: list[tuple[int, int, str]] = []


def read(signal: Signal, requests: Sequence[Request]) -> Part:
    """Decode requests of one signal, their messages rising."""
    rows = _Rows()
    faults: dict[int, str] = {}
    counts: dict[int, int] = {}
    for request in requests:
        fault = request_fault(request.value)
        if fault is None and signal == "metrics":
            fault = _metrics_fault(request)
        if fault is not None:
            faults[request.message] = fault
        elif signal == "metrics":
            _read_metrics(request, rows)
        else:
            counts[request.message] = _read_records(signal, request, rows)
    return Part(
        records=pl.DataFrame(rows.records, schema=RECORDS_SCHEMA),
        attributes=pl.DataFrame(rows.attributes, schema=ATTRIBUTES_SCHEMA),
        resources=pl.DataFrame(rows.resources, schema=RESOURCES_SCHEMA),
        resource_attributes=pl.DataFrame(rows.resource_attributes, schema=RESOURCE_ATTRIBUTES_SCHEMA),
        points=pl.DataFrame(rows.points, schema=POINTS_SCHEMA),
        point_attributes=pl.DataFrame(rows.point_attributes, schema=POINT_ATTRIBUTES_SCHEMA),
        failures=message_failures(faults) + record_failures(rows.failed_records),
        counts=counts,
    )


def _read_records(signal: Signal, request: Request, rows: _Rows) -> int:
    index = 0
    for resource_records in _opened(request):
        resource_fault = _read_resource(request.message, resource_records, rows)
        resource_id = len(rows.resources) - 1
        for scope_records in resource_records.scopes:
            scope, scope_fault = _read_scope(resource_records, scope_records)
            place = {"message": request.message, "resource": resource_id} | scope
            for encoded in scope_records.records:
                why = (
                    resource_fault
                    or scope_fault
                    or request.holes.get(index)
                    or _read_record(signal, encoded, place | {"record_index": index}, rows)
                )
                if why is not None:
                    rows.failed_records.append((request.message, index, why))
                index += 1
    return index


def _read_record(signal: Signal, encoded: bytes, place: Row, rows: _Rows) -> str | None:
    """Add the record's rows, or say why it cannot be read."""
    row = len(rows.records)
    try:
        record = _parsed(LOG_RECORD if signal == "logs" else SPAN, encoded)
        columns = _log(record) if signal == "logs" else _span(record)
        attributes = _attributes(record.attributes, {"row": row}, _unheld(record))
    except _Unreadable as error:
        return str(error)
    rows.records.append({"row": row} | place | columns)
    rows.attributes.extend(attributes)
    return None


def _log(record: LogRecord) -> Row:
    return {
        "signal": "log",
        "time_ns": _time(record.time_unix_nano),
        "observed_ns": _time(record.observed_time_unix_nano),
        "severity_number": record.severity_number or None,
        "severity_text": record.severity_text or None,
        "event_name": record.event_name or None,
        "trace_id": _id("trace_id", record.trace_id),
        "span_id": _id("span_id", record.span_id),
        "body": _text(record.body),
    }


def _span(span: Span) -> Row:
    return {
        "signal": "span",
        "time_ns": _time(span.start_time_unix_nano),
        "end_ns": _time(span.end_time_unix_nano),
        "name": span.name or None,
        "span_kind": span.kind or None,
        "status_code": span.status.code or None,
        "status_message": span.status.message or None,
        "trace_id": _id("trace_id", span.trace_id),
        "span_id": _id("span_id", span.span_id),
        "parent_span_id": _id("parent_span_id", span.parent_span_id),
    }


def _unheld(record: LogRecord | Span) -> Row:
    """What a record's fields hold and our columns cannot, as attributes."""
    if isinstance(record, LogRecord):
        times = {"time_unix_nano": record.time_unix_nano, "observed_time_unix_nano": record.observed_time_unix_nano}
        ids = {"trace_id": record.trace_id, "span_id": record.span_id}
    else:
        times = {"time_unix_nano": record.start_time_unix_nano, "end_time_unix_nano": record.end_time_unix_nano}
        ids = {"trace_id": record.trace_id, "span_id": record.span_id, "parent_span_id": record.parent_span_id}
    held = {WIRE_PREFIX + name: str(time) for name, time in times.items() if time > _INT64_MAX}
    return held | {
        WIRE_PREFIX + name: value.hex() for name, value in ids.items() if len(value) not in {0, _ID_BYTES[name]}
    }


def _metrics_fault(request: Request) -> str | None:
    """Metrics stand and fall with their message: read it into nowhere first."""
    rows = _Rows()
    try:
        _read_metrics(request, rows)
    except _Unreadable as error:
        return str(error)
    return None


def _read_metrics(request: Request, rows: _Rows) -> None:
    for resource_records in _opened(request):
        resource_fault = _read_resource(request.message, resource_records, rows)
        resource_id = len(rows.resources) - 1
        for scope_records in resource_records.scopes:
            fault = resource_fault or _read_scope(resource_records, scope_records)[1]
            for encoded in scope_records.records:
                if fault is not None:
                    raise _Unreadable(fault)
                metric = _parsed(METRIC, encoded)
                _read_points(metric, {"message": request.message, "resource": resource_id}, rows)


def _read_points(metric: Metric, place: Row, rows: _Rows) -> None:
    kind = metric.WhichOneof("data")
    if kind is None:
        return
    named = place | {"metric": metric.name, "unit": metric.unit or None, "point_kind": kind}
    for point in getattr(metric, kind).data_points:
        values: Row = {"time_ns": _time(point.time_unix_nano)}
        if not point.flags & NO_RECORDED_VALUE_MASK:
            values |= _number(point) if kind in {"gauge", "sum"} else _totals(point)
        attributes = _attributes(point.attributes, {"point": len(rows.points)}, {})
        rows.point_attributes.extend({name: each[name] for name in ("point", "key", "text")} for each in attributes)
        rows.points.append({"point": len(rows.points)} | named | values)


def _number(point: Any) -> Row:  # noqa: ANN401 - a NumberDataPoint, whose generated class is not a type for mypy
    kind = point.WhichOneof("value")
    return {"value": None if kind is None else float(getattr(point, kind))}


def _totals(point: Any) -> Row:  # noqa: ANN401 - one of three generated classes
    is_summary = "SummaryDataPoint" in point.DESCRIPTOR.name
    return {"count": point.count, "sum": point.sum if is_summary or point.HasField("sum") else None}


def _read_resource(message: int, resource_records: Any, rows: _Rows) -> str | None:  # noqa: ANN401 - made at run time
    resource_id = len(rows.resources)
    rows.resources.append(
        {"resource": resource_id, "message": message, "schema_url": resource_records.schema_url or None}
    )
    try:
        resource: Resource = _parsed(RESOURCE, b"".join(resource_records.resource))
        rows.resource_attributes.extend(_attributes(resource.attributes, {"resource": resource_id}, {}))
    except _Unreadable as error:
        return str(error)
    return None


def _read_scope(resource_records: Any, scope_records: Any) -> tuple[Row, str | None]:  # noqa: ANN401 - made at run time
    try:
        scope: InstrumentationScope = _parsed(SCOPE, b"".join(scope_records.scope))
        attributes = {each["key"]: each["text"] for each in _attributes(scope.attributes, {}, {})}
    except _Unreadable as error:
        return {}, str(error)
    return {
        "scope_name": scope.name or None,
        "scope_version": scope.version or None,
        "schema_url": scope_records.schema_url or resource_records.schema_url or None,
        "encoding_format": attributes.get(ENCODING_FORMAT),
    }, None


def _opened(request: Request) -> Any:  # noqa: ANN401 - the class is made at run time
    return message_class("Request").FromString(request.value).resources  # type: ignore[attr-defined]


def _parsed(element: Any, encoded: bytes) -> Any:  # noqa: ANN401 - the class depends on the element
    fault = element_fault(element, encoded)
    if fault is not None:
        raise _Unreadable(fault)
    try:
        return element.reference.FromString(encoded)
    except DecodeError:
        # What is wrong lies in a field that we do not read: leave out all such fields.
        ours = message_class(element.fast).FromString(encoded)
        ours.DiscardUnknownFields()
    try:
        return element.reference.FromString(ours.SerializeToString())
    except DecodeError as error:
        raise _Unreadable(unreadable(element.what, error)) from error


def _attributes(sent: Iterable[KeyValue], owner: Row, added: Row) -> list[Row]:
    """Attribute rows of one owner, sorted by key bytes, of duplicates the last, `added` above all."""
    last: dict[str, Row] = {}
    for attribute in sent:
        value = attribute.value
        integer = value.int_value if value.WhichOneof("value") == "int_value" else None
        last[attribute.key] = {"text": _text(value) or "", "int_value": integer}
    last |= {key: {"text": text, "int_value": None} for key, text in added.items()}
    return [owner | {"key": key} | last[key] for key in sorted(last, key=str.encode)]


def _text(value: Any) -> str | None:  # noqa: ANN401 - AnyValue, which the generated code does not let us name twice
    try:
        return text_of(value)
    except ValueError as error:
        raise _Unreadable(unreadable("array or map", error)) from error


def _time(nanoseconds: int) -> int | None:
    return nanoseconds if 0 < nanoseconds <= _INT64_MAX else None


def _id(name: str, value: bytes) -> bytes | None:
    return value if len(value) == _ID_BYTES[name] and any(value) else None
