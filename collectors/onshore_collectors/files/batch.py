"""Pieces of files on their way into requests that a message can hold."""

from __future__ import annotations

import gzip
import time
from typing import TYPE_CHECKING, Final

import zstandard
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from onshore_collectors.files import otlp
from onshore_collectors.files.pieces import MOST_KEPT_CHARS, UNDECODABLE
from onshore_collectors.files.spool import Payload
from onshore_pipeline.domain import unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from onshore_collectors.files.pieces import RawRecord, Unreadable
    from onshore_collectors.files.spool import Stored

_MOST_RECORDS: Final = 512
_MOST_BYTES: Final = 900_000  # about; Kafka's default limit is 1 MiB a message
# A dead letter keeps its whole message, so that messages of unreadable stretches are small.
_MOST_UNREADABLE: Final = 16
_MOST_UNREADABLE_BYTES: Final = 256 << 10
_MOST_REQUESTS: Final = 8
_UNKNOWN_FORMAT: Final = "onshore.unreadable"

Origin = tuple[tuple[str, str], ...]  # attributes that all records of a file share


class Batch:
    """What is put together until it fills a message; for one thread.

    Args:
        resource: resource attributes.
        scope: the instrumentation scope's name.
        coding: how requests are packed: `zstd` or `gzip`.
        most_records: most records in it.
    """

    def __init__(self, resource: Mapping[str, str], scope: str, coding: str, most_records: int = _MOST_RECORDS) -> None:
        self._resource, self._scope, self._coding = otlp.resource_of(resource), scope, coding
        self._most_records = min(most_records, _MOST_RECORDS)
        self._attributes: dict[tuple[Origin, Origin], bytes] = {}
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self._records: dict[str, list[bytes]] = {}
        self._unreadable: list[list[bytes]] = []
        self._count = self._weight = self._unreadable_weight = 0

    @property
    def records(self) -> int:
        """Records in it."""
        return self._count

    def has_room(self, chars: int) -> bool:
        """Whether a piece of about this size goes in; one of any size goes into an empty one."""
        if not self._count and not self._unreadable:
            return True
        is_large = self._weight + chars > _MOST_BYTES
        return not is_large and self._count < self._most_records and len(self._unreadable) < _MOST_REQUESTS

    def put(self, record: RawRecord, origin: Origin) -> None:
        """Add a record."""
        about = (origin, record.attributes)
        if (common := self._attributes.get(about)) is None:
            if len(self._attributes) > _MOST_RECORDS:
                self._attributes.clear()
            common = self._attributes[about] = otlp.attributes(dict((*origin, *record.attributes)))
        if record.uid is not None:
            common += otlp.attributes({"log.record.uid": record.uid})
        at = record.time_ns if record.time_ns is not None and 0 < record.time_ns < 1 << 63 else 0
        encoded = otlp.log_record(record.text.encode(), at, time.time_ns(), common)
        self._records.setdefault(record.format, []).append(encoded)
        self._count += 1
        self._weight += len(encoded)

    def put_unreadable(self, piece: Unreadable, origin: Origin, path: str) -> None:
        """Add a stretch that is no record: its beginning, and where and why."""
        named: dict[str, str | int] = {
            **dict(origin),
            unreadable.FILE: path,
            unreadable.REASON: piece.reason,
            unreadable.LINE: piece.line,
            unreadable.POSITION: piece.position,
            unreadable.BYTES: piece.size,
        }
        record = LogRecord(observed_time_unix_nano=time.time_ns(), attributes=otlp.pairs(named), body=_body(piece.text))
        encoded = otlp.plain_record(record)
        self._unreadable_weight += len(encoded)
        is_full = not self._unreadable or len(self._unreadable[-1]) >= _MOST_UNREADABLE
        if is_full or self._unreadable_weight > _MOST_UNREADABLE_BYTES:
            self._unreadable.append([])
            self._unreadable_weight = len(encoded)
        self._unreadable[-1].append(encoded)

    def payloads(self) -> list[Payload]:
        """Its requests: the records, then what could not be read."""
        requests = []
        if self._count:
            scopes = [otlp.scope_logs(self._scope, name, records) for name, records in self._records.items()]
            requests.append(self._packed(scopes, self._count, 0))
        for some in self._unreadable:
            scopes = [otlp.scope_logs(self._scope, _UNKNOWN_FORMAT, some)]
            requests.append(self._packed(scopes, 0, len(some)))
        return requests

    def _packed(self, scopes: Iterable[bytes], records: int, refused: int) -> Payload:
        return Payload(pack(otlp.request(self._resource, scopes), self._coding), self._coding, records, refused)


def pack(request: bytes, coding: str) -> bytes:
    """A request as it travels."""
    if coding == "zstd":
        return zstandard.ZstdCompressor(level=1).compress(request)
    return gzip.compress(request, compresslevel=1, mtime=0)


def smaller(stored: Stored) -> list[Payload]:
    """The same records in two requests; a single one becomes what could not be taken, with its beginning and size.

    Nothing where there is no smaller request.
    """
    body, coding = stored.payload.body, stored.payload.coding
    plain = zstandard.ZstdDecompressor().decompress(body) if coding == "zstd" else gzip.decompress(body)
    whole = ExportLogsServiceRequest.FromString(plain)
    count = sum(len(scope.log_records) for scope in whole.resource_logs[0].scope_logs)
    if count > 1:
        halves = (range(count // 2), range(count // 2, count))
        return [_part(whole, some, stored.payload) for some in halves]
    if stored.payload.unreadable:
        return []
    record = whole.resource_logs[0].scope_logs[0].log_records[0]
    text = record.body.string_value
    size = len(text.encode())
    named: dict[str, str | int] = {
        unreadable.REASON: f"is larger than the receiver takes: {size:,} bytes",
        unreadable.BYTES: size,
    }
    record.attributes.extend(otlp.pairs(named))
    record.body.CopyFrom(_body(text[:MOST_KEPT_CHARS]))
    return [Payload(pack(whole.SerializeToString(), coding), coding, 0, 1)]


def _part(whole: ExportLogsServiceRequest, wanted: range, payload: Payload) -> Payload:
    part = ExportLogsServiceRequest()
    part.CopyFrom(whole)
    at = 0
    for scope in part.resource_logs[0].scope_logs:
        kept = [record for number, record in enumerate(scope.log_records, at) if number in wanted]
        at += len(scope.log_records)
        del scope.log_records[:]
        scope.log_records.extend(kept)
    count = len(wanted)
    records = 0 if payload.unreadable else count
    return Payload(pack(part.SerializeToString(), payload.coding), payload.coding, records, count - records)


def _body(text: str) -> AnyValue:
    """Text as it is, or the bytes that it stands for where they are no UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return AnyValue(bytes_value=text.encode("utf-8", UNDECODABLE))
    return AnyValue(string_value=text)
