"""Files of JSON records: one after the other (JSON lines or indented), in a list, or in a list inside of an object.

In formats that are written as lines of text, too, both may stand in one file: a line is JSON where it begins as that.

What is no record is given as `Unreadable`, with its place, and reading goes on at the next record: in a broken list
where the next object begins like the records before it; outside of lists at the next line that begins like one.
A list inside of an object is found by its name, which the rules of a format know (`{"Records": [...]}`). CloudWatch
Logs packs what it is subscribed to into such objects, too: there each record is the text of an event's `message`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from onshore_collectors.files.json_stream import Broken, JsonStream, Value
from onshore_collectors.files.pieces import MOST_RECORD_CHARS, Digest, Piece, RawRecord, is_text

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping

    FromText = Callable[[str], RawRecord | None]

CLOUDWATCH_LIST: Final = "logEvents"
_MESSAGE: Final = "message"
_CLOUDWATCH_NAMES: Final = ("id", "timestamp", _MESSAGE)
_LONGEST_HEAD: Final = 4096
_LONGEST_OPENING: Final = 64  # a bracket and the white space behind it
_NEXT_LINE: Final = re.compile(r"(?<=[\r\n])[{\[]")
_NEXT_TEXT: Final = re.compile(r"(?<=[\r\n])\S")
_JSON_BEGINS: Final = re.compile(r"\{|\[\s*+(?:[{\[\]]|$)")
_NEXT_OBJECT: Final = re.compile(r'(?<=[,\r\n])\s*\{\s*"')
_SHOWN_NAMES: Final = 4
_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_FRACTION: Final = re.compile(r"\.\d{6}(\d{1,3})")


@dataclass(frozen=True)
class JsonRules:
    """How the records of a file are found and told apart.

    Attributes:
        format: the source format of a record, unless `choose` says another.
        lists: names of the lists inside of objects that hold records.
        ids: members that name a record, the first that is there counts.
        times: members that hold its time as text, the first that is there counts.
        keys: members one of which every record has; empty: any object is a record.
        called: what a record is called where one is missed.
        digest: members that a file of hashes has instead; empty: there are no such files.
        more: further members that `choose` looks at.
        choose: members → source format; None: all are of `format`.
        from_text: a line, or a CloudWatch event, that holds no JSON → record, for formats of lines; None where it is
            none of theirs.
        no_text: why such a line is none of theirs.
    """

    format: str
    lists: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    times: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    called: str = "record"
    digest: tuple[str, ...] = ()
    more: tuple[str, ...] = ()
    choose: Callable[[Mapping[str, Any]], str] | None = None
    from_text: FromText | None = None
    no_text: str = "is no JSON"

    @property
    def names(self) -> tuple[str, ...]:
        """Every member that is looked at."""
        looked = (*self.ids, *self.times, *self.keys, *self.digest, *self.more, *self.lists)
        return tuple(dict.fromkeys((*looked, CLOUDWATCH_LIST, *_CLOUDWATCH_NAMES)))


def read_json(chunks: Iterator[bytes], rules: JsonRules) -> Iterator[Piece]:
    """Everything in a file, in order.

    Args:
        chunks: the file's bytes, unpacked.
        rules: what a record is.

    Raises:
        OSError: the file cannot be read; what came before was given.
    """
    return _JsonFile(chunks, rules).pieces()


class _JsonFile:
    def __init__(self, chunks: Iterator[bytes], rules: JsonRules) -> None:
        self._rules = rules
        self._stream = JsonStream(chunks, rules.names)
        self._next_document = _NEXT_LINE
        named = "|".join(re.escape(name) for name in (*rules.lists, CLOUDWATCH_LIST))
        # members in front of the list that hold no braces or brackets of a second level
        simple = r'"(?:[^"\\]|\\.)*+"'
        member = rf"{simple}\s*:\s*(?:{simple}|[\w.+-]++|\{{[^{{}}\[\]]*+\}}|\[[^{{}}\[\]]*+\])\s*,\s*"
        self._list_begins = re.compile(rf'\{{\s*(?:{member})*?"({named})"\s*:\s*\[')

    def pieces(self) -> Iterator[Piece]:
        stream = self._stream
        if not stream.peek():
            yield stream.end_early("before anything stands in it")
            return
        while stream.peek():
            yield from self._document()
        if missing := stream.rest_is_missing():
            yield missing

    def _document(self) -> Iterator[Piece]:
        stream = self._stream
        from_text = self._rules.from_text
        if from_text is not None and not _JSON_BEGINS.match(stream.ahead(_LONGEST_OPENING)):
            self._next_document = _NEXT_TEXT
            yield self._line(from_text)
            return
        if stream.take("["):
            yield from self._list("")
            return
        if value := stream.line_value():
            self._next_document = _NEXT_TEXT  # a record a line: each broken one is told by itself
            yield from self._object(value)
            return
        if found := self._list_begins.match(stream.ahead(_LONGEST_HEAD)):
            stream.step(found.end())
            yield from self._list_in_object(found.group(1))
            return
        try:
            value = stream.value()
        except Broken as broken:
            yield stream.skip_to(self._next_document, str(broken))
            return
        yield from self._object(value)

    def _line(self, from_text: FromText) -> Piece:
        """A line of text that is no JSON."""
        stream = self._stream
        raw = stream.line_text()
        if raw is None:
            return stream.skip_to(_NEXT_TEXT, f"is longer than {MOST_RECORD_CHARS >> 20} MiB")
        if not raw.isascii() and not is_text(raw):
            return stream.refuse(raw, "is not UTF-8")
        record = from_text(raw)
        if record is None:
            return stream.refuse(raw, self._rules.no_text)
        return record._replace(open_end=True) if stream.at_end() else record

    def _object(self, value: Value) -> Iterator[Piece]:
        """A whole value outside of lists: a record, an object with a list of them, or a file of hashes."""
        stream, fields, rules = self._stream, value.fields, self._rules
        if fields is None:
            yield stream.refuse(value.raw, f"is JSON, but no {rules.called}")
            return
        list_name = next((name for name in (*rules.lists, CLOUDWATCH_LIST) if isinstance(fields.get(name), list)), None)
        if list_name is not None and not any(name in fields for name in rules.keys):
            stream.step_back(value.raw)
            self._enter(list_name)
            yield from self._list_in_object(list_name)
        elif rules.digest and all(name in fields for name in rules.digest):
            covered = fields[rules.digest[-1]]
            yield Digest(len(covered) if isinstance(covered, list) else 0, value.raw)
        elif rules.keys and not any(name in fields for name in rules.keys):
            names = value.names or self._names_of(value.raw)
            held = ", ".join(names[:_SHOWN_NAMES]) or "nothing"
            yield stream.refuse(value.raw, f"is no {rules.called}: holds {held}")
        else:
            yield self._piece(value)

    def _names_of(self, raw: str) -> tuple[str, ...]:
        self._stream.step_back(raw)
        return self._stream.value().names

    def _list_in_object(self, list_name: str) -> Iterator[Piece]:
        """The list of records, after its opening bracket, and the rest of the object that it is in."""
        if (yield from self._list(list_name)):
            yield from self._end_of_object()

    def _list(self, list_name: str) -> Generator[Piece, None, bool]:
        """The records of a list, after its opening bracket; whether the list was closed."""
        stream, beginning, next_record = self._stream, "", _NEXT_OBJECT
        is_cloudwatch = list_name == CLOUDWATCH_LIST
        while not stream.take("]"):
            if not stream.peek():
                yield stream.end_early("inside its list of records")
                return False
            value = stream.next_value(beginning) if beginning else None
            if value is None:
                if begins := stream.beginning():
                    beginning, next_record = begins, re.compile(re.escape(begins))
                try:
                    value = stream.value()
                except Broken as broken:
                    yield stream.skip_to(next_record, str(broken))
                    if not stream.peek():
                        return False
                    continue
            yield self._from_cloudwatch(value) if is_cloudwatch else self._piece(value)
            stream.take(",")
        return True

    def _end_of_object(self) -> Iterator[Piece]:
        """What may stand between the list of records and the closing brace: other members."""
        stream = self._stream
        try:
            while stream.take(","):
                self._name()
                stream.whole_value()
        except Broken as broken:
            yield stream.skip_to(_NEXT_LINE, str(broken))
            return
        if stream.take("}"):
            return
        if stream.peek():
            yield stream.skip_to(_NEXT_LINE, "the file goes on wrongly after its records")
        else:
            yield stream.end_early("before its closing brace")

    def _enter(self, list_name: str) -> None:
        """Step behind the bracket of a list in an object that is known to be whole."""
        stream = self._stream
        stream.take("{")
        while self._name() != list_name or not stream.take("["):
            stream.whole_value()
            stream.take(",")

    def _name(self) -> str:
        name, _ = self._stream.whole_value()
        self._stream.take(":")
        return str(name)

    def _piece(self, value: Value) -> Piece:
        fields, raw, rules = value.fields, value.raw, self._rules
        if fields is None:
            return self._stream.refuse(raw, "stands among the records and is no JSON object")
        if not raw.isascii() and not is_text(raw):
            return self._stream.refuse(raw, "is not UTF-8")
        chosen = rules.choose(fields) if rules.choose else rules.format
        return RawRecord(raw, chosen, _first(fields, rules.ids), _nanoseconds(_first(fields, rules.times)))

    def _from_cloudwatch(self, value: Value) -> Piece:
        """A log event of a CloudWatch subscription: its message is the record."""
        event, rules = value.fields, self._rules
        message = event.get(_MESSAGE) if event is not None else None
        if not isinstance(message, str) or not is_text(message):
            return self._stream.refuse(value.raw, "is a CloudWatch event without a readable message")
        if rules.from_text is not None and not message.lstrip().startswith("{"):
            return rules.from_text(message) or self._stream.refuse(value.raw, f"holds a message that {rules.no_text}")
        try:
            inner = JsonStream(iter((message.encode(),)), rules.names).value()
        except Broken as broken:
            return self._stream.refuse(value.raw, f"holds a message that {broken}")
        if inner.fields is None:
            return self._stream.refuse(value.raw, "holds a message that is no JSON object")
        chosen = rules.choose(inner.fields) if rules.choose else rules.format
        uid, at = _first(inner.fields, rules.ids), _first(inner.fields, rules.times)
        return RawRecord(message, chosen, uid, _nanoseconds(at))


def _first(fields: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    for name in names:
        held = fields.get(name)
        if isinstance(held, str) and held:
            return held if held.isascii() or is_text(held) else None
        if isinstance(held, int) and not isinstance(held, bool):
            return str(held)
    return None


@lru_cache(maxsize=4096)
def _nanoseconds(text: str | None) -> int | None:
    if text is None or text.isdigit():
        return None
    try:
        since = datetime.fromisoformat(text) - _EPOCH
    except (ValueError, TypeError, OverflowError):
        return None  # TypeError: a time without an offset is no point in time
    further = _FRACTION.search(text)
    rest = int(further[1].ljust(3, "0")) if further else 0
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1000 + rest
