"""The SQL of controls that look at more than one event: what is taken from events, and what is judged again.

Which units may have changed is said by key and time: `touched` has the keys with the first and the last moment at which
something happened to them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from onshore_pipeline.controls.windowed_facts import facts_select, rule_literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from onshore_pipeline.controls.windowed import WindowedControl

# Later than any time that makes sense, and early enough that a window of years that begins there can still be counted.
LATEST_NS: Final = 7_258_118_400_000_000_000

BEHIND: Final = """
SELECT DISTINCT toString(assumeNotNull(attempt_id)) FROM evidence_log
LEFT JOIN (
    SELECT log_id, mapKeys(newest) AS partitions, mapValues(newest) AS positions
    FROM (SELECT log_id, argMax(log_position, generation) AS newest FROM windowed_runs GROUP BY log_id)
) AS done USING (log_id)
WHERE attempt_id IS NOT NULL
    AND (NOT has(partitions, log_partition) OR log_position > positions[indexOf(partitions, log_partition)])
"""

NEWEST_RUN: Final = """
SELECT rules, toUnixTimestamp64Nano(watermark), toUnixTimestamp64Nano(judged_at), generation, folded FROM windowed_runs
ORDER BY generation DESC LIMIT 1
"""

# What is known of an event from when the broker had it; of one whose message first was a dead letter, and of one that a
# sender stamped, from when the log had it.
ARRIVED: Final = """(
    SELECT e.*, if(a.kind = 'amends' OR e.ingested_at IS NULL, a.logged,
        toUnixTimestamp64Nano(assumeNotNull(e.ingested_at))) AS arrival
    FROM events_current AS e INNER JOIN (
        SELECT assumeNotNull(l.attempt_id) AS attempt_id, any(l.kind) AS kind,
            toUnixTimestamp64Nano(min(l.appended_at)) AS logged
        FROM evidence_log AS l WHERE l.kind IN ('message', 'amends') AND {which} GROUP BY l.attempt_id
    ) AS a ON a.attempt_id = e.attempt_id
    WHERE {events}
)"""

_OF_ATTEMPTS: Final = "attempt_id IN {attempts:Array(UUID)}"


def take(roles: Iterable[tuple[WindowedControl, int]], *, everything: bool) -> str:
    """An INSERT of the facts of these roles of controls: of the attempts `{attempts}`, or of all that is committed.

    The facts of some attempts are what run `{generation}` looks at; all of them go to the facts as they are.
    """
    which = "l.attempt_id IS NOT NULL" if everything else "l." + _OF_ATTEMPTS
    events = "1" if everything else "e." + _OF_ATTEMPTS
    arrived = ARRIVED.format(which=which, events=events)
    selected = " UNION ALL ".join(
        f"""
    SELECT {rule_literal(control)}, cityHash64(toString(keys)), event_id, attempt_id, role, least(at, {LATEST_NS}),
        arrival, keys, vals, arrayExists(each -> each IS NULL, keys), sure, missing, disputed
    FROM ({facts_select(control, role, arrived, "1", also=("attempt_id",))})"""  # noqa: S608 - checked texts
        for control, role in roles
    )
    columns = "rule, key_hash, event_id, attempt_id, role, at, arrival, keys, vals, keyless, sure, missing, disputed"
    if everything:
        return f"INSERT INTO windowed_facts ({columns}) {selected}"
    fresh = f"SELECT {{generation:UInt64}} AS generation, true AS fresh, * FROM ({selected})"  # noqa: S608 - checked texts
    return f"INSERT INTO windowed_pending (generation, fresh, {columns}) {fresh}"


def touched(control: WindowedControl, *, everything: bool) -> str:
    """Keys with the stretches of time (`low` to `high`) in which units begin that are to be judged again.

    That is what is new to run `{generation}` and bears on them, and what was waited for from `{closed_from}` to
    `{closed_to}` and is over. An event whose own key is not wholly known touches all the keys of its time.
    """
    rule, span, late = rule_literal(control), control.span_ns, control.windowed.lateness_ns
    if everything:
        return (
            "SELECT key_hash, min(at) AS low, max(at) AS high FROM windowed_facts"  # noqa: S608 - numbers and a digest
            f" WHERE rule = {rule} GROUP BY key_hash"
        )
    low, high = f"{{closed_from:Int64}} - {late + span} + 1", f"{{closed_to:Int64}} - {late + span}"
    return f"""
    {_fresh(control)}
    UNION ALL
    SELECT DISTINCT key_hash, {low} AS low, {high} AS high FROM windowed_facts
    WHERE rule = {rule} AND role = 0 AND {{closed_from:Int64}} < {{closed_to:Int64}} AND at BETWEEN {low} AND {high}
        {_not_settled(control, low, high)}
    UNION ALL
    SELECT DISTINCT f.key_hash AS key_hash, d.first - {span} AS low, d.last AS high FROM windowed_facts AS f
    CROSS JOIN (
        SELECT min(at) AS first, max(at) AS last, count() AS n FROM {_new(control)} AND keyless{_follows(control)}
    ) AS d
    WHERE d.n > 0 AND f.rule = {rule} AND f.role = 0 AND f.at BETWEEN d.first - {span} AND d.last"""  # noqa: S608


def _new(control: WindowedControl) -> str:
    return f"windowed_pending WHERE generation = {{generation:UInt64}} AND fresh AND rule = {rule_literal(control)}"


def _fresh(control: WindowedControl) -> str:
    """What new events bear on.

    A first step bears on nothing but itself; no event on absences that had ended before it, by one that arrived before.
    """
    span = control.span_ns
    if control.windowed.kind != "absence":
        low = f"min(if(role = 0, at, at - {span}))"
        return f"SELECT key_hash, {low} AS low, max(at) AS high FROM {_new(control)} GROUP BY key_hash"  # noqa: S608
    return f"""
    SELECT n.key_hash AS key_hash, if(e.ended > 0, e.at, n.first - {span}) AS low, n.last AS high FROM (
        SELECT key_hash, toString(keys) AS key, min(at) AS first, max(at) AS last, min(arrival) AS arrived
        FROM {_new(control)} GROUP BY key_hash, key
    ) AS n LEFT JOIN (
        SELECT f.key_hash AS key_hash, toString(f.keys) AS key, max(f.at) AS at, count() AS ended
        FROM windowed_facts AS f INNER JOIN (
            SELECT key_hash, toString(keys) AS key, min(at) AS first, min(arrival) AS arrived
            FROM {_new(control)} GROUP BY key_hash, key
        ) AS m ON f.key_hash = m.key_hash AND toString(f.keys) = m.key
        WHERE f.rule = {rule_literal(control)} AND NOT f.keyless AND f.sure AND NOT f.disputed
            AND f.at >= m.first - {span} AND f.at < m.first AND f.arrival <= m.arrived
        GROUP BY key_hash, key
    ) AS e ON n.key_hash = e.key_hash AND n.key = e.key"""  # noqa: S608 - numbers and a digest


def _follows(control: WindowedControl) -> str:
    return "" if control.windowed.kind == "absence" else " AND role > 0"


def _not_settled(control: WindowedControl, low: str, high: str) -> str:
    """An absence that was ended in time is not looked at again when its time is over."""
    if control.windowed.kind != "absence":
        return ""
    return f"""AND (key_hash, at) NOT IN (
            SELECT key_hash, toUnixTimestamp64Nano(since) FROM windowed_verdicts_built
            WHERE rule = {rule_literal(control)} AND verdict = 'satisfied'
                AND since BETWEEN fromUnixTimestamp64Nano({low}, 'UTC') AND fromUnixTimestamp64Nano({high}, 'UTC')
                AND generation IN (SELECT generation FROM rollup_runs)
        )"""  # noqa: S608 - numbers and a digest


def loaded(control: WindowedControl, touched_keys: str) -> str:
    """The facts that bear on what is to be judged again, of every `{portions}`-th key from `{portion}` on."""
    return f"""
    SELECT event_id, role, at, arrival, keys, vals, sure, toString(missing) AS missing, disputed,
        f.key_hash AS key_hash
    FROM windowed_facts AS f INNER JOIN ({touched_keys}) AS t ON f.key_hash = t.key_hash
    WHERE f.rule = {rule_literal(control)} AND f.key_hash % {{portions:UInt32}} = {{portion:UInt32}}
        AND f.at BETWEEN t.low AND t.high + {control.span_ns}"""  # noqa: S608 - numbers and a digest


def reach(touched_keys: str) -> str:
    """The touched keys of one portion, with their stretches of time."""
    return f"""
    SELECT key_hash, toInt64(low) AS low, toInt64(high) AS high FROM ({touched_keys})
    WHERE key_hash % {{portions:UInt32}} = {{portion:UInt32}}"""  # noqa: S608 - numbers and a digest


def doubtful(control: WindowedControl) -> str:
    """Facts whose key is not wholly known, between two times: they may belong to any key."""
    return f"""
    SELECT event_id, role, at, arrival, keys, vals, sure, toString(missing) AS missing, disputed FROM windowed_facts
    WHERE rule = {rule_literal(control)} AND keyless AND at BETWEEN {{low:Int64}} AND {{high:Int64}}"""  # noqa: S608


def counted(control: WindowedControl, touched_keys: str) -> str:
    """How many facts bear on what is to be judged again, and when the first and the last of these units may begin."""
    return f"""
    SELECT count(), min(t.low), max(t.high) FROM windowed_facts AS f INNER JOIN ({touched_keys}) AS t
        ON f.key_hash = t.key_hash
    WHERE f.rule = {rule_literal(control)} AND f.at BETWEEN t.low AND t.high + {control.span_ns}"""  # noqa: S608


def standing(touched_keys: str) -> str:
    """What is said of the units of one portion of the touched keys that begin between two moments."""
    units = f"""rule = {{rule:String}} AND key_hash % {{portions:UInt32}} = {{portion:UInt32}}
        AND since BETWEEN fromUnixTimestamp64Nano({{low:Int64}}, 'UTC')
            AND fromUnixTimestamp64Nano({{high:Int64}}, 'UTC')
        AND key_hash IN (SELECT key_hash FROM ({touched_keys}))"""  # noqa: S608 - numbers and a digest
    return f"""
    SELECT unit_id, toUnixTimestamp64Nano(stated_at) AS stated_at, toString(verdict) AS verdict,
        toString(missing) AS missing, events, toString(before) AS before, mapValues(known) AS known,
        if(looks_at = 'window', '',
            arrayStringConcat(arrayMap(each -> replaceAll(toString(each), '-', ''), sample_event_ids), ',')) AS shown
    FROM windowed_verdicts_built
    WHERE {units} AND (unit_id, generation) IN (
        SELECT unit_id, max(generation) FROM windowed_verdicts_built
        WHERE {units} AND generation IN (SELECT generation FROM rollup_runs) GROUP BY unit_id
    )"""  # noqa: S608 - numbers and a digest


# Units that stand and begin outside of a text's time.
_OUTSIDE_NOW: Final = """
    SELECT * FROM windowed_verdicts_built WHERE rule = {rule:String} AND (unit_id, generation) IN (
        SELECT unit_id, max(generation) FROM windowed_verdicts_built
        WHERE rule = {rule:String} AND generation IN (SELECT generation FROM rollup_runs) GROUP BY unit_id
    )
"""
OUTSIDE: Final = f"""
SELECT unit_id, any(finding_id) FROM ({_OUTSIDE_NOW}
    AND (toUnixTimestamp64Nano(since) < {{low:Int64}} OR toUnixTimestamp64Nano(since) >= {{high:Int64}})
) GROUP BY unit_id HAVING argMax(verdict, stated_at) != 'not_applicable'
"""  # noqa: S608 - fixed text
# What was said stays, and behind it stands that the text does not apply.
WITHDRAW: Final = f"""
INSERT INTO windowed_verdicts_built
SELECT * REPLACE ({{generation:UInt64}} AS generation) FROM ({_OUTSIDE_NOW} AND unit_id IN {{units:Array(UUID)}})
UNION ALL
SELECT * EXCEPT was REPLACE ({{generation:UInt64}} AS generation, '' AS missing,
    fromUnixTimestamp64Nano({{now:Int64}}, 'UTC') AS stated_at, was AS before, 'not_applicable' AS verdict)
FROM (
    SELECT *, verdict AS was FROM ({_OUTSIDE_NOW} AND unit_id IN {{units:Array(UUID)}})
    ORDER BY stated_at DESC LIMIT 1 BY unit_id
)
"""  # noqa: S608 - fixed text

# A finding counts the windows, sequences or absences of its control's texts that are violated now. The newest text that
# says so (where none does any more, the newest that ever did) says what it is about, and how severe.
FINDINGS: Final = """
INSERT INTO findings_built
SELECT finding_id, {generation:UInt64}, any(tenant),
    {domain:Array(String)}[indexOf({versions:Array(UInt32)}, version)] AS domain, any(control_id),
    toUInt32(coalesce(maxOrNullIf(control_version, is_violated), maxOrNullIf(control_version, was_violated),
        max(control_version))) AS version,
    {kind:Array(String)}[indexOf({versions:Array(UInt32)}, version)] AS kind,
    {severity:Array(String)}[indexOf({versions:Array(UInt32)}, version)] AS severity,
    argMin(fingerprint, has(mapValues(fingerprint), 'deleted')),
    coalesce(minOrNullIf(first_at, is_violated), minOrNullIf(first_at, was_violated), min(first_at)),
    coalesce(maxOrNullIf(last_at, is_violated), maxOrNullIf(last_at, was_violated), max(last_at)),
    countIf(is_violated), 0,
    arraySlice(arrayDistinct(arrayFlatten(groupArrayIf(10)(sample_event_ids, is_violated))), 1, 10)
FROM (
    SELECT *, verdict = 'violated' AS is_violated,
        countIf(verdict = 'violated') OVER (PARTITION BY unit_id) > 0 AS was_violated
    FROM windowed_verdicts_built
    WHERE rule IN {rules:Array(String)} AND finding_id IN {findings:Array(UUID)} AND (unit_id, generation) IN (
        SELECT unit_id, max(generation) FROM windowed_verdicts_built
        WHERE rule IN {rules:Array(String)} AND finding_id IN {findings:Array(UUID)}
            AND (generation = {generation:UInt64} OR generation IN (SELECT generation FROM rollup_runs))
        GROUP BY unit_id
    )
    ORDER BY stated_at DESC LIMIT 1 BY unit_id
)
GROUP BY finding_id
HAVING countIf(is_violated) > 0 OR finding_id IN (SELECT finding_id FROM findings_built)
"""

# Emptied by a restore, runs last: whoever finds no run builds everything again.
TABLES: Final = (
    "windowed_facts", "windowed_pending", "windowed_panes", "windowed_panes_built", "windowed_verdicts_built",
    "windowed_runs",
)  # fmt: skip
