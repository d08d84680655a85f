"""Rows of `control_runs`, derived from entries of the log and from verdicts, and what commits to those of one hour.

The hour is that in which entries were sealed, for it is about what the worker did. An entry names the digest of the set
of controls that its message was judged by; `rule_sets` says which texts those were. What single events came to lies
under the entries' own roots, so that whoever derives it again gets the same. A control of more than one event is put to
entries by a job of its own: its row counts those that a run by its text had reached, and what it said in the hour of
windows, sequences or absences.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from onshore_pipeline.evidence import merkle
from onshore_pipeline.evidence.entry import canonical_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from clickhouse_connect.driver.client import Client

_SEALED: Final = """
    SELECT toDateTime64(toStartOfHour(appended_at), 0, 'UTC') AS run_hour, assumeNotNull(attempt_id) AS attempt,
        topic_id, partition, offset, events, appended_at, log_id, log_partition, log_position,
        lower(JSONExtractString(entry, 'controls')) AS rules
    FROM evidence_log
    WHERE kind IN ('message', 'amends') AND appended_at >= {since:DateTime64(0, 'UTC')}
        AND appended_at < {until:DateTime64(0, 'UTC')}
    LIMIT 1 BY topic_id, partition, log_index
"""
# Which texts the sets of controls were made of, and how many events each looks at.
_PARTS: Final = """
    SELECT DISTINCT lower(hex(s.digest)) AS rules, substring(toString(s.name), 9) AS control,
        toUInt32OrZero(s.version) AS v, s.sha256 AS sha256, texts.looks_at AS looks_at
    FROM rule_sets AS s INNER JOIN (
        SELECT digest, any(if(empty(kind), 'event', kind)) AS looks_at FROM (
            SELECT digest, extract(text, '(?m)^(window|sequence|absence):') AS kind FROM controls
            WHERE status = 'executable'
        ) GROUP BY digest
    ) AS texts ON texts.digest = s.sha256
    WHERE s.kind = 'controls' AND startsWith(toString(s.name), 'control/')
"""
_EVENTS: Final = f"""
WITH sealed AS ({_SEALED}), parts AS ({_PARTS}),
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
SELECT runs.run_hour AS at, control, v, sha256, 'event', sum(entries), sum(seen), sum(satisfied), sum(violated),
    sum(undetermined), toUnixTimestamp64Nano(max(newest))
FROM (
    SELECT run_hour, rules, control, v, sha256, count() AS entries, sum(events) AS seen, max(appended_at) AS newest
    FROM sealed INNER JOIN parts USING (rules) WHERE looks_at = 'event' GROUP BY run_hour, rules, control, v, sha256
) AS runs
LEFT JOIN said ON said.run_hour = runs.run_hour AND said.rules = runs.rules AND said.control_id = runs.control
    AND said.control_version = runs.v
GROUP BY at, control, v, sha256
UNION ALL
SELECT run_hour AS at, '', 0, toFixedString('', 32), 'event', count(), sum(events), 0, 0, 0,
    toUnixTimestamp64Nano(max(appended_at))
FROM sealed GROUP BY at
"""  # noqa: S608 - texts of ours
# Up to where runs of the windows' job had come, text by text.
_REACHED: Final = f"""
WITH sealed AS ({_SEALED}), parts AS ({_PARTS}),
reached AS (
    SELECT log_id, judged_by, mapKeys(newest) AS partitions, mapValues(newest) AS positions FROM (
        SELECT log_id, judged_by, argMax(log_position, generation) AS newest
        FROM windowed_runs ARRAY JOIN texts AS judged_by
        WHERE finished_at >= {{since:DateTime64(0, 'UTC')}} GROUP BY log_id, judged_by
    )
)
SELECT run_hour, control, v, sha256, looks_at, count(), sum(events), toUnixTimestamp64Nano(max(appended_at))
FROM (
    SELECT sealed.*, control, v, sha256, looks_at, lower(hex(sha256)) AS text FROM sealed INNER JOIN parts USING (rules)
    WHERE looks_at != 'event'
) AS put
INNER JOIN reached ON reached.log_id = put.log_id AND reached.judged_by = put.text
WHERE has(partitions, log_partition) AND log_position <= positions[indexOf(partitions, log_partition)]
GROUP BY run_hour, control, v, sha256, looks_at
"""  # noqa: S608 - texts of ours
# What was said in these hours, by the newest text of that version which was known then.
_SAID: Final = """
WITH told AS (
    SELECT unit_id, generation, control_id, control_version, looks_at, verdict, stated_at
    FROM windowed_verdicts_built
    WHERE stated_at >= {since:DateTime64(0, 'UTC')} AND stated_at < {until:DateTime64(0, 'UTC')}
)
SELECT said.hour, said.control, said.v, argMax(c.digest, c.loaded_at), said.kind, any(said.satisfied),
    any(said.violated), any(said.undetermined), any(said.newest)
FROM (
    SELECT toDateTime64(toStartOfHour(stated_at), 0, 'UTC') AS hour, toString(control_id) AS control,
        control_version AS v, toString(looks_at) AS kind, countIf(verdict = 'satisfied') AS satisfied,
        countIf(verdict = 'violated') AS violated, countIf(verdict = 'undetermined') AS undetermined,
        toUnixTimestamp64Nano(max(stated_at)) AS newest
    FROM told WHERE (unit_id, generation) IN (
        SELECT unit_id, max(generation) FROM windowed_verdicts_built
        WHERE unit_id IN (SELECT unit_id FROM told) AND generation IN (SELECT generation FROM rollup_runs)
        GROUP BY unit_id
    )
    GROUP BY hour, control, v, kind
) AS said
INNER JOIN controls AS c ON toString(c.control_id) = said.control AND c.version = said.v
WHERE c.loaded_at < said.hour + INTERVAL 1 HOUR
GROUP BY said.hour, said.control, said.v, said.kind
"""


@dataclass(frozen=True, slots=True, order=True)
class Run:
    """One row of `control_runs_built` but for its generation; that without a control counts all that was sealed.

    Attributes:
        looks_at: 'event', or what the verdicts count: 'window', 'sequence', 'absence'.
        entries: entries of the log whose messages it was put to.
        events_seen: their events.
        watermark_ns: when the newest of them was appended, or the last verdict stated where there is none.
    """

    hour: datetime
    control_id: str
    version: int
    digest: bytes
    looks_at: str
    entries: int
    events_seen: int
    satisfied: int
    violated: int
    undetermined: int
    watermark_ns: int


COLUMNS: Final = (
    "hour", "control_id", "control_version", "control_digest", "looks_at", "entries", "events_seen", "satisfied",
    "violated", "undetermined", "watermark",
)  # fmt: skip


def derive(client: Client, since: datetime, until: datetime) -> list[Run]:
    """The rows of these hours from entries and verdicts, in order."""
    asked = {"since": since, "until": until}
    runs = [_run(row) for row in client.query(_EVENTS, parameters=asked).result_rows]
    windowed: dict[tuple[object, ...], Run] = {}
    for hour, control, version, digest, kind, entries, seen, newest in client.query(
        _REACHED, parameters=asked
    ).result_rows:
        run = _run((hour, control, version, digest, kind, entries, seen, 0, 0, 0, newest))
        windowed[_key(run)] = run
    for hour, control, version, digest, kind, *counts, newest in client.query(_SAID, parameters=asked).result_rows:
        said = _run((hour, control, version, digest, kind, 0, 0, *counts, newest))
        put = windowed.get(_key(said), said)
        windowed[_key(said)] = replace(
            put, satisfied=said.satisfied, violated=said.violated, undetermined=said.undetermined
        )
    return sorted([*runs, *windowed.values()])


def stored(client: Client, since: datetime, until: datetime) -> list[Run]:
    """The rows of these hours as readers see them, in order."""
    sql = f"""SELECT {", ".join(COLUMNS[:-1])}, toUnixTimestamp64Nano(watermark) FROM control_runs_and_totals
        WHERE hour >= {{since:DateTime64(0, 'UTC')}} AND hour < {{until:DateTime64(0, 'UTC')}}"""  # noqa: S608 - ours
    return sorted(_run(row) for row in client.query(sql, parameters={"since": since, "until": until}).result_rows)


def write(client: Client, runs: Sequence[Run], generation: int) -> None:
    """Write rows; readers see them once the generation is finished."""
    rows = [[generation, *_values(run)] for run in runs]
    if rows:
        client.insert("control_runs_built", rows, column_names=("generation", *COLUMNS))


def root(runs: Iterable[Run]) -> str:
    """The RFC 6962 root over the rows' lines in order, hexadecimal (docs/evidence-format.md)."""
    return merkle.root([merkle.leaf_hash(_line(run)) for run in sorted(runs)]).hex()


def _line(run: Run) -> bytes:
    return canonical_json(
        {
            "hour": f"{run.hour:%Y-%m-%dT%H:%M:%SZ}",
            "control": run.control_id,
            "version": run.version,
            "sha256": run.digest.hex(),
            "looks_at": run.looks_at,
            "entries": run.entries,
            "events_seen": run.events_seen,
            "satisfied": run.satisfied,
            "violated": run.violated,
            "undetermined": run.undetermined,
            "watermark": run.watermark_ns,
        }
    )


def _run(row: Sequence[object]) -> Run:
    hour, control, version, digest, kind, *counts = row
    assert isinstance(hour, datetime)
    assert isinstance(digest, bytes)
    numbers = [int(str(each)) for each in (version, *counts)]
    return Run(hour.replace(tzinfo=UTC), str(control), numbers[0], digest, str(kind), *numbers[1:])


def _values(run: Run) -> tuple[object, ...]:
    counts = (run.entries, run.events_seen, run.satisfied, run.violated, run.undetermined, run.watermark_ns)
    return (run.hour, run.control_id, run.version, run.digest, run.looks_at, *counts)


def _key(run: Run) -> tuple[object, ...]:
    return run.hour, run.control_id, run.version, run.digest
