from __future__ import annotations

import csv
import io

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onshore_pipeline.normalise.csv_cells import read_cells

NAMES = ("a", "b", "c")
texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)


def written(cells: list[str]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue().removesuffix("\r\n")


@given(st.lists(st.lists(texts, min_size=1, max_size=5), max_size=6))
def test_what_was_written_is_read_whatever_stands_beside_it(records: list[list[str]]) -> None:
    lines = pl.Series([written(cells) for cells in records], dtype=pl.String)
    read = read_cells(lines, NAMES).rows()
    assert read == [tuple((cells[at] or None) if at < len(cells) else None for at in range(3)) for cells in records]


@pytest.mark.parametrize("broken", ['x,"y', '"', 'x,"y\nz', "", None, '"x"y"z,1'])
def test_a_broken_record_does_not_disturb_its_neighbours(broken: str | None) -> None:
    read = read_cells(pl.Series(["1,2,3", broken, '4,"5,5",6'], dtype=pl.String), NAMES).rows()
    assert (read[0], read[2]) == (("1", "2", "3"), ("4", "5,5", "6"))


def test_a_cell_that_never_ends_is_not_read() -> None:
    assert read_cells(pl.Series(['x,"y,z']), NAMES).rows() == [("x", None, None)]
