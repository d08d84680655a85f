"""Cells of CSV records (RFC 4180), each record for itself: one that is cut off does not disturb the next."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence


def read_cells(lines: pl.Series, names: Sequence[str]) -> pl.DataFrame:
    """One text column a cell, by position, row by row; null where the record has no such cell or it is empty.

    Args:
        lines: the records, without what ends their line; null has no cells.
        names: the cells in their order; what a record has beyond them is left out.
    """
    # A record with an odd number of quotes, or with a line's end in it, cannot be told from the next by its line.
    plain = lines.is_not_null() & (lines.str.count_matches('"', literal=True) % 2 == 0) & ~lines.str.contains(r"[\r\n]")
    plain = (plain & (lines != "")).fill_null(False)
    numbered = pl.DataFrame({"line": lines}).with_row_index("at")
    whole = _read_all(numbered.filter(plain), names)
    rest = _read_each(numbered.filter(~plain & lines.is_not_null()), names)
    cells = numbered.select("at").join(pl.concat([whole, rest]), on="at", how="left", maintain_order="left")
    return cells.select(pl.when(pl.col(name) != "").then(pl.col(name)).alias(name) for name in names)


def _read_all(lines: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    if not lines.height:
        return _none(names)
    cells = pl.read_csv(
        io.BytesIO("\n".join(lines["line"].to_list()).encode()),
        has_header=False,
        schema=dict.fromkeys(names, pl.String()),
        extra_columns="ignore",
        missing_columns="insert",
    )
    return lines.select("at").hstack(cells.get_columns())


def _read_each(lines: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    rows = [_cells(line, len(names)) for line in lines["line"].to_list()]
    if not rows:
        return _none(names)
    cells = pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String()), orient="row")
    return lines.select("at").hstack(cells.get_columns())


def _cells(line: str, wanted: int) -> list[str]:
    """The cells of one record; a quoted one that never ends is cut off, and half a value would be a wrong one."""
    found = next(csv.reader(io.StringIO(line, newline=""), strict=False), [])
    if line.count('"') % 2:
        found = found[:-1]
    return [*found, *[""] * (wanted - len(found))][:wanted]


def _none(names: Sequence[str]) -> pl.DataFrame:
    return pl.DataFrame(schema={"at": pl.UInt32(), **dict.fromkeys(names, pl.String())})
