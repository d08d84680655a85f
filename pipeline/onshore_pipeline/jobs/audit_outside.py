"""Audit of what no comparison meets: rows of nobody's attempts, entries of nobody's log, events kept from view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from onshore_pipeline.jobs.audit_problem import Problem
from onshore_pipeline.jobs.incomplete import WITH_ROWS
from onshore_pipeline.jobs.sweep import FACT_TABLES
from onshore_pipeline.store.connect import store_errors

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from clickhouse_connect.driver.client import Client

# Rows that no entry stands for and no attempt under way could have written: entries of other kinds have attempts, too,
# which hide nothing and are compared with nothing.
_UNKNOWN: Final = f"""
SELECT DISTINCT attempt_id FROM {{table}} WHERE attempt_id NOT IN (SELECT attempt_id FROM attempts_uncommitted)
    AND attempt_id NOT IN (
        SELECT assumeNotNull(attempt_id) FROM evidence_log WHERE {WITH_ROWS} AND attempt_id IS NOT NULL
    )
ORDER BY attempt_id LIMIT 100
"""  # noqa: S608 - fixed text
_LOGS: Final = """
SELECT log_id, count(), arraySort(groupUniqArray(toString(kind))) FROM evidence_log GROUP BY log_id ORDER BY log_id
"""
_LOST_BEYOND: Final = """
SELECT count() FROM (
    SELECT kind FROM evidence_log WHERE log_id IN ({log:UUID}, {none:UUID})
    ORDER BY log_position LIMIT 1 BY log_position LIMIT 1000000000000 OFFSET {covered:UInt64}
) WHERE kind = 'lost'
"""
_HIDDEN: Final = """
SELECT attempt_id, min(begun_at) FROM restores WHERE attempt_id IN (SELECT attempt_id FROM restores_open)
    AND attempt_id IN (SELECT assumeNotNull(attempt_id) FROM evidence_log WHERE attempt_id IS NOT NULL)
GROUP BY attempt_id ORDER BY attempt_id LIMIT 1000
"""
_BEFORE_LOGS_HAD_NAMES: Final = UUID(int=0)


def unknown_attempts(client: Client) -> Iterator[Problem]:
    """Rows of facts that belong to no message of the log. Raises `StoreUnavailable`."""
    for table in FACT_TABLES:
        for attempt in sorted(_unknown(client, table), key=str):
            place = {"attempt": str(attempt), "table": table}
            yield Problem("inserted", f"{table}, attempt {attempt}", "rows of an attempt that nobody made", place)


def _unknown(client: Client, table: str) -> set[UUID]:
    """Found both times: an attempt may be committed between one statement's looks at log and attempts."""
    asked = _UNKNOWN.replace("{table}", table)
    with store_errors():
        found = {row[0] for row in client.query(asked).result_rows}
        return found and found & {row[0] for row in client.query(asked).result_rows}


def foreign_entries(
    client: Client, log_id: UUID | None, covered: Mapping[UUID, int], earlier: Collection[UUID]
) -> Iterator[Problem]:
    """Entries that neither the log nor a signed head vouches for, and that other comparisons would believe.

    Args:
        client: of the store.
        log_id: of the log that the copy was compared with; None where it could not be read.
        covered: by evidence log, how many of its entries signed heads are about.
        earlier: logs that are known to have been before this one.

    Raises:
        StoreUnavailable: try again later.
    """
    with store_errors():
        logs = client.query(_LOGS).result_rows
    for log, entries, kinds in logs:
        if log in {log_id, _BEFORE_LOGS_HAD_NAMES}:
            continue
        where, place = f"evidence log {log}", {"log_id": str(log)}
        if not covered.get(log):
            why = f"{entries:,} entries ({', '.join(map(_text, kinds))}) of a log that no signed head is about"
            is_known = log_id is None or not covered or log in earlier
            yield Problem("uncheckable" if is_known else "inserted", where, why, place)
            continue
        with store_errors():
            asked: dict[str, Any] = {"log": str(log), "none": str(_BEFORE_LOGS_HAD_NAMES), "covered": covered[log]}
            ((lost,),) = client.query(_LOST_BEYOND, parameters=asked).result_rows
        if lost:
            why = f"no signed head covers {lost:,} entries that call messages lost: nobody knows whether they are"
            yield Problem("uncheckable", where, why, place)


def hidden_attempts(client: Client) -> Iterator[Problem]:
    """Sealed messages that readers do not see, since a restore began and did not end. Raises `StoreUnavailable`."""
    with store_errors():
        rows = client.query(_HIDDEN).result_rows
    for attempt, begun in rows:
        why = f"readers do not see its events: a restore began at {begun:%Y-%m-%d %H:%M} UTC and did not end;"
        place = {"attempt": str(attempt)}
        yield Problem("hidden", f"attempt {attempt}", f"{why} `onshore restore` ends it", place)


def _text(raw: object) -> str:
    return raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw)
