"""Request bodies: unpacked within a limit, and checked as far as that is cheap.

What is checked here tells a sender at once that it posts something else than OTLP. Whether every record inside is well
formed is the worker's business, which keeps what it cannot read as a dead letter.
"""

from __future__ import annotations

import threading
import zlib
from typing import TYPE_CHECKING, Final

import zstandard
from pydantic_core import SchemaValidator, ValidationError, core_schema, from_json

from onshore_collectors.receiver.refusals import MIB, malformed, too_large

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CODINGS: Final = ("identity", "gzip", "deflate", "zstd")

# A member's output is asked for in steps, so that the limit is met before memory is spent.
_STEP_BYTES: Final = MIB
# 512 bytes of zstd make at most 128 blocks of 128 KiB, so that one step stays near 16 MiB.
_ZSTD_STEP_BYTES: Final = 512
_ZSTD_WINDOW_BYTES: Final = 8 * MIB
_ZLIB_WINDOW_BITS: Final = {"gzip": 31, "deflate": 15}

_MOST_FIELDS_CHECKED: Final = 4096
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT_BYTES: Final = 10


def unpack(body: bytes, coding: str, limit_bytes: int, reserve: Callable[[int], None]) -> bytes:
    """Undo a content coding of `CODINGS`; `reserve(bytes)` is called before more output is kept.

    Raises `Refusal` (413) beyond `limit_bytes`, (400) when the body is not what the coding says or is cut short.
    """
    if coding == "identity" or not body:
        return body
    steps = _unzstd(body) if coding == "zstd" else _inflate(body, _ZLIB_WINDOW_BITS[coding])
    parts, size = [], 0
    try:
        for part in steps:
            size += len(part)
            if size > limit_bytes:
                raise too_large("unpacked body", limit_bytes)
            reserve(len(part))
            parts.append(part)
    except (zlib.error, zstandard.ZstdError, EOFError) as error:
        raise malformed(f"the body is not valid {coding}: {error}") from error
    return b"".join(parts)


def _inflate(body: bytes, window_bits: int) -> Iterator[bytes]:
    while body:
        member = zlib.decompressobj(window_bits)
        while not member.eof:
            part = member.decompress(body, _STEP_BYTES)
            body = member.unconsumed_tail
            yield part
            if not part and not body and not member.eof:
                raise EOFError("it ends in the middle")
        body = member.unused_data


def _unzstd(body: bytes) -> Iterator[bytes]:
    frames = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
    frame = frames.decompressobj()
    for start in range(0, len(body), _ZSTD_STEP_BYTES):
        rest = body[start : start + _ZSTD_STEP_BYTES]
        while rest:
            if frame.eof:
                frame = frames.decompressobj()
            yield frame.decompress(rest)
            rest = frame.unused_data
    if not frame.eof:
        raise EOFError("it ends in the middle")


def check_protobuf(body: bytes) -> None:
    """Walk the outermost fields: an Export request is a run of length-delimited fields. Raises `Refusal` (400).

    This costs a microsecond a resource, where parsing the whole costs as much as everything else done here.
    """
    position, end, fields = 0, len(body), 0
    try:
        while position < end and fields < _MOST_FIELDS_CHECKED:
            position = _skip_field(body, position)
            fields += 1
    except (IndexError, ValueError):
        position = end + 1
    if position > end:
        raise malformed("the body is not an OTLP request in protobuf: it is damaged, cut short or something else")


def _skip_field(body: bytes, position: int) -> int:
    """Where the field at `position` ends, or is said to. Raises `ValueError` or `IndexError` where none can start."""
    tag, position = _varint(body, position)
    wire_type = tag & 7
    if not tag >> 3:
        raise ValueError
    if wire_type == _LENGTH:
        length, position = _varint(body, position)
        return position + length
    if wire_type == _VARINT:
        return _varint(body, position)[1]
    if wire_type == _FIXED64:
        return position + 8
    if wire_type == _FIXED32:
        return position + 4
    raise ValueError


def _varint(body: bytes, position: int) -> tuple[int, int]:
    value = 0
    for index in range(_LONGEST_VARINT_BYTES):
        byte = body[position + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:  # noqa: PLR2004 - the continuation bit
            return value, position + index + 1
    raise ValueError


# Looks at the whole text, but keeps nothing of it: no field is asked for and the others are passed over.
_JSON: Final = SchemaValidator(core_schema.typed_dict_schema({}, extra_behavior="ignore"))
# Reading JSON holds the interpreter anyway; one at a time bounds what the readers need together.
_json_reader = threading.Lock()


def check_json(body: bytes, limit_bytes: int) -> None:
    """Read the body as one JSON object in UTF-8. Raises `Refusal`: 400, or 413 when it is larger than `limit_bytes`."""
    if len(body) > limit_bytes:
        raise too_large("JSON body", limit_bytes)
    try:
        with _json_reader:
            _JSON.validate_json(body)
            if b"NaN" in body or b"Infinity" in body:
                from_json(body, allow_inf_nan=False)  # the validator takes them; JSON knows neither
    except ValidationError as error:
        raise malformed(f"the body is not a JSON object: {error.errors()[0]['msg']}") from error
    except ValueError as error:
        raise malformed(f"the body is not JSON: {error}") from error
