"""Attributes are kept by owner and key, and of equal keys the last one sent."""

from __future__ import annotations

from operator import itemgetter

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onshore_pipeline.wire.ordering import sorted_unique


def expected(pairs: list[tuple[int, int]]) -> list[int]:
    last = {pair: position for position, pair in enumerate(pairs)}
    return [last[pair] for pair in sorted(last)]


def order_of(pairs: list[tuple[int, int]]) -> list[int]:
    owners, ranks = zip(*pairs, strict=True)
    return sorted_unique(pl.Series(owners, dtype=pl.UInt32), pl.Series(ranks, dtype=pl.UInt32)).to_list()


numbers = st.one_of(st.integers(0, 3), st.integers(0, 2**32 - 1))


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=40))
@settings(max_examples=80, deadline=None)  # the first example waits for the compiler
def test_positions_are_sorted_by_owner_and_key_and_the_last_of_equal_keys_stays(pairs: list[tuple[int, int]]) -> None:
    pairs.sort(key=itemgetter(0))

    assert order_of(pairs) == expected(pairs)


@pytest.mark.parametrize("count", [63, 64, 65, 66, 5_000])
def test_an_owner_of_very_many_attributes_is_sorted_like_any_other(count: int) -> None:
    pairs = [(0, 1), (0, 0), *((3, (position * 7919) % 41) for position in range(count)), (9, 5), (9, 5)]

    assert order_of(pairs) == expected(pairs)


def test_the_largest_owner_and_key_are_no_special_case() -> None:
    most = 2**32 - 1
    few = [(0, most), (most, 1), (most, most), (most, 0), (most, most)]
    many = [*few, *((most, most - position) for position in range(100))]

    assert order_of(few) == expected(few)
    assert order_of(many) == expected(many)
