"""JSON values out of a file that is read in chunks, each with its exact text, and a way on after broken ones.

Where a value ends is first guessed: at the end of the line, or where the next record seems to begin. A value that
begins with a brace ends where its brace closes and nowhere else, so a guessed stretch that is valid JSON is the value;
only where it is not does the slower scanner look for the end. The guess costs a fifth of the scan.
"""

from __future__ import annotations

import codecs
import json
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pydantic_core import SchemaValidator, ValidationError, core_schema

from onshore_collectors.files.pieces import (
    MOST_KEPT_CHARS,
    MOST_RECORD_CHARS,
    UNDECODABLE,
    Unreadable,
    bytes_in,
)
from onshore_collectors.files.unpacking import CutShort

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

# Numbers stay text: nobody reads them here, and Python refuses integers of more than 4,300 digits.
_SCAN: Final = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str).raw_decode
_SPACE: Final = re.compile(r"[ \t\r\n]*")
_SPACES: Final = " \t\r\n"
_LONGEST_TOKEN: Final = 12  # a literal or an escape that a chunk may have cut
_UNTERMINATED: Final = "Unterminated string"
_KEPT_WHILE_SEARCHING: Final = 256
_CLOSING: Final = ("}", "]", '"')
_LINE_END: Final = re.compile(r"[\r\n]")
_FIRST_NAME: Final = re.compile(r'\{\s*"[^"\\]{1,64}"\s*:')


class Broken(Exception):
    """No JSON value stands here; its text says why."""


class Value(NamedTuple):
    """A JSON value.

    Attributes:
        fields: of an object, the members that were asked for; None of anything else.
        raw: its text as it stands there.
        names: of an object whose end was not guessed, the names of all its members.
    """

    fields: Mapping[str, Any] | None
    raw: str
    names: tuple[str, ...] = ()


class JsonStream:
    """A text of JSON values, held only as far as it is looked at.

    Args:
        chunks: the file's bytes, unpacked.
        names: the members of objects that `value` shall give.
    """

    def __init__(self, chunks: Iterator[bytes], names: Iterable[str]) -> None:
        self._chunks = chunks
        self._names = tuple(dict.fromkeys(names))
        self._look = _look_for(self._names)
        self._decoder = codecs.getincrementaldecoder("utf-8")(UNDECODABLE)
        self._text, self._at, self._bytes_before, self._lines_before = "", 0, 0, 0
        self._ended = False
        self.cut_short: str | None = None
        if self.peek() == "\ufeff":
            self._at += 1

    @property
    def position(self) -> int:
        """Where reading goes on, in bytes from the beginning."""
        return self._bytes_before + bytes_in(self._text[: self._at])

    @property
    def line(self) -> int:
        """The line in which reading goes on, from 1; a line ends with LF, CR LF or CR."""
        return self._lines_before + _line_ends(self._text, self._at) + 1

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

    def ahead(self, chars: int) -> str:
        """The next characters, fewer at the end; nothing is stepped over."""
        while len(self._text) - self._at < chars and self._read_on():
            pass
        return self._text[self._at : self._at + chars]

    def step(self, chars: int) -> None:
        """Step over characters that `ahead` gave."""
        self._at += chars

    def line_value(self) -> Value | None:
        """The rest of the line, if it is one object; nothing is stepped over where it is not."""
        text, at = self._text, self._at
        end = text.find("\n", at)
        if end < 0:
            return None
        return self._guessed(text[at:end].rstrip(_SPACES))

    def line_text(self) -> str | None:
        """The rest of the line without its end, stepped over; None, and no step, where it is longer than a record."""
        while not (end := _LINE_END.search(self._text, self._at)):
            if len(self._text) - self._at > MOST_RECORD_CHARS or not self._read_on():
                break
        raw = self._text[self._at : end.start() if end else None]
        if len(raw) > MOST_RECORD_CHARS:
            return None
        self._at += len(raw)
        return raw

    def at_end(self) -> bool:
        """Whether nothing follows, not even white space."""
        return self._at == len(self._text) and not self._read_on()

    def next_value(self, beginning: str) -> Value | None:
        """What stands before the next object with this beginning, if it is one object and a comma."""
        text, at = self._text, self._at
        end = text.find(beginning, at + 1)
        if end < 0 or not text.startswith(beginning, at):
            return None
        raw = text[at:end].rstrip(_SPACES)
        return self._guessed(raw[:-1].rstrip(_SPACES)) if raw.endswith(",") else None

    def beginning(self) -> str:
        """The next object's brace and its first member's name, as they stand here; '' where there is no such thing."""
        found = _FIRST_NAME.match(self.ahead(_KEPT_WHILE_SEARCHING))
        return found.group() if found else ""

    def _guessed(self, raw: str) -> Value | None:
        if not raw.startswith("{") or len(raw) > MOST_RECORD_CHARS:
            return None
        try:
            fields = self._look(raw)
        except (ValidationError, UnicodeError):
            return None
        self._at += len(raw)
        return Value(fields, raw)

    def value(self) -> Value:
        """The next value. Raises `Broken`."""
        whole, raw = self.whole_value()
        if not isinstance(whole, dict):
            return Value(None, raw)
        return Value({name: whole[name] for name in self._names if name in whole}, raw, tuple(whole))

    def whole_value(self) -> tuple[Any, str]:
        """The next value as Python has it, and its text; numbers are given as text. Raises `Broken`."""
        self.peek()
        while True:
            try:
                value, end = _SCAN(self._text, self._at)
            except json.JSONDecodeError as error:
                # More text helps only where the text ended in the middle of something.
                starved = error.pos >= len(self._text) - _LONGEST_TOKEN or error.msg.startswith(_UNTERMINATED)
                held = len(self._text) - self._at
                if starved and held >= MOST_RECORD_CHARS:
                    raise Broken(f"is longer than {MOST_RECORD_CHARS >> 20} MiB") from None
                if starved and self._read_on():
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

    def refuse(self, raw: str, reason: str) -> Unreadable:
        """The value that was read last is no record."""
        self._at -= len(raw)
        position, line = self.position, self.line
        self._at += len(raw)
        return Unreadable(position, line, reason, raw[:MOST_KEPT_CHARS], bytes_in(raw))

    def skip_to(self, pattern: re.Pattern[str], reason: str) -> Unreadable:
        """Pass over everything until the pattern's next match after this place; the end where there is none."""
        position, line, kept, begun = self.position, self.line, [], self._at
        room = MOST_KEPT_CHARS
        self._at += 1
        while not (found := pattern.search(self._text, self._at)):
            self._at = max(self._at, len(self._text) - _KEPT_WHILE_SEARCHING)
            kept.append(self._text[begun : min(self._at, begun + room)])
            room -= len(kept[-1])
            more, begun = self._read_on(), 0
            if not more:
                kept.append(self._text[self._at : self._at + room])
                self._at = len(self._text)
                break
        else:
            self._at = found.start()
            kept.append(self._text[begun : min(self._at, begun + room)])
        size = self.position - position
        text = "".join(kept)
        at_end = self._ended and self._at == len(self._text)
        return Unreadable(position, line, f"{reason}; {size:,} bytes passed over", text, size, at_end)

    def end_early(self, where: str) -> Unreadable:
        """The file ended where it should not."""
        return Unreadable(self.position, self.line, self._cut() or f"the file ends {where}", open_end=True)

    def rest_is_missing(self) -> Unreadable | None:
        """What is wrong with the end of a file whose last value was whole, if anything is."""
        why = self._cut()
        return Unreadable(self.position, self.line, why, open_end=True) if why else None

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
        passed, self._text = self._text[: self._at], "".join(parts)
        is_split = passed.endswith("\r") and self._text.startswith("\n")  # one line end, counted with its LF
        self._lines_before += _line_ends(passed, len(passed)) - is_split
        self._bytes_before += bytes_in(passed)
        self._at = 0
        return True

    def _next_part(self) -> str:
        try:
            chunk = next(self._chunks, None)
        except CutShort as error:
            self.cut_short, chunk = str(error), None
        self._ended = chunk is None
        return self._decoder.decode(chunk or b"", final=self._ended)


def _line_ends(text: str, end: int) -> int:
    """How many lines end before `end`."""
    returns = text.count("\r", 0, end)
    return text.count("\n", 0, end) + (returns - text.count("\r\n", 0, end) if returns else 0)


def _look_for(names: Iterable[str]) -> Any:  # noqa: ANN401 - a function of a library without types
    """Checks the whole text, and gives the members with these names; those that a record lacks are left out."""
    member = core_schema.typed_dict_field(core_schema.any_schema(), required=False)
    schema = core_schema.typed_dict_schema(dict.fromkeys(names, member), extra_behavior="ignore")
    return SchemaValidator(schema).validate_json
