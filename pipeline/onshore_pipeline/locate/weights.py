"""Which events about data touch registered weights: by where the object lies, the innermost folder first."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.context.weights import container_of
from onshore_pipeline.distinct import encoded
from onshore_pipeline.domain.object_place import ABOUT_DATA, STORED, WEIGHTS

if TYPE_CHECKING:
    from onshore_pipeline.context import Context

_SAID: Final = ("classification", "categories", "home")


def registered_weights(events: pl.DataFrame, places: pl.Series, context: Context) -> pl.DataFrame | None:
    """What the register `models` says about the weights that events touch.

    Args:
        events: columns action, occurred_at.
        places: where each event's object lies, null where that is not known.
        context: with the register.

    Returns:
        is_weights (never null), classification, categories, home: one row an event; None where none is of weights.
    """
    table = context.registered.weights
    if table is None or places.null_count() == len(places):
        return None
    moves = events["action"].str.starts_with(ABOUT_DATA).fill_null(False)
    distinct, which = encoded(places.set(~moves, None))
    holding = _holding(distinct, table)
    if holding.is_empty():
        return None
    asked = pl.DataFrame({"at": which, "day": events["occurred_at"].dt.date()}).with_row_index("row")
    # An event without a time meets only rows that speak about every day.
    always = (pl.col("first") == date.min) & (pl.col("last") == date.max)
    on_day = pl.col("day").is_between("first", "last").fill_null(False)
    found = asked.join(holding, on="at").join(table, on="place").filter(always | on_day)
    innermost = found.sort("depth", descending=True).unique("row", keep="first").select("row", *_SAID)
    if innermost.is_empty():
        return None
    told = innermost.with_columns(is_weights=pl.lit(True))
    by_row = asked.select("row").join(told, on="row", how="left", maintain_order="left").drop("row")
    return by_row.with_columns(pl.col("is_weights").fill_null(False))


def with_weights(events: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """`object_type` of events of registered weights, where it said no more than that something was stored."""
    general = pl.col("object_type").is_null() | pl.col("object_type").is_in(STORED)
    return events.with_columns(
        pl.when(found["is_weights"] & general).then(pl.lit(WEIGHTS)).otherwise("object_type").alias("object_type")
    )


def _holding(places: pl.Series, table: pl.DataFrame) -> pl.DataFrame:
    """Columns at, place: for every of `places`, by its number, the registered places that it is, or lies in."""
    asked = places.rename("object").to_frame().with_row_index("at").with_columns(pl.col("at").cast(pl.UInt32))
    inside = asked.filter(container_of(pl.col("object")).is_in(table["container"].unique().implode()))
    parts = inside.select("at", pl.col("object").str.split("/").alias("parts"))
    known = table.select("place").unique()
    found = [
        parts.filter(pl.col("parts").list.len() >= depth)
        .select("at", pl.col("parts").list.head(depth).list.join("/").alias("place"))
        .join(known, on="place")
        for depth in table["depth"].unique()
    ]
    return pl.concat(found)
