"""The event's columns as Polars and Arrow types, made from `domain.event`."""

from __future__ import annotations

from typing import Final

import polars as pl
import pyarrow as pa

from onshore_pipeline.domain.event import EVENT_COLUMNS, Kind

# In frames between the stages, maps are kept apart as long frames (row, key, text): see `wire.frames`.
POLARS_TYPES: Final[dict[Kind, pl.DataType]] = {
    Kind.TEXT: pl.String(),
    Kind.WORD: pl.String(),
    Kind.TIME: pl.Datetime("ns", "UTC"),
    Kind.ADDRESS: pl.Binary(),  # 16 bytes, network order
    Kind.U32: pl.UInt32(),
    Kind.U64: pl.UInt64(),
    Kind.BOOL: pl.Boolean(),
    Kind.WORDS: pl.List(pl.String()),
    Kind.TEXT_MAP: pl.List(pl.Struct({"key": pl.String(), "value": pl.String()})),
    Kind.ID: pl.Binary(),  # 16 bytes, as uuid.UUID.bytes
    Kind.TRACE_ID: pl.Binary(),
    Kind.SPAN_ID: pl.Binary(),
    Kind.DIGEST: pl.Binary(),
}

ARROW_TYPES: Final[dict[Kind, pa.DataType]] = {
    Kind.TEXT: pa.string(),
    Kind.WORD: pa.string(),
    Kind.TIME: pa.timestamp("ns", "UTC"),
    Kind.ADDRESS: pa.binary(16),
    Kind.U32: pa.uint32(),
    Kind.U64: pa.uint64(),
    Kind.BOOL: pa.bool_(),
    Kind.WORDS: pa.list_(pa.string()),
    Kind.TEXT_MAP: pa.map_(pa.string(), pa.string()),
    Kind.ID: pa.binary(16),
    Kind.TRACE_ID: pa.binary(16),
    Kind.SPAN_ID: pa.binary(8),
    Kind.DIGEST: pa.binary(32),
}

EVENT_POLARS_SCHEMA: Final = pl.Schema({column.name: POLARS_TYPES[column.kind] for column in EVENT_COLUMNS})


def arrow_field(name: str, kind: Kind, *, required: bool) -> pa.Field:
    """The Arrow field of one column; arrays and maps are never null, they are empty."""
    nullable = not required and kind not in {Kind.WORDS, Kind.TEXT_MAP}
    return pa.field(name, ARROW_TYPES[kind], nullable=nullable)


EVENT_ARROW_SCHEMA: Final = pa.schema(
    [arrow_field(column.name, column.kind, required=column.required) for column in EVENT_COLUMNS]
)
