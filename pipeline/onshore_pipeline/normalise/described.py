"""What the columns of every source format begin with, so that a shape says only what is its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onshore_pipeline.normalise.fields import Records

# What reading any record gives and a record of a source format keeps.
KEPT: Final = ("row", "message", "resource", "record_index", "schema_url", "trace_id", "span_id", "body")
_TIME: Final = pl.Datetime("ns", "UTC")


def beside(records: Records, fields: pl.DataFrame) -> pl.DataFrame:
    """The record's fields, row by row, beside what `begun` needs."""
    return records.frame.select(*KEPT, "time_ns", "observed_ns").hstack(fields.get_columns())


def begun(source_format: str, occurred: pl.Expr) -> list[pl.Expr]:
    """The columns that every event has, of a frame of `beside`; `occurred` falls back on the log record's times."""
    return [
        *(pl.col(name) for name in KEPT),
        pl.lit(source_format).alias("source_format"),
        pl.coalesce(occurred.cast(_TIME), pl.coalesce("time_ns", "observed_ns").cast(_TIME)).alias("occurred_at"),
        pl.col("observed_ns").cast(_TIME).alias("observed_at"),
    ]


def known(fields: pl.DataFrame) -> pl.DataFrame:
    """The fields with empty texts as unknown."""
    texts = [name for name, dtype in fields.schema.items() if dtype == pl.String()]
    return fields.with_columns(pl.when(pl.col(name) != "").then(pl.col(name)).alias(name) for name in texts)


def as_attributes(records: Records, fields: pl.DataFrame, keys: Mapping[str, str]) -> pl.DataFrame:
    """Fields that have no column as attributes to add; long, columns row, key, text.

    Args:
        records: the records that the fields are of, row by row.
        fields: text columns.
        keys: column of `fields` → the attribute it becomes.
    """
    rows = records.frame.select("row").hstack(fields.select(*keys).get_columns())
    return pl.concat(
        rows.filter(pl.col(name).is_not_null()).select("row", pl.lit(key).alias("key"), pl.col(name).alias("text"))
        for name, key in keys.items()
    )
