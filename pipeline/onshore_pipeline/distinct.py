"""Works each distinct value of a column out once and hands the answers back in the column's order."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa

from onshore_pipeline.views import numbered

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


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
    distinct, which = encoded(column)
    answers = answer(distinct)
    return pl.DataFrame([answers.get_column(name)[which] for name in schema])


def encoded(column: pl.Series) -> tuple[pl.Series, pl.Series]:
    """The distinct values of a column without null, and which of them each row has (UInt32, null where it has none)."""
    if column.dtype not in {pl.String, pl.Binary}:
        coded = column.rechunk().to_arrow(compat_level=pl.CompatLevel.newest()).dictionary_encode()
        return (
            pl.Series(column.name, coded.dictionary, dtype=column.dtype),
            pl.Series(coded.indices, dtype=pl.UInt32),
        )
    numbers, firsts, has_nulls = numbered(column)
    which = numbers - np.uint32(1)
    if not has_nulls:
        return column[firsts], pl.Series(which)
    known = pa.py_buffer(np.packbits(numbers > 0, bitorder="little"))
    return column[firsts], pl.Series(pa.Array.from_buffers(pa.uint32(), len(which), [known, pa.py_buffer(which)]))


def mapped(column: pl.Series, answer: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """`answer` of each value of a column, asked for the distinct ones only; null stays null."""
    distinct, which = encoded(column)
    return answer(distinct)[which].alias(column.name)


def nulls(height: int, schema: dict[str, pl.DataType]) -> pl.DataFrame:
    """A frame of nothing but null."""
    return pl.DataFrame([_nulls(kind, height).alias(name) for name, kind in schema.items()])


@lru_cache(maxsize=32)  # columns of nothing are shared: a batch has some sixty
def _nulls(kind: pl.DataType, height: int) -> pl.Series:
    # One value repeated takes a microsecond; `pl.repeat` plans a query, which takes eighty.
    return pl.Series("", [None], kind).new_from_index(0, height)


def positions(numbers: NDArray[np.int64]) -> pl.Series:
    """Numbers as an index into a column: nothing where one is below 0."""
    at = pl.Series(numbers)
    return at.set(at < 0, None).cast(pl.UInt32)


def is_true(column: pl.Series) -> pl.Series:
    """Where a Boolean column is true: not where it is null."""
    # Filling nulls, as every choice between two columns, wakes Polars' threads up: for a few rows that is all it takes.
    if column.null_count() == len(column):
        return pl.Series([False], dtype=pl.Boolean).new_from_index(0, len(column))
    return column.eq_missing(True) if column.null_count() else column


def looked_up(keys: pl.Series, table: pl.DataFrame, on: str) -> pl.DataFrame:
    """The row of `table` whose (unique) `on` equals each key, without `on`; null where there is none."""
    found = keys.rename(on).to_frame().join(table, on=on, how="left", maintain_order="left")
    return pl.DataFrame([column for column in found.get_columns() if column.name != on])
