"""Proof that controls ran: `control_runs`, a row an hour and control, derived anew until the hour is sealed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from onshore_pipeline.jobs.aggregate import claim
from onshore_pipeline.jobs.control_run_rows import Run, derive, stored, write
from onshore_pipeline.jobs.coverage_rows import NOT_RUN, UNKNOWN, Covered, Found, Measured

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    import polars as pl
    from clickhouse_connect.driver.client import Client

HOUR: Final = timedelta(hours=1)
_NEWEST: Final = "SELECT max(hour), count() FROM control_runs_and_totals"
# Windows that nobody has judged yet, or not since their tables were emptied: their rows would be missing for ever.
_UNJUDGED: Final = """
SELECT (SELECT count() FROM windowed_runs WHERE notEmpty(texts)) = 0 AND (
    SELECT count() FROM controls WHERE status = 'executable' AND match(text, '(?m)^(window|sequence|absence):')
) > 0
"""
# A sealed hour stays as it was sealed.
_HOURS: Final = """
SELECT DISTINCT toDateTime64(toStartOfHour(moment), 0, 'UTC') AS hour FROM (
    SELECT appended_at AS moment FROM evidence_log WHERE appended_at >= {since:DateTime64(0, 'UTC')}
    UNION ALL
    SELECT stated_at AS moment FROM windowed_verdicts_built WHERE stated_at >= {since:DateTime64(0, 'UTC')}
        AND stated_at < now64(9, 'UTC')
)
WHERE hour NOT IN (SELECT toDateTime64(sealed.hour, 0, 'UTC') FROM control_run_seals AS sealed)
    OR hour NOT IN (SELECT built.hour FROM control_runs_and_totals AS built)
ORDER BY hour LIMIT 24
"""
_ALL_HOURS: Final = """
SELECT DISTINCT hour FROM (
    SELECT toDateTime64(toStartOfHour(appended_at), 0, 'UTC') AS hour FROM evidence_log
    UNION ALL
    SELECT hour FROM control_runs_and_totals
) WHERE hour >= {since:DateTime64(0, 'UTC')} AND hour < {until:DateTime64(0, 'UTC')} ORDER BY hour
"""
ROLLED_UP: Final = "SELECT argMax(log_position, generation) FROM rollup_runs WHERE log_id = {log:UUID}"
_FIRST: Final = datetime(1970, 1, 1, tzinfo=UTC)
# Sealed without a control that an earlier hour was judged by, and that nobody took out of force.
_UNSEEN: Final = """
SELECT control_id, min(hour) AS since, max(hour) AS until, sum(sealed) AS expected, sum(missed) AS missing,
    count() AS hours
FROM control_hours WHERE missed > 0 AND hour >= {since:DateTime64(0, 'UTC')}
GROUP BY control_id ORDER BY control_id
"""


def build_control_runs(client: Client, generation: int, since: datetime) -> int:
    """Derive the newest two hours that were derived before and those behind them, 24 at a time; how many rows.

    Two, because what windows come to is known some minutes after their hour. Readers see the rows once `generation` is
    finished.
    """
    if int(client.query(_UNJUDGED).result_rows[0][0]):
        return 0
    newest, rows = client.query(_NEWEST).result_rows[0]
    start = max(since, newest.replace(tzinfo=UTC) - HOUR) if rows else since
    runs: list[Run] = []
    for (hour,) in client.query(_HOURS, parameters={"since": start}).result_rows:
        began = hour.replace(tzinfo=UTC)
        runs += derive(client, began, began + HOUR)  # one at a time: the join of a month would not fit into memory
    write(client, runs, generation)
    return len(runs)


def differences(client: Client, since: datetime, until: datetime) -> list[Run]:
    """Rows that are there and cannot be derived, or can be derived and are not there, for hours that are over."""
    found: set[Run] = set()
    for (at,) in client.query(_ALL_HOURS, parameters={"since": since, "until": until}).result_rows:
        hour = at.replace(tzinfo=UTC)
        found |= set(stored(client, hour, hour + HOUR)) ^ set(derive(client, hour, hour + HOUR))
    return sorted(found)


def restore_runs(client: Client, log_id: UUID) -> int:
    """Write the rows of every hour again that are not what entries and verdicts give; how many hours.

    What windows came to stays as it stands, where anything does: a restore has them judged again, and later. The
    present hour is counted once a minute anyway.
    """
    over = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    hours = sorted({run.hour for run in differences(client, _FIRST, over)})
    wrong = 0
    generation = claim(client)
    for hour in hours:
        derived, stands = derive(client, hour, hour + HOUR), stored(client, hour, hour + HOUR)
        windowed = [run for run in stands if run.looks_at != "event"]
        rows = [run for run in derived if run.looks_at == "event" or not windowed] + windowed
        if sorted(rows) != stands:
            write(client, rows, generation)
            wrong += 1
    if wrong:
        position = client.query(ROLLED_UP, parameters={"log": str(log_id)}).result_rows[0][0]
        client.insert("rollup_runs", [[generation, datetime.now(UTC), position, 0, 0, 0, log_id]])
    return wrong


def of_control_runs(frame: Callable[[str, dict[str, Any]], pl.DataFrame], since: datetime) -> Measured:
    """Hours in which events were sealed that a control in force was not put to."""
    covered: list[Covered] = []
    found: list[Found] = []
    for each in frame(_UNSEEN, {"since": since}).iter_rows(named=True):
        missing, hours = int(each["missing"]), int(each["hours"])
        covered.append(
            Covered(
                "control_run", "missed", UNKNOWN, each["control_id"], since=each["since"], until=each["until"],
                unit="records", expected=int(each["expected"]), seen=int(each["expected"]) - missing,
                control_id=NOT_RUN, why=f"not put to {missing:,} sealed events in {hours:,} hours",
            )
        )  # fmt: skip
        found.append(Found(NOT_RUN, (UNKNOWN, each["control_id"]), each["since"], each["until"], missing))
    return covered, found
