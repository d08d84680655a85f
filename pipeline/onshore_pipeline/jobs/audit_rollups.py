"""Audit of rollups: what readers see of each hour and finding is counted again from the facts.

Hours and findings that a rebuild has yet to look at are left out, in the same statement that compares: it reads facts,
log and rollups as they stand at one moment. How many those are is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from onshore_pipeline.jobs.aggregate import BEHIND, HOURLY
from onshore_pipeline.jobs.audit_problem import Problem
from onshore_pipeline.store.connect import store_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clickhouse_connect.driver.client import Client

_WAITING: Final = f"""
SELECT {{key}} FROM {{facts}} WHERE attempt_id IN ({BEHIND}) OR attempt_id IN (SELECT attempt_id FROM restores)
"""  # noqa: S608 - fixed text
_HOURS: Final = """
SELECT toString(hour), [{named}] AS named, [{built}] AS built, [{counted}] AS counted FROM (
    SELECT hour, {keys}, {as_built}, {no_counted} FROM {view}
    UNION ALL
    SELECT hour, {keys}, {no_built}, {as_counted} FROM {source}
)
WHERE hour NOT IN ({waiting}) GROUP BY hour, {keys} HAVING built != counted ORDER BY hour, named LIMIT 1000
"""
# Findings of other kinds are made of other facts. Texts may differ by version of their control: one of them counts.
_FINDINGS: Final = """
SELECT finding_id, toValidUTF8(toString(if(f.events = 0, v.control, f.control_id))) AS named, f.events, v.counted,
    arrayFilter(each -> each != '', [
        if(f.tenant != v.tenant_made, 'tenant', ''), if(f.domain != v.domain_made, 'domain', ''),
        if(f.control_id != v.control, 'control_id', ''), if(f.control_version != v.version, 'control_version', ''),
        if(has(v.kinds, f.kind), '', 'kind'), if(has(v.severities, f.severity), '', 'severity'),
        if(has(v.fingerprints, toString(f.fingerprint)), '', 'fingerprint'),
        if(f.first_seen != v.first, 'first_seen', ''), if(f.last_seen != v.last, 'last_seen', ''),
        if(f.bytes != v.in_all, 'bytes', ''), if(f.sample_event_ids != v.samples, 'sample_event_ids', '')
    ]) AS others
FROM (SELECT * EXCEPT (status, owner, due) FROM findings) AS f FULL JOIN (
    SELECT finding_id, count() AS counted, any(control_id) AS control, any(tenant) AS tenant_made,
        any(domain) AS domain_made, max(control_version) AS version, groupUniqArray(toString(kind)) AS kinds,
        groupUniqArray(toString(severity)) AS severities, groupUniqArray(toString(fingerprint)) AS fingerprints,
        min(occurred_at) AS first, max(occurred_at) AS last, sum(ifNull(bytes, 0)) AS in_all,
        arraySlice(groupArraySorted(10)(event_id), 1, 10) AS samples
    FROM violations_current GROUP BY finding_id
) AS v USING (finding_id)
WHERE (v.counted > 0 OR f.control_id IN (SELECT control_id FROM violations_current))
    AND (f.events != v.counted OR notEmpty(others)) AND finding_id NOT IN ({waiting}) LIMIT 1000
"""
# Every event has a flow.
_LEFT_OUT: Final = "SELECT uniqExact(hour) FROM message_flows WHERE hour IN ({waiting})"


def audit_rollups(client: Client, told: Callable[[int], None]) -> Iterator[Problem]:
    """Hours and findings that are not what facts give; `told` is called with how many hours wait to be rebuilt.

    Raises:
        StoreUnavailable: try again later.
    """
    with store_errors():
        told(int(client.query(_asked(_LEFT_OUT, "hour", "message_flows")).result_rows[0][0]))
    for target, source, keys, sums in HOURLY:
        yield from _of_hours(client, target.removesuffix("_built"), source, keys, sums)
    for finding, control, built, counted, others in _twice(client, _asked(_FINDINGS, "finding_id", "violations")):
        why = f"it counts {built} events, and {counted} violations of it are sealed"
        if built == counted:
            why = f"it says another {', '.join(others)} than its violations"
        place = {"finding_id": str(finding), "control": str(control)}
        yield Problem("rollup", f"finding {finding} ({control})", why, place)


def _of_hours(
    client: Client, view: str, source: str, keys: tuple[str, ...], sums: tuple[str, ...]
) -> Iterator[Problem]:
    def each(pattern: str) -> str:
        return ", ".join(pattern.format(place=place, name=name) for place, name in enumerate(sums))

    sql = _HOURS.format(
        named=", ".join(f"toValidUTF8(ifNull(toString({name}), ''))" for name in keys),
        keys=", ".join(keys),
        built=each("sum(built_{place})"),
        counted=each("sum(counted_{place})"),
        as_built=each("{name} AS built_{place}"),
        as_counted=each("{name} AS counted_{place}"),
        no_built=each("toUInt64(0) AS built_{place}"),
        no_counted=each("toUInt64(0) AS counted_{place}"),
        view=view,
        source=source,
        waiting="{waiting}",
    )
    for hour, named, built, counted in _twice(client, _asked(sql, "hour", source.removesuffix("_current"))):
        key = {name: text for name, text in zip(keys, named, strict=True) if text}
        where = f"{view}, hour {hour} UTC, {', '.join(f'{name} {text}' for name, text in key.items())}"
        says, gives = (
            ", ".join(f"{n:,} {name}" for n, name in zip(some, sums, strict=True)) for some in (built, counted)
        )
        yield Problem("rollup", where, f"it says {says}, and facts give {gives}", {"table": view, "hour": hour} | key)


def _asked(sql: str, key: str, facts: str) -> str:
    return sql.replace("{waiting}", _WAITING.format(key=key, facts=facts))


def _twice(client: Client, sql: str) -> list[Any]:
    """What is found both times: between two snapshots of one statement a step of the sequencer could lie."""
    with store_errors():
        first = list(client.query(sql).result_rows)
        if not first:
            return []
        again = list(client.query(sql).result_rows)
    return [row for row in first if row in again]
