"""Proof that controls ran: a row an hour and control, derived from entries and sealed verdicts and nothing else.

The hour is that in which entries were sealed, for it is about what the worker did. An entry names the digest of the set
of controls that its message was judged by; `rule_sets` says which texts those were. Whoever derives it again, here or
from a copy of log and store, gets the same rows: what they rest on is under the entries' own roots.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from onshore_pipeline.jobs.coverage_rows import NOT_RUN, UNKNOWN, Covered, Found, Measured

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl
    from clickhouse_connect.driver.client import Client

# A control of more than one event is judged by a job of its own, whose runs stand in `windowed_runs`.
_DERIVED: Final = """
WITH sealed AS (
    SELECT toDateTime64(toStartOfHour(appended_at), 0, 'UTC') AS run_hour, assumeNotNull(attempt_id) AS attempt,
        topic_id, partition, offset, events, appended_at, lower(JSONExtractString(entry, 'controls')) AS rules
    FROM evidence_log
    WHERE kind IN ('message', 'amends') AND appended_at >= {since:DateTime64(0, 'UTC')}
        AND appended_at < {until:DateTime64(0, 'UTC')}
    LIMIT 1 BY topic_id, partition, log_index
),
parts AS (
    SELECT DISTINCT lower(hex(digest)) AS rules, substring(toString(name), 9) AS control, toUInt32OrZero(version) AS v,
        sha256
    FROM rule_sets
    WHERE kind = 'controls' AND startsWith(name, 'control/') AND sha256 IN (
        SELECT digest FROM controls WHERE status = 'executable' AND NOT match(text, '(?m)^(window|sequence|absence):')
    )
),
said AS (
    SELECT run_hour, rules, control_id, control_version, sumIf(judged.events, verdict = 'satisfied') AS satisfied,
        sumIf(judged.events, verdict = 'violated') AS violated,
        sumIf(judged.events, verdict = 'undetermined') AS undetermined
    FROM message_verdicts_current AS judged
    INNER JOIN sealed ON judged.attempt_id = sealed.attempt AND judged.topic_id = sealed.topic_id
        AND judged.kafka_partition = sealed.partition AND judged.kafka_offset = sealed.offset
    WHERE judged.attempt_id IN (SELECT attempt FROM sealed)
    GROUP BY run_hour, rules, control_id, control_version
)
SELECT runs.run_hour AS at, control, v, sha256, sum(entries), sum(seen), sum(satisfied), sum(violated),
    sum(undetermined), max(newest)
FROM (
    SELECT run_hour, rules, control, v, sha256, count() AS entries, sum(events) AS seen, max(appended_at) AS newest
    FROM sealed INNER JOIN parts USING (rules) GROUP BY run_hour, rules, control, v, sha256
) AS runs
LEFT JOIN said ON said.run_hour = runs.run_hour AND said.rules = runs.rules AND said.control_id = runs.control
    AND said.control_version = runs.v
GROUP BY at, control, v, sha256
UNION ALL
SELECT run_hour AS at, '', 0, toFixedString('', 32), count(), sum(events), 0, 0, 0, max(appended_at)
FROM sealed GROUP BY at
"""
_BUILT: Final = """
SELECT hour, toString(control_id), control_version, control_digest, entries, events_seen, satisfied, violated,
    undetermined, watermark
FROM control_runs_and_totals
WHERE hour >= {since:DateTime64(0, 'UTC')} AND hour < {until:DateTime64(0, 'UTC')}
"""
_NEWEST: Final = "SELECT max(hour), count() FROM control_runs_and_totals"
_HOURS: Final = """
SELECT DISTINCT toDateTime64(toStartOfHour(appended_at), 0, 'UTC') AS hour FROM evidence_log
WHERE appended_at >= {since:DateTime64(0, 'UTC')} ORDER BY hour LIMIT 24
"""
_HOUR: Final = timedelta(hours=1)
_COLUMNS: Final = (
    "hour", "generation", "control_id", "control_version", "control_digest", "entries", "events_seen", "satisfied",
    "violated", "undetermined", "watermark",
)  # fmt: skip
# Sealed without a control that an earlier hour was judged by. In its own first hour a control may come late.
_UNSEEN: Final = """
SELECT control_id, min(hour) AS since, max(hour) AS until, sum(sealed) AS expected, sum(unseen) AS missing,
    count() AS hours
FROM (
    SELECT toString(known.control_id) AS control_id, total.hour AS hour, total.events_seen AS sealed,
        total.events_seen - ifNull(run.seen, 0) AS unseen
    FROM (SELECT hour, events_seen FROM control_runs_and_totals
        WHERE control_id = '' AND hour >= {since:DateTime64(0, 'UTC')}) AS total
    CROSS JOIN (SELECT control_id, min(hour) AS first FROM control_runs GROUP BY control_id) AS known
    LEFT JOIN (SELECT hour, control_id, sum(events_seen) AS seen FROM control_runs GROUP BY hour, control_id) AS run
        ON run.hour = total.hour AND run.control_id = known.control_id
    WHERE total.hour > known.first
)
WHERE unseen > 0 GROUP BY control_id ORDER BY control_id
"""


def build_control_runs(client: Client, generation: int, since: datetime) -> int:
    """Derive the newest hour that was derived before and those behind it, a day of them at a time; how many rows.

    Older hours never change. Readers see the rows once `generation` is finished.
    """
    newest, rows = client.query(_NEWEST).result_rows[0]
    start = max(since, newest.replace(tzinfo=UTC)) if rows else since
    derived: list[tuple[Any, ...]] = []
    for (hour,) in client.query(_HOURS, parameters={"since": start}).result_rows:
        began = hour.replace(tzinfo=UTC)
        derived += derive(client, began, began + _HOUR)  # one at a time: the join of a month would not fit into memory
    if derived:
        rows_of = [[hour, generation, *rest] for hour, *rest in derived]
        client.insert("control_runs_built", rows_of, column_names=_COLUMNS)
    return len(derived)


def derive(client: Client, since: datetime, until: datetime) -> list[tuple[Any, ...]]:
    """The rows of these hours from entries and sealed verdicts, by hour and control."""
    found = client.query(_DERIVED, parameters={"since": since, "until": until}).result_rows
    return sorted(tuple(row) for row in found)


def differences(client: Client, since: datetime, until: datetime) -> list[tuple[Any, ...]]:
    """Rows that are there and cannot be derived, or can be derived and are not there, for hours that are over."""
    built = {tuple(row) for row in client.query(_BUILT, parameters={"since": since, "until": until}).result_rows}
    return sorted(built ^ set(derive(client, since, until)))


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
