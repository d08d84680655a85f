"""Encoded log records and spans → the records and attributes frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl
import pyarrow as pa

from onshore_pipeline.wire.attributes import read_attributes
from onshore_pipeline.wire.descriptor import LOG_RECORD, SPAN
from onshore_pipeline.wire.elements import column, read_elements
from onshore_pipeline.wire.frames import ATTRIBUTES_SCHEMA, RECORDS_SCHEMA, WIRE_PREFIX
from onshore_pipeline.wire.values import INT64_MAX, number_or_null, text_or_null, texts, time_or_null, twice_set

if TYPE_CHECKING:
    from collections.abc import Iterable

    from onshore_pipeline.wire.envelope import Envelope

_ID_BYTES: Final = {"trace_id": 16, "span_id": 8, "parent_span_id": 8}
_TIMES: Final = ("time_unix_nano", "end_time_unix_nano", "observed_time_unix_nano")


def read_logs(envelope: Envelope) -> tuple[pl.DataFrame, pl.DataFrame, dict[int, str]]:
    """Log records as `RECORDS_SCHEMA` and `ATTRIBUTES_SCHEMA`, a row for every one sent, and row → reason for bad ones.

    Raises `FastPathRefused`.
    """
    batch, bad = read_elements(LOG_RECORD, envelope.records, _twice_set)
    bodies, bad_bodies = texts(_body_members(batch))
    fields = _fields(batch).with_columns(body=bodies["text"])
    attributes, bad_attributes = _attributes(batch, fields)
    records = _assembled(
        envelope,
        fields,
        signal=pl.lit("log"),
        time_ns=time_or_null("time_unix_nano"),
        observed_ns=time_or_null("observed_time_unix_nano"),
        severity_number=number_or_null("severity_number"),
        severity_text=text_or_null("severity_text"),
        event_name=text_or_null("event_name"),
        trace_id=_id("trace_id"),
        span_id=_id("span_id"),
        body=pl.col("body"),
    )
    return records, attributes, envelope.bad | bad | bad_bodies | bad_attributes


def read_spans(envelope: Envelope) -> tuple[pl.DataFrame, pl.DataFrame, dict[int, str]]:
    """Spans as `RECORDS_SCHEMA` and `ATTRIBUTES_SCHEMA`, a row for every one sent, and row → reason for bad ones.

    Raises `FastPathRefused`.
    """
    batch, bad = read_elements(SPAN, envelope.records)
    message, code = batch.column("status").flatten()
    fields = (
        _fields(batch)
        .rename({"start_time_unix_nano": "time_unix_nano"})
        .with_columns(status_message=column(message), status_code=column(code))
    )
    attributes, bad_attributes = _attributes(batch, fields)
    records = _assembled(
        envelope,
        fields,
        signal=pl.lit("span"),
        time_ns=time_or_null("time_unix_nano"),
        end_ns=time_or_null("end_time_unix_nano"),
        name=text_or_null("name"),
        span_kind=number_or_null("kind"),
        status_code=number_or_null("status_code"),
        status_message=text_or_null("status_message"),
        trace_id=_id("trace_id"),
        span_id=_id("span_id"),
        parent_span_id=_id("parent_span_id"),
    )
    return records, attributes, envelope.bad | bad | bad_attributes


def _twice_set(batch: pa.RecordBatch) -> Iterable[int]:
    return twice_set(_body_members(batch))


def _body_members(batch: pa.RecordBatch) -> pa.StructArray:
    body = batch.column("body")
    return pa.StructArray.from_arrays(body.flatten(), fields=list(body.type))


def _fields(batch: pa.RecordBatch) -> pl.DataFrame:
    """The flat fields of records, by their OTLP names."""
    flat = [field.name for field in batch.schema if not pa.types.is_nested(field.type)]
    return pl.DataFrame({name: column(batch.column(name)) for name in flat})


def _assembled(envelope: Envelope, fields: pl.DataFrame, **columns: pl.Expr) -> pl.DataFrame:
    owners = envelope.owners
    of_scope = envelope.scopes[owners["scope"]] if owners.height else envelope.scopes.clear()
    known = owners.drop("scope").hstack(of_scope)
    given = {name: pl.col(name) for name in known.columns} | {"row": pl.int_range(pl.len())} | columns
    return known.hstack(fields).select(
        given.get(name, pl.lit(None)).cast(dtype).alias(name) for name, dtype in RECORDS_SCHEMA.items()
    )


def _id(name: str) -> pl.Expr:
    size = _ID_BYTES[name]
    value = pl.col(name).cast(pl.Binary)
    return pl.when((value.bin.size() == size) & (value != bytes(size))).then(value)


def _attributes(batch: pa.RecordBatch, fields: pl.DataFrame) -> tuple[pl.DataFrame, dict[int, str]]:
    read = read_attributes(batch.column("attributes"))
    unheld = _unheld(fields)
    if not unheld.height:
        return read.frame, read.bad
    # Few rows have such attributes: only theirs are sorted again.
    touched = read.frame["row"].is_in(unheld["row"].unique().implode())
    again = (
        pl.concat([read.frame.filter(touched), unheld])
        .unique(["row", "key"], keep="last", maintain_order=True)
        .sort("row", "key")
    )
    return pl.concat([read.frame.filter(~touched), again]).sort("row", maintain_order=True), read.bad


def _unheld(fields: pl.DataFrame) -> pl.DataFrame:
    """Attributes for what a record's fields hold and our columns cannot: times beyond Int64, ids of a wrong length."""
    value = {name: pl.col(name).cast(pl.Binary) for name in _ID_BYTES if name in fields.columns}
    wrong = {name: ~value[name].bin.size().is_in([0, _ID_BYTES[name]]) for name in value}
    wrong |= {name: pl.col(name) > INT64_MAX for name in _TIMES if name in fields.columns}
    seen = fields.select(expression.any().alias(name) for name, expression in wrong.items()).row(0, named=True)
    found = [
        fields.with_row_index("row")
        .filter(wrong[name])
        .select(
            "row",
            key=pl.lit(WIRE_PREFIX + name),
            text=value[name].bin.encode("hex") if name in value else pl.col(name).cast(pl.String),
            int_value=pl.lit(None, pl.Int64),
        )
        for name in wrong
        if seen[name]
    ]
    return pl.concat(found) if found else ATTRIBUTES_SCHEMA.to_frame()
