"""Rollups, rebuilt from committed facts for the hours and findings that new entries touched (protocol step 8).

Nothing is incremented: a rebuild reads the facts of an hour anew and writes a generation that no other rebuild has, and
readers see the newest finished generation of each hour. Building twice, cut short, or on two hosts gives the same rows.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from onshore_pipeline.failpoints import nowhere
from onshore_pipeline.jobs.coverage import rebuild_coverage
from onshore_pipeline.jobs.deleting import delete
from onshore_pipeline.jobs.heard import COVERAGE_HOURLY
from onshore_pipeline.jobs.portions import portions
from onshore_pipeline.store.connect import store_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from uuid import UUID

    from clickhouse_connect.driver.client import Client

# Target, source of facts, key beside the hour, and what is added up.
HOURLY: Final = (
    (
        "verdict_counts_built",
        "message_verdicts_current",
        ("tenant", "source_format", "control_id", "control_version", "verdict", "missing"),
        ("events",),
    ),
    (
        "flows_hourly_built",
        "message_flows_current",
        (
            "tenant", "domain", "action", "source_country", "destination_country", "destination_basis",
            "destination_control_country",
        ),
        ("events", "bytes"),
    ),
    (
        "access_hourly_built",
        "message_access_current",
        (
            "tenant", "model_requested", "model_served", "model_endpoint", "destination_country",
            "destination_control_country",
        ),
        ("calls", "input_tokens", "output_tokens"),
    ),
)  # fmt: skip


def _hourly(target: str, source: str, keys: tuple[str, ...], sums: tuple[str, ...]) -> str:
    totals = ", ".join(f"sum({name})" for name in sums)
    by = ", ".join(keys)
    return (
        f"INSERT INTO {target} SELECT hour, {{generation:UInt64}}, {by}, {totals} FROM {source}"  # noqa: S608 - fixed names
        f" WHERE hour IN (SELECT toDateTime64(arrayJoin({{hours:Array(String)}}), 0, 'UTC')) GROUP BY hour, {by}"
    )


# Target → source of facts, and the statement that builds some hours of it.
_BUILT_HOURLY: Final[dict[str, tuple[str, str]]] = {
    **{target: (source, _hourly(target, source, keys, sums)) for target, source, keys, sums in HOURLY},
    **COVERAGE_HOURLY,
}

# Of several versions the newest that found something says what kind of finding it is, and how severe.
# Of a deleted event the fingerprint is closed (`deleted_copies`): that of one that is there says more.
_FINDINGS: Final = """
INSERT INTO findings_built
SELECT finding_id, {generation:UInt64}, any(tenant), any(domain), any(control_id), max(control_version),
    argMax(kind, (control_version, occurred_at)), argMax(severity, (control_version, occurred_at)),
    argMin(fingerprint, has(mapValues(fingerprint), 'deleted')), min(occurred_at), max(occurred_at),
    count(), sum(ifNull(bytes, 0)), arraySlice(groupArraySorted(10)(event_id), 1, 10)
FROM violations_current WHERE finding_id IN {findings:Array(UUID)} GROUP BY finding_id
"""


# Ordered by time, with enough chance in the low bits that two rebuilds never get the same.
_CHANCE_BITS: Final = 20

# Positions mean something within one log only, and a log that was lost begins again at 0.
BEHIND: Final = """
SELECT DISTINCT assumeNotNull(attempt_id) FROM evidence_log
LEFT JOIN (
    SELECT log_id, mapKeys(newest) AS partitions, mapValues(newest) AS positions
    FROM (SELECT log_id, argMax(log_position, generation) AS newest FROM rollup_runs GROUP BY log_id)
) AS done USING (log_id)
WHERE attempt_id IS NOT NULL
    AND (NOT has(partitions, log_partition) OR log_position > positions[indexOf(partitions, log_partition)])
"""

_NEWEST_CLAIM: Final = "SELECT max(generation) FROM rollup_claims"

# A finished rebuild that no row of a rollup comes from is forgotten, but for each log's newest and those just finished.
_OLD_RUNS: Final = """
finished_at < now64(3) - INTERVAL 1 HOUR AND generation NOT IN (SELECT max(generation) FROM rollup_runs GROUP BY log_id)
AND generation NOT IN (
    SELECT generation FROM verdict_counts_built UNION DISTINCT SELECT generation FROM flows_hourly_built
    UNION DISTINCT SELECT generation FROM access_hourly_built UNION DISTINCT SELECT generation FROM findings_built
    UNION DISTINCT SELECT generation FROM heard_hourly_built
    UNION DISTINCT SELECT generation FROM windowed_verdicts_built
    UNION DISTINCT SELECT generation FROM control_runs_built
    UNION DISTINCT SELECT generation FROM sequences_hourly_built UNION DISTINCT SELECT generation FROM coverage_built
)"""

_OLD_MEASUREMENTS: Final = """
generation < (SELECT max(generation) FROM coverage_built WHERE generation IN (SELECT generation FROM rollup_runs))"""

_OLD_CLAIMS: Final = """
claimed_at < now64(3) - INTERVAL 1 HOUR AND generation < (SELECT max(generation) FROM rollup_claims)"""

# A DELETE takes half a second, however little it finds; a thousand records cost a reader nothing.
_RECORDS_TO_DROP: Final = 1_000
_WINDOWED: Final = ("windowed_verdicts_built", "unit_id")
_RUNS: Final = ("control_runs_built", "hour")


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What one rebuild touched, how long it took, and whether another one began beside it.

    Attributes:
        hours: hours rebuilt.
        findings: findings rebuilt.
        took_s: seconds.
        overtaken: another sequencer claimed a newer generation meanwhile and may have read older facts: rebuild the
            same attempts once more.
    """

    hours: int
    findings: int
    took_s: float
    overtaken: bool


def attempts_behind(client: Client) -> frozenset[UUID]:
    """Attempts that a log names behind the newest finished rebuild of that log."""
    with store_errors():
        rows = client.query(BEHIND).result_rows
    return frozenset(attempt for (attempt,) in rows)


def rebuild(
    client: Client,
    attempts: Collection[UUID],
    log_position: Mapping[int, int],
    log_id: UUID,
    at: Callable[[str], None] = nowhere,
) -> Rebuilt:
    """Rebuild every hour and finding that `attempts` touched; readers then see facts up to `log_position` of `log_id`.

    Readers see nothing of it before its last statement; one that is cut short is never seen, and whoever rebuilds the
    same attempts later writes a newer generation.
    """
    started = time.monotonic()
    at("8.before")
    with store_errors():
        generation = claim(client)
        at("8.claimed")
        hours = _touched(client, attempts, "hour", [source for source, _ in _BUILT_HOURLY.values()])
        findings = _touched(client, attempts, "finding_id", ["violations_current"])
        for some in portions(hours):
            for target, (_, statement) in _BUILT_HOURLY.items():
                client.command(statement, parameters={"generation": generation, "hours": some})
                at(f"8.{target}")
        for some in portions(findings):
            client.command(_FINDINGS, parameters={"generation": generation, "findings": some})
            at("8.findings_built")
        uncovered = rebuild_coverage(client, attempts, generation)
        # Asked after the last fact was read: a claim that comes later reads facts that are no older than ours.
        overtaken = int(client.query(_NEWEST_CLAIM).result_rows[0][0]) > generation
        took_s = time.monotonic() - started
        client.insert(
            "rollup_runs",
            [
                [
                    generation,
                    datetime.now(UTC),
                    dict(log_position),
                    len(hours),
                    len(findings) + uncovered,
                    int(took_s * 1000),
                    log_id,
                ]
            ],
        )
    at("8.after")
    return Rebuilt(len(hours), len(findings) + uncovered, took_s, overtaken)


def claim(client: Client) -> int:
    """A generation above every one claimed before, on disk before the first fact is read."""
    newest = int(client.query(_NEWEST_CLAIM).result_rows[0][0])
    chance = secrets.randbits(_CHANCE_BITS)
    # A clock that was set back must not make a newer rebuild look older.
    generation = max(((time.time_ns() // 1_000_000) << _CHANCE_BITS) + chance, newest + 1 + chance)
    client.insert("rollup_claims", [[generation, datetime.now(UTC)]])
    return generation


def _touched(client: Client, attempts: Collection[UUID], column: str, sources: Collection[str]) -> list[str]:
    """Distinct values of `column` in the rows of these attempts, as text, in order."""
    union = " UNION DISTINCT ".join(
        f"SELECT toString({column}) AS v FROM {source} WHERE attempt_id IN {{attempts:Array(UUID)}}"  # noqa: S608 - fixed names
        for source in sources
    )
    found: set[str] = set()
    for some in portions(str(attempt) for attempt in attempts):
        rows = client.query(f"SELECT DISTINCT v FROM ({union})", parameters={"attempts": some}).result_rows  # noqa: S608
        found.update(str(value) for (value,) in rows)
    return sorted(found)


def drop_old_generations(client: Client, *, wait: bool = True) -> None:
    """Delete what a newer finished rebuild replaced, also where it was cut short, and the records of such rebuilds.

    Records, and measurements of coverage, wait until there are many of them. `wait` until the store has done it.
    """
    with store_errors():
        for target, key in (
            *((name, "hour") for name in _BUILT_HOURLY),
            ("findings_built", "finding_id"),
            _WINDOWED,
            _RUNS,
        ):
            replaced = (
                f"({key}, generation) IN ("  # noqa: S608 - fixed names
                f" SELECT {key}, generation FROM (SELECT DISTINCT {key}, generation FROM {target}) AS built INNER JOIN"
                f" (SELECT {key}, max(generation) AS newest FROM {target}"
                f" WHERE generation IN (SELECT generation FROM rollup_runs) GROUP BY {key}) AS finished USING ({key})"
                " WHERE generation < newest)"
            )
            delete(client, target, replaced, wait=wait)
        delete(client, "coverage_built", _OLD_MEASUREMENTS, at_least=_RECORDS_TO_DROP, wait=wait)
        delete(client, "rollup_runs", _OLD_RUNS, at_least=_RECORDS_TO_DROP, wait=wait)
        delete(client, "rollup_claims", _OLD_CLAIMS, at_least=_RECORDS_TO_DROP, wait=wait)
