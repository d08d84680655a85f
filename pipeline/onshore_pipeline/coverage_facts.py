"""What coverage is measured from, message by message: who was heard and when, which numbers came, what senders admit.

Pure, like the other fact tables. Times are claims of the sender, except `received_at`, which is the broker's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.controls.kinds import numbers, together
from onshore_pipeline.coverage_names import GAP_ACTION, HEARTBEAT_ACTION, LOSSES, NAMING_KEYS, RUN, STATEMENT_ACTIONS
from onshore_pipeline.evidence.canonical import json_strings
from onshore_pipeline.normalise import values

if TYPE_CHECKING:
    from onshore_pipeline.normalise.frames import Normalised

_STATED: Final = {
    "onshore.coverage.source": "source",
    "onshore.coverage.from": "since",
    "onshore.coverage.to": "until",
    "onshore.coverage.reason": "why",
    "onshore.gap.until": "gap_until",
}
_OBJECTS: Final = {"aws.s3.key": "object", "aws.cloudtrail.digest.listed_by": "listed_by"}
_SENDER: Final = ("tenant", "collector_id", "source_format", "name", "losses")
_OWN_FORMATS: Final = "otlp."  # of records that the sender itself made
_RUN_KEYS: Final = ("message", "tenant", "collector_id", "run")
_MINUTE_NS: Final = 60_000_000_000
_BITS: Final = pl.Series([1 << place for place in range(60)], dtype=pl.UInt64)


def collectors(events: pl.DataFrame, normalised: Normalised, about: pl.DataFrame) -> pl.DataFrame:
    """Rows of `message_collectors` but for the attempt: one a message, sender, format, loss and hour of event time.

    `minutes` has a bit for every minute of the hour that an event claims. `least_delay_ms` is the smallest time from
    when an event was observed (else occurred) to the broker's append: negative where a sender's clock runs ahead.
    `least_heartbeat_delay_ms` is that of heartbeats that senders made themselves.
    """
    texts, which = _names(normalised.resource_attributes, events["resource"])
    senders = events.select(
        "message", "tenant", pl.col("collector_id").fill_null(""), "source_format",
        pl.col("occurred_at").dt.epoch("ns").floordiv(_MINUTE_NS).alias("minute"),
    ).with_columns(which, _losses(normalised.attributes, events.height))  # fmt: skip
    is_heartbeat = pl.col("action") == HEARTBEAT_ACTION
    # A source's own word for a window without traffic is written minutes later and sent whenever it is read.
    is_sent_at_once = is_heartbeat & pl.col("source_format").str.starts_with(_OWN_FORMATS)
    # In ms: a sender may name a year whose distance to ours does not fit into nanoseconds.
    delay = pl.col("ingested_at").dt.epoch("ms") - pl.coalesce("observed_at", "occurred_at").dt.epoch("ms")
    # Grouped by one number, not by seven texts. A message has one tenant.
    alike = together(
        (
            each
            for name in ("message", "minute", "name", "collector_id", "source_format", "losses")
            for each in numbers(senders[name])
        ),
        events.height,
    )
    minutes = (
        events.with_columns(pl.Series("alike", alike.of_event))
        .group_by("alike")
        .agg(
            pl.len().cast(pl.UInt64).alias("events"),
            pl.col("item_count").filter(pl.col("action") == GAP_ACTION).sum().cast(pl.UInt64).alias("dropped"),
            is_heartbeat.sum().cast(pl.UInt64).alias("heartbeats"),
            pl.col("occurred_at").max().alias("last_occurred"),
            delay.min().alias("least_delay_ms"),
            delay.filter(is_sent_at_once).min().alias("least_heartbeat_delay_ms"),
        )
    )
    minutes = minutes.hstack(senders[alike.example[minutes["alike"].to_numpy()]]).with_columns(
        (pl.col("minute") * _MINUTE_NS).cast(pl.Datetime("ns", "UTC"))
    )
    hours = (
        minutes.with_columns(_BITS.gather(minutes["minute"].dt.minute().cast(pl.UInt32)).alias("minutes"))
        .group_by("message", *_SENDER, pl.col("minute").dt.truncate("1h").alias("hour"))
        .agg(
            pl.col("events", "dropped", "heartbeats", "minutes").sum(),  # each minute is here once: its bit adds up
            pl.col("last_occurred").max(),
            pl.col("least_delay_ms", "least_heartbeat_delay_ms").min(),
        )
    )
    received = about.select("message", "kafka_topic", _received_at())
    return hours.with_columns(texts.gather(hours["name"]).alias("resource")).join(received, on="message", how="left")


def sequences(events: pl.DataFrame, normalised: Normalised, about: pl.DataFrame) -> pl.DataFrame:
    """Rows of `message_sequences` but for the attempt: the runs of consecutive numbers that a message carries.

    A message that has its number in a header arrived even where all of its records are dead letters.
    """
    if events["collector_sequence"].null_count() == events.height and not about["header_sequence"].count():
        return pl.DataFrame()
    by_header = about.filter(pl.col("header_sequence").is_not_null())
    runs = normalised.resource_attributes.filter(pl.col("key") == RUN).select("resource", run="text")
    of_records = (
        events.filter(pl.col("collector_sequence").is_not_null())
        .join(by_header, on="message", how="anti")
        .join(runs, on="resource", how="left")
        .with_columns(pl.col("collector_id", "run").fill_null(""))
        .group_by(*_RUN_KEYS, "collector_sequence")
        .agg(pl.len().cast(pl.UInt64).alias("records"))
    )
    counts = events.group_by("message").agg(pl.len().cast(pl.UInt64).alias("records"))
    of_headers = by_header.join(counts, on="message", how="left").select(
        "message",
        "tenant",
        pl.col("header_collector").fill_null("").alias("collector_id"),
        pl.col("header_run").fill_null("").alias("run"),
        pl.col("header_sequence").alias("collector_sequence"),
        pl.col("records").fill_null(0),
    )
    numbered = pl.concat([of_records, of_headers]).sort(*_RUN_KEYS, "collector_sequence")
    place = pl.int_range(pl.len(), dtype=pl.UInt64).over(*_RUN_KEYS)
    number = pl.col("collector_sequence")
    found = numbered.group_by(*_RUN_KEYS, (number - place).alias("together")).agg(
        number.min().alias("first"), number.max().alias("last"), pl.col("records").sum()
    )
    identity = ("topic_id", "kafka_topic", "kafka_partition", "kafka_offset")
    return found.join(about.select("message", *identity, _received_at()), on="message", how="left").with_columns(
        pl.col("received_at").dt.truncate("1h").alias("hour")
    )


def statements(events: pl.DataFrame, normalised: Normalised, about: pl.DataFrame) -> pl.DataFrame:
    """Rows of `message_statements` but for the attempt: one an event that says what was lost, verified or altered."""
    said = events.filter(pl.col("action").is_in(STATEMENT_ACTIONS))
    if said.is_empty():
        return pl.DataFrame()
    names = {**_STATED, **_OBJECTS}
    stated = (
        normalised.attributes.filter(pl.col("row").is_in(said["row"].implode()) & pl.col("key").is_in(list(names)))
        .with_columns(pl.col("key").replace_strict(names, return_dtype=pl.String))
        .pivot("key", index="row", values="text", aggregate_function="last")
    )
    absent = [pl.lit(None, pl.String).alias(name) for name in names.values() if name not in stated.columns]
    since, until, gap_until = (values.time_of(pl.col(name)) for name in ("since", "until", "gap_until"))
    return (
        said.select(
            "row", "message", "event_id", "tenant", "collector_id", "action", "reason", "item_count", "occurred_at"
        )
        .join(stated, on="row", how="left")
        .with_columns(*absent)
        .join(about.select("message", _received_at()), on="message", how="left")
        .select(
            "event_id",
            "tenant",
            pl.col("collector_id").fill_null(""),
            "action",
            pl.col("source").fill_null(""),
            pl.coalesce(since, "occurred_at").alias("since"),
            pl.max_horizontal(pl.coalesce(until, gap_until, "occurred_at"), pl.coalesce(since, "occurred_at")).alias(
                "until"
            ),
            pl.coalesce("why", "reason", pl.lit("")).alias("why"),
            pl.col("item_count").fill_null(0).alias("items"),
            "received_at",
            pl.col("object", "listed_by").fill_null(""),
        )
    )


def _received_at() -> pl.Expr:
    return pl.col("append_ns").cast(pl.Datetime("ns", "UTC")).alias("received_at")


def _names(attributes: pl.DataFrame, resources: pl.Series) -> tuple[pl.Series, pl.Series]:
    """The distinct names of senders as JSON objects ('' for none), and which of them each event's resource has."""
    named = attributes.filter(pl.col("key").is_in(NAMING_KEYS)).sort("resource", "key")
    pairs = pl.concat_str(json_strings(named["key"]), pl.lit(":"), json_strings(named["text"]))
    texts = (
        named.select("resource", pairs.alias("pair"))
        .group_by("resource", maintain_order=True)
        .agg(pl.concat_str(pl.lit("{"), pl.col("pair").str.join(","), pl.lit("}")).alias("text"))
    )
    distinct = texts["text"].unique(maintain_order=True)
    numbers = texts.join(distinct.to_frame("text").with_row_index("name", offset=1), on="text").drop("text")
    which = resources.to_frame("resource").join(numbers, on="resource", how="left", maintain_order="left")
    return pl.concat([pl.Series([""], dtype=pl.String), distinct]), which["name"].fill_null(0).alias("name")


def _losses(attributes: pl.DataFrame, height: int) -> pl.Series:
    """What the decoder of each event is known to lose, '' for nothing."""
    found = attributes.filter(pl.col("key") == LOSSES)
    nothing = pl.Series("losses", [""]).new_from_index(0, height)
    return nothing.scatter(found["row"], found["text"]) if found.height else nothing
