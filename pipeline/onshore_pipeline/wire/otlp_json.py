"""OTLP/JSON → the same request as protobuf, so that one decoder reads both.

OTLP's JSON is proto3 JSON with differences (opentelemetry-proto, docs/specification.md): ids are hex, enums are
integers, names are lowerCamelCase only, unknown names are ignored. Written from the descriptors of opentelemetry-proto.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.descriptor import FieldDescriptor
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from onshore_pipeline.errors import OnshoreError
from onshore_pipeline.wire.envelope import Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.descriptor import Descriptor
    from google.protobuf.message import Message as ProtoMessage

    from onshore_pipeline.wire.fast import Signal

# Protobuf's limit is 100; `any_value.MAX_NESTING` arrays and maps in an attribute of a record reach 95.
_MAX_DEPTH: Final = 98
_HEX_FIELDS: Final = frozenset({"trace_id", "span_id", "parent_span_id"})
_ROOTS: Final[dict[Signal, tuple[str, type[ProtoMessage]]]] = {
    "logs": ("resourceLogs", logs_pb2.LogsData),
    "spans": ("resourceSpans", trace_pb2.TracesData),
    "metrics": ("resourceMetrics", metrics_pb2.MetricsData),
}
# Records that may fail alone; a metric fails with its message.
_RECORDS: Final = (logs_pb2.LogRecord.DESCRIPTOR, trace_pb2.Span.DESCRIPTOR)
_DECIMAL: Final = re.compile(r"-?[0-9]+")
_NOT_FINITE: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class UnreadableJson(OnshoreError):
    """A JSON document is no OTLP request; the text says why."""


class _WrongValue(ValueError):
    """A value does not fit its field; the text says which."""


class _Filling:
    """Progress through one document: how many records were seen and which of them failed."""

    def __init__(self) -> None:
        self.records = 0
        self.holes: dict[int, str] = {}


def read_request(signal: Signal, message: int, value: bytes) -> Request:
    """The request in a JSON document.

    Records that do not fit are holes in the request. Raises `UnreadableJson` when the document itself does not parse,
    is of another signal, or is wrong outside its records.
    """
    root, kind = _ROOTS[signal]
    try:
        document = json.loads(value)
    except RecursionError as error:
        raise UnreadableJson("not readable JSON: nested too deeply") from error
    except ValueError as error:
        raise UnreadableJson(f"not readable JSON: {error}") from error
    if not isinstance(document, dict):
        raise UnreadableJson("not an OTLP/JSON document: it must be an object")
    if document and root not in document:
        names = ", ".join(sorted(document)[:3])
        raise UnreadableJson(f"no {root} in the document, which has {names[:80]}: is it on the right topic?")
    filling, request = _Filling(), kind()
    try:
        _fill(request, document, filling, 0)
        return Request(message, request.SerializeToString(), filling.holes)
    except ValueError as error:
        raise UnreadableJson(f"not an OTLP/JSON document: {error}") from error


@cache
def _fields(descriptor: Descriptor) -> dict[str, tuple[FieldDescriptor, Callable[[Any], Any] | None]]:
    """JSON name → field and how to convert a single value of it; None for a message."""
    return {field.json_name: (field, _converter(field)) for field in descriptor.fields}


def _fill(target: Any, source: object, filling: _Filling, depth: int) -> None:  # noqa: ANN401 - any OTLP message
    if not isinstance(source, dict):
        raise _WrongValue(f"{target.DESCRIPTOR.name} must be an object")
    if depth > _MAX_DEPTH:
        raise _WrongValue("nested too deeply")
    fields = _fields(target.DESCRIPTOR)
    for name, value in source.items():
        if value is None or name not in fields:
            continue
        field, convert = fields[name]
        if convert is not None:
            _set_scalar(target, field, convert, value)
        elif not field.is_repeated:
            part = getattr(target, field.name)
            part.SetInParent()
            _fill(part, value, filling, depth + 1)
        elif not isinstance(value, list):
            raise _WrongValue(f"{name} must be an array")
        elif field.message_type in _RECORDS:
            _fill_records(getattr(target, field.name), value, filling, depth)
        else:
            parts = getattr(target, field.name)
            for item in value:
                _fill(parts.add(), item, filling, depth + 1)


def _fill_records(records: Any, source: list[object], filling: _Filling, depth: int) -> None:  # noqa: ANN401
    for item in source:
        record = records.add()
        try:
            _fill(record, item, filling, depth + 1)
        except ValueError as error:
            record.Clear()
            filling.holes[filling.records] = f"not a readable {record.DESCRIPTOR.name} in JSON: {error}"
        filling.records += 1


def _set_scalar(target: Any, field: FieldDescriptor, convert: Callable[[Any], Any], value: object) -> None:  # noqa: ANN401
    try:
        if field.is_repeated:
            if not isinstance(value, list):
                raise _WrongValue("must be an array")
            getattr(target, field.name).extend(convert(item) for item in value)
        else:
            setattr(target, field.name, convert(value))
    except (ValueError, TypeError) as error:
        raise _WrongValue(f"{field.json_name}: {error}") from error


def _converter(field: FieldDescriptor) -> Callable[[Any], Any] | None:
    if field.message_type is not None:
        return None
    if field.name in _HEX_FIELDS:
        return _hex
    if field.enum_type is not None:
        numbers = {value.name: value.number for value in field.enum_type.values}
        return lambda value: numbers[value] if value in numbers else _integer(value)
    return {
        FieldDescriptor.CPPTYPE_STRING: _base64 if field.type == FieldDescriptor.TYPE_BYTES else _string,
        FieldDescriptor.CPPTYPE_BOOL: _bool,
        FieldDescriptor.CPPTYPE_DOUBLE: _double,
        FieldDescriptor.CPPTYPE_FLOAT: _double,
    }.get(field.cpp_type, _integer)


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise _WrongValue(f"{_shown(value)} is not a string")
    return value


def _bool(value: object) -> bool:
    if not isinstance(value, bool):
        raise _WrongValue(f"{_shown(value)} is not true or false")
    return value


def _integer(value: object) -> int:
    """An integer, or a decimal string of one; the field itself refuses what is out of its range."""
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _WrongValue(f"{_shown(value)} is not an integer")
    return value


def _double(value: object) -> float:
    if isinstance(value, str):
        return _NOT_FINITE[value] if value in _NOT_FINITE else float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _WrongValue(f"{_shown(value)} is not a number")
    return float(value)


def _hex(value: object) -> bytes:
    return bytes.fromhex(_string(value))


def _base64(value: object) -> bytes:
    text = _string(value).replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error as error:
        raise _WrongValue(f"not base64: {error}") from error


def _shown(value: object) -> str:
    return repr(value)[:40]
