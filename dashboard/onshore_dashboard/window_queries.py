"""What the dashboard asks the store about windows, sequences and absences behind a finding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from uuid import UUID

    import polars as pl

    from onshore_dashboard.queries import Store

MOST_WINDOWS: Final = 50


def finding_windows(store: Store, finding_id: UUID, limit: int = MOST_WINDOWS) -> pl.DataFrame:
    """What was said about a finding's windows, sequences or absences, the newest unit first, each with its history.

    Columns: unit, looks_at, since, until, stated_at, before ('' for what was said first), verdict, missing, known (a
    JSON object: what was known of each aggregate), events.
    """
    sql = """SELECT toString(unit_id) AS unit, toString(looks_at) AS looks_at, since, until, stated_at,
        toString(before) AS before, toString(verdict) AS verdict, toString(missing) AS missing,
        toValidUTF8(toJSONString(known)) AS known, events
    FROM windowed_verdicts WHERE finding_id = {finding:UUID} AND unit_id IN (
        SELECT unit_id FROM windowed_verdicts WHERE finding_id = {finding:UUID}
        GROUP BY unit_id, since ORDER BY countIf(verdict = 'violated') = 0, since DESC, unit_id LIMIT {limit:UInt32}
    )
    ORDER BY since DESC, unit_id, stated_at"""
    return store.frame(sql, {"finding": str(finding_id), "limit": limit})


def window_events(store: Store, finding_id: UUID) -> pl.DataFrame:
    """Events that a finding's windows, sequences or absences name; columns of `finding_queries.finding_events`."""
    sql = """SELECT toString(event_id) AS event, toUnixTimestamp64Nano(occurred_at) AS occurred_ns, occurred_at,
        toString(action) AS action, toString(outcome) AS outcome,
        toValidUTF8(coalesce(actor_id, actor_host, '')) AS actor, toString(dataset) AS dataset,
        toString(source_country) AS source_country, toString(destination_country) AS destination_country,
        toString(destination_country_basis) AS destination_basis, bytes
    FROM events_current
    WHERE (tenant, event_id) IN (
            SELECT tenant, arrayJoin(sample_event_ids) FROM findings WHERE finding_id = {finding:UUID}
        )
        AND occurred_at >= (SELECT min(first_seen) FROM findings WHERE finding_id = {finding:UUID})
        AND occurred_at <= (SELECT max(last_seen) + INTERVAL 800 DAY FROM findings WHERE finding_id = {finding:UUID})
    ORDER BY occurred_at DESC, event_id"""
    return store.frame(sql, {"finding": str(finding_id)})
