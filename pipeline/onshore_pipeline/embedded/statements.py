"""Finds, in a statement's text, what ClickHouse's HTTP interface must know before it runs it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

# An INSERT's own words stand in front of its data; nobody names that many columns.
MAX_STATEMENT_BYTES: Final = 1 << 20

_TOKEN: Final = re.compile(
    rb"""
    (?P<space> \s+ | --[^\n]* | \#[!\ ][^\n]* | /\*.*?(?:\*/|\Z) )
  | (?P<quoted> '(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*" | `(?:[^`\\]|\\.)*` | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$ )
  | (?P<word> [A-Za-z_]\w* )
  | (?P<other> . )
    """,
    re.VERBOSE | re.DOTALL,
)
# The engine puts quotes around a name that is a word of the language, such as `Values`.
_FORMAT_NAME: Final = re.compile(rb"\s+(?P<quote>`?)(?P<name>\w+)(?P=quote)")
_FORMAT_LINE: Final = re.compile(r"^FORMAT (`?)(\w+)\1$", re.MULTILINE)
_FILE_LINE: Final = re.compile(r"^(?:INTO OUTFILE |INSERT INTO .* FROM INFILE ')", re.MULTILINE)
# Between the format's name and the data: blanks, then at most one line end.
_BEFORE_DATA: Final = re.compile(rb"[ \t\f]*(?:\r?\n)?")


@dataclass(frozen=True, slots=True)
class Insert:
    """An INSERT that brings its rows along.

    Attributes:
        statement: up to and without `SETTINGS ...`, `FORMAT ...` or `VALUES`.
        settings: its SETTINGS clause, '' when there is none.
        format: how the rows are written.
        data_at: where in the text they begin.
    """

    statement: str
    settings: str
    format: str
    data_at: int


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    start: int
    end: int


def first_word(text: bytes) -> str:
    """The statement's first word in upper case, in brackets or not; '' when there is none."""
    found = next((token["word"] for token in _TOKEN.finditer(text) if token["word"] is not None), b"")
    return found.decode("ascii", "replace").upper()


def find_insert(text: bytes) -> Insert | None:
    """The INSERT at the beginning of `text`; None for anything else, an INSERT from a SELECT included."""
    words = _words(text)
    if next((word.text for word in words), "") != "INSERT":
        return None
    settings_at: int | None = None
    for word in words:
        if word.text in {"SELECT", "WITH", "FROM"}:
            return None
        if word.text == "SETTINGS" and settings_at is None:
            settings_at = word.start
        split = word.start if settings_at is None else settings_at
        parts = (text[:split].decode(), text[split : word.start].decode())
        if word.text == "VALUES":
            return Insert(*parts, "Values", word.end)
        if word.text == "FORMAT" and (name := _FORMAT_NAME.match(text, word.end)) is not None:
            gap = _BEFORE_DATA.match(text, name.end())
            assert gap is not None
            return Insert(*parts, name["name"].decode(), gap.end())
    return None


def output_format(canonical: str) -> str | None:
    """The FORMAT that a statement asks for; `canonical` is its text as the engine prints it, a clause a line."""
    found = _FORMAT_LINE.findall(canonical)
    return str(found[-1][1]) if found else None


def touches_files(canonical: str) -> bool:
    """Whether the statement reads or writes a file by itself (INTO OUTFILE, FROM INFILE)."""
    return _FILE_LINE.search(canonical) is not None


def _words(text: bytes) -> Iterator[_Word]:
    """Words outside of quotes, comments and brackets, in upper case."""
    depth = 0
    for token in _TOKEN.finditer(text):
        if token["other"] is not None:
            depth += (token["other"] in b"([{") - (token["other"] in b")]}")
        elif token["word"] is not None and depth == 0:
            yield _Word(token["word"].decode("ascii", "replace").upper(), token.start(), token.end())
