"""What every event of a message has in common: where it was kept, whose it is, when it was appended, who sent it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from onshore_pipeline.broker import COLLECTOR_HEADER, RUN_HEADER, SENSOR_HEADER, SEQUENCE_HEADER
from onshore_pipeline.evidence import seal
from onshore_pipeline.isolate import header

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from onshore_pipeline.broker import Message


def message_frame(
    messages: Sequence[Message], *, tenant_of: Callable[[Message], str], trusts: Callable[[Message], bool]
) -> pl.DataFrame:
    """One row a message, in their order: what is constant for its events.

    Args:
        messages: as polled.
        tenant_of: the tenant of a message.
        trusts: whether a message's headers count; those of others are null.
    """
    trusted = [trusts(message) for message in messages]

    def headers(name: str) -> pl.Series:
        told = zip(messages, trusted, strict=True)
        return pl.Series([header(each, name) if counts else None for each, counts in told], dtype=pl.String)

    return pl.DataFrame(
        {
            "message": pl.Series(range(len(messages)), dtype=pl.UInt32),
            "tenant": pl.Series([tenant_of(message) for message in messages], dtype=pl.String),
            "append_ns": pl.Series([message.timestamp_ns for message in messages], dtype=pl.Int64),
            "broker_clock": pl.Series([message.clock == "broker" for message in messages], dtype=pl.Boolean),
            "trusted": pl.Series(trusted, dtype=pl.Boolean),
            "header_collector": headers(COLLECTOR_HEADER),
            "header_sequence": headers(SEQUENCE_HEADER).cast(pl.UInt64, strict=False),
            "header_run": headers(RUN_HEADER),
            "sensor": headers(SENSOR_HEADER),
            "kafka_topic": pl.Series([message.topic for message in messages], dtype=pl.String),
            "topic_id": pl.Series([message.topic_id.bytes for message in messages], dtype=pl.Binary),
            "kafka_partition": pl.Series([message.partition for message in messages], dtype=pl.UInt32),
            "kafka_offset": pl.Series([message.offset for message in messages], dtype=pl.UInt64),
        }
    )


def with_message_columns(
    events: pl.DataFrame, about: pl.DataFrame, sealed: Sequence[seal.SealedMessage], attempt_id: UUID
) -> pl.DataFrame:
    """Add what is constant for a message, the event's id, and the time of events that claim none.

    `sensor` is the collector that a message came from by its credential, for `locate` alone, which drops it.
    """
    appended = pl.col("append_ns").cast(pl.Datetime("ns", "UTC"))
    joined = events.join(about, on="message", how="left", maintain_order="left")
    return joined.with_columns(
        appended.alias("_appended"),
        pl.when(pl.col("broker_clock")).then(appended).alias("ingested_at"),
        pl.coalesce("occurred_at", appended).alias("occurred_at"),
        pl.coalesce("collector_id", "header_collector").alias("collector_id"),
        pl.coalesce("collector_sequence", "header_sequence").alias("collector_sequence"),
        pl.lit(attempt_id.bytes).alias("attempt_id"),
        seal.event_ids(sealed, events["message"].to_numpy(), events["record_index"].to_numpy()).alias("event_id"),
    ).drop("append_ns", "broker_clock", "trusted", "header_collector", "header_sequence", "header_run", "_appended")
