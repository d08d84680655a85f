"""OTLP log requests of records that are text, put together from bytes.

Building each record with the protobuf library costs as much as reading it from the file; here it is a dozen bytes in
front of the text. The tests hold every request against what the library reads out of it.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Tags of the messages' fields: their number and that a length follows, or eight bytes.
_RESOURCE_LOGS: Final = b"\x0a"
_RESOURCE: Final = b"\x0a"
_SCOPE_LOGS: Final = b"\x12"
_SCOPE: Final = b"\x0a"
_LOG_RECORD: Final = b"\x12"
_TIMES: Final = struct.Struct("<cQcQ")
_TIME: Final = b"\x09"
_OBSERVED: Final = b"\x59"
_BODY: Final = b"\x2a"
_STRING: Final = b"\x0a"


def _varint(number: int) -> bytes:
    if number < 0x80:  # noqa: PLR2004 - seven bits a byte
        return bytes((number,))
    parts = []
    while number >= 0x80:  # noqa: PLR2004
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def attributes(named: Mapping[str, str | int]) -> bytes:
    """Attributes of a log record, as they stand in it."""
    return LogRecord(attributes=pairs(named)).SerializeToString()


def log_record(text: bytes, time_ns: int, observed_ns: int, attributes: bytes) -> bytes:
    """A log record as it stands in its scope.

    Args:
        text: the body, UTF-8.
        time_ns: when it happened; 0 where that is not known.
        observed_ns: when it was read.
        attributes: made by `attributes`.
    """
    string = _varint(len(text))
    body = _varint(1 + len(string) + len(text))
    times = _TIMES.pack(_TIME, time_ns, _OBSERVED, observed_ns)
    size = len(times) + 1 + len(body) + 1 + len(string) + len(text) + len(attributes)
    return b"".join((_LOG_RECORD, _varint(size), times, _BODY, body, _STRING, string, text, attributes))


def plain_record(record: LogRecord) -> bytes:
    """A record that the library built, as it stands in its scope."""
    return _field(_LOG_RECORD, record.SerializeToString())


def scope_logs(scope: str, encoding_format: str, records: Iterable[bytes]) -> bytes:
    """Records of one format, under a scope that names it."""
    named = InstrumentationScope(name=scope, attributes=pairs({"encoding.format": encoding_format}))
    return _field(_SCOPE_LOGS, _field(_SCOPE, named.SerializeToString()) + b"".join(records))


def request(resource: bytes, scopes: Iterable[bytes]) -> bytes:
    """The whole request; `resource` is made by `resource_of`."""
    return _field(_RESOURCE_LOGS, resource + b"".join(scopes))


def resource_of(named: Mapping[str, str | int]) -> bytes:
    """A resource with these attributes."""
    return _field(_RESOURCE, Resource(attributes=pairs(named)).SerializeToString())


def _field(tag: bytes, content: bytes) -> bytes:
    return tag + _varint(len(content)) + content


def pairs(named: Mapping[str, str | int]) -> list[KeyValue]:
    """Attributes as the library has them."""
    return [
        KeyValue(key=key, value=AnyValue(string_value=value) if isinstance(value, str) else AnyValue(int_value=value))
        for key, value in named.items()
    ]
