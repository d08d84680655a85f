"""CloudTrail log files: each record with its exact text, whatever state the file is in.

A file is `{"Records": [...]}` as CloudTrail writes it, a list of records, or records one after the other (JSON lines).
What is no record is given as `Unreadable`, with its place, and reading goes on at the next record: in a broken list at
the next `{"eventVersion"`, with which CloudTrail begins every record; between JSON lines at the next line.
Digest files hold hashes of log files and no records; they are given as `Digest`.
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from onshore_collectors.json_stream import Broken, JsonStream, is_text
from onshore_collectors.raw_records import Digest, Piece, RawRecord, Unreadable

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

FORMAT: Final = "aws.cloudtrail"
SCOPE: Final = "onshore.collectors.cloudtrail"

_RECORDS: Final = "Records"
_RECORDS_FIRST: Final = re.compile(r'\{\s*"Records"\s*:\s*\[')
_RECORDS_FIRST_CHARS: Final = 64
_NEXT_RECORD: Final = re.compile(r'\{\s*"eventVersion"')
_NEXT_LINE: Final = re.compile(r'(?<=\n)[{\[]|\{\s*"eventVersion"')
_RECORD_KEYS: Final = frozenset({"eventVersion", "eventName", "eventID"})
_DIGEST_KEYS: Final = frozenset({"digestStartTime", "logFiles"})
_SHOWN_KEYS: Final = 4
_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def read_records(chunks: Iterator[bytes]) -> Iterator[Piece]:
    """Everything in a file, in order.

    Args:
        chunks: the file's bytes, unpacked.

    Raises:
        OSError: the file cannot be read; what came before was given.
    """
    stream = JsonStream(chunks)
    if not stream.peek():
        yield stream.end_early("before anything stands in it")
        return
    while stream.peek():
        yield from _read_document(stream)
    missing = stream.rest_is_missing()
    if missing:
        yield missing


def _read_document(stream: JsonStream) -> Iterator[Piece]:
    if stream.take("["):
        yield from _read_list(stream)
        return
    if stream.begins_with(_RECORDS_FIRST, _RECORDS_FIRST_CHARS):
        yield from _read_object(stream)
        return
    try:
        value, raw = stream.value()
    except Broken as broken:
        yield stream.skip_to(_NEXT_LINE, str(broken))
        return
    if not isinstance(value, dict):
        yield Unreadable(stream.position_of(raw), "is JSON, but no CloudTrail record")
    elif isinstance(value.get(_RECORDS), list):
        stream.step_back(raw)
        _enter_list(stream)
        yield from _read_object(stream)
    elif value.keys() >= _DIGEST_KEYS:
        yield Digest(len(value["logFiles"] or ()))
    elif value.keys() & _RECORD_KEYS:
        yield _as_piece(stream, value, raw)
    else:
        keys = ", ".join(list(value)[:_SHOWN_KEYS]) or "nothing"
        yield Unreadable(stream.position_of(raw), f"is no CloudTrail record: holds {keys}")


def _read_object(stream: JsonStream) -> Iterator[Piece]:
    """The list of records, after its opening bracket, and the rest of the object that it is in."""
    if (yield from _read_list(stream)):
        yield from _read_end(stream)


def _read_list(stream: JsonStream) -> Generator[Piece, None, bool]:
    """The records of a list, after its opening bracket; whether the list was closed."""
    while not stream.take("]"):
        if not stream.peek():
            yield stream.end_early("inside its list of records")
            return False
        try:
            value, raw = stream.value()
        except Broken as broken:
            yield stream.skip_to(_NEXT_RECORD, str(broken))
            if not stream.peek():
                return False
            continue
        yield _as_piece(stream, value, raw)
        stream.take(",")
    return True


def _read_end(stream: JsonStream) -> Iterator[Piece]:
    """What may stand between the list of records and the closing brace: other members."""
    try:
        while stream.take(","):
            _skip_name(stream)
            stream.value()
    except Broken as broken:
        yield stream.skip_to(_NEXT_LINE, str(broken))
        return
    if stream.take("}"):
        return
    if stream.peek():
        yield stream.skip_to(_NEXT_LINE, "the file goes on wrongly after its records")
    else:
        yield stream.end_early("before its closing brace")


def _enter_list(stream: JsonStream) -> None:
    """Step behind the bracket of `Records` in an object that is known to be whole."""
    stream.take("{")
    while _skip_name(stream) != _RECORDS or not stream.take("["):
        stream.value()
        stream.take(",")


def _skip_name(stream: JsonStream) -> str:
    name, _ = stream.value()
    stream.take(":")
    return str(name)


def _as_piece(stream: JsonStream, value: Any, raw: str) -> Piece:  # noqa: ANN401 - any JSON value
    if not isinstance(value, dict):
        return Unreadable(stream.position_of(raw), "stands among the records and is no JSON object")
    if not raw.isascii() and not is_text(raw):
        return Unreadable(stream.position_of(raw), "is not UTF-8")
    uid, at = value.get("eventID"), value.get("eventTime")
    return RawRecord(raw, uid if isinstance(uid, str) else None, _nanoseconds(at) if isinstance(at, str) else None)


@lru_cache(maxsize=4096)
def _nanoseconds(text: str) -> int | None:
    try:
        since = datetime.fromisoformat(text) - _EPOCH
    except (ValueError, TypeError, OverflowError):
        return None  # TypeError: a time without an offset is no point in time
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1000
