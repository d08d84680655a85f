"""Who was silent: minutes in which a source was heard, held against how often it must be. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from onshore_pipeline.context.expected_sources import ExpectedSource

MINUTES_AN_HOUR: Final = 60
_MINUTE: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Silence:
    """A time in which nothing was heard for longer than allowed; `until` is None while it lasts."""

    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Heard:
    """How a source was heard.

    Attributes:
        since: from when on it was judged ...
        until: ... and up to when; what is later may still arrive.
        expected_s: seconds between the two.
        seen_s: those of them that are in no silence.
        silences: in order.
    """

    since: datetime
    until: datetime
    expected_s: int
    seen_s: int
    silences: tuple[Silence, ...]


def minutes_of(hours: NDArray[np.int64], masks: NDArray[np.uint64], first_hour: int, count: int) -> NDArray[np.bool_]:
    """Which minutes were heard, `count` hours from `first_hour` (hours since the epoch); a mask has a bit a minute."""
    merged = np.zeros(count, np.uint64)
    inside = (hours >= first_hour) & (hours < first_hour + count)
    np.bitwise_or.at(merged, hours[inside] - first_hour, masks[inside])
    bits = (merged[:, None] >> np.arange(MINUTES_AN_HOUR, dtype=np.uint64)) & np.uint64(1)
    return bits.astype(np.bool_).ravel()


def judge_silence(
    source: ExpectedSource, heard: NDArray[np.bool_], first_hour: int, judged_at: datetime
) -> Heard | None:
    """Hold the minutes of a source against its limit; None while nothing can be said yet.

    Args:
        source: what is expected.
        heard: see `minutes_of`.
        first_hour: hour since the epoch of the first minute; what was before is not judged.
        judged_at: everything that arrived up to then is in `heard`.
    """
    begin = _minute(source.since) - first_hour * MINUTES_AN_HOUR
    end = _minute(min(judged_at - source.late_by, source.until or judged_at)) - first_hour * MINUTES_AN_HOUR
    begin, end = max(0, begin), min(end, len(heard))
    limit = source.heard_every // _MINUTE
    if end - begin <= limit:
        return None
    found = _gaps(np.flatnonzero(heard[begin:]) + begin, begin, end, limit)
    silent = sum(min(until, end) - since for since, until in found)

    def moment(minute: int) -> datetime:
        return datetime.fromtimestamp((first_hour * MINUTES_AN_HOUR + minute) * 60, UTC)

    ends = source.until is not None and source.until <= judged_at - source.late_by
    return Heard(
        since=moment(begin),
        until=moment(end),
        expected_s=(end - begin) * 60,
        seen_s=(end - begin - silent) * 60,
        silences=tuple(
            Silence(moment(since), moment(min(until, end)) if ends or until < _NEVER else None)
            for since, until in found
        ),
    )


_NEVER: Final = 1 << 60


def _gaps(heard: NDArray[np.int64], begin: int, end: int, limit: int) -> list[tuple[int, int]]:
    """Gaps longer than `limit` that begin before `end`: from behind the last heard minute to the next one."""
    starts = np.concatenate([[begin], heard + 1])
    stops = np.concatenate([heard, [_NEVER]])
    longer = (np.minimum(stops, end) - starts > limit) & (starts < end)
    return [(int(since), int(until)) for since, until in zip(starts[longer], stops[longer], strict=True)]


def _minute(moment: datetime) -> int:
    return int(moment.timestamp()) // 60


def open_silence(silences: Sequence[Silence]) -> Silence | None:
    """The one that lasts."""
    return silences[-1] if silences and silences[-1].until is None else None
