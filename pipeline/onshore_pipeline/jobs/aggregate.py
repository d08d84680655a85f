"""Rollups, rebuilt from committed facts for the hours and findings that new entries touched (protocol step 8).

Nothing is incremented: a rebuild reads the facts of an hour anew and writes a new generation, and readers see the
newest generation of each hour. Building twice gives the same rows.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from onshore_pipeline.store.connect import store_errors

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from uuid import UUID

    from clickhouse_connect.driver.client import Client

_HOURLY: Final = (
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

_FINDINGS: Final = """
INSERT INTO findings_built
SELECT finding_id, {generation:UInt64}, any(tenant), any(domain), any(control_id), max(control_version), any(kind),
    any(severity), any(fingerprint), min(occurred_at), max(occurred_at), count(), sum(ifNull(bytes, 0)),
    arraySlice(groupArraySorted(10)(event_id), 1, 10)
FROM violations_current WHERE finding_id IN {findings:Array(UUID)} GROUP BY finding_id
"""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What one rebuild touched, and how long it took."""

    hours: int
    findings: int
    took_s: float


def attempts_behind(client: Client) -> frozenset[UUID]:
    """Attempts that the log names behind the newest finished rebuild."""
    with store_errors():
        newest = client.query("SELECT log_position FROM rollup_runs ORDER BY generation DESC LIMIT 1").result_rows
        done: Mapping[int, int] = newest[0][0] if newest else {}
        rows = client.query(
            "SELECT log_partition, log_position, assumeNotNull(attempt_id) FROM evidence_log"
            " WHERE attempt_id IS NOT NULL AND log_position >= {lowest:UInt64}",
            parameters={"lowest": min(done.values(), default=0)},
        ).result_rows
    return frozenset(attempt for partition, position, attempt in rows if position > done.get(partition, -1))


def rebuild(client: Client, attempts: Collection[UUID], log_position: Mapping[int, int]) -> Rebuilt:
    """Rebuild every hour and finding that `attempts` touched; readers then see facts up to `log_position`."""
    started = time.monotonic()
    with store_errors():
        generation = _next_generation(client)
        hours = _touched(client, attempts, "hour", [source for _, source, _, _ in _HOURLY])
        findings = _touched(client, attempts, "finding_id", ["violations_current"])
        if hours:
            for target, source, keys, sums in _HOURLY:
                client.command(
                    _hourly(target, source, keys, sums), parameters={"generation": generation, "hours": hours}
                )
        if findings:
            client.command(_FINDINGS, parameters={"generation": generation, "findings": findings})
        took_s = time.monotonic() - started
        client.insert(
            "rollup_runs",
            [[generation, datetime.now(UTC), dict(log_position), len(hours), len(findings), int(took_s * 1000)]],
        )
    return Rebuilt(len(hours), len(findings), took_s)


def _next_generation(client: Client) -> int:
    rows = client.query("SELECT max(generation) + 1 FROM rollup_runs").result_rows
    return int(rows[0][0])


def _touched(client: Client, attempts: Collection[UUID], column: str, sources: Collection[str]) -> list[str]:
    """Distinct values of `column` in the rows of these attempts, as text."""
    union = " UNION DISTINCT ".join(
        f"SELECT toString({column}) AS v FROM {source} WHERE attempt_id IN {{attempts:Array(UUID)}}"  # noqa: S608 - fixed names
        for source in sources
    )
    rows = client.query(f"SELECT DISTINCT v FROM ({union})", parameters={"attempts": [str(a) for a in attempts]})  # noqa: S608
    return [str(value) for (value,) in rows.result_rows]


def _hourly(target: str, source: str, keys: tuple[str, ...], sums: tuple[str, ...]) -> str:
    totals = ", ".join(f"sum({name})" for name in sums)
    by = ", ".join(keys)
    return (
        f"INSERT INTO {target} SELECT hour, {{generation:UInt64}}, {by}, {totals} FROM {source}"  # noqa: S608 - fixed names
        f" WHERE hour IN (SELECT toDateTime64(arrayJoin({{hours:Array(String)}}), 0, 'UTC')) GROUP BY hour, {by}"
    )


def drop_old_generations(client: Client) -> None:
    """Delete generations that no reader looks at any more."""
    with store_errors():
        for target, key in (*((name, "hour") for name, _, _, _ in _HOURLY), ("findings_built", "finding_id")):
            client.command(
                f"DELETE FROM {target} WHERE ({key}, generation) NOT IN"  # noqa: S608 - fixed names
                f" (SELECT {key}, max(generation) FROM {target} GROUP BY {key})"
            )
