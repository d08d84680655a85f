"""The rows an attempt writes, table by table, in each table's exact Arrow schema."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Final
from uuid import UUID

import numpy as np
import polars as pl
import pyarrow as pa

from onshore_pipeline import action_facts, coverage_facts
from onshore_pipeline.broker import Outgoing
from onshore_pipeline.event_frame import EVENT_ARROW_SCHEMA
from onshore_pipeline.evidence import merkle
from onshore_pipeline.evidence.canonical import json_strings
from onshore_pipeline.evidence.hashing import sha256_column
from onshore_pipeline.store.tables import SCHEMAS, to_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from onshore_pipeline.broker import Message
    from onshore_pipeline.controls.engine import Judged
    from onshore_pipeline.normalise.frames import Normalised
    from onshore_pipeline.wire.frames import Failure

# Texts as Polars holds them: copied once, into the type of the table, not by way of another type.
_VIEWS: Final = pl.CompatLevel.newest()


def build(
    events: pl.DataFrame,
    normalised: Normalised,
    judged: Judged,
    about: pl.DataFrame,
    leaves: NDArray[np.uint8],
    failures: Sequence[Failure],
    messages: Sequence[Message],
    attempt_id: UUID,
) -> dict[str, pa.Table]:
    """Every fact table's rows; tables without rows are left out.

    `events` are located, with every column of `event_frame` but maps and leaf hash; `about` is one row a message
    (`message`, `tenant`, `topic_id`, `kafka_topic`, `kafka_partition`, `kafka_offset`, `append_ns`, `trusted` and what
    its headers say of its collector); `leaves` has shape
    (events, 32).
    """
    attempt = pl.lit(attempt_id.bytes).alias("attempt_id")
    tables = {
        "events": _events(events, normalised, leaves),
        "violations": to_table("violations", _violations(events, judged)),
        "message_verdicts": to_table(
            "message_verdicts",
            judged.counts.drop("tenant")
            .join(about, on="message", how="left", maintain_order="left")
            .with_columns(attempt),
        ),
        "message_flows": to_table("message_flows", _flows(events).with_columns(attempt)),
        "message_access": to_table("message_access", _access(events).with_columns(attempt)),
        **{
            name: to_table(name, rows.with_columns(attempt))
            for name, rows in (
                ("message_collectors", coverage_facts.collectors(events, normalised, about)),
                ("message_sequences", coverage_facts.sequences(events, normalised, about)),
                ("message_statements", coverage_facts.statements(events, normalised, about)),
                ("message_actions", action_facts.actions(events, normalised, about)),
            )
            if rows.height
        },
        "metric_points": to_table("metric_points", _points(events, normalised).with_columns(attempt)),
        "dead_letters": _dead_letters(failures, messages, about, attempt_id),
    }
    return {name: table for name, table in tables.items() if table.num_rows}


def _events(events: pl.DataFrame, normalised: Normalised, leaves: NDArray[np.uint8]) -> pa.Table:
    names = [field.name for field in EVENT_ARROW_SCHEMA if field.name in events.columns]
    arrow = events.select(names).to_arrow(compat_level=_VIEWS)
    resource_maps = _maps(normalised.resource_attributes, "resource", _count(events["resource"]))
    columns = {name: _exactly(arrow[name], EVENT_ARROW_SCHEMA.field(name).type) for name in names}
    columns["attributes"] = _maps(normalised.attributes, "row", events.height)
    columns["resource_attributes"] = resource_maps.take(pa.array(events["resource"].to_numpy()))
    columns["leaf_hash"] = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(leaves.shape[1]), len(leaves), [None, pa.py_buffer(np.ascontiguousarray(leaves))]
    )
    return pa.table([columns[field.name] for field in EVENT_ARROW_SCHEMA], schema=EVENT_ARROW_SCHEMA)


def _exactly(values: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray | pa.Array:
    """The values as `kind`; two thirds of an event's columns hold nothing, and nothing needs no conversion."""
    return pa.nulls(len(values), kind) if values.null_count == len(values) else values.cast(kind)


def _count(owners: pl.Series) -> int:
    return 0 if owners.is_empty() else int(owners.to_numpy().max()) + 1


def _maps(pairs: pl.DataFrame, owner: str, owners: int) -> pa.MapArray:
    """Long pairs, sorted by their dense owner, as one map an owner."""
    pairs = pairs.filter(pl.col(owner) < owners)
    counts = np.bincount(pairs[owner].to_numpy(), minlength=owners) if owners else np.zeros(0, np.int64)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    text = pairs.select("key", "text").to_arrow(compat_level=_VIEWS)
    keys, values = (text[name].combine_chunks().cast(pa.string()) for name in ("key", "text"))
    return pa.MapArray.from_arrays(pa.array(offsets), keys, values)


def _violations(events: pl.DataFrame, judged: Judged) -> pl.DataFrame:
    wanted = ["row", "attempt_id", "event_id", "tenant", "domain", "occurred_at", "ingested_at", "bytes"]
    return judged.violations.join(events.select(wanted), on="row", how="left", maintain_order="left")


def _hour() -> pl.Expr:
    return pl.col("occurred_at").dt.truncate("1h").alias("hour")


def _total(name: str) -> pl.Expr:
    return pl.col(name).sum().cast(pl.UInt64)


def _flows(events: pl.DataFrame) -> pl.DataFrame:
    return events.group_by(
        "message",
        "tenant",
        _hour(),
        "domain",
        "action",
        "source_country",
        "destination_country",
        pl.col("destination_country_basis").alias("destination_basis"),
        "destination_control_country",
    ).agg(pl.len().cast(pl.UInt64).alias("events"), _total("bytes"))


def _access(events: pl.DataFrame) -> pl.DataFrame:
    return (
        events.filter(pl.col("domain") == "model_access")
        .group_by(
            "message",
            "tenant",
            _hour(),
            "model_requested",
            "model_served",
            "model_endpoint",
            "destination_country",
            "destination_control_country",
        )
        .agg(pl.len().cast(pl.UInt64).alias("calls"), _total("input_tokens"), _total("output_tokens"))
    )


def _points(events: pl.DataFrame, normalised: Normalised) -> pl.DataFrame:
    maps = normalised.point_attributes.group_by("point", maintain_order=True).agg(
        pl.struct("key", value="text").alias("attributes")
    )
    nothing = pl.lit(pl.Series([[]], dtype=maps.schema["attributes"])).first()
    return (
        normalised.points.join(events.select("row", "tenant", "event_id", "ingested_at", "occurred_at"), on="row")
        .join(maps, on="point", how="left")
        .with_columns(
            pl.coalesce(pl.col("time_ns").cast(pl.Datetime("ns", "UTC")), "occurred_at").alias("at"),
            pl.col("unit").fill_null(""),
            pl.col("attributes").fill_null(nothing),
        )
    )


def _dead_letters(
    failures: Sequence[Failure], messages: Sequence[Message], about: pl.DataFrame, attempt_id: UUID
) -> pa.Table:
    rows = []
    for failure in failures:
        message = messages[failure.message]
        rows.append(
            {
                "attempt_id": attempt_id.bytes,
                "dead_letter_id": dead_letter_id(failure, message).bytes,
                "tenant": about["tenant"][failure.message],
                "topic": message.topic,
                "topic_id": message.topic_id.bytes,
                "kafka_partition": message.partition,
                "kafka_offset": message.offset,
                "record_indexes": list(failure.record_indexes or ()),
                "stage": failure.stage,
                "reason": failure.reason,
                "received_at": message.timestamp_ns,
                "payload": message.value,
                "headers": kept_headers(message.headers),
                "clock": message.clock,
                "headers_trusted": bool(about["trusted"][failure.message]),
            }
        )
    return pa.Table.from_pylist(rows, schema=SCHEMAS["dead_letters"])


def kept_headers(headers: Sequence[tuple[str, bytes]]) -> str:
    """Headers as the store keeps them: a JSON array of [name, value in base64], in order."""
    return json.dumps([[name, base64.b64encode(value).decode()] for name, value in headers], ensure_ascii=False)


def dead_letter_id(failure: Failure, message: Message) -> UUID:
    """The same for every try at the same message and records."""
    named = json.dumps([str(message.topic_id), message.partition, message.offset, failure.record_indexes])
    return UUID(bytes=merkle.leaf_hash(named.encode())[:16], version=5)


def dead_letter_message(failure: Failure, message: Message) -> Outgoing:
    """The original bytes with headers that say where they came from and why they stopped."""
    indexes = "all" if failure.record_indexes is None else ",".join(map(str, failure.record_indexes))
    headers = (
        ("onshore-dead-letter-topic", message.topic.encode()),
        ("onshore-dead-letter-topic-id", str(message.topic_id).encode()),
        ("onshore-dead-letter-partition", str(message.partition).encode()),
        ("onshore-dead-letter-offset", str(message.offset).encode()),
        ("onshore-dead-letter-records", indexes.encode()),
        ("onshore-dead-letter-stage", failure.stage.encode()),
        ("onshore-dead-letter-reason", failure.reason.encode()),
    )
    return Outgoing(message.value, (*message.headers, *headers))


def verdict_roots(events: pl.DataFrame, judged: Judged, messages: int) -> NDArray[np.uint8]:
    """Root over each message's verdict lines: one a count, one a violation, sorted by their bytes."""
    violated = judged.violations.join(
        events.select("row", "message", "record_index"), on="row", how="left", maintain_order="left"
    )
    return roots_of_verdicts(verdict_lines(judged.counts, violated), messages)


def verdict_lines(counts: pl.DataFrame, violated: pl.DataFrame) -> pl.DataFrame:
    """The verdict lines of messages (`message`, `line`), by message and sorted by their bytes.

    Args:
        counts: `message` and the columns of `counts.COUNTS_SCHEMA`.
        violated: `message`, `record_index`, `control_id`, `control_version`: one row an event and control.
    """
    counted = counts.select(
        "message",
        _object(
            ("control", json_strings(counts["control_id"])),
            ("events", counts["events"].cast(pl.String)),
            ("hour", (counts["hour"].dt.epoch("s")).cast(pl.String)),
            ("missing", json_strings(counts["missing"])),
            ("source_format", json_strings(counts["source_format"])),
            ("verdict", json_strings(counts["verdict"])),
            ("version", counts["control_version"].cast(pl.String)),
        ),
    )
    named = violated.select(
        "message",
        _object(
            ("control", json_strings(violated["control_id"])),
            ("record_index", violated["record_index"].cast(pl.String)),
            ("version", violated["control_version"].cast(pl.String)),
        ),
    )
    return pl.concat([counted, named]).sort("message", "line")


def roots_of_verdicts(lines: pl.DataFrame, messages: int) -> NDArray[np.uint8]:
    """The root over each message's lines, as `verdict_lines` gives them."""
    leaves = sha256_column(lines.select(pl.lit(merkle.LEAF_PREFIX) + pl.col("line").cast(pl.Binary)).to_series())
    sizes = np.bincount(lines["message"].to_numpy(), minlength=messages).astype(np.int64)
    return merkle.roots(leaves, sizes)


def _object(*members: tuple[str, pl.Series]) -> pl.Expr:
    """A JSON object of ready-made values, members in the order given (sorted by name)."""
    pieces: list[pl.Expr] = []
    for position, (name, values) in enumerate(members):
        pieces += [pl.lit(f'{"," if position else "{"}"{name}":'), pl.lit(values)]
    return pl.concat_str([*pieces, pl.lit("}")]).alias("line")
