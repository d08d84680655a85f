"""What the dashboard asks the store about runs of controls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from onshore_dashboard.queries import SINCE, seconds

if TYPE_CHECKING:
    from datetime import datetime

    import polars as pl

    from onshore_dashboard.queries import Store

MOST_CONTROLS: Final = 1000


def runs(store: Store, since: datetime) -> pl.DataFrame:
    """Each control that ever ran, those that missed something first, over the hours from `since` on.

    Columns: control_id, title (null: its text is not in the store), looks_at, last_run (null: never), expected, run and
    missing (hours), events_missed, last_missing (null: none).
    """
    sql = f"""SELECT h.control_id AS control_id, nullIf(c.title, '') AS title, any(h.looks_at) AS looks_at,
        maxOrNullIf(h.hour, seen > 0) AS last_run, count() AS expected, countIf(missed = 0) AS run,
        countIf(missed > 0) AS missing, sum(missed) AS events_missed, maxOrNullIf(h.hour, missed > 0) AS last_missing
    FROM control_hours AS h LEFT JOIN (
        SELECT toString(control_id) AS control_id, argMax(title, loaded_at) AS title FROM controls GROUP BY control_id
    ) AS c ON c.control_id = h.control_id
    WHERE h.hour >= {SINCE}
    GROUP BY control_id, title ORDER BY missing DESC, control_id LIMIT {MOST_CONTROLS}"""  # noqa: S608 - names of ours
    return store.frame(sql, {"since": seconds(since)})


def seals(store: Store, since: datetime) -> pl.DataFrame:
    """One row: hours that have runs, how many of them are sealed, and the newest that is (null: none)."""
    sql = f"""SELECT count() AS hours, countIf(is_sealed) AS sealed, maxOrNullIf(hour, is_sealed) AS newest FROM (
        SELECT DISTINCT r.hour AS hour, r.hour IN (
            SELECT toDateTime64(s.hour, 0, 'UTC') FROM control_run_seals AS s
        ) AS is_sealed
        FROM control_runs_and_totals AS r WHERE r.hour >= {SINCE}
    )"""  # noqa: S608 - names of ours
    return store.frame(sql, {"since": seconds(since)})
