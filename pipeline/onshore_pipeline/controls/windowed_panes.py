"""What the facts of one key add up to in a stretch of time as long as windows lie apart: a pane.

Everything that decides a window grows only, and adds up: a window says of its panes and of the facts that came since
what it says of all its facts. A pane holds the facts that arrived until a moment, and every pane of a control the same
moment, so that what came before it is history and what comes behind it can change a verdict.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onshore_pipeline.controls.aggregates import Aggregate, WindowCondition
    from onshore_pipeline.controls.windowed import WindowedControl

SAMPLES: Final = 10
PANES_SCHEMA: Final = pl.Schema(
    {
        "keys": pl.List(pl.String()),
        "pane": pl.Int64(),
        "events": pl.UInt64(),
        "first_at": pl.Int64(),
        "last_at": pl.Int64(),
        "first_arrival": pl.Int64(),
        "sample_at": pl.List(pl.Int64()),
        "samples": pl.List(pl.Binary()),
        "sums": pl.List(pl.String()),
        "opens": pl.List(pl.Boolean()),
        "seen": pl.List(pl.String()),
        "seen_of": pl.List(pl.UInt8()),
        "scope": pl.Boolean(),
        "disputed": pl.Boolean(),
        "word": pl.String(),
        "word_arrival": pl.Int64(),
        "word_at": pl.Int64(),
        "word_event": pl.Binary(),
    }
)
SAID_SCHEMA: Final = pl.Schema(
    {
        "unit_id": pl.Binary(),
        "stated_at": pl.Int64(),
        "before": pl.String(),
        "verdict": pl.String(),
        "missing": pl.String(),
        "known": pl.List(pl.String()),
    }
)
_NO_EVENT: Final = bytes(16)


@dataclass(frozen=True, slots=True)
class Folded:
    """What was added up before.

    Attributes:
        until_ns: the panes hold what arrived until then, and nothing that arrived later.
        panes: `PANES_SCHEMA`: one row a key and pane; `word` is what was missing first, '' where nothing was.
        said: `SAID_SCHEMA`: the history up to then of every unit that these panes are part of.
    """

    until_ns: int
    panes: pl.DataFrame
    said: pl.DataFrame


def pane_of(control: WindowedControl, at: pl.Expr) -> pl.Expr:
    """When the pane of a moment begins."""
    every = control.windowed.every_ns
    return at // every * every


def staged(control: WindowedControl, facts: pl.DataFrame) -> pl.DataFrame:
    """What each fact (with the number of its `key`) adds to its windows.

    For each aggregate `a`, what it adds to a sum or count, `d`, the value that is counted once, and `u`, whether it
    leaves the aggregate open; `scope`, `disputed`, and the `word` for what it lacks (null: nothing).
    """
    condition = _condition(control)
    places = {column: pl.col("vals").list.get(place) for place, column in enumerate(control.values)}
    values = [None if each.column is None else places[each.column] for each in condition.aggregates]
    columns: list[pl.Expr] = []
    for place, (each, value) in enumerate(zip(condition.aggregates, values, strict=True)):
        columns += [
            _added(each, value).alias(f"a{place}"),
            _counted_once(each, value).alias(f"d{place}"),
            (~pl.col("sure") if value is None else ~pl.col("sure") | value.is_null()).alias(f"u{place}"),
        ]
    # Its own word, else the column of the first unknown value.
    own = pl.when(pl.col("missing") != "").then("missing")
    lacking = [
        pl.when(pl.col(f"u{place}")).then(pl.lit(each.column.name if each.column else ""))
        for place, each in enumerate(condition.aggregates)
    ]
    return facts.with_columns(columns).select(
        "key", pane_of(control, pl.col("at")).alias("pane"), "at", "arrival", "event_id", *_measures(condition),
        pl.col("sure").alias("scope"), "disputed", pl.coalesce(own, *lacking).alias("word"),
    )  # fmt: skip


def staged_panes(control: WindowedControl, panes: pl.DataFrame) -> pl.DataFrame:
    """The same of panes (with the number of their `key`): one row each, and one for each value that counts once."""
    condition = _condition(control)
    columns = [
        column
        for place in range(len(condition.aggregates))
        for column in (
            pl.col("sums").list.get(place).cast(pl.Int128).alias(f"a{place}"),
            pl.lit(None, pl.String).alias(f"d{place}"),
            pl.col("opens").list.get(place).alias(f"u{place}"),
        )
    ]
    spoken = pl.col("word") != ""
    own = panes.select(
        "key", "pane", *columns, "scope", "disputed",
        pl.when(spoken).then("word").alias("word"),
        pl.when(spoken).then("word_arrival").otherwise("first_arrival").alias("arrival"),
        pl.when(spoken).then("word_at").alias("at"),
        pl.when(spoken).then("word_event").alias("event_id"),
    )  # fmt: skip
    once = panes.select("key", "pane", pl.col("first_arrival").alias("arrival"), "seen", "seen_of").explode(
        "seen", "seen_of", empty_as_null=True
    )
    values = [
        once.filter(pl.col("seen_of") == place)
        .with_columns(**{**_blank(condition), f"d{place}": pl.col("seen")})
        .drop("seen", "seen_of")
        for place, each in enumerate(condition.aggregates)
        if each.function == "distinct"
    ]
    return pl.concat([own, *values], how="diagonal")


def folded_panes(control: WindowedControl, facts: pl.DataFrame, panes: pl.DataFrame) -> pl.DataFrame:
    """The panes that `facts` fall into, with the facts added: `PANES_SCHEMA` with `key` for `keys`.

    Args:
        control: the control.
        facts: numbered facts (`windowed_keys.Keyed.facts`) that are in none of the panes.
        panes: `PANES_SCHEMA` with `key`; those that no fact falls into are left out of the answer.
    """
    condition = _condition(control)
    rows = staged(control, facts)
    mine = panes.join(rows.select("key", "pane").unique(), on=["key", "pane"], how="semi")
    before = staged_panes(control, mine)
    ordered = pl.concat([rows, before.select(rows.columns)]).sort(
        "key", "pane", "arrival", "at", "event_id", nulls_last=True
    )
    is_word = pl.col("word").is_not_null()
    count = len(condition.aggregates)
    totals = ordered.group_by("key", "pane", maintain_order=True).agg(
        *(pl.col(f"a{place}").sum() for place in range(count)),
        *(pl.col(f"u{place}").any() for place in range(count)),
        pl.col("scope").any(),
        pl.col("disputed").any(),
        *(
            pl.col(name).filter(is_word).first().fill_null(nothing).alias(of)
            for name, of, nothing in (
                ("word", "word", ""), ("arrival", "word_arrival", 0), ("at", "word_at", 0),
                ("event_id", "word_event", _NO_EVENT),
            )
        ),
    )  # fmt: skip
    extents = extent(rows.with_columns(begins=pl.col("pane")), mine.with_columns(begins=pl.col("pane")))
    joined = (
        totals.join(_seen(condition, ordered), on=["key", "pane"], how="left")
        .join(extents.rename({"begins": "pane"}), on=["key", "pane"], how="left")
        .with_columns(
            pl.concat_list(pl.col(f"a{place}").cast(pl.String) for place in range(count)).alias("sums"),
            pl.concat_list(f"u{place}" for place in range(count)).alias("opens"),
            *(pl.col(name).fill_null(pl.lit([], dtype=PANES_SCHEMA[name])) for name in ("seen", "seen_of")),
        )
    )
    return joined.select("key", *(name for name in PANES_SCHEMA.names() if name != "keys"))


def _seen(condition: WindowCondition, rows: pl.DataFrame) -> pl.DataFrame:
    """By `key` and `pane`, the values that count once, and of which aggregate each is."""
    values = [
        rows.select("key", "pane", pl.col(f"d{place}").alias("seen"), pl.lit(place, pl.UInt8).alias("seen_of"))
        for place in range(len(condition.aggregates))
    ]
    once = pl.concat(values).filter(pl.col("seen").is_not_null()).unique()
    return once.sort("seen_of", "seen").group_by("key", "pane", maintain_order=True).agg("seen", "seen_of")


def extent(facts: pl.DataFrame, panes: pl.DataFrame) -> pl.DataFrame:
    """By `key` and `begins`: first_at, last_at, first_arrival, events, and the first samples with their times.

    Args:
        facts: key, begins, at, arrival, event_id.
        panes: key, begins and the columns of `PANES_SCHEMA`.
    """
    by = ["key", "begins"]
    of_facts = facts.group_by(by).agg(
        pl.col("at").min().alias("first_at"), pl.col("at").max().alias("last_at"),
        pl.col("arrival").min().alias("first_arrival"), pl.len().cast(pl.UInt64).alias("events"),
    )  # fmt: skip
    both = pl.concat([of_facts, panes.select(of_facts.columns)])
    bounds = both.group_by(by).agg(
        pl.col("first_at").min(), pl.col("last_at").max(), pl.col("first_arrival").min(), pl.col("events").sum()
    )
    shown = pl.concat(
        [
            facts.select(*by, "at", "event_id"),
            panes.select(*by, pl.col("sample_at").alias("at"), pl.col("samples").alias("event_id"))
            .explode("at", "event_id", empty_as_null=True),
        ]
    )  # fmt: skip
    samples = (
        shown.sort(*by, "at", "event_id").group_by(by, maintain_order=True)
        .agg(pl.col("at").head(SAMPLES).alias("sample_at"), pl.col("event_id").head(SAMPLES).alias("samples"))
    )  # fmt: skip
    return bounds.join(samples, on=by, how="left")


def blank_row(control: WindowedControl, *, opens: bool) -> Mapping[str, pl.Expr]:
    """What a row says that is no fact: it adds nothing, and may leave every aggregate open."""
    condition = _condition(control)
    return {**_blank(condition), **{f"u{place}": pl.lit(opens) for place in range(len(condition.aggregates))}}


def _blank(condition: WindowCondition) -> dict[str, pl.Expr]:
    blank: dict[str, pl.Expr] = {"scope": pl.lit(value=False), "disputed": pl.lit(value=False)}
    for place in range(len(condition.aggregates)):
        blank[f"a{place}"] = pl.lit(0, pl.Int128)
        blank[f"d{place}"] = pl.lit(None, pl.String)
        blank[f"u{place}"] = pl.lit(value=False)
    return blank


def _measures(condition: WindowCondition) -> list[str]:
    return [f"{letter}{place}" for place in range(len(condition.aggregates)) for letter in "adu"]


def _condition(control: WindowedControl) -> WindowCondition:
    assert control.condition is not None
    return control.condition


def _added(aggregate: Aggregate, value: pl.Expr | None) -> pl.Expr:
    if value is None:
        return pl.col("sure").cast(pl.Int128)
    if aggregate.function == "sum":
        return pl.when("sure").then(value.cast(pl.Int128)).otherwise(0).fill_null(0)
    return pl.lit(0, pl.Int128)


def _counted_once(aggregate: Aggregate, value: pl.Expr | None) -> pl.Expr:
    if value is None or aggregate.function != "distinct":
        return pl.lit(None, pl.String)
    return pl.when("sure").then(value)
