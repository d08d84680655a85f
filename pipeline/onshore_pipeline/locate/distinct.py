"""Works each distinct value of a column out once and hands the answers back in the column's order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Callable


def by_distinct(
    column: pl.Series, answer: Callable[[pl.Series], pl.DataFrame], schema: dict[str, pl.DataType]
) -> pl.DataFrame:
    """Answer for every value of a column.

    Args:
        column: any values; null has no answer.
        answer: distinct values without null → one row of answers each, in their order.
        schema: the answers' columns.

    Returns:
        One row of answers a value of `column`, in its order; null where the value is null.
    """
    if column.null_count() == len(column):
        return nulls(len(column), schema)
    distinct = column.drop_nulls().unique()
    answers = answer(distinct).with_columns(distinct.alias("value"))
    keys = column.rename("value").to_frame()
    return keys.join(answers, on="value", how="left", maintain_order="left").select(list(schema))


def nulls(height: int, schema: dict[str, pl.DataType]) -> pl.DataFrame:
    """A frame of nothing but null."""
    # One value repeated takes a microsecond a column; `pl.repeat` plans a query, which takes eighty.
    return pl.DataFrame([pl.Series(name, [None], kind).new_from_index(0, height) for name, kind in schema.items()])


def looked_up(keys: pl.Series, table: pl.DataFrame, on: str) -> pl.DataFrame:
    """The row of `table` whose (unique) `on` equals each key, without `on`; null where there is none."""
    frame = keys.rename(on).to_frame()
    return frame.join(table, on=on, how="left", maintain_order="left").drop(on)
