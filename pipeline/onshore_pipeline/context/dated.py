"""Rows that are true during a time and known since a time: which of them speak about a day."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from onshore_pipeline.context.countries import read_date

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from onshore_pipeline.context.csv_table import Row

ALWAYS: Final = (date.min, date.max)
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Dated:
    """A row and the days it speaks about.

    Attributes:
        row: as written.
        first: first day.
        last: last day.
    """

    row: Row
    first: date
    last: date

    @property
    def always(self) -> bool:
        """Whether it speaks about every day."""
        return (self.first, self.last) == ALWAYS


def known_from(row: Row) -> datetime:
    """Since when a row is known; without a statement, since ever. Raises `ContextError`."""
    value = row.get("known_from")
    if value is None:
        return _LONG_AGO
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        why = f"column 'known_from': '{value}' is no time; write it as 2026-11-21 or 2026-11-21T08:00:00Z"
        raise row.error(why, "known_from") from error
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def settled(rows: Iterable[Row], key: Sequence[str], known_at: datetime | None = None) -> list[Dated]:
    """Rows of a registry, each with the days on which it counts; those of one key never share a day.

    A row that is known later than another of its key takes its days over; where both begin on the same day it replaces
    it whole, so that an end that was written too late can be corrected.

    Args:
        rows: in file order.
        key: columns that say what a row is about, compared without case.
        known_at: rows known later are left out; None = all that stand there.

    Raises:
        ContextError: two rows of one key, known at the same time, speak about the same day.
    """
    known = (row for row in rows if known_at is None or known_from(row) <= known_at)
    return settled_by((Dated(row, *_days(row)) for row in known), key)


def settled_by(rows: Iterable[Dated], key: Sequence[str]) -> list[Dated]:
    """As `settled`, of rows that have their days, which another key may have cut. Raises `ContextError`."""
    by_key: dict[tuple[str, ...], list[Dated]] = defaultdict(list)
    for new in sorted(rows, key=lambda each: known_from(each.row)):
        periods = by_key[tuple((new.row.get(column) or "").lower() for column in key)]
        periods[:] = [left for old in periods for left in _left_of(old, new, key)]
        periods.append(new)
    return [each for periods in by_key.values() for each in periods]


def boundaries(rows: Iterable[Dated]) -> tuple[date, ...]:
    """The days on which something begins or has ended, rising."""
    rows = list(rows)
    begins = {each.first for each in rows if each.first != date.min}
    ends = {each.last + _DAY for each in rows if each.last != date.max}
    return tuple(sorted(begins | ends))


def on_day(rows: Iterable[Dated], day: date | None) -> list[Row]:
    """Rows that speak about a day; about None only those that speak about every day."""
    return [each.row for each in rows if (each.always if day is None else each.first <= day <= each.last)]


def _days(row: Row) -> tuple[date, date]:
    first = read_date(row, "valid_from") or read_date(row, "effective_from") or date.min
    last = read_date(row, "valid_to") or read_date(row, "effective_to") or date.max
    if last < first:
        column = "valid_to" if row.get("valid_to") else "effective_to"
        raise row.error(f"{column} lies before {column.replace('_to', '_from')}", column)
    return first, last


def _left_of(old: Dated, new: Dated, key: Sequence[str]) -> list[Dated]:
    """What of an older row stays beside a newer one of its key."""
    if new.last < old.first or old.last < new.first:
        return [old]
    if known_from(old.row) == known_from(new.row):
        named = ", ".join(f"'{new.row.get(column)}'" for column in key if new.row.get(column))
        raise new.row.error(f"{named} has another row for the same time: fill valid_from and valid_to, or known_from")
    if old.first == new.first:
        return []
    before = [replace(old, last=new.first - _DAY)] if old.first < new.first else []
    return before + ([replace(old, first=new.last + _DAY)] if new.last < old.last else [])
