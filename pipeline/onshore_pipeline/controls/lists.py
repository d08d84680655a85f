"""Dated lists: which countries (or other words) belonged to a group on a given day.

A list is a CSV file `lists/NAME.csv` beside the packs, with the columns member, valid_from, valid_to, source. Dates are
days in UTC; valid_from is the first day, valid_to the last one; left empty, the membership has no such end. Conditions
name it `@NAME`, and an event is compared with the list as it was on the event's own day.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final

from onshore_pipeline.controls.files import read_file
from onshore_pipeline.domain.event import FIRST_DAY, LAST_DAY
from onshore_pipeline.errors import ControlError

if TYPE_CHECKING:
    from pathlib import Path

HEADER: Final = ("member", "valid_from", "valid_to", "source")
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_NS_PER_S: Final = 1_000_000_000
_DAY_NS: Final = 86_400 * _NS_PER_S


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """From (inclusive) to (exclusive), nanoseconds since the epoch; None is open."""

    start_ns: int | None
    end_ns: int | None


@dataclass(frozen=True, slots=True)
class DatedList:
    """One list.

    Attributes:
        name: as conditions write it behind the @.
        members: (member, its period), in the file's order.
        digest: SHA-256 of the file's bytes, hexadecimal.
        content: the file's bytes.
        file: where it was read, and `lines` in which line each member stands.
    """

    name: str
    members: tuple[tuple[str, Period], ...]
    digest: str
    content: bytes = field(default=b"", repr=False, compare=False)
    file: str = field(default="", compare=False)
    lines: tuple[int, ...] = field(default=(), repr=False, compare=False)

    def by_period(self) -> tuple[tuple[Period, tuple[str, ...]], ...]:
        """Members with the same period together, in the order in which the periods first appear."""
        groups: dict[Period, list[str]] = {}
        for member, period in self.members:
            groups.setdefault(period, []).append(member)
        return tuple((period, tuple(members)) for period, members in groups.items())


def day_start_ns(day: date) -> int | None:
    """Midnight UTC at which the day begins, nanoseconds since the epoch; None where no event can lie before it."""
    return None if day <= FIRST_DAY else _midnight_ns(day)


def day_end_ns(day: date) -> int | None:
    """Midnight UTC at which the day ends, nanoseconds since the epoch; None where no event can lie behind it."""
    return None if day >= LAST_DAY else _midnight_ns(day) + _DAY_NS


def _midnight_ns(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * _NS_PER_S


def read_list(path: Path) -> DatedList:
    """Read one list. Raises `ControlError` with the line that cannot be used."""
    if not _NAME.fullmatch(path.stem):
        raise ControlError(path, None, "a list is named in lower case letters, digits and _, as conditions write it")
    raw = read_file(path)
    try:
        rows = csv.reader(io.StringIO(raw.decode("utf-8"), newline=""), strict=True)
        header = tuple(next(rows, ()))
        if header != HEADER:
            raise ControlError(path, 1, f"the first line must be {','.join(HEADER)}")
        numbered = [(rows.line_num, _member(path, rows.line_num, row)) for row in rows if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ControlError(path, None, f"not a CSV file in UTF-8: {error}") from error
    lines, members = tuple(line for line, _ in numbered), tuple(member for _, member in numbered)
    return DatedList(path.stem, members, hashlib.sha256(raw).hexdigest(), raw, str(path), lines)


def read_lists(folder: Path) -> tuple[dict[str, DatedList], list[ControlError]]:
    """Read the lists of a folder, those that are good by name, and what is wrong with each of the others."""
    lists: dict[str, DatedList] = {}
    problems: list[ControlError] = []
    for path in sorted(folder.glob("*.csv")):
        try:
            lists[path.stem] = read_list(path)
        except ControlError as error:
            problems.append(error)
    return lists, problems


def _member(path: Path, line: int, row: list[str]) -> tuple[str, Period]:
    if len(row) != len(HEADER):
        raise ControlError(path, line, f"expected {len(HEADER)} fields ({', '.join(HEADER)}), found {len(row)}")
    member, valid_from, valid_to, _ = row
    if not member:
        raise ControlError(path, line, "the member is empty")
    start, end = _day(path, line, valid_from), _day(path, line, valid_to)
    if start and end and end < start:
        raise ControlError(path, line, f"{member} ends ({end}) before it begins ({start})")
    if (start and start > LAST_DAY) or (end and end < FIRST_DAY):
        why = f"no event can lie in the time of {member}: events lie between {FIRST_DAY} and {LAST_DAY}; leave it out"
        raise ControlError(path, line, why)
    return member, Period(day_start_ns(start) if start else None, day_end_ns(end) if end else None)


def _day(path: Path, line: int, text: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ControlError(path, line, f"{text!r} is not a date like 2025-04-01") from error
