"""What decoding a batch of messages gives: frames, failures and counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import polars as pl

# Attributes under this prefix are written by the decoder itself: what a sender wrote and no column can hold.
# onshore.wire.trace_id, .span_id, .parent_span_id: hex of an id of wrong length.
# onshore.wire.time_unix_nano, .end_time_unix_nano, .observed_time_unix_nano: nanoseconds beyond Int64, decimal.
WIRE_PREFIX: Final = "onshore.wire."

RECORDS_SCHEMA: Final = pl.Schema(
    {
        "row": pl.UInt32(),
        "message": pl.UInt32(),
        "record_index": pl.UInt32(),
        "signal": pl.String(),  # 'log' or 'span'
        "resource": pl.UInt32(),
        "scope_name": pl.String(),
        "scope_version": pl.String(),
        "schema_url": pl.String(),  # the scope's, else the resource's
        "encoding_format": pl.String(),  # scope attribute encoding.format
        "time_ns": pl.Int64(),
        "end_ns": pl.Int64(),
        "observed_ns": pl.Int64(),
        "severity_number": pl.Int32(),
        "severity_text": pl.String(),
        "event_name": pl.String(),
        "name": pl.String(),
        "span_kind": pl.Int32(),
        "status_code": pl.Int32(),
        "status_message": pl.String(),
        "trace_id": pl.Binary(),  # 16 bytes
        "span_id": pl.Binary(),  # 8 bytes
        "parent_span_id": pl.Binary(),  # 8 bytes
        "body": pl.String(),
    }
)
ATTRIBUTES_SCHEMA: Final = pl.Schema(
    {"row": pl.UInt32(), "key": pl.String(), "text": pl.String(), "int_value": pl.Int64()}
)
RESOURCES_SCHEMA: Final = pl.Schema({"resource": pl.UInt32(), "message": pl.UInt32(), "schema_url": pl.String()})
RESOURCE_ATTRIBUTES_SCHEMA: Final = pl.Schema(
    {"resource": pl.UInt32(), "key": pl.String(), "text": pl.String(), "int_value": pl.Int64()}
)
POINTS_SCHEMA: Final = pl.Schema(
    {
        "point": pl.UInt32(),
        "message": pl.UInt32(),
        "resource": pl.UInt32(),
        "metric": pl.String(),
        "unit": pl.String(),
        "point_kind": pl.String(),  # gauge, sum, histogram, exponential_histogram, summary
        "time_ns": pl.Int64(),
        "value": pl.Float64(),
        "sum": pl.Float64(),
        "count": pl.UInt64(),
    }
)
POINT_ATTRIBUTES_SCHEMA: Final = pl.Schema({"point": pl.UInt32(), "key": pl.String(), "text": pl.String()})

Stage = Literal["collect", "decode", "normalise", "locate", "judge", "seal", "write"]


@dataclass(frozen=True, slots=True)
class Failure:
    """What of a message could not go on, and why.

    Attributes:
        message: position of the message in the batch.
        record_indexes: the failed records of the message, rising; None when the whole message failed.
        stage: the step that refused it.
        reason: one readable line.
    """

    message: int
    record_indexes: tuple[int, ...] | None
    stage: Stage
    reason: str


@dataclass(frozen=True, slots=True)
class Decoded:
    """A batch of OTLP messages as frames; unset and empty proto fields are null, a zero time or enum is unset.

    Attributes:
        records: one row a log record or span that could be read, `RECORDS_SCHEMA`, sorted by (message, record_index);
            `row` is dense from 0. `record_index` counts all records of the message, failed ones too.
        attributes: `ATTRIBUTES_SCHEMA`, sorted by (row, key bytes), unique: of duplicate keys the last one sent stays.
            `text` is never null: strings as sent, integers decimal, bools true/false, doubles as Python's repr, bytes
            as base64, arrays and maps as compact JSON, an empty value ''. `int_value` is set when an int was sent.
        resources: one row a ResourceLogs, ResourceSpans or ResourceMetrics, empty ones too; `resource` is dense from 0.
        resource_attributes: as `attributes`, keyed by `resource`.
        points: one row a metric data point, `POINTS_SCHEMA`; integers are converted to Float64.
        point_attributes: as `attributes` without `int_value`, keyed by `point`.
        failures: messages and records that could not be read; a message that failed whole has no rows anywhere.
        record_counts: log records and spans sent, one number a message, failed records included; 0 for metrics and
            for messages that failed whole.
    """

    records: pl.DataFrame
    attributes: pl.DataFrame
    resources: pl.DataFrame
    resource_attributes: pl.DataFrame
    points: pl.DataFrame
    point_attributes: pl.DataFrame
    failures: tuple[Failure, ...]
    record_counts: tuple[int, ...]
    by_reference: tuple[int, ...] = ()
