"""Numbers, sizes, shares and times as people read them; every time is UTC and says so once a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime, timedelta

NOTHING: Final = "-"
_SIZES: Final = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
_STEP: Final = 1000
_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86400


def number(count: int | None) -> str:
    """1,234; a dash where nothing is known."""
    return NOTHING if count is None else f"{count:,}"


def share(part: int, whole: int) -> str:
    """A part of a whole in percent, one decimal.

    Never 100 % or 0 % unless it is exactly that: a single violation among millions stays visible. Without a whole there
    is no share.
    """
    if whole == 0:
        return NOTHING
    if part in {0, whole}:
        return "100 %" if part else "0 %"
    percent = 100 * part / whole
    rounded = round(percent, 1)
    if rounded == 0:
        return "< 0.1 %"
    return "> 99.9 %" if rounded == 100 else f"{rounded:.1f} %"  # noqa: PLR2004 - all of a percentage


def size(count: int | None) -> str:
    """Bytes in decimal units."""
    if count is None:
        return NOTHING
    value, unit = float(count), 0
    while value >= _STEP and unit < len(_SIZES) - 1:
        value, unit = value / _STEP, unit + 1
    return f"{count} B" if unit == 0 else f"{value:.1f} {_SIZES[unit]}"


def duration(length: timedelta | None) -> str:
    """How long, in the one unit that matters."""
    if length is None:
        return NOTHING
    total = max(0, int(length.total_seconds()))
    if total < 2 * _MINUTE:
        return f"{total} s"
    if total < 2 * _HOUR:
        return f"{total // _MINUTE} min"
    if total < 2 * _DAY:
        return f"{total // _HOUR} h"
    return f"{total // _DAY:,} days"


def ago(moment: datetime | None, now: datetime) -> str:
    """How long ago; `never` where it did not happen."""
    return "never" if moment is None else f"{duration(now - moment)} ago"


def seen(moment: datetime, now: datetime, credible_ahead: timedelta) -> str:
    """How long ago; what is further ahead of now than clocks differ is said to be a claim."""
    return claimed(moment) if moment > now + credible_ahead else ago(moment, now)


def claimed(when: datetime) -> str:
    """A time that cannot have been, as a sender stated it."""
    return f"{moment(when)}, a time in the future that its sender claims"


def clock(moment: datetime | None) -> str:
    """Time of day."""
    return NOTHING if moment is None else f"{moment:%H:%M:%S}"


def moment(when: datetime | None) -> str:
    """Day and time."""
    return NOTHING if when is None else f"{when:%Y-%m-%d %H:%M:%S}"


def rate(events_per_second: float) -> str:
    """A rate with as many decimals as it needs: 0.4, 12, 1,234."""
    if events_per_second == 0:
        return "0"
    if events_per_second < 10:  # noqa: PLR2004 - two digits are enough from here
        return f"{events_per_second:.1f}" if events_per_second >= 0.05 else "< 0.1"  # noqa: PLR2004
    return f"{events_per_second:,.0f}"
