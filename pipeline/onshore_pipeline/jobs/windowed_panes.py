"""The SQL of windows that are added up as events come: what is new to a run, panes, and what was said of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from onshore_pipeline.controls.windowed_facts import rule_literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onshore_pipeline.controls.windowed import WindowedControl

_FACT: Final = "event_id, role, at, arrival, keys, vals, sure, toString(missing) AS missing, disputed"
_KEYS: Final = "arrayMap((text, lacks) -> if(lacks, NULL, text), key_texts, key_lacks) AS keys"
_PANE: Final = (
    f"{_KEYS}, pane, events, first_at, last_at, first_arrival, sample_at, samples, sums, opens, seen, seen_of, scope,"
    " disputed, word, word_arrival, word_at, word_event"
)

# A block of a million panes, which is what the store makes by itself, is half a gigabyte.
_SMALL_BLOCKS: Final = """SETTINGS max_threads = 1, max_insert_threads = 1, max_block_size = 16384,
    min_insert_block_size_rows = 65536, min_insert_block_size_bytes = 0"""

# Of the run before, which is done: its panes join the others. Doing it twice changes nothing.
SETTLE: Final = f"""
INSERT INTO windowed_panes SELECT * FROM windowed_panes_built WHERE generation = {{generation:UInt64}} {_SMALL_BLOCKS}
"""  # noqa: S608 - fixed text

# What runs left behind that ended early, and what the run before looked at and is done with.
LEFT: Final = "SELECT DISTINCT toUInt64(_partition_id) AS generation FROM {table} ORDER BY generation"

# Of a control that was judged from nothing, for the run behind it.
CARRY_ALL: Final = f"""
INSERT INTO windowed_pending SELECT {{generation:UInt64}}, false, * FROM windowed_facts
WHERE rule = {{rule:String}} AND arrival > {{folded:Int64}} {_SMALL_BLOCKS}
"""  # noqa: S608 - fixed text
KEEP: Final = f"""
INSERT INTO windowed_facts SELECT * EXCEPT (generation, fresh) FROM windowed_pending
WHERE generation = {{generation:UInt64}} AND fresh {_SMALL_BLOCKS}
"""  # noqa: S608 - fixed text
# Which rules have something to look at.
PENDING: Final = "SELECT DISTINCT toString(rule) FROM windowed_pending WHERE generation = {generation:UInt64}"

# Of the partitions that these attempts read, up to when the one that is furthest behind was read.
REACHED: Final = """
SELECT min(newest) FROM (
    SELECT max(JSONExtractInt(entry, 'timestamp')) AS newest FROM evidence_log
    WHERE kind = 'message' AND attempt_id IN {attempts:Array(UUID)} GROUP BY topic, partition
) HAVING count() > 0
"""

# Whether an event came that should have been added up before, and whether one of them may belong to any key.
STALE: Final = """
SELECT count(), countIf(keyless) FROM windowed_pending
WHERE generation = {generation:UInt64} AND rule = {rule:String} AND arrival <= {folded:Int64}
"""


def carry(folded: Mapping[str, int]) -> str:
    """What the run `{before}` looked at and did not add up: `folded` says by rule until when it did."""
    behind = " OR ".join(f"(rule = '{rule}' AND arrival > {until})" for rule, until in folded.items())
    return f"""
    INSERT INTO windowed_pending SELECT {{generation:UInt64}}, false, * EXCEPT (generation, fresh)
    FROM windowed_pending WHERE generation = {{before:UInt64}} AND ({behind})"""  # noqa: S608 - numbers and digests


def touched(control: WindowedControl) -> str:
    """Keys with the stretch of time in which windows begin that are to be judged again: as `windowed_statements`."""
    rule, span, late = rule_literal(control), control.span_ns, control.windowed.lateness_ns
    pending = f"windowed_pending WHERE generation = {{generation:UInt64}} AND rule = {rule}"
    low, high = f"{{closed_from:Int64}} - {late + span} + 1", f"{{closed_to:Int64}} - {late + span}"
    return f"""
    SELECT key_hash, min(low) AS low, max(high) AS high FROM (
        SELECT key_hash, min(at) - {span} + 1 AS low, max(at) AS high FROM {pending} GROUP BY key_hash
        UNION ALL
        SELECT DISTINCT key_hash, {low} AS low, {high} AS high FROM windowed_panes
        WHERE rule = {rule} AND {{closed_from:Int64}} < {{closed_to:Int64}} AND pane BETWEEN {low} AND {high} + {span}
        UNION ALL
        SELECT DISTINCT p.key_hash AS key_hash, d.first - {span} + 1 AS low, d.last AS high
        FROM windowed_panes AS p CROSS JOIN (
            SELECT min(at) AS first, max(at) AS last, count() AS n FROM {pending} AND keyless AND fresh
        ) AS d
        WHERE d.n > 0 AND p.rule = {rule} AND p.pane BETWEEN d.first - {span} AND d.last + {span}
    ) GROUP BY key_hash"""  # noqa: S608 - numbers and a digest


def everything(control: WindowedControl) -> str:
    """All keys, with the stretch of time in which their windows begin."""
    return (
        f"SELECT key_hash, min(at) - {control.span_ns} + 1 AS low, max(at) AS high FROM windowed_facts"  # noqa: S608
        f" WHERE rule = {rule_literal(control)} GROUP BY key_hash"
    )


def stale_keys(control: WindowedControl, touched_keys: str, *, all_of_them: bool) -> str:
    """Of the touched keys, those that have to be judged from all their facts: those with a stale one, or all."""
    if all_of_them:
        return touched_keys
    return f"""
    SELECT * FROM ({touched_keys}) WHERE key_hash IN (
        SELECT key_hash FROM windowed_pending WHERE generation = {{generation:UInt64}}
            AND rule = {rule_literal(control)} AND arrival <= {{folded:Int64}}
    )"""  # noqa: S608 - numbers and a digest


def pending(control: WindowedControl) -> str:
    """Facts that this run looks at, of one portion of keys."""
    return f"""
    SELECT {_FACT}, key_hash FROM windowed_pending
    WHERE generation = {{generation:UInt64}} AND rule = {rule_literal(control)}
        AND key_hash % {{portions:UInt32}} = {{portion:UInt32}}"""  # noqa: S608 - numbers and a digest


def panes(control: WindowedControl, touched_keys: str) -> str:
    """The panes that bear on what is to be judged again, of one portion of keys."""
    return f"""
    SELECT {_PANE}, key_hash FROM (
        SELECT p.*, p.key_named AS key_named FROM windowed_panes AS p INNER JOIN ({touched_keys}) AS t
            ON p.key_hash = t.key_hash
        WHERE p.rule = {rule_literal(control)} AND p.key_hash % {{portions:UInt32}} = {{portion:UInt32}}
            AND p.pane BETWEEN t.low AND t.high + {control.span_ns}
        ORDER BY p.generation DESC LIMIT 1 BY p.key_hash, key_named, p.pane
    )"""  # noqa: S608 - numbers and a digest


def doubtful(control: WindowedControl) -> str:
    """When the first fact of each pane was there whose key is not wholly known: it may belong to any key."""
    rule, every = rule_literal(control), _every(control)
    return f"""
    SELECT keys, at, min(arrival) AS arrival FROM (
        SELECT {_KEYS}, pane AS at, first_arrival AS arrival FROM windowed_panes
        WHERE rule = {rule} AND keyless AND pane BETWEEN {{low:Int64}} - {every} AND {{high:Int64}}
        UNION ALL
        SELECT keys, at - positiveModulo(at, {every}) AS at, arrival FROM windowed_pending
        WHERE generation = {{generation:UInt64}} AND rule = {rule} AND keyless
    ) GROUP BY keys, at"""  # noqa: S608 - numbers and a digest


def doubtful_facts(control: WindowedControl) -> str:
    """The same of all facts."""
    every = _every(control)
    return f"""
    SELECT keys, at - positiveModulo(at, {every}) AS at, min(arrival) AS arrival FROM windowed_facts
    WHERE rule = {rule_literal(control)} AND keyless GROUP BY keys, at"""  # noqa: S608 - numbers and a digest


def counted(control: WindowedControl, touched_keys: str) -> str:
    """How many rows that makes, and between which moments."""
    rule = rule_literal(control)
    return f"""
    WITH t AS ({touched_keys})
    SELECT (SELECT count() FROM windowed_pending WHERE generation = {{generation:UInt64}} AND rule = {rule})
        + (SELECT count() FROM windowed_panes AS p INNER JOIN t ON p.key_hash = t.key_hash
            WHERE p.rule = {rule} AND p.pane BETWEEN t.low AND t.high + {control.span_ns}),
        (SELECT min(low) FROM t), (SELECT max(high) FROM t)"""  # noqa: S608 - numbers and a digest


def _every(control: WindowedControl) -> int:
    return control.windowed.every_ns
