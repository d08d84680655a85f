"""Windows in ClickHouse's SQL: events are added up by panes, panes by windows, and windows are judged.

Only growing totals decide, so that an event that is not there in time is left out of the totals of a window that is
still open, and no order of arrival is needed.
"""

# ruff: noqa: S608 - what is put into the text are checked conditions, and names and numbers of ours

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from onshore_pipeline.controls.aggregates import DECIDED
from onshore_pipeline.controls.texts import CLICKHOUSE, condition_text
from onshore_pipeline.controls.windowed_sql_parts import floored, key_columns, lacks_key, patterns
from onshore_pipeline.domain.verdict import Verdict

if TYPE_CHECKING:
    from onshore_pipeline.controls.aggregates import Aggregate, Comparison, WindowCondition
    from onshore_pipeline.controls.windowed import WindowedControl
    from onshore_pipeline.controls.windowed_sql_parts import Asked

_ALWAYS_THERE: Final = -(2**63)


def windows(control: WindowedControl, events: str, asked: Asked, *, sampled: bool) -> str:
    """A SELECT of windows: the key's columns, `since`, `event_id` (NULL) and `said`; NULL where nothing is said yet."""
    assert control.condition is not None
    condition = control.condition
    close = f"(since + {control.windowed.period_ns + control.windowed.lateness_ns})"
    decided = [_decided(each, f"{DECIDED}{place}") for place, each in enumerate(condition.comparisons)]
    is_broken = condition_text(condition.condition, CLICKHOUSE)
    said = (
        f"multiIf(whole AND ifNull({is_broken}, false), '{Verdict.VIOLATED}',"
        f" NOT is_open, if(whole AND NOT ifNull({is_broken}, true) AND NOT disputed,"
        f" '{Verdict.SATISFIED}', '{Verdict.UNDETERMINED}'),"
        f" {close} <= {asked.now_ns}, '{Verdict.UNDETERMINED}', NULL)"
    )
    doubts = [
        f"max({told}) OVER (PARTITION BY {', '.join(each for each in (known, 'since') if each)})"
        for known, told in patterns(control)
    ]
    placed = (
        f"SELECT *, {close} > {asked.watermark_ns} AS is_open, scope AND NOT ({lacks_key(control)}) AS whole,"
        f" {' OR '.join(doubts) or '0'} AS doubt FROM ({_added_up(control, condition, events, asked, sampled=sampled)})"
    )
    sample = ", replaceAll(tupleElement(first, 2), '-', '') AS sample" if sampled else ""
    return (
        f"SELECT {key_columns(control)}, since, CAST(NULL AS Nullable(UUID)) AS event_id, {said} AS said{sample}"
        f" FROM (SELECT *, {', '.join(decided)} FROM ({placed}))"
    )


def _added_up(control: WindowedControl, condition: WindowCondition, events: str, asked: Asked, *, sampled: bool) -> str:
    """What the events of each window come to."""
    every, period = control.windowed.every_ns, control.windowed.period_ns
    since, until = asked.within(control)
    first, last = -(-since // every), (until - 1) // every
    there = f"(number * {every} + {period + control.windowed.lateness_ns} <= {asked.watermark_ns} OR number > late)"
    totals = [_total(each, place, there) for place, each in enumerate(condition.aggregates)]
    totals += [f"maxIf(pane_{name}, {there}) AS {name}" for name in _flags(condition)]
    if sampled:
        totals.append("min(pane_first) AS first")
    own = f"range(greatest(pane - {period // every - 1}, {first}), least(pane, {last}) + 1)"
    return (
        f"SELECT {key_columns(control)}, number * {every} AS since, {', '.join(totals)}"
        f" FROM ({_panes(control, condition, events, asked, sampled=sampled)})"
        f" ARRAY JOIN {own} AS number GROUP BY {key_columns(control)}, number"
    )


def _panes(control: WindowedControl, condition: WindowCondition, events: str, asked: Asked, *, sampled: bool) -> str:
    """What the events of each pane come to; `late` is the last window that was over before they arrived."""
    every = control.windowed.every_ns
    behind = f"(arrival - {control.windowed.period_ns + control.windowed.lateness_ns})"
    late = f"if(arrival <= {asked.watermark_ns}, {_ALWAYS_THERE}, {floored(behind, every)}) AS late"
    added = [f"{_added(each, control)} AS pane_a{place}" for place, each in enumerate(condition.aggregates)]
    added += [f"max({_opens(each, control)}) AS pane_u{place}" for place, each in enumerate(condition.aggregates)]
    if sampled:
        added.append("min((at, toString(event_id))) AS pane_first")
    return (
        f"SELECT {key_columns(control)}, {floored('at', every)} AS pane, {late}, {', '.join(added)},"
        " max(r0 IS NOT NULL) AS pane_scope, max(disputed) AS pane_disputed"
        f" FROM ({events}) WHERE {asked.bears(control)} GROUP BY {key_columns(control)}, pane, late"
    )


def _added(aggregate: Aggregate, control: WindowedControl) -> str:
    if aggregate.column is None:
        return "countIf(r0 IS NOT NULL)"
    value = f"v{control.values.index(aggregate.column)}"
    if aggregate.function == "sum":
        return f"sumIf(toInt128(ifNull({value}, 0)), r0 IS NOT NULL)"
    return f"uniqExactState(if(r0 IS NOT NULL, {value}, NULL))"


def _opens(aggregate: Aggregate, control: WindowedControl) -> str:
    unsure = "r0 IS NULL"
    return unsure if aggregate.column is None else f"{unsure} OR v{control.values.index(aggregate.column)} IS NULL"


def _total(aggregate: Aggregate, place: int, there: str) -> str:
    merged = "uniqExactMergeIf" if aggregate.function == "distinct" else "sumIf"
    return f"{merged}(pane_a{place}, {there}) AS a{place}"


def _flags(condition: WindowCondition) -> list[str]:
    return ["scope", "disputed", *(f"u{place}" for place in range(len(condition.aggregates)))]


def _decided(comparison: Comparison, name: str) -> str:
    """Whether what is known decides the comparison: NULL if what is unknown, or still to come, may turn it over."""
    known, limit = f"a{comparison.aggregate}", comparison.limit
    # More events only make it larger.
    for_ever = {"<": ">=", ">=": ">="}.get(comparison.operator, ">")
    now = f"{known} {comparison.operator} {limit}"
    return f"if({known} {for_ever} {limit} OR NOT (is_open OR u{comparison.aggregate} OR doubt), {now}, NULL) AS {name}"
