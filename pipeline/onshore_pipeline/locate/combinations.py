"""Which rows are alike in everything that an answer depends on, so that the answer is worked out once for each kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import polars as pl

from onshore_pipeline import views
from onshore_pipeline.distinct import encoded, positions

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    Codes = NDArray[np.int64]

# Up to so many possible values a table is faster than sorting.
_MOST_TABLED: Final = 1 << 20


class Numbered(NamedTuple):
    """A column of few different values.

    Attributes:
        values: the different values, none of them null.
        which: by row, which of them it has, -1 for none.
    """

    values: pl.Series
    which: Codes


def numbered(column: pl.Series) -> Numbered | None:
    """A column by its distinct values; None where all are null."""
    if column.null_count() == len(column):
        return None
    if column.dtype != pl.String:
        distinct, which = encoded(column)
        return Numbered(distinct, which.cast(pl.Int64).fill_null(-1).to_numpy())
    numbers, firsts, _ = views.numbered(column)
    return Numbered(column[firsts], numbers.astype(np.int64) - 1)


def combined(parts: Sequence[Numbered], height: int, put_together: pl.Expr) -> pl.Series | None:
    """One value a row out of several columns, each combination that occurs put together once.

    Args:
        parts: the columns.
        height: how many rows there are.
        put_together: an expression over all columns of a frame that has one for each part with any value in it, null
            where a row has none.

    Returns:
        Its values, None where no part has any.
    """
    used = [part for part in parts if part.which.max(initial=-1) >= 0]
    if not used:
        return None
    rows, which = combinations([part.which for part in used], height)
    columns = [part.values[positions(part.which[rows])].alias(str(number)) for number, part in enumerate(used)]
    return pl.DataFrame(columns).select_seq(put_together).to_series()[which]


def combinations(columns: Iterable[Codes], height: int) -> tuple[Codes, Codes]:
    """Tell rows apart by several columns of codes.

    Args:
        columns: codes from 0 up, -1 where there is nothing; a row each.
        height: how many rows there are.

    Returns:
        A row of each combination that occurs, and for every row which of these it is like.
    """
    key = np.zeros(height, np.int64)
    size = 1
    for codes in columns:
        most = int(codes.max(initial=-1)) + 2
        if size * most > _MOST_TABLED:
            _, key = _dense(key, size)
            size = int(key.max(initial=0)) + 1
        key = key * most + (codes + 1)
        size *= most
    return _dense(key, size)


def codes_of(column: pl.Series) -> Codes | None:
    """A column's distinct values as codes from 0 up, -1 for null; None where all are null."""
    if column.null_count() == len(column):
        return None
    if column.dtype == pl.Boolean:
        return column.cast(pl.Int64).fill_null(-1).to_numpy()
    if column.dtype in {pl.String, pl.Binary}:
        return views.numbered(column).numbers.astype(np.int64) - 1
    indices = column.rechunk().to_arrow(compat_level=pl.CompatLevel.newest()).dictionary_encode().indices
    codes: Codes = indices.fill_null(-1).to_numpy().astype(np.int64)
    return codes


def _dense(key: Codes, size: int) -> tuple[Codes, Codes]:
    """One row a distinct key, and which of them each row has."""
    if size <= _MOST_TABLED:
        row_of = np.full(size, -1, np.int32)
        row_of[key] = np.arange(len(key), dtype=np.int32)
        used = np.flatnonzero(row_of >= 0)
        position = np.empty(size, np.int32)
        position[used] = np.arange(len(used), dtype=np.int32)
        return row_of[used].astype(np.int64), position[key].astype(np.int64)
    _, rows, which = np.unique(key, return_index=True, return_inverse=True)
    return rows.astype(np.int64), which.astype(np.int64)
