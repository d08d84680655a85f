"""OTLP as the fast decoder sees it: our own descriptors, wire-compatible with opentelemetry-proto and not recursive.

What repeats in the millions (key-values) and what recurses (arrays and maps in values) is declared as bytes and decoded
in a later pass, over distinct values only. A message that OTLP declares once but the wire may carry twice is declared
repeated: protobuf merges such parts, and the encoding of a merge is the concatenation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final, Literal, Protocol

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1 import trace_pb2
from ptars import HandlerPool

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa
    from google.protobuf.message import Message as ProtoMessage

_Type = descriptor_pb2.FieldDescriptorProto
_STRING, _BOOL, _BYTES, _DOUBLE = _Type.TYPE_STRING, _Type.TYPE_BOOL, _Type.TYPE_BYTES, _Type.TYPE_DOUBLE
_INT32, _INT64, _SFIXED64 = _Type.TYPE_INT32, _Type.TYPE_INT64, _Type.TYPE_SFIXED64
_UINT32, _FIXED64 = _Type.TYPE_UINT32, _Type.TYPE_FIXED64


class Handler(Protocol):
    """What we use of a ptars message handler."""

    def list_to_record_batch(self, values: list[bytes]) -> pa.RecordBatch:
        """Decode a list of encoded messages, one row each."""
        ...

    def array_to_record_batch(self, values: pa.Array) -> pa.RecordBatch:
        """Decode an Arrow array of encoded messages, one row each."""
        ...


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    number: int
    type: int | str  # a message's name, or one of the types above
    many: bool = False
    told_apart: bool = False  # unset differs from zero


_ANY_VALUE = (
    _Field("string_value", 1, _STRING, told_apart=True),
    _Field("bool_value", 2, _BOOL, told_apart=True),
    _Field("int_value", 3, _INT64, told_apart=True),
    _Field("double_value", 4, _DOUBLE, told_apart=True),
    _Field("array_value", 5, _BYTES, many=True),
    _Field("kvlist_value", 6, _BYTES, many=True),
    _Field("bytes_value", 7, _BYTES, told_apart=True),
    _Field("string_value_strindex", 8, _INT32, told_apart=True),  # profiles only: read as empty
)
# ResourceLogs, ResourceSpans and ResourceMetrics share their numbers, and so do their scopes.
_REQUEST = (_Field("resources", 1, "ResourceRecords", many=True),)
_RESOURCE_RECORDS = (
    _Field("resource", 1, _BYTES, many=True),
    _Field("scopes", 2, "ScopeRecords", many=True),
    _Field("schema_url", 3, _STRING),
)
_SCOPE_RECORDS = (
    _Field("scope", 1, _BYTES, many=True),
    _Field("records", 2, _BYTES, many=True),
    _Field("schema_url", 3, _STRING),
)


def _points(name: str, attributes: int, *values: _Field) -> tuple[_Field, ...]:
    flags = 8 if name in {"NumberDataPoint", "SummaryDataPoint"} else 10
    return (
        _Field("attributes", attributes, _BYTES, many=True),
        _Field("time_unix_nano", 3, _FIXED64),
        _Field("flags", flags, _UINT32),
        *values,
    )


_COUNT, _SUM = _Field("count", 4, _FIXED64), _Field("sum", 5, _DOUBLE, told_apart=True)
_MESSAGES: Final[dict[str, tuple[_Field, ...]]] = {
    "AnyValue": _ANY_VALUE,
    "KeyValue": (_Field("key", 1, _STRING), _Field("value", 2, "AnyValue")),
    "Resource": (_Field("attributes", 1, _BYTES, many=True),),
    "Scope": (
        _Field("name", 1, _STRING),
        _Field("version", 2, _STRING),
        _Field("attributes", 3, _BYTES, many=True),
    ),
    "LogRecord": (
        _Field("time_unix_nano", 1, _FIXED64),
        _Field("severity_number", 2, _INT32),
        _Field("severity_text", 3, _STRING),
        _Field("body", 5, "AnyValue"),
        _Field("attributes", 6, _BYTES, many=True),
        _Field("trace_id", 9, _BYTES),
        _Field("span_id", 10, _BYTES),
        _Field("observed_time_unix_nano", 11, _FIXED64),
        _Field("event_name", 12, _STRING),
    ),
    "Status": (_Field("message", 2, _STRING), _Field("code", 3, _INT32)),
    "Span": (
        _Field("trace_id", 1, _BYTES),
        _Field("span_id", 2, _BYTES),
        _Field("parent_span_id", 4, _BYTES),
        _Field("name", 5, _STRING),
        _Field("kind", 6, _INT32),
        _Field("start_time_unix_nano", 7, _FIXED64),
        _Field("end_time_unix_nano", 8, _FIXED64),
        _Field("attributes", 9, _BYTES, many=True),
        _Field("status", 15, "Status"),
    ),
    "NumberDataPoint": _points(
        "NumberDataPoint",
        7,
        _Field("as_double", 4, _DOUBLE, told_apart=True),
        _Field("as_int", 6, _SFIXED64, told_apart=True),
    ),
    "HistogramDataPoint": _points("HistogramDataPoint", 9, _COUNT, _SUM),
    "ExponentialHistogramDataPoint": _points("ExponentialHistogramDataPoint", 1, _COUNT, _SUM),
    "SummaryDataPoint": _points("SummaryDataPoint", 7, _COUNT, _Field("sum", 5, _DOUBLE)),
    "NumberPoints": (_Field("data_points", 1, "NumberDataPoint", many=True),),
    "HistogramPoints": (_Field("data_points", 1, "HistogramDataPoint", many=True),),
    "ExponentialHistogramPoints": (_Field("data_points", 1, "ExponentialHistogramDataPoint", many=True),),
    "SummaryPoints": (_Field("data_points", 1, "SummaryDataPoint", many=True),),
    "Metric": (
        _Field("name", 1, _STRING),
        _Field("unit", 3, _STRING),
        _Field("gauge", 5, "NumberPoints"),
        _Field("sum", 7, "NumberPoints"),
        _Field("histogram", 9, "HistogramPoints"),
        _Field("exponential_histogram", 10, "ExponentialHistogramPoints"),
        _Field("summary", 11, "SummaryPoints"),
    ),
    "Request": _REQUEST,
    "ResourceRecords": _RESOURCE_RECORDS,
    "ScopeRecords": _SCOPE_RECORDS,
}


def _add_field(message: descriptor_pb2.DescriptorProto, field: _Field) -> None:
    added = message.field.add(name=field.name, number=field.number)
    added.label = _Type.LABEL_REPEATED if field.many else _Type.LABEL_OPTIONAL
    if isinstance(field.type, str):
        added.type, added.type_name = _Type.TYPE_MESSAGE, f".onshore.{field.type}"
    else:
        added.type = _Type.Type.ValueType(field.type)
    if field.told_apart:
        # A oneof of its own gives a scalar presence; whether two of them are set we look at ourselves.
        added.oneof_index = len(message.oneof_decl)
        message.oneof_decl.add(name=f"{field.name}_set")


def _pool_of(file_name: str, messages: Mapping[str, Sequence[_Field]]) -> descriptor_pool.DescriptorPool:
    file = descriptor_pb2.FileDescriptorProto(name=file_name, package="onshore", syntax="proto3")
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for field in fields:
            _add_field(message, field)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


@cache
def _pool() -> descriptor_pool.DescriptorPool:
    return _pool_of("onshore/otlp.proto", _MESSAGES)


@cache
def handler(name: str) -> Handler:
    """The ptars handler of one of our messages, by its name."""
    descriptor = _pool().FindMessageTypeByName(f"onshore.{name}")
    found: Handler = HandlerPool([descriptor.file]).get_for_message(descriptor)
    return found


@cache
def message_class(name: str) -> type[ProtoMessage]:
    """One of our messages, by its name, as a class of the protobuf library."""
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"onshore.{name}"))


@dataclass(frozen=True, slots=True)
class Element:
    """A kind of encoded part that is decoded in bulk.

    Attributes:
        what: how it is called in a failure's reason.
        fast: name of our message for it.
        reference: its class in opentelemetry-proto.
    """

    what: str
    fast: str
    reference: type[ProtoMessage]


KEY_VALUE: Final = Element("attribute", "KeyValue", common_pb2.KeyValue)
RESOURCE: Final = Element("resource", "Resource", resource_pb2.Resource)
SCOPE: Final = Element("scope", "Scope", common_pb2.InstrumentationScope)
LOG_RECORD: Final = Element("log record", "LogRecord", logs_pb2.LogRecord)
SPAN: Final = Element("span", "Span", trace_pb2.Span)
METRIC: Final = Element("metric", "Metric", metrics_pb2.Metric)


def request_fault(value: bytes) -> str | None:
    """Why `value` is no OTLP request, or None; looks at the frame around the records, not into them."""
    return _fault(_outline_class(), value, "OTLP request")


def element_fault(element: Element, value: bytes) -> str | None:
    """Why the protobuf library cannot read the fields of `value` that we read, or None."""
    return _fault(message_class(element.fast), value, element.what)


def _fault(kind: type[ProtoMessage], value: bytes, what: str) -> str | None:
    try:
        kind.FromString(value)
    except Exception as error:  # noqa: BLE001 - protobuf's implementations raise different classes
        return unreadable(what, error)
    return None


def unreadable(what: str, error: Exception) -> str:
    """A failure's reason: what could not be read, and the last words of the decoder."""
    return f"not a readable {what}: {str(error).rsplit(': ', 1)[-1] or type(error).__name__}"


@cache
def _outline_class() -> type[ProtoMessage]:
    # Only what structure and UTF-8 validity depend on: everything else is skipped, ten times faster than a parse.
    outline = {
        "Request": _REQUEST,
        "ResourceRecords": [field for field in _RESOURCE_RECORDS if field.name != "resource"],
        "ScopeRecords": [field for field in _SCOPE_RECORDS if field.name == "schema_url"],
    }
    pool = _pool_of("onshore/outline.proto", outline)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("onshore.Request"))


@cache
def parts_class(of: Literal["records", "metrics"]) -> type[ProtoMessage]:
    """A request of which only the parts are read, to count them: records as bytes, metrics down to their points."""
    records = _Field("records", 2, "Metric" if of == "metrics" else _BYTES, many=True)
    points = (_Field("data_points", 1, _BYTES, many=True),)
    kinds = [field for field in _MESSAGES["Metric"] if isinstance(field.type, str)]
    parts = {
        "Request": _REQUEST,
        "ResourceRecords": [field for field in _RESOURCE_RECORDS if field.name == "scopes"],
        "ScopeRecords": (records,),
        "Metric": kinds,
    } | {str(field.type): points for field in kinds}
    pool = _pool_of(f"onshore/{of}.proto", parts)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("onshore.Request"))
