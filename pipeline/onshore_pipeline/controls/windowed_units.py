"""Windows: what aggregates over stretches of event time say, and since when.

A window is `since` ≤ at < `until`. What is known of an aggregate only grows while events arrive, so that each window is
judged at every arrival in one pass of running totals. What was added up before goes in as one arrival, at the moment
until which it was; what was said until then is taken over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.controls.aggregates import DECIDED
from onshore_pipeline.controls.compiled import MISSING_AGREEMENT
from onshore_pipeline.controls.earliest import NEVER
from onshore_pipeline.controls.texts import POLARS, condition_text
from onshore_pipeline.controls.windowed_history import Told, history, nothing
from onshore_pipeline.controls.windowed_keys import Doubts, keyed
from onshore_pipeline.controls.windowed_names import unit_ids
from onshore_pipeline.controls.windowed_panes import (
    PANES_SCHEMA,
    SAID_SCHEMA,
    Folded,
    blank_row,
    extent,
    staged,
    staged_panes,
)
from onshore_pipeline.domain.verdict import Verdict
from onshore_pipeline.event_frame import POLARS_TYPES

if TYPE_CHECKING:
    from onshore_pipeline.controls.aggregates import Comparison
    from onshore_pipeline.controls.windowed import WindowedControl
    from onshore_pipeline.controls.windowed_keys import Keyed

# Before anything arrived: nothing was added up.
_NOTHING_FOLDED: Final = Folded(-(2**63), pl.DataFrame(schema=PANES_SCHEMA), pl.DataFrame(schema=SAID_SCHEMA))


def judge_windows(
    control: WindowedControl,
    facts: pl.DataFrame,
    *,
    watermark_ns: int,
    now_ns: int,
    folded: Folded | None = None,
    doubtful: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """The history of every window that has an event among `facts` (`FACTS_SCHEMA`) or in a pane, as `HISTORY_SCHEMA`.

    Args:
        control: the control.
        facts: with `folded`, only what arrived after it.
        watermark_ns: as `judge_windowed`.
        now_ns: as `judge_windowed`.
        folded: what was added up before; None is nothing.
        doubtful: keys, at and arrival of facts whose key is not wholly known; None where they are among `facts`.
    """
    before = folded or _NOTHING_FOLDED
    if facts.is_empty() and before.panes.is_empty():
        return nothing()
    apart = facts.select("keys", "at", "arrival") if doubtful is None else doubtful.select("keys", "at", "arrival")
    found = keyed(facts, control.key, (before.panes, apart))
    panes, points = found.also
    new = _in_windows(control, staged(control, found.facts))
    units = _units(control, new, _in_windows(control, panes))
    added = pl.concat([new, _in_windows(control, staged_panes(control, panes)).select(new.columns)])
    numbers = units.select("unit", "key", pl.col("since").alias("begins"))
    rows = added.join(numbers, on=["key", "begins"], how="left").drop("key", "begins", "pane")
    totals = _totals(control, _with_doubts(control, found, points, rows, units), before.until_ns)
    cuts = _stated(control, found, _last(totals).join(units.select("unit", "key", "base"), on="unit", how="left"))
    told = _told(control, found, units, totals, before) if folded else None
    return history(found, units, cuts, watermark_ns=watermark_ns, now_ns=now_ns, told=told)


def _in_windows(control: WindowedControl, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with a `pane`, one for every window that it is in, which begins at `begins`."""
    every, period = control.windowed.every_ns, control.windowed.period_ns
    if every == period:
        return rows.with_columns(pl.col("pane").alias("begins"))
    newest = pl.col("pane") // every
    begins = pl.int_ranges(newest - period // every + 1, newest + 1) * every
    return rows.with_columns(begins.alias("begins")).explode("begins")


def _units(control: WindowedControl, facts: pl.DataFrame, panes: pl.DataFrame) -> pl.DataFrame:
    until = pl.col("since") + control.windowed.period_ns
    close = until + control.windowed.lateness_ns
    return (
        extent(facts, panes)
        .sort("key", "begins")
        .rename({"begins": "since"})
        .with_columns(until.alias("until"), close.alias("close"), pl.lit(None, pl.Binary).alias("event_id"))
        .with_columns(pl.max_horizontal("close", "first_arrival").alias("base"))
        .with_row_index("unit")
    )


def _with_doubts(
    control: WindowedControl, found: Keyed, points: pl.DataFrame, rows: pl.DataFrame, units: pl.DataFrame
) -> pl.DataFrame:
    """The rows, one more for each unit when its verdict is due, and one when an event cast doubt on it."""
    own = units.filter(found.unknown.gather(units["key"]) == "")
    key, since = own["key"].to_numpy(), own["since"].to_numpy()
    when, missing = Doubts(found, points).between(key, since, since + (control.windowed.period_ns - 1))
    doubts = own.select("unit", pl.Series("arrival", when), missing.alias("word")).filter(pl.col("arrival") != NEVER)
    due = units.select("unit", pl.col("base").alias("arrival"))
    more = [doubts.with_columns(**blank_row(control, opens=True)), due.with_columns(**blank_row(control, opens=False))]
    return pl.concat([rows, *more], how="diagonal")


def _totals(control: WindowedControl, rows: pl.DataFrame, folded_ns: int) -> pl.DataFrame:
    """Running totals by unit in the order of arrival; what was added up before arrives at one moment."""
    assert control.condition is not None
    aggregates = control.condition.aggregates
    ordered = rows.sort("unit", "arrival", "at", "event_id", nulls_last=True).with_columns(
        _seen_first(place).alias(f"a{place}") for place, each in enumerate(aggregates) if each.function == "distinct"
    )
    flags = ["scope", "disputed", *(f"u{place}" for place in range(len(aggregates)))]
    return ordered.select(
        "unit",
        pl.max_horizontal("arrival", pl.lit(folded_ns, pl.Int64)).alias("arrival"),
        *(pl.col(f"a{place}").cum_sum().over("unit") for place in range(len(aggregates))),
        *(pl.col(name).cast(pl.UInt8).cum_max().over("unit").cast(pl.Boolean) for name in flags),
        pl.col("word").drop_nulls().first().over("unit").fill_null(""),
    )


def _seen_first(place: int) -> pl.Expr:
    value = pl.col(f"d{place}")
    return (value.is_first_distinct().over("unit") & value.is_not_null()).cast(pl.Int128)


def _last(totals: pl.DataFrame) -> pl.DataFrame:
    """The totals when all that arrived at one moment is in them."""
    return totals.filter(
        (pl.col("unit") != pl.col("unit").shift(-1)).fill_null(value=True)
        | (pl.col("arrival") != pl.col("arrival").shift(-1)).fill_null(value=True)
    )


def _told(control: WindowedControl, found: Keyed, units: pl.DataFrame, totals: pl.DataFrame, before: Folded) -> Told:
    """What was said of these units before; what an open verdict lacked may still change: it names what came first."""
    named = units.select("since", "event_id").hstack(found.keys.select(pl.all().gather(units["key"])))
    numbers = units.select("unit", "key").with_columns(unit_ids(control, named))
    words = totals.group_by("unit").agg(pl.col("word").first())
    rows = before.said.join(numbers, on="unit_id").join(words, on="unit")
    rows = rows.with_columns(found.unknown.gather(rows["key"]).alias("lacks_key"))
    is_open = pl.col("verdict") == Verdict.UNDETERMINED.value
    return Told(
        before.until_ns,
        rows.select(
            "unit",
            pl.col("stated_at").alias("cut"),
            "verdict",
            pl.when(is_open).then(_missing()).otherwise(pl.lit("")).alias("missing"),
            "known",
            "before",
        ),
    )


def _stated(control: WindowedControl, found: Keyed, placed: pl.DataFrame) -> pl.DataFrame:
    """Ask the condition at every cut."""
    assert control.condition is not None
    condition = control.condition
    is_open = pl.col("arrival") < pl.col("base")
    decided = [_decided(each, is_open).alias(f"{DECIDED}{place}") for place, each in enumerate(condition.comparisons)]
    typed = found.keys.select(
        pl.col(column.name).cast(POLARS_TYPES[column.kind], strict=False) for column in control.key
    )
    keys = typed.select(pl.all().gather(placed["key"]))
    asked = placed.with_columns(decided).hstack(keys)
    broken = asked.select(pl.sql_expr(condition_text(condition.condition, POLARS)).alias("broken")).to_series()
    lacks_key = found.unknown.gather(placed["key"])
    whole = (pl.col("lacks_key") == "") & pl.col("scope")
    violated = whole & pl.col("broken")
    satisfied = whole & ~pl.col("broken") & ~pl.col("disputed")
    numbers = [pl.col(f"a{place}").cast(pl.String) for place in range(len(condition.aggregates))]
    due = ~is_open
    return asked.with_columns(broken, lacks_key.alias("lacks_key")).select(
        "unit",
        pl.col("arrival").alias("cut"),
        pl.when(violated.fill_null(value=False))
        .then(pl.lit(Verdict.VIOLATED.value))
        .when(due & satisfied.fill_null(value=False))
        .then(pl.lit(Verdict.SATISFIED.value))
        .when(due)
        .then(pl.lit(Verdict.UNDETERMINED.value))
        .alias("verdict"),
        pl.when(due & ~(violated | satisfied).fill_null(value=False))
        .then(_missing())
        .otherwise(pl.lit(""))
        .alias("missing"),
        pl.concat_list(numbers).alias("known"),
    )


def _missing() -> pl.Expr:
    return (
        pl.when(pl.col("lacks_key") != "")
        .then("lacks_key")
        .when(pl.col("word") != "")
        .then("word")
        .otherwise(pl.lit(MISSING_AGREEMENT))
    )


def _decided(comparison: Comparison, is_open: pl.Expr) -> pl.Expr:
    """Whether what is known decides the comparison: NULL if what is unknown, or still to come, may turn it over."""
    known, limit = pl.col(f"a{comparison.aggregate}"), pl.lit(comparison.limit, pl.Int128)
    more = is_open | pl.col(f"u{comparison.aggregate}")
    now = {
        ">": known > limit, ">=": known >= limit, "<": known < limit, "<=": known <= limit,
        "=": known == limit, "<>": known != limit,
    }[comparison.operator]  # fmt: skip
    # More events only make it larger.
    for_ever = {
        ">": known > limit, ">=": known >= limit, "<": known >= limit, "<=": known > limit,
        "=": known > limit, "<>": known > limit,
    }[comparison.operator]  # fmt: skip
    return pl.when(for_ever | ~more).then(now)
