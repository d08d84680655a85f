"""JSON values out of a file that is read in chunks, each with its exact text, and a way on after broken ones."""

from __future__ import annotations

import codecs
import json
import re
from typing import TYPE_CHECKING, Any, Final

from onshore_collectors.raw_records import Unreadable
from onshore_collectors.source_files import CutShort

if TYPE_CHECKING:
    from collections.abc import Iterator

# Numbers stay text: nobody reads them here, and Python refuses integers of more than 4,300 digits.
_SCAN: Final = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str).raw_decode
_SPACE: Final = re.compile(r"[ \t\r\n]*")
_LONGEST_TOKEN: Final = 12  # a literal or an escape that a chunk may have cut
_UNTERMINATED: Final = "Unterminated string"
_MOST_VALUE_CHARS: Final = 64 << 20
_KEPT_WHILE_SEARCHING: Final = 256
_ENCODING: Final = "utf-8"
_UNDECODABLE: Final = "surrogateescape"
_CLOSING: Final = ("}", "]", '"')


class Broken(Exception):
    """No JSON value stands here; its text says why."""


class JsonStream:
    """A text of JSON values, held only as far as it is looked at.

    Args:
        chunks: the file's bytes, unpacked.
    """

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._decoder = codecs.getincrementaldecoder(_ENCODING)(_UNDECODABLE)
        self._text, self._at, self._bytes_before = "", 0, 0
        self._ended = False
        self.cut_short: str | None = None
        if self.peek() == "\ufeff":
            self._at += 1

    @property
    def position(self) -> int:
        """Where reading goes on, in bytes from the beginning."""
        return self._bytes_before + _bytes_in(self._text[: self._at])

    def position_of(self, raw: str) -> int:
        """Where the value that was read last begins, in bytes."""
        return self.position - _bytes_in(raw)

    def peek(self) -> str:
        """The next character that is no white space; '' at the end."""
        while True:
            found = _SPACE.match(self._text, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._read_on():
                return ""

    def take(self, wanted: str) -> bool:
        """Step over the next character if it is `wanted`."""
        if self.peek() != wanted:
            return False
        self._at += 1
        return True

    def begins_with(self, pattern: re.Pattern[str], chars: int) -> bool:
        """Step over a match of the pattern within the next `chars` characters, if there is one here."""
        while len(self._text) - self._at < chars and self._read_on():
            pass
        found = pattern.match(self._text, self._at)
        if found:
            self._at = found.end()
        return bool(found)

    def value(self) -> tuple[Any, str]:
        """The next value and its text as it stands there; numbers are given as text. Raises `Broken`."""
        self.peek()
        while True:
            try:
                value, end = _SCAN(self._text, self._at)
            except json.JSONDecodeError as error:
                # More text helps only where the text ended in the middle of something.
                starved = error.pos >= len(self._text) - _LONGEST_TOKEN or error.msg.startswith(_UNTERMINATED)
                if starved and len(self._text) - self._at < _MOST_VALUE_CHARS and self._read_on():
                    continue
                raise Broken(self._reason(error, starved=starved)) from None
            except RecursionError:
                raise Broken("is nested too deeply") from None
            if end == len(self._text) and self._text[end - 1] not in _CLOSING and self._read_on():
                continue  # a number may go on
            raw = self._text[self._at : end]
            self._at = end
            return value, raw

    def step_back(self, raw: str) -> None:
        """Go back to the beginning of the value that was read last."""
        self._at -= len(raw)

    def skip_to(self, pattern: re.Pattern[str], reason: str) -> Unreadable:
        """Pass over everything until the pattern's next match after this place; the end where there is none."""
        start = self.position
        self._at += 1
        while not (found := pattern.search(self._text, self._at)):
            self._at = max(self._at, len(self._text) - _KEPT_WHILE_SEARCHING)
            if not self._read_on():
                self._at = len(self._text)
                break
        else:
            self._at = found.start()
        return Unreadable(start, f"{reason}; {self.position - start:,} bytes passed over")

    def end_early(self, where: str) -> Unreadable:
        """The file ended where it should not."""
        return Unreadable(self.position, self._cut() or f"the file ends {where}")

    def rest_is_missing(self) -> Unreadable | None:
        """What is wrong with the end of a file whose last value was whole, if anything is."""
        why = self._cut()
        return Unreadable(self.position, why) if why else None

    def _reason(self, error: json.JSONDecodeError, *, starved: bool) -> str:
        why = self._cut() if starved and self._ended else None
        if why is None and (error.pos >= len(self._text) or error.msg.startswith(_UNTERMINATED)):
            why = "the file ends in the middle of this"
        return why or f"is not JSON: {error.msg}"

    def _cut(self) -> str | None:
        why, self.cut_short = self.cut_short, None  # told once
        return why

    def _read_on(self) -> bool:
        """Drop what was read and hold at least twice what is left; False at the end."""
        left = self._text[self._at :]
        parts, held = [left], 0
        while held <= len(left) and not self._ended:
            part = self._next_part()
            parts.append(part)
            held += len(part)
        if not held:
            return False
        self._bytes_before += _bytes_in(self._text[: self._at])
        self._text, self._at = "".join(parts), 0
        return True

    def _next_part(self) -> str:
        try:
            chunk = next(self._chunks, None)
        except CutShort as error:
            self.cut_short, chunk = str(error), None
        self._ended = chunk is None
        return self._decoder.decode(chunk or b"", final=self._ended)


def is_text(raw: str) -> bool:
    """Whether every byte of it was valid UTF-8."""
    try:
        raw.encode(_ENCODING)
    except UnicodeEncodeError:
        return False
    return True


def _bytes_in(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(_ENCODING, _UNDECODABLE))
