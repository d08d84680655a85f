"""Deadlines: from when a clock of the law runs, until when, and how long that is from now. Pure.

    72h    hours that pass, whatever local clocks do meanwhile
    30d    days of the calendar in the clock's zone: the same time of day, thirty days later
    20bd   days that are neither Saturday, Sunday nor a holiday of the named list; the day it starts on does not count
    1mo    months of the calendar: the same day of the month, or the month's last day where it has none

Where a law gives until the end of the last day, this is the stricter reading. A time of day that does not exist on the
last day, since clocks go forward, is the moment at which they did; one that exists twice is the earlier.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

    from onshore_pipeline.domain.control import ClockStart

_DEADLINE: Final = re.compile(r"([1-9][0-9]{0,4})(h|d|bd|mo)")
_SATURDAY: Final = 5
_MONTHS: Final = 12
_HOUR_S, _DAY_S, _MINUTE_S = 3600, 86_400, 60


@dataclass(frozen=True, slots=True)
class Deadline:
    """One clock of a finding.

    Attributes:
        clock_id: the control whose clock it is.
        start: which moment it runs from.
        within: as the control says: 72h, 30d, 20bd, 1mo.
        zone: IANA name in which it is told, and in which days are counted.
        runs_from: that moment; None while it has not come.
        due: until when; None while it does not run, or where that cannot be told.
        why: why there is no `due`; '' when there is.
    """

    clock_id: str
    start: ClockStart
    within: str
    zone: str
    runs_from: datetime | None
    due: datetime | None
    why: str = ""


def due_at(began: datetime, within: str, zone: str, is_holiday: Callable[[date], bool]) -> datetime:
    """Until when, in UTC.

    Raises:
        ValueError: `within` is no deadline, this machine does not know the zone, or the years end before it.
    """
    read = _DEADLINE.fullmatch(within)
    if read is None:
        raise ValueError(f"{within!r} is no deadline: 72h, 30d, 20bd or 1mo")
    count, unit = int(read[1]), read[2]
    local_zone = _zone(zone)  # whoever reads a deadline reads it in its zone
    try:
        if unit == "h":
            return began.astimezone(UTC) + timedelta(hours=count)
        local = began.astimezone(local_zone)
        return _at(_last_day(local.date(), count, unit, is_holiday), local)
    except OverflowError:
        raise ValueError(f"{within} from {began:%Y-%m-%d} is behind the last year that can be told") from None


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"no time zone is named {name!r} on this machine: correct the control's clock") from None


def _last_day(first: date, count: int, unit: str, is_holiday: Callable[[date], bool]) -> date:
    if unit == "d":
        return first + timedelta(days=count)
    if unit == "mo":
        months = first.year * _MONTHS + first.month - 1 + count
        year, month = divmod(months, _MONTHS)
        if year > date.max.year:
            raise OverflowError
        return date(year, month + 1, min(first.day, calendar.monthrange(year, month + 1)[1]))
    day = first
    while count:
        day += timedelta(days=1)
        count -= day.weekday() < _SATURDAY and not is_holiday(day)
    return day


def _at(day: date, local: datetime) -> datetime:
    """The time of day of `local` on another day of its zone, as UTC."""
    wall = datetime.combine(day, local.time().replace(fold=0), local.tzinfo)
    exact = wall.astimezone(UTC)
    if exact.astimezone(local.tzinfo).replace(tzinfo=None) == wall.replace(tzinfo=None):
        return exact
    # The wall time falls into a gap. Read with the offset behind the gap it lies before the jump, and the other way
    # round: the jump is where the offset changes between the two.
    before, after = wall.replace(fold=1).astimezone(UTC), exact
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) / 2
        changed = middle.astimezone(local.tzinfo).utcoffset() != before.astimezone(local.tzinfo).utcoffset()
        before, after = (before, middle) if changed else (middle, after)
    return after.replace(microsecond=0)


def in_words(deadline: Deadline, now: datetime) -> str:
    """The deadline for people: when, in which zone, and how long from now."""
    if deadline.due is None:
        return deadline.why
    local = deadline.due.astimezone(ZoneInfo(deadline.zone))
    return f"{local:%Y-%m-%d %H:%M} {deadline.zone}, {left(deadline.due - now)}"


def left(time_left: timedelta) -> str:
    """How long is left, in its two largest units: 2 d 3 h left, 59 min left, overdue by 4 h 10 min."""
    seconds = int(abs(time_left).total_seconds())
    days, hours, minutes = seconds // _DAY_S, seconds % _DAY_S // _HOUR_S, seconds % _HOUR_S // _MINUTE_S
    if days:
        span = f"{days} d {hours} h"
    elif hours:
        span = f"{hours} h {minutes} min"
    else:
        span = f"{minutes} min"
    return f"overdue by {span}" if time_left < timedelta() else f"{span} left"
