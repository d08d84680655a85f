"""Files of text lines, and of CSV lines whose quoted fields may hold line ends."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from onshore_collectors.files.pieces import (
    MOST_KEPT_CHARS,
    MOST_RECORD_CHARS,
    UNDECODABLE,
    Piece,
    RawRecord,
    Unreadable,
)
from onshore_collectors.files.unpacking import CutShort

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    MakeRecord = Callable[[str], RawRecord | None]

_BOM: Final = b"\xef\xbb\xbf"
_ENDS: Final = b"\r\n"
_MOST_CSV_BYTES: Final = 1 << 20
_CSV_RECORD_BEGINS: Final = re.compile(rb'"?\d{4}-\d\d-\d\d \d\d:\d\d:\d\d')


class _Line(NamedTuple):
    """A line: where it begins, its number from 1, its bytes without the end, its size with it, its end."""

    position: int
    number: int
    raw: bytes
    size: int
    end: bytes


def read_lines(chunks: Iterator[bytes], make: MakeRecord) -> Iterator[Piece]:
    """One record a line that is not blank, whatever ends it: LF, CR LF or CR.

    Args:
        chunks: the file's bytes, unpacked.
        make: makes the record of a line; None where the line is a heading.

    Raises:
        OSError: the file cannot be read; what came before was given.
    """
    lines = _Lines(chunks)
    for line in lines:
        if (piece := _piece(line, make)) is not None:
            yield piece
    if missing := lines.rest_is_missing():
        yield missing


def read_csv(chunks: Iterator[bytes], make: MakeRecord) -> Iterator[Piece]:
    """One record a CSV line as PostgreSQL writes them: a quoted field may go over several lines of text.

    Where a quote is not closed within 1 MiB, what stands before the next line that begins with a time is unreadable.
    """
    lines = _Lines(chunks)
    held: list[_Line] = []
    size, is_open = 0, False
    for line in lines:
        held.append(line)
        size += line.size
        is_open ^= bool(line.raw.count(b'"') & 1)
        if is_open and size > _MOST_CSV_BYTES:
            yield from _unclosed(held, make)
            is_open = False
        if not is_open:
            if held and (piece := _piece(_joined(held), make)) is not None:
                yield piece
            held, size = [], 0
    if held:
        yield from _unclosed(held, make)
    if missing := lines.rest_is_missing():
        yield missing


class _Lines:
    """The lines of a file, each held at most up to the longest record."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._position, self._number = 0, 1
        self._cut: str | None = None

    def __iter__(self) -> Iterator[_Line]:
        """All lines; the last may lack an end."""
        left, passed, beginning = b"", 0, b""  # passed: bytes of a line that is too long to be held
        for chunk in self._until_cut():
            parts = (left + chunk).splitlines(keepends=True)
            # a CR at the end may belong to an LF that follows
            left = parts.pop() if parts and not parts[-1].endswith(b"\n") else b""
            for part in parts:
                yield self._line(part, passed, beginning)
                passed, beginning = 0, b""
            if len(left) > MOST_RECORD_CHARS:
                beginning = beginning or left[:MOST_KEPT_CHARS]
                passed, left = passed + len(left) - 1, left[-1:]
        if left:
            yield self._line(left, passed, beginning)

    def rest_is_missing(self) -> Unreadable | None:
        """What is wrong with the end of the file, if anything is."""
        return Unreadable(self._position, self._number, self._cut, open_end=True) if self._cut is not None else None

    def _line(self, part: bytes, passed: int, beginning: bytes) -> _Line:
        raw, size = part.rstrip(_ENDS), passed + len(part)
        line = _Line(self._position, self._number, beginning or raw, size, part[len(raw) :])
        self._position, self._number = self._position + size, self._number + 1
        return line

    def _until_cut(self) -> Iterator[bytes]:
        try:
            first = next(self._chunks, b"")
            self._position = len(_BOM) if first.startswith(_BOM) else 0
            yield first[self._position :]
            yield from self._chunks
        except CutShort as error:
            self._cut = str(error)


def _piece(line: _Line, make: MakeRecord) -> Piece | None:
    if line.size > MOST_RECORD_CHARS:
        return _refused(line, f"is longer than {MOST_RECORD_CHARS >> 20} MiB; {line.size:,} bytes passed over")
    if not line.raw or line.raw.isspace():
        return None
    try:
        record = make(line.raw.decode())
    except UnicodeDecodeError:
        return _refused(line, "is not UTF-8")
    return record if record is None or line.end else record._replace(open_end=True)


def _refused(line: _Line, reason: str) -> Unreadable:
    text = line.raw[:MOST_KEPT_CHARS].decode("utf-8", UNDECODABLE)
    return Unreadable(line.position, line.number, reason, text, line.size, not line.end)


def _joined(lines: Sequence[_Line]) -> _Line:
    """Lines of text as one, with the line ends between them."""
    first, last = lines[0], lines[-1]
    if len(lines) == 1:
        return first
    raw = b"".join(line.raw + line.end for line in lines[:-1]) + last.raw
    return _Line(first.position, first.number, raw, last.position + last.size - first.position, last.end)


def _unclosed(held: Sequence[_Line], make: MakeRecord) -> Iterator[Piece]:
    """What to make of lines of which the first opens a quote that is not closed: it is told, the others are tried."""
    end = next((at for at in range(1, len(held)) if _CSV_RECORD_BEGINS.match(held[at].raw)), len(held))
    yield _refused(_joined(held[:end]), "opens a quote that is never closed")
    begun: list[_Line] = []
    for line in held[end:]:
        if begun and _CSV_RECORD_BEGINS.match(line.raw):
            yield from _tried(begun, make)
            begun = []
        begun.append(line)
    if begun:
        yield from _tried(begun, make)


def _tried(lines: Sequence[_Line], make: MakeRecord) -> Iterator[Piece]:
    joined = _joined(lines)
    if joined.raw.count(b'"') & 1:
        yield _refused(joined, "opens a quote that is never closed")
    elif (piece := _piece(joined, make)) is not None:
        yield piece
