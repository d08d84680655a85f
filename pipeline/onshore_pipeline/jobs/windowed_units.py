"""Histories of windows, sequences and absences as rows of `windowed_verdicts_built`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from onshore_pipeline.controls.fingerprints import UNKNOWN, violations_of
from onshore_pipeline.controls.windowed_names import unit_ids

if TYPE_CHECKING:
    from onshore_pipeline.controls.windowed import WindowedControl


def unit_rows(control: WindowedControl, history: pl.DataFrame, generation: int) -> pl.DataFrame:
    """One row a change of a verdict, with the columns of the table."""
    keys = [
        pl.col("keys").list.get(place).alias(column.name) for place, column in enumerate(control.key)
    ]  # fmt: skip
    wide = history.with_columns(keys).with_row_index("row")
    wide = wide.with_columns(unit_ids(control, wide))
    names = [column.name for column in control.key]
    texts = [pl.col(name).fill_null(UNKNOWN) for name in names]
    found = violations_of(
        wide.select("row", *names), [(control.control, pl.Series(range(wide.height), dtype=pl.UInt32))]
    ).sort("row")
    key = _pairs(names, texts)
    aggregates = _aggregates(control)
    # Nothing is known yet of a window for which messages wait.
    values = [pl.col("known").list.get(place, null_on_oob=True) for place in range(len(aggregates))]
    known = _pairs(aggregates, values)
    moments = [
        pl.col(name).cast(pl.Datetime("ns", "UTC")) for name in ("since", "until", "stated_at", "first_at", "last_at")
    ]
    return wide.hstack(found.select("finding_id", "fingerprint")).with_columns(
        *moments,
        key.alias("key"),
        known.alias("known"),
        pl.lit(control.rule).alias("rule"),
        pl.lit(generation, pl.UInt64).alias("generation"),
        pl.lit(control.control.id).alias("control_id"),
        pl.lit(control.control.version, pl.UInt32).alias("control_version"),
        pl.lit(control.windowed.kind).alias("looks_at"),
        pl.col("tenant").fill_null(UNKNOWN),
        pl.col("samples").alias("sample_event_ids"),
    )


def _aggregates(control: WindowedControl) -> list[str]:
    condition = control.condition
    if condition is None:
        return []
    return [
        "count(*)"
        if each.column is None
        else f"sum({each.column.name})"
        if each.function == "sum"
        else f"count(distinct {each.column.name})"
        for each in condition.aggregates
    ]


def _pairs(names: list[str], values: list[pl.Expr]) -> pl.Expr:
    if not names:
        return pl.lit([], dtype=pl.List(pl.Struct({"key": pl.String, "value": pl.String})))
    pairs = [
        pl.struct(pl.lit(name).alias("key"), value.fill_null("").alias("value"))
        for name, value in zip(names, values, strict=True)
    ]
    return pl.concat_list(pairs)
