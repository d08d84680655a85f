"""Round trips that were too short for the distance: two parties' places that cannot both be right.

Light needs a millisecond for 300 km in a vacuum and more in glass; a round trip of t ms reaches at most 150 km x t.
Distances are those between the nearest points of two countries, less what the outlines leave out: what is called
impossible here is impossible, even where a sender cut the fraction of a millisecond off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

if TYPE_CHECKING:
    from onshore_pipeline.context import Context

REACH_KM_PER_MS: Final = 150.0
ROUNDED_MS: Final = 1.0  # senders write whole milliseconds


def impossible_round_trips(
    rtt_ms: pl.Series, source: pl.Series, destination: pl.Series, context: Context
) -> tuple[pl.Series, pl.Series] | None:
    """What contradicts the source's and the destination's place, None where nothing does.

    Args:
        rtt_ms: Float64, milliseconds; null where none was measured.
        source: countries.
        destination: countries.
        context: the registries.
    """
    if rtt_ms.null_count() == len(rtt_ms):
        return None
    frame = pl.DataFrame({"rtt": rtt_ms, "source": source, "destination": destination}).with_row_index("at")
    measured = frame.filter((pl.col("rtt") >= 0) & pl.col("source").is_not_null() & pl.col("destination").is_not_null())
    pairs = measured.select("source", "destination").unique()
    distances = context.distances
    apart = [distances.km(one, other) for one, other in pairs.iter_rows()]
    known = pairs.with_columns(pl.Series("km", apart, dtype=pl.Float64))
    least_ms = pl.col("km") / REACH_KM_PER_MS
    found = measured.join(known, on=["source", "destination"]).filter(pl.col("rtt") + ROUNDED_MS < least_ms)
    if found.is_empty():
        return None
    told = pl.lit(",rtt_ms=") + pl.col("rtt").round(2).cast(pl.String) + pl.lit("<") + least_ms.round(1).cast(pl.String)
    texts = found.select(
        "at",
        pl.concat_str(pl.lit("source:country="), "source", pl.lit(",peer="), "destination", told).alias("source"),
        pl.concat_str(pl.lit("destination:country="), "destination", pl.lit(",peer="), "source", told).alias("other"),
    )
    spread = frame.select("at").join(texts, on="at", how="left", maintain_order="left")
    return spread["source"], spread["other"]
