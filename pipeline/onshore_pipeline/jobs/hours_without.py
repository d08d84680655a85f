"""Hours in which no control ran at all, though something should have: a finding of their own.

An hour in which entries were sealed has run. One without any may have been a silent one, and then the sequencer still
signed a head in it: it does so within every hour. What is left is an hour of which neither is known, in which nothing
says that the pipeline was up, and one in which messages waited for a worker until it was over.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from onshore_pipeline.jobs.control_run_seals import SETTLED
from onshore_pipeline.jobs.control_runs import HOUR
from onshore_pipeline.jobs.coverage_rows import NOTHING_RAN, UNKNOWN, Covered, Found, Measured

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    import polars as pl

EVERY_CONTROL: Final = "every control"
_WAITED: Final = timedelta(minutes=10)  # less is a worker that is busy
_SHOWN: Final = 5

_RAN: Final = """
SELECT DISTINCT hour FROM control_runs_and_totals WHERE control_id = '' AND entries > 0
"""
_SIGNED: Final = """
SELECT DISTINCT toDateTime64(toStartOfHour(signed_at), 0, 'UTC') AS hour FROM checkpoints WHERE kind = 'deployment'
"""
# Entries whose hour is not counted yet, or that only say what is missing: whoever appended them was there.
_APPENDED: Final = """
SELECT DISTINCT toDateTime64(toStartOfHour(appended_at), 0, 'UTC') AS hour FROM evidence_log
WHERE appended_at >= {since:DateTime64(0, 'UTC')} AND appended_at < {until:DateTime64(0, 'UTC')}
"""
_RECEIVED: Final = """
SELECT toDateTime64(toStartOfHour(received_at), 0, 'UTC') AS hour, min(received_at) AS first
FROM message_collectors_current
WHERE received_at >= {since:DateTime64(0, 'UTC')} AND received_at < {until:DateTime64(0, 'UTC')} GROUP BY hour
"""


def of_hours(frame: Callable[[str, dict[str, Any]], pl.DataFrame], since: datetime, judged_at: datetime) -> Measured:
    """Hours from the first run on, `since` at the earliest, to the last one that is over, in which no control ran."""
    ran, signed = (set(frame(sql, {})["hour"].to_list()) for sql in (_RAN, _SIGNED))
    over = (judged_at - SETTLED).replace(minute=0, second=0, microsecond=0)
    hours = _hours(max(since, min(ran, default=over)), over)
    silent = [hour for hour in hours if hour not in ran]
    if not silent:
        return [], []
    within = {"since": silent[0], "until": silent[-1] + HOUR}
    ran |= set(frame(_APPENDED, within)["hour"].to_list())
    received = frame(_RECEIVED, within).iter_rows(named=True)
    waited = {each["hour"] for each in received if each["first"] <= each["hour"] + HOUR - _WAITED}
    return _told(hours, without_a_run(silent, ran, signed, waited), waited)


def without_a_run(
    hours: Iterable[datetime], ran: Collection[datetime], signed: Collection[datetime], waited: Collection[datetime]
) -> list[datetime]:
    """Those of `hours` in which no control ran, though the pipeline should have been up or messages waited. Pure.

    Args:
        hours: which to look at.
        ran: hours in which entries were sealed.
        signed: hours in which a head was signed; what was before the first one says nothing.
        waited: hours in which messages came that lay there until some minutes before its end.
    """
    first = min(signed, default=None)
    return [
        hour
        for hour in hours
        if hour not in ran and (hour in waited or (hour not in signed and first is not None and hour > first))
    ]


def _hours(first: datetime, until: datetime) -> list[datetime]:
    begin = first.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return [begin + each * HOUR for each in range(max(0, (until - begin) // HOUR))]


def _told(hours: list[datetime], missed: list[datetime], waited: Collection[datetime]) -> Measured:
    if not missed:
        return [], []
    began = [hour for hour in missed if hour - HOUR not in missed]
    ended = [hour + HOUR for hour in missed if hour + HOUR not in missed]
    spans = [f"{since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M}" for since, until in zip(began, ended, strict=True)]
    more = f", and {len(spans) - _SHOWN} times before" if len(spans) > _SHOWN else ""
    late = sum(hour in waited for hour in missed)
    told = f"; in {late:,} of them messages waited" if late else ""
    row = Covered(
        "control_run", "missed", UNKNOWN, EVERY_CONTROL, since=missed[0], until=ended[-1], unit="hours",
        expected=len(hours), seen=len(hours) - len(missed), control_id=NOTHING_RAN,
        why=f"no control ran in {len(missed):,} hours{told}: {', '.join(spans[-_SHOWN:])} UTC{more}",
    )  # fmt: skip
    return [row], [Found(NOTHING_RAN, (UNKNOWN, EVERY_CONTROL), missed[0], ended[-1], len(missed))]
