"""What the dashboard asks the store about claims that disagree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from onshore_dashboard.queries import OF_TENANT, SINCE, Scope, Store

if TYPE_CHECKING:
    import polars as pl

MOST_DISPUTES: Final = 50


def disputes(store: Store, scope: Scope, limit: int = MOST_DISPUTES) -> pl.DataFrame:
    """Claims that disagree, those of most events first; of every event, judged or not.

    Columns: tenant, subject ('destination', ...), claims ('region=us-east-1,declared=AU'), format, events, first, last,
    event (the newest one's id), occurred_ns (Int64).
    """
    sql = f"""SELECT tenant, substring(dispute, 1, at - 1) AS subject, substring(dispute, at + 1) AS claims, format,
        count() AS events, min(occurred_at) AS first, max(occurred_at) AS last,
        toString(argMax(event_id, occurred_at)) AS event,
        toUnixTimestamp64Nano(max(occurred_at)) AS occurred_ns
    FROM (
        SELECT toString(tenant) AS tenant, toString(source_format) AS format, occurred_at, event_id,
            toValidUTF8(arrayJoin(contradictions)) AS dispute, position(dispute, ':') AS at
        FROM events_current
        WHERE notEmpty(contradictions) AND occurred_at >= {SINCE} AND {OF_TENANT}
    )
    GROUP BY tenant, subject, claims, format ORDER BY events DESC, last DESC, tenant, claims LIMIT {{limit:UInt32}}"""  # noqa: S608 - constants of ours
    return store.frame(sql, {**scope.parameters(), "limit": limit})
