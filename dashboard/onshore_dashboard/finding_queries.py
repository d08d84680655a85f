"""What the dashboard asks the store about findings: the list, one finding, its events, one event with its raw text."""

# ruff: noqa: S608 - what is put into the text are constants of ours; what comes from a page travels as parameters

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from onshore_dashboard.queries import CREDIBLE_AHEAD, OF_JURISDICTION, OF_TENANT, SINCE, Scope, Store, seconds
from onshore_pipeline.domain.event import DOMAINS, EVENT_COLUMNS, Column, Kind

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    import polars as pl

MOST_FINDINGS: Final = 50
MOST_EVENTS: Final = 50
_HOUR_SECONDS: Final = 3600


@dataclass(frozen=True, slots=True)
class FindingFilter:
    """Which findings to list: a scope, and one severity or control (None: any)."""

    scope: Scope
    severity: str | None = None
    control_id: str | None = None

    def parameters(self) -> dict[str, Any]:
        """The scope's parameters and `severity`, `control` (empty: any)."""
        return {**self.scope.parameters(), "severity": self.severity or "", "control": self.control_id or ""}


_FINDING_COLUMNS: Final = """toString(finding_id) AS finding, toString(tenant) AS tenant, toString(domain) AS domain,
    toString(control_id) AS control_id, control_version AS version, toString(kind) AS kind,
    toString(severity) AS severity, toString(status) AS status, first_seen, last_seen, events, bytes,
    toValidUTF8(toJSONString(fingerprint)) AS fingerprint"""
_FINDING_FILTER: Final = f"""last_seen >= {SINCE} AND {OF_TENANT} AND {OF_JURISDICTION}
    AND ({{severity:String}} = '' OR severity = {{severity:String}})
    AND ({{control:String}} = '' OR control_id = {{control:String}})"""
_WORST_FIRST: Final = "indexOf(['critical', 'high', 'medium', 'low', 'info'], toString(severity))"


def findings(
    store: Store, wanted: FindingFilter, now: datetime, limit: int = MOST_FINDINGS, offset: int = 0
) -> pl.DataFrame:
    """Findings, the most severe first and within a severity the last seen first.

    What claims to have been seen in the future stands behind the others of its severity, in every period: a claim must
    neither hold the top of the list nor leave it.

    Columns: finding, tenant, domain, control_id, version, kind, severity, status, first_seen, last_seen, events, bytes,
    fingerprint (a JSON object: what the finding's events have in common).
    """
    sql = f"""SELECT {_FINDING_COLUMNS} FROM findings WHERE {_FINDING_FILTER}
    ORDER BY {_WORST_FIRST}, last_seen > toDateTime({{credible:UInt32}}, 'UTC'), last_seen DESC, finding
    LIMIT {{limit:UInt32}} OFFSET {{offset:UInt32}}"""
    # On the hour, so that everyone who looks within it asks the same question.
    credible = seconds(now + CREDIBLE_AHEAD) // _HOUR_SECONDS * _HOUR_SECONDS
    return store.frame(sql, {**wanted.parameters(), "credible": credible, "limit": limit, "offset": offset})


def finding_counts(store: Store, wanted: FindingFilter) -> pl.DataFrame:
    """How many findings there are of each severity: severity, findings, events."""
    sql = f"""SELECT toString(severity) AS severity, count() AS findings, sum(f.events) AS events
    FROM findings AS f WHERE {_FINDING_FILTER} GROUP BY severity ORDER BY {_WORST_FIRST}"""
    return store.frame(sql, wanted.parameters())


def finding(store: Store, finding_id: UUID) -> pl.DataFrame:
    """One finding with the columns of `findings`; no row when there is none."""
    sql = f"SELECT {_FINDING_COLUMNS} FROM findings WHERE finding_id = {{finding:UUID}} LIMIT 1"
    return store.frame(sql, {"finding": str(finding_id)})


def finding_events(store: Store, finding_id: UUID, limit: int = MOST_EVENTS) -> pl.DataFrame:
    """The newest events of a finding, found by the event table's own order.

    Columns: event, occurred_ns (Int64), occurred_at, action, outcome, actor, dataset, source_country,
    destination_country, destination_basis, bytes.
    """
    seen = """SELECT tenant, domain, occurred_at, event_id FROM violations_current WHERE finding_id = {finding:UUID}
        ORDER BY occurred_at DESC, event_id LIMIT {limit:UInt32}"""
    sql = f"""SELECT toString(event_id) AS event, toUnixTimestamp64Nano(occurred_at) AS occurred_ns, occurred_at,
        toString(action) AS action, toString(outcome) AS outcome,
        toValidUTF8(coalesce(actor_id, actor_host, '')) AS actor, toString(dataset) AS dataset,
        toString(source_country) AS source_country, toString(destination_country) AS destination_country,
        toString(destination_country_basis) AS destination_basis, bytes
    FROM events_current
    WHERE (tenant, domain, occurred_at) IN (SELECT tenant, domain, occurred_at FROM ({seen}))
        AND event_id IN (SELECT event_id FROM ({seen}))
    ORDER BY occurred_at DESC, event_id LIMIT {{limit:UInt32}}"""
    return store.frame(sql, {"finding": str(finding_id), "limit": limit})


def event(store: Store, event_id: UUID, tenant: str, occurred_ns: int) -> pl.DataFrame:
    """One event, every column as text (null: unknown; maps as JSON); no row when there is none."""
    # The underscore keeps a column's text from standing in for the column in WHERE.
    columns = ", ".join(f"{_as_text(column)} AS `{column.name}_`" for column in EVENT_COLUMNS)
    sql = f"""SELECT {columns} FROM events_current
    WHERE tenant = {{tenant:String}} AND domain IN {DOMAINS}
        AND occurred_at = fromUnixTimestamp64Nano({{occurred:Int64}}, 'UTC') AND event_id = {{event:UUID}} LIMIT 1"""
    parameters = {"tenant": tenant, "occurred": occurred_ns, "event": str(event_id)}
    return store.frame(sql, parameters).rename(lambda name: name.removesuffix("_"))


def _as_text(column: Column) -> str:
    name = column.name
    match column.kind:
        case Kind.TEXT:
            return f"toValidUTF8({name})"
        case Kind.ADDRESS:
            return f"replaceOne(toString({name}), '::ffff:', '')"
        case Kind.TRACE_ID | Kind.SPAN_ID | Kind.DIGEST:
            return f"lower(hex({name}))"
        case Kind.WORDS:
            return f"nullIf(toValidUTF8(arrayStringConcat(CAST({name}, 'Array(String)'), ', ')), '')"
        case Kind.TEXT_MAP:
            return f"toValidUTF8(toJSONString({name}))"
        case _:
            return f"toString({name})"
