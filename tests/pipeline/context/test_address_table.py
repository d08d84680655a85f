"""Which range an address lies in: compiled search, held to a plain one, in tables small and large."""

from __future__ import annotations

from random import Random

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onshore_pipeline.context.address_table import NOWHERE, AddressTable

_MOST = (1 << 128) - 1
_MAPPED = 0xFFFF << 32
_EDGES = [0, 1, _MAPPED - 1, _MAPPED, _MAPPED | 0xFFFFFFFF, _MAPPED + (1 << 32)]
_EDGES += [1 << 64, (1 << 64) - 1, 1 << 108, _MOST]


def _table(edges: list[int]) -> tuple[AddressTable, list[tuple[int, int, str | None]]]:
    """Every other stretch between sorted edges is a range; two of three say something that others say, too."""
    points = sorted(set(edges))
    ranges = [
        (first, last - (last != _MOST), [None, "AU", f"{number}"][number % 3])
        for number, (first, last) in enumerate(zip(points[::2], points[1::2], strict=False))
    ]
    schema = {"first": pl.UInt128, "last": pl.UInt128, "country": pl.String}
    return AddressTable(pl.DataFrame(ranges, schema=schema, orient="row")), ranges


def _asked(table: AddressTable, numbers: list[int]) -> list[str | None]:
    keys = np.array([(number >> 64, number & ((1 << 64) - 1)) for number in numbers], np.uint64).reshape(-1, 2)
    said = table.answers.get_column("country").to_list()
    return [said[at] if at != NOWHERE else "nowhere" for at in table.numbers_of(keys).tolist()]


def _expected(ranges: list[tuple[int, int, str | None]], number: int) -> str | None:
    return next((said for first, last, said in ranges if first <= number <= last), "nowhere")


@given(st.lists(st.integers(0, _MOST) | st.sampled_from(_EDGES), max_size=12), st.lists(st.integers(0, _MOST)))
def test_an_address_has_what_its_range_says(edges: list[int], others: list[int]) -> None:
    table, ranges = _table(edges)
    numbers = [*others, *_EDGES, *edges, *(max(0, edge - 1) for edge in edges)]
    assert _asked(table, numbers) == [_expected(ranges, number) for number in numbers]


@pytest.mark.parametrize("seed", range(3))
def test_and_in_a_table_that_is_searched_by_first_bits(seed: int) -> None:
    random = Random(seed)
    v4 = [_MAPPED | random.getrandbits(32) for _ in range(3000)]
    v6 = [0x2A << 120 | random.getrandbits(120) for _ in range(3000)]
    edges = [*v4, *v6, *_EDGES]
    table, ranges = _table(edges)
    assert len(ranges) > 2900
    numbers = [*random.sample(edges, 200), *(random.getrandbits(128) for _ in range(50)), *_EDGES]
    numbers += [_MAPPED | random.getrandbits(32) for _ in range(100)]
    assert _asked(table, numbers) == [_expected(ranges, number) for number in numbers]


def test_no_range_says_nothing() -> None:
    table, _ = _table([])
    assert _asked(table, [0, _MOST]) == ["nowhere", "nowhere"]
