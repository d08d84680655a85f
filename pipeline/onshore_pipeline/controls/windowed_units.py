"""Windows: what aggregates over stretches of event time say, and since when.

A window is `since` ≤ at < `until`. What is known of an aggregate only grows while events arrive, so that each window is
judged at every arrival in one pass of running totals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.controls.aggregates import DECIDED
from onshore_pipeline.controls.compiled import MISSING_AGREEMENT
from onshore_pipeline.controls.earliest import NEVER
from onshore_pipeline.controls.texts import POLARS, condition_text
from onshore_pipeline.controls.windowed_history import history, nothing
from onshore_pipeline.controls.windowed_keys import Doubts, keyed
from onshore_pipeline.domain.verdict import Verdict
from onshore_pipeline.event_frame import POLARS_TYPES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onshore_pipeline.controls.aggregates import Aggregate, Comparison
    from onshore_pipeline.controls.condition import Column
    from onshore_pipeline.controls.windowed import WindowedControl
    from onshore_pipeline.controls.windowed_keys import Keyed

SAMPLES: Final = 10


def judge_windows(control: WindowedControl, facts: pl.DataFrame, *, watermark_ns: int, now_ns: int) -> pl.DataFrame:
    """The history of every window that has an event among `facts` (`FACTS_SCHEMA`), as `HISTORY_SCHEMA`."""
    if facts.is_empty():
        return nothing()
    found = keyed(facts, control.key)
    rows = _in_windows(control, found.facts)
    units = _units(control, rows)
    rows = rows.join(units.select("unit", "key", "since"), on=["key", "since"], how="left").select(
        pl.exclude("key", "since")
    )
    cuts = _judged(control, found, _with_doubts(control, found, rows, units), units)
    return history(found, units, cuts, watermark_ns=watermark_ns, now_ns=now_ns)


def _in_windows(control: WindowedControl, facts: pl.DataFrame) -> pl.DataFrame:
    """A row for every fact and window that it is in."""
    every, period = control.windowed.every_ns, control.windowed.period_ns
    newest = pl.col("at") // every
    since = (pl.int_ranges(newest - period // every + 1, newest + 1) * every).alias("since")
    values = [pl.col("vals").list.get(place).alias(f"v{place}") for place in range(len(control.values))]
    return facts.select("key", "at", "arrival", "event_id", "sure", "missing", "disputed", *values, since).explode(
        "since"
    )


def _units(control: WindowedControl, rows: pl.DataFrame) -> pl.DataFrame:
    until = pl.col("since") + control.windowed.period_ns
    close = until + control.windowed.lateness_ns
    grouped = rows.sort("key", "since", "at", "event_id").group_by("key", "since", maintain_order=True)
    return (
        grouped.agg(
            pl.col("at").min().alias("first_at"),
            pl.col("at").max().alias("last_at"),
            pl.len().cast(pl.UInt64).alias("events"),
            pl.col("event_id").head(SAMPLES).alias("samples"),
            pl.col("arrival").min().alias("first_arrival"),
        )
        .with_columns(until.alias("until"), close.alias("close"), pl.lit(None, pl.Binary).alias("event_id"))
        .with_columns(pl.max_horizontal("close", "first_arrival").alias("base"))
        .with_row_index("unit")
    )


def _with_doubts(control: WindowedControl, found: Keyed, rows: pl.DataFrame, units: pl.DataFrame) -> pl.DataFrame:
    """The rows, one more for each unit when its verdict is due, and one when an event cast doubt on it."""
    own = units.filter(found.unknown.gather(units["key"]) == "")
    key, since = own["key"].to_numpy(), own["since"].to_numpy()
    when, missing = Doubts(found, found.facts).between(key, since, since + (control.windowed.period_ns - 1))
    doubts = own.select("unit", pl.Series("arrival", when), missing.alias("missing")).filter(pl.col("arrival") != NEVER)
    due = units.select("unit", pl.col("base").alias("arrival"))
    return pl.concat(
        [
            rows.with_columns(counts=True),
            doubts.with_columns(sure=False, disputed=False, counts=False),
            due.with_columns(counts=False),
        ],
        how="diagonal",
    ).sort("unit", "arrival", "at", "event_id", nulls_last=True)


def _judged(control: WindowedControl, found: Keyed, rows: pl.DataFrame, units: pl.DataFrame) -> pl.DataFrame:
    """Cuts as `windowed_history` wants them, one a unit and time of arrival."""
    assert control.condition is not None
    aggregates, places = (
        control.condition.aggregates,
        {column: f"v{place}" for place, column in enumerate(control.values)},
    )
    sure, counts = pl.col("sure").fill_null(value=True), pl.col("counts")
    known = [_known(each, places, sure & counts).alias(f"a{place}") for place, each in enumerate(aggregates)]
    open_ones = [_unknown(each, places, sure, counts).alias(f"u{place}") for place, each in enumerate(aggregates)]
    staged = rows.select(
        "unit", "arrival", "missing", *known, *open_ones,
        (sure & counts).alias("scope"), pl.col("disputed").fill_null(value=False),
    )  # fmt: skip
    # Which column an unsure event or value lacks: its own word, else the column of the first unknown value.
    lacking = [
        pl.when(pl.col(f"u{place}") & (pl.col("missing").fill_null("") == "")).then(
            pl.lit(each.column.name if each.column else "")
        )
        for place, each in enumerate(aggregates)
    ]
    word = pl.coalesce(pl.when(pl.col("missing").fill_null("") != "").then("missing"), *lacking)
    flags = ["scope", "disputed", *(f"u{place}" for place in range(len(aggregates)))]
    totals = staged.with_columns(word.alias("word")).with_columns(
        *(pl.col(f"a{place}").cum_sum().over("unit") for place in range(len(aggregates))),
        *(pl.col(name).cast(pl.UInt8).cum_max().over("unit").cast(pl.Boolean) for name in flags),
        pl.col("word").drop_nulls().first().over("unit").fill_null(""),
    )
    last = totals.filter(
        (pl.col("unit") != pl.col("unit").shift(-1)).fill_null(value=True)
        | (pl.col("arrival") != pl.col("arrival").shift(-1)).fill_null(value=True)
    )
    placed = last.join(units.select("unit", "key", "base"), on="unit", how="left", maintain_order="left")
    return _stated(control, found, placed)


def _known(aggregate: Aggregate, places: Mapping[Column, str], sure: pl.Expr) -> pl.Expr:
    """What a row adds to what is known of the aggregate."""
    if aggregate.column is None:
        return sure.cast(pl.Int128)
    value = pl.col(places[aggregate.column])
    if aggregate.function == "sum":
        return pl.when(sure).then(value.cast(pl.Int128)).otherwise(0).fill_null(0)
    seen = pl.when(sure).then(value)
    return (seen.is_first_distinct().over("unit") & seen.is_not_null()).cast(pl.Int128)


def _unknown(aggregate: Aggregate, places: Mapping[Column, str], sure: pl.Expr, counts: pl.Expr) -> pl.Expr:
    if aggregate.column is None:
        return ~sure
    return ~sure | (counts & pl.col(places[aggregate.column]).is_null())


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
