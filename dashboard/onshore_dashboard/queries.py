"""Every question the dashboard asks the store: SQL with parameters in, a small frame out.

Facts are read through the committed-only views. Nothing here scans the event table: hours come from rollups, events by
the table's own order (tenant, domain, time), and every list has a limit. Text leaves the store as valid UTF-8.
"""

# ruff: noqa: S608 - what is put into the text are constants of ours; what comes from a page travels as parameters

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

RATE_WINDOW: Final = timedelta(minutes=15)
RATE_STEP_SECONDS: Final = 10
MOST_FLOWS: Final = 2000
MOST_GAPS: Final = 50
# Later than this after now, a time is what a sender claims and not what can have happened.
CREDIBLE_AHEAD: Final = timedelta(days=1)
_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


class Store(Protocol):
    """What the dashboard needs of the store: a query answered as a frame."""

    def frame(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pl.DataFrame:
        """The answer to one query; raises StoreUnavailable when the store does not answer."""
        ...


@dataclass(frozen=True, slots=True)
class Scope:
    """What a reader of a compliance page has narrowed it to.

    Attributes:
        tenant: one tenant; None is all of them.
        jurisdiction: whose controls; None is everybody's.
        since: verdicts on events from this moment on; None is from the beginning.
    """

    tenant: str | None = None
    jurisdiction: str | None = None
    since: datetime | None = None

    def parameters(self) -> dict[str, Any]:
        """The scope as query parameters `tenant`, `jurisdiction` (empty: all) and `since` (seconds)."""
        return {
            "tenant": self.tenant or "",
            "jurisdiction": self.jurisdiction or "",
            "since": seconds(self.since) if self.since else 0,
        }


def seconds(moment: datetime) -> int:
    """Seconds since the epoch, as the queries take a moment: no time zone can get in between."""
    return (moment - _EPOCH) // timedelta(seconds=1)


# Conditions on a scope's parameters.
SINCE: Final = "toDateTime({since:UInt32}, 'UTC')"
OF_TENANT: Final = "({tenant:String} = '' OR tenant = {tenant:String})"
OF_JURISDICTION: Final = """({jurisdiction:String} = '' OR control_id IN (
    SELECT control_id FROM controls WHERE jurisdiction = {jurisdiction:String}))"""
# A log entry copied twice stands in the table twice until its parts merge.
_ENTRY: Final = "topic_id, partition, log_index"


def anything_committed(store: Store) -> bool:
    """Whether the evidence log holds one entry."""
    return not store.frame("SELECT 1 AS one FROM evidence_log LIMIT 1").is_empty()


def tenants(store: Store) -> list[str]:
    """Every tenant that has a verdict or a flow, in order."""
    sql = """SELECT DISTINCT toString(tenant) AS tenant FROM
        (SELECT tenant FROM verdict_counts UNION ALL SELECT tenant FROM flows_hourly) ORDER BY tenant"""
    return store.frame(sql)["tenant"].to_list()


def controls(store: Store) -> pl.DataFrame:
    """The newest text of every control and version that ever judged, without the text itself.

    Columns: control_id, version, jurisdiction, title, instrument, kind, severity, confidence, status, needs.
    """
    sql = """SELECT toString(control_id) AS control_id, version, title, instrument,
        toString(jurisdiction) AS jurisdiction, toString(kind) AS kind, toString(severity) AS severity,
        toString(confidence) AS confidence, toString(status) AS status, needs
    FROM controls ORDER BY loaded_at DESC, digest LIMIT 1 BY control_id, version"""
    return store.frame(sql)


def catalogue(store: Store) -> pl.DataFrame:
    """Every control that was ever loaded as it was last, by jurisdiction and id.

    Columns: those of `control` without its digest.
    """
    sql = """SELECT toString(control_id) AS control_id, version, title, instrument,
        toString(jurisdiction) AS jurisdiction, toString(kind) AS kind, toString(severity) AS severity,
        toString(confidence) AS confidence, toString(status) AS status, needs, rationale, evidence,
        remediation, text, toString(checked_on) AS checked_on, toString(effective_from) AS effective_from,
        toString(effective_to) AS effective_to
    FROM (SELECT * FROM controls ORDER BY loaded_at DESC, version DESC, digest LIMIT 1 BY control_id)
    ORDER BY jurisdiction = '*', jurisdiction, control_id"""
    return store.frame(sql)


def control(store: Store, control_id: str, version: int) -> pl.DataFrame:
    """One control as it was last loaded: the columns of `controls` and rationale, evidence, remediation, text."""
    sql = """SELECT toString(control_id) AS control_id, version, title, instrument,
        toString(jurisdiction) AS jurisdiction, toString(kind) AS kind, toString(severity) AS severity,
        toString(confidence) AS confidence, toString(status) AS status, needs, rationale, evidence,
        remediation, text, toString(checked_on) AS checked_on, toString(effective_from) AS effective_from,
        toString(effective_to) AS effective_to, lower(hex(digest)) AS digest
    FROM controls WHERE control_id = {control:String} AND version = {version:UInt32}
    ORDER BY loaded_at DESC, digest LIMIT 1"""
    return store.frame(sql, {"control": control_id, "version": version})


def rate(store: Store, now: datetime) -> pl.DataFrame:
    """What was committed in the last quarter of an hour, by steps of ten seconds.

    Columns: at (seconds since the epoch, start of the step), events, dead_lettered, messages, newest (Datetime of the
    step's last entry).
    """
    sql = f"""SELECT intDiv(toUnixTimestamp64Second(appended), {RATE_STEP_SECONDS}) * {RATE_STEP_SECONDS} AS at,
        sum(events) AS events, sum(dead_lettered) AS dead_lettered, count() AS messages, max(appended) AS newest
    FROM (SELECT appended_at AS appended, events, dead_lettered FROM evidence_log
          WHERE appended_at >= {SINCE} ORDER BY appended_at LIMIT 1 BY {_ENTRY})
    GROUP BY at ORDER BY at"""
    return store.frame(sql, {"since": _window_start(now)})


def latest_entries(store: Store, now: datetime, limit: int = 8) -> pl.DataFrame:
    """The newest log entries of the last quarter of an hour.

    Columns: appended_at, kind, topic, partition, offset, tenant, records, events, dead_lettered, entry_hash (hex).
    """
    sql = f"""SELECT appended_at, toString(kind) AS kind, toString(topic) AS topic, partition, offset,
        toString(tenant) AS tenant, records, events, dead_lettered, lower(hex(entry_hash)) AS entry_hash
    FROM evidence_log WHERE appended_at >= {SINCE} ORDER BY appended_at DESC, log_index DESC
    LIMIT 1 BY {_ENTRY} LIMIT {{limit:UInt32}}"""
    return store.frame(sql, {"since": _window_start(now), "limit": limit})


def _window_start(now: datetime) -> int:
    """On a step, so that everyone who looks within it asks the same question."""
    return seconds(now - RATE_WINDOW) // RATE_STEP_SECONDS * RATE_STEP_SECONDS


def last_commit(store: Store) -> datetime | None:
    """When the newest entry of the whole log was appended."""
    found = store.frame("SELECT max(appended_at) AS newest, count() AS entries FROM evidence_log").row(0, named=True)
    return found["newest"] if found["entries"] else None


def dead_letter_counts(store: Store, now: datetime) -> pl.DataFrame:
    """One row: open (neither replayed nor discarded), day (received in the last 24 hours) and ever."""
    sql = f"""SELECT countIf(state = 'open') AS open, countIf(received_at >= {SINCE}) AS day, count() AS ever
    FROM dead_letter_states"""
    return store.frame(sql, {"since": seconds(now - timedelta(days=1))})


def dead_letters(store: Store, limit: int = 8) -> pl.DataFrame:
    """The newest open dead letters.

    Columns: received_at, tenant, topic, partition, offset, records (0: the whole message), stage, reason, size (bytes).
    """
    sql = """SELECT received_at, toString(tenant) AS tenant, toString(topic) AS topic, kafka_partition AS partition,
        kafka_offset AS offset, length(record_indexes) AS records, toString(stage) AS stage,
        toValidUTF8(reason) AS reason, length(payload) AS size
    FROM dead_letter_states WHERE state = 'open' ORDER BY received_at DESC LIMIT {limit:UInt32}"""
    return store.frame(sql, {"limit": limit})


def collectors(store: Store, since: datetime, now: datetime) -> pl.DataFrame:
    """Who was heard from since a moment.

    Columns: tenant, collector, source_formats (List), last_heard, last_occurred, events, dropped, dropped_day.
    """
    sql = f"""SELECT toString(tenant) AS tenant, toString(collector_id) AS collector,
        arraySort(groupUniqArray(toString(source_format))) AS source_formats, max(received_at) AS last_heard,
        max(last_occurred) AS last_occurred, sum(m.events) AS events, sum(m.dropped) AS dropped,
        sumIf(m.dropped, received_at >= toDateTime({{day:UInt32}}, 'UTC')) AS dropped_day
    FROM message_collectors_current AS m WHERE received_at >= {SINCE}
    GROUP BY tenant, collector_id ORDER BY last_heard LIMIT 500"""
    return store.frame(sql, {"since": seconds(since), "day": seconds(now - timedelta(days=1))})


def newest_rollup(store: Store) -> pl.DataFrame:
    """The last finished rebuild, if there is one: generation, finished_at, hours, findings, took_ms."""
    sql = "SELECT generation, finished_at, hours, findings, took_ms FROM rollup_runs ORDER BY generation DESC LIMIT 1"
    return store.frame(sql)


def verdicts(store: Store, scope: Scope) -> pl.DataFrame:
    """Verdict counts: control_id, version, tenant, verdict, events."""
    sql = f"""SELECT toString(control_id) AS control_id, control_version AS version, toString(tenant) AS tenant,
        toString(verdict) AS verdict, sum(c.events) AS events
    FROM verdict_counts AS c WHERE hour >= {SINCE} AND {OF_TENANT} AND {OF_JURISDICTION}
    GROUP BY control_id, control_version, tenant, verdict ORDER BY control_id, version, tenant, verdict"""
    return store.frame(sql, scope.parameters())


def newest_hour(store: Store) -> datetime | None:
    """The newest hour that has a verdict; it may be a claim, see `CREDIBLE_AHEAD`."""
    # A sender may name any time until 2299; toUnixTimestamp ends in 2106.
    sql = "SELECT max(toUnixTimestamp64Second(hour)) AS newest, count() AS rows FROM verdict_counts"
    found = store.frame(sql).row(0, named=True)
    return _EPOCH + timedelta(seconds=int(found["newest"])) if found["rows"] else None


def gaps(store: Store, scope: Scope) -> pl.DataFrame:
    """What could not be decided, by the column that was missing, the most frequent first.

    Columns: tenant, source_format, missing, events (undetermined verdicts), control_ids (List).
    """
    sql = f"""SELECT toString(tenant) AS tenant, toString(source_format) AS source_format, toString(missing) AS missing,
        sum(c.events) AS events, arraySort(groupUniqArray(toString(control_id))) AS control_ids
    FROM verdict_counts AS c
    WHERE verdict = 'undetermined' AND hour >= {SINCE} AND {OF_TENANT} AND {OF_JURISDICTION}
    GROUP BY tenant, source_format, missing ORDER BY events DESC, missing LIMIT {MOST_GAPS}"""
    return store.frame(sql, scope.parameters())


def flows(store: Store, scope: Scope) -> pl.DataFrame:
    """Data movement and model calls between countries, the largest first.

    Columns: tenant, source, destination (alpha-2 or null: unknown), events, bytes, firm (events whose destination is
    attested or observed), controllers (List: countries whose companies control the destination).
    """
    sql = f"""SELECT toString(tenant) AS tenant, toString(source_country) AS source,
        toString(destination_country) AS destination, sum(f.events) AS events, sum(f.bytes) AS bytes,
        sumIf(f.events, destination_basis IN ('attested', 'observed')) AS firm,
        arraySort(groupUniqArray(toString(assumeNotNull(destination_control_country)))) AS controllers
    FROM flows_hourly AS f WHERE domain != 'infrastructure' AND hour >= {SINCE} AND {OF_TENANT}
    GROUP BY tenant, source_country, destination_country ORDER BY events DESC LIMIT {MOST_FLOWS}"""
    return store.frame(sql, scope.parameters())


def flagged_destinations(store: Store, scope: Scope) -> pl.DataFrame:
    """Destinations that breaches name: tenant, destination, source (null: the finding names none), events, findings.

    Reviews and exposures are left out: what they are about is not forbidden.
    """
    sql = f"""SELECT toString(tenant) AS tenant, fingerprint['destination_country'] AS destination,
        nullIf(fingerprint['source_country'], '') AS source, sum(f.events) AS events, count() AS findings
    FROM findings AS f
    WHERE kind = 'violation' AND destination != '' AND last_seen >= {SINCE} AND {OF_TENANT} AND {OF_JURISDICTION}
    GROUP BY tenant, destination, source ORDER BY events DESC LIMIT {MOST_FLOWS}"""
    return store.frame(sql, scope.parameters())
