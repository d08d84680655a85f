"""What operators did, as their commands recorded it: events of the actions' topic, one row each. Pure.

A record that calls itself an action but came over another topic is an event like any other, and has no row here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from onshore_pipeline.broker import ACTIONS_TOPIC

if TYPE_CHECKING:
    from onshore_pipeline.normalise.frames import Normalised

# The standard's name for a record's own id: one that was sent twice is one action.
ACTION_ID = "log.record.uid"


def actions(events: pl.DataFrame, normalised: Normalised, about: pl.DataFrame) -> pl.DataFrame:
    """Rows of `message_actions` but for the attempt; `received_at` is the broker's clock."""
    if not (about["kafka_topic"] == ACTIONS_TOPIC).any():
        return pl.DataFrame()
    done = events.filter(pl.col("kafka_topic") == ACTIONS_TOPIC)
    pairs = normalised.attributes.filter(pl.col("row").is_in(done["row"].implode()))
    maps = pairs.group_by("row", maintain_order=True).agg(
        pl.struct(pl.col("key").cast(pl.String), value="text").alias("attributes"),
        pl.col("text").filter(pl.col("key") == ACTION_ID).last().alias("action_id"),
    )
    nothing = pl.lit(pl.Series([[]], dtype=maps.schema["attributes"])).first()
    received = pl.col("append_ns").cast(pl.Datetime("ns", "UTC")).alias("received_at")
    return (
        done.select(
            "row", "message", "event_id", "tenant", "action", "actor_id", "reason", "topic_id", "kafka_offset",
            "record_index",
        )
        .join(maps, on="row", how="left")
        .join(about.select("message", received), on="message", how="left")
        .with_columns(
            pl.col("attributes").fill_null(nothing),
            *(pl.col(name).fill_null("") for name in ("action_id", "action", "reason")),
            pl.col("actor_id").fill_null("").alias("who"),
        )
    )  # fmt: skip
