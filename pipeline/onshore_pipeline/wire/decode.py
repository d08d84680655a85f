"""A batch of Kafka messages → frames: the entry of `wire`."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import polars as pl
import pyarrow as pa
from google.protobuf.message import DecodeError

from onshore_pipeline.broker import ACTIONS_TOPIC
from onshore_pipeline.wire import fast, raw, reference
from onshore_pipeline.wire.counting import count_parts, crowded
from onshore_pipeline.wire.elements import FastPathRefused
from onshore_pipeline.wire.envelope import Request
from onshore_pipeline.wire.otlp_json import UnreadableJson, read_request
from onshore_pipeline.wire.parts import Part, combine, message_failures
from onshore_pipeline.wire.strict import well_formed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from onshore_pipeline.wire.fast import Signal
    from onshore_pipeline.wire.frames import Decoded

SIGNALS: Final[dict[str, Signal]] = {
    "otlp_logs": "logs",
    "otlp_spans": "spans",
    "otlp_traces": "spans",
    "otlp_metrics": "metrics",
    ACTIONS_TOPIC: "logs",
}
# Bounds what decoding needs beside its result, and keeps buffers below the size (32 MiB) from which glibc gives each
# one back to the system: the page faults cost a quarter of the time.
CHUNK_BYTES: Final = 24 * 2**20
MAX_MESSAGE_BYTES: Final = 64 * 2**20
_OPENING_BRACE: Final = re.compile(rb"[ \t\r\n]*\{")
# Whatever the libraries of the fast path refuse, the reference may still read.
LIBRARY_ERRORS: Final = (FastPathRefused, pl.exceptions.PolarsError, pa.ArrowException)
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


def decode(messages: Sequence[tuple[str, bytes, str | None]]) -> Decoded:
    """Decode (topic, value, encoding header or None) messages; a message's position in the batch is its id.

    The topic tells the signal, the header ('otlp_proto' or 'otlp_json') or else the value's first byte the encoding. On
    a topic `raw.FORMAT` a message is one record in that format.
    Nothing in a message makes this raise: what cannot be read is a failure, of the record where it can be told apart.
    """
    requests: dict[Signal, list[Request]] = {}
    parts: list[Part] = []
    faults: dict[int, str] = {}
    raws: list[tuple[int, str, bytes]] = []
    for position, (topic, value, encoding) in enumerate(messages):
        signal = SIGNALS.get(topic)
        raw_format = raw.format_of(topic) if signal is None else None
        if raw_format is not None:
            if len(value) > MAX_MESSAGE_BYTES:
                faults[position] = _too_large(value)
            else:
                raws.append((position, raw_format, value))
            continue
        if signal is None:
            faults[position] = f"topic {topic!r} carries no OTLP signal: {', '.join(SIGNALS)} or raw.FORMAT is expected"
            continue
        try:
            request = _request(signal, position, value, encoding)
        except _Refused as error:
            faults[position] = str(error)
            continue
        if well_formed(signal, request.value):
            requests.setdefault(signal, []).append(request)
        else:
            parts.append(_by_reference(signal, request))
    if raws:
        parts.append(raw.read(raws))
    parts += [part for signal, sent in requests.items() for chunk in _chunks(sent) for part in _read(signal, chunk)]
    return combine([*parts, Part(failures=message_failures(faults))] if faults else parts, len(messages))


def count_at_most(topic: str, value: bytes, encoding: str | None) -> int:
    """How many records or data points `decode` could make of a message; never less than it does.

    Protobuf: all parts, counted (resources and scopes too). JSON: at least every item of every array, many times the
    records there are. 0 for what fails whole. Never raises.
    """
    signal = SIGNALS.get(topic)
    if len(value) > MAX_MESSAGE_BYTES:
        return 0
    if signal is None:
        return int(raw.format_of(topic) is not None)
    if is_json(value, encoding):
        return value.count(b",") + value.count(b"[")
    try:
        return sum(count_parts(signal, value).values())
    except DecodeError:
        return 0


def is_json(value: bytes, encoding: str | None) -> bool:
    """Whether a message's value is OTLP/JSON rather than protobuf."""
    if encoding in {"otlp_json", "otlp_proto"}:
        return encoding == "otlp_json"
    if value.startswith(_BYTE_ORDER_MARK):
        return True
    if _OPENING_BRACE.match(value) is None:
        return False
    if not value.startswith(b"\n"):
        return True
    # A newline is also the tag with which a protobuf request begins: then only a whole document is JSON.
    try:
        json.loads(value)
    except (ValueError, RecursionError):
        return False
    return True


class _Refused(Exception):
    """A message fails whole, before it is decoded; the text says why."""


def _request(signal: Signal, position: int, value: bytes, encoding: str | None) -> Request:
    """The message's request as protobuf, of a size that can be decoded. Raises `_Refused`."""
    if len(value) > MAX_MESSAGE_BYTES:
        raise _Refused(_too_large(value))
    try:
        request = read_request(signal, position, value) if is_json(value, encoding) else Request(position, value)
    except UnreadableJson as error:
        raise _Refused(str(error)) from error
    if (why := crowded(signal, request.value)) is not None:
        raise _Refused(why)
    return request


def _too_large(value: bytes) -> str:
    return f"{len(value)} bytes in one message, {MAX_MESSAGE_BYTES} are allowed: send smaller batches"


def _chunks(requests: Sequence[Request]) -> Iterator[list[Request]]:
    chunk: list[Request] = []
    size = 0
    for request in requests:
        if chunk and size + len(request.value) > CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
        chunk.append(request)
        size += len(request.value)
    yield chunk


def _read(signal: Signal, requests: Sequence[Request]) -> list[Part]:
    try:
        return [fast.read(signal, requests)]
    except LIBRARY_ERRORS:
        # The fast decoder does not say which message it stumbled over.
        if len(requests) > 1:
            middle = len(requests) // 2
            return _read(signal, requests[:middle]) + _read(signal, requests[middle:])
        return [_by_reference(signal, requests[0])]


def _by_reference(signal: Signal, request: Request) -> Part:
    return replace(reference.read(signal, [request]), by_reference=(request.message,))
