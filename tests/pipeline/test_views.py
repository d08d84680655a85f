"""Numbering texts by their views, held to a dictionary of the texts themselves."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onshore_pipeline.distinct import encoded
from onshore_pipeline.views import have_scheme, numbered

# Around what a view holds whole, and around words of eight bytes; alike at the beginning, in the middle, at the end.
_TEXTS = st.sampled_from(
    [None, "", "\x00", "\x00\x00", "a", "AU", "AU\x00", "é" * 6, "é" * 7]
    + ["x" * size for size in range(10, 26)]
    + ["x" * size + "y" for size in range(10, 26)]
    + ["y" + "x" * size for size in range(10, 26)]
    + ["x" * 8 + "z" + "x" * size for size in range(10, 26)]
)
_ANY = st.one_of(_TEXTS, st.text(max_size=40))


def _expected(values: list[str | None] | list[bytes | None]) -> tuple[list[int], list[int]]:
    first: dict[str | bytes, int] = {}
    for position, value in enumerate(values):
        if value is not None:
            first.setdefault(value, position)
    number = {value: place + 1 for place, value in enumerate(first)}
    return [0 if value is None else number[value] for value in values], list(first.values())


def _held(column: pl.Series) -> tuple[list[int], list[int], bool]:
    found = numbered(column)
    return found.numbers.tolist(), found.firsts.tolist(), found.has_nulls


@given(st.lists(_ANY, max_size=60), st.integers(0, 10), st.integers(0, 10))
def test_equal_texts_have_one_number_in_the_order_in_which_they_appear(
    values: list[str | None], before: int, behind: int
) -> None:
    column = pl.Series([*(["before"] * before), *values, *([None] * behind)], dtype=pl.String)
    part = column.slice(before, len(values))  # the bits that tell nulls do not begin at a byte
    assert _held(part) == (*_expected(values), None in values)


@given(st.lists(st.lists(_ANY, max_size=12), max_size=8))
def test_long_texts_that_lie_in_several_places_are_the_same_text(parts: list[list[str | None]]) -> None:
    column = pl.concat([pl.Series(dtype=pl.String), *(pl.Series(part, dtype=pl.String) for part in parts)])
    values = [value for part in parts for value in part]
    assert _held(column) == (*_expected(values), None in values)


@given(st.lists(st.one_of(st.none(), st.binary(max_size=30)), max_size=60))
def test_bytes_are_numbered_as_texts_are(values: list[bytes | None]) -> None:
    assert _held(pl.Series(values, dtype=pl.Binary)) == (*_expected(values), None in values)


@pytest.mark.parametrize("distinct", [2_047, 2_048, 2_049, 70_000])
@pytest.mark.parametrize("text", ["{}", "https://example.com/{}/status"])
def test_more_texts_than_a_small_table_takes(distinct: int, text: str) -> None:
    values: list[str | None] = [text.format(number % distinct) for number in range(2 * distinct)]
    assert _held(pl.Series(values)) == (*_expected(values), False)


def test_texts_of_made_up_rows_and_of_another_frame_are_the_same() -> None:
    rows = pl.select(pl.when(pl.int_range(10) > 4).then(pl.lit("data_movement")).otherwise(pl.lit("model_access")))
    column = pl.concat([rows.to_series(), pl.Series(["data_movement"])])
    assert _held(column) == ([*[1] * 5, *[2] * 6], [0, 5], False)


@given(st.lists(_ANY, max_size=60))
def test_what_is_encoded_spells_the_column_again(values: list[str | None]) -> None:
    column = pl.Series("name", values, dtype=pl.String)
    distinct, which = encoded(column)
    assert distinct.name == "name"
    assert distinct.dtype == pl.String
    assert which.dtype == pl.UInt32
    assert distinct.null_count() == 0
    assert distinct.n_unique() == len(distinct)
    assert distinct[which].to_list() == values


def test_a_column_without_any_value() -> None:
    assert _held(pl.Series([None, None], dtype=pl.String)) == ([0, 0], [], True)
    assert _held(pl.Series([], dtype=pl.String)) == ([], [], False)
    distinct, which = encoded(pl.Series([None, None], dtype=pl.String))
    assert (distinct.to_list(), which.to_list()) == ([], [None, None])


def test_numbers_do_not_depend_on_where_a_process_begins_to_mix(monkeypatch: pytest.MonkeyPatch) -> None:
    values = [f"{number % 300}" * (number % 7 + 1) for number in range(3_000)]
    column = pl.Series(values)
    once = _held(column)
    monkeypatch.setattr("onshore_pipeline.views._SEED", np.array([3, 5], np.uint64))
    assert _held(column) == once


_PARTS = st.sampled_from(["://", ":", "/", "//", ":/", "a", "https", "x" * 7, "x" * 20, "\x00", "é"])


@given(st.lists(st.one_of(st.none(), st.lists(_PARTS, max_size=6).map("".join)), max_size=40), st.integers(0, 10))
def test_texts_that_hold_a_scheme_are_found_wherever_it_stands(values: list[str | None], before: int) -> None:
    column = pl.Series([*(["s3://b"] * before), *values], dtype=pl.String).slice(before)
    assert have_scheme(column).tolist() == [value is not None and "://" in value for value in values]


@pytest.mark.parametrize("size", range(3, 30))
def test_a_scheme_is_found_at_every_place_of_a_text(size: int) -> None:
    values = ["y" * at + "://" + "y" * (size - at - 3) for at in range(size - 2)] + ["y" * size]
    assert have_scheme(pl.Series(values)).tolist() == [*[True] * (size - 2), False]
