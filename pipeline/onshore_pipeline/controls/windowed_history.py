"""What a windowed control says, and since when: one row a change of a verdict.

A verdict is stated when it is certain, or when everything has been waited for; an event that comes later restates it.
Which rows there are depends on the events and their arrival alone; how far time has come only decides which of them can
be said already.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.controls.windowed import WAITING
from onshore_pipeline.domain.verdict import Verdict

if TYPE_CHECKING:
    from onshore_pipeline.controls.windowed_keys import Keyed

HISTORY_SCHEMA: Final = pl.Schema(
    {
        "keys": pl.List(pl.String()),
        "since": pl.Int64(),
        "until": pl.Int64(),
        "event_id": pl.Binary(),
        "stated_at": pl.Int64(),
        "before": pl.String(),
        "verdict": pl.String(),
        "missing": pl.String(),
        "first_at": pl.Int64(),
        "last_at": pl.Int64(),
        "events": pl.UInt64(),
        "samples": pl.List(pl.Binary()),
        "known": pl.List(pl.String()),
    }
)


@dataclass(frozen=True, slots=True)
class Told:
    """What was said before, and is taken over as it is.

    Attributes:
        until_ns: everything that was said until then.
        rows: unit, cut, verdict, missing, known, before.
    """

    until_ns: int
    rows: pl.DataFrame


def nothing() -> pl.DataFrame:
    """No history."""
    return pl.DataFrame(schema=HISTORY_SCHEMA)


def history(
    keyed: Keyed,
    units: pl.DataFrame,
    cuts: pl.DataFrame,
    *,
    watermark_ns: int,
    now_ns: int,
    told: Told | None = None,
) -> pl.DataFrame:
    """The history of units, as `HISTORY_SCHEMA`, by unit and time.

    Args:
        keyed: says what the keys' numbers mean.
        units: unit, key, since, until, close (when everything has been waited for), base (when a verdict is due: at
            `close`, or when the unit's first event arrived, if that is later), event_id, first_at, last_at, events,
            samples.
        cuts: unit, cut (when), verdict (null: not stated yet), missing, known; those at one time are one.
        watermark_ns: everything that arrived before is there.
        now_ns: the clock. A unit due between `watermark_ns` and now is undetermined for as long as messages wait.
        told: what takes the place of changes until its time; None is nothing.
    """
    placed = cuts.join(units.select("unit", "close", "base"), on="unit")
    # What is certain before the unit closes is said at once; the rest, when nothing that came in time is outstanding.
    said = placed.filter(
        pl.col("verdict").is_not_null() & ((pl.col("cut") < pl.col("base")) | (pl.col("close") <= watermark_ns))
    ).sort("unit", "cut")
    before = pl.col("verdict").shift(1).over("unit").fill_null("")
    changed = said.with_columns(before=before).filter(pl.col("verdict") != pl.col("before"))
    if told is not None:
        later = changed.filter(pl.col("cut") > told.until_ns).select(told.rows.columns)
        changed = pl.concat([told.rows, later])
    waiting = units.filter((pl.col("close") > watermark_ns) & (pl.col("close") <= now_ns)).join(
        changed, on="unit", how="anti"
    )
    more = waiting.select(
        "unit",
        pl.col("base").alias("cut"),
        pl.lit(Verdict.UNDETERMINED.value).alias("verdict"),
        pl.lit(WAITING).alias("missing"),
        pl.lit([], dtype=pl.List(pl.String)).alias("known"),
        pl.lit("").alias("before"),
    )
    rows = pl.concat([changed.select(more.columns), more]).sort("unit", "cut").join(
        units, on="unit", how="left", maintain_order="left"
    )  # fmt: skip
    texts = keyed.keys.select(pl.concat_list(pl.all()).alias("keys")).with_row_index("key")
    named = rows.join(
        texts.with_columns(pl.col("key").cast(pl.Int64)), on="key", how="left", maintain_order="left"
    ).rename({"cut": "stated_at"})
    return named.select(HISTORY_SCHEMA.names()).cast(HISTORY_SCHEMA)
