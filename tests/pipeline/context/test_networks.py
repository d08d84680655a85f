from __future__ import annotations

import ipaddress
from itertools import pairwise
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onshore_pipeline.context.networks import MAPPED, disjoint, read_geoip
from onshore_pipeline.errors import ContextError

if TYPE_CHECKING:
    from pathlib import Path

    from hypothesis.strategies import SearchStrategy

CODES = ["AU", "US", "SG"]


def _blocks() -> SearchStrategy[list[tuple[int, int]]]:
    def block(prefix: int, number: int) -> tuple[int, int]:
        size = 1 << (8 - prefix)
        first = (number % 256) // size * size
        return first, first + size - 1

    return st.lists(st.builds(block, st.integers(0, 8), st.integers(0, 255)), max_size=12)


@given(_blocks())
def test_of_nested_ranges_the_innermost_wins_everywhere(blocks: list[tuple[int, int]]) -> None:
    cut = disjoint((first, last, index) for index, (first, last) in enumerate(blocks))
    assert all(before[1] < after[0] for before, after in pairwise(cut))
    for address in range(256):
        around = [(last - first, index) for index, (first, last) in enumerate(blocks) if first <= address <= last]
        expected = min(around)[1] if around else None
        found = [index for first, last, index in cut if first <= address <= last]
        assert found == ([] if expected is None else [expected])


def test_a_geolocation_file_of_each_family_becomes_one_table(tmp_path: Path) -> None:
    (tmp_path / "four").write_text("#\n# Generated: Thu, 25 Jun 2026\n16777216,16777471,AU\n16777472,16777727,??\n")
    (tmp_path / "six").write_text("# x\n2001:200::,2001:200:ffff::,US\n2c0f::,2c0f::1,EU\n")
    ranges, sources = read_geoip([tmp_path / "six", tmp_path / "four"], CODES)
    v6 = int(ipaddress.ip_address("2001:200::"))
    assert ranges.select("first", "country").rows() == [(MAPPED + 16777216, "AU"), (v6, "US")]
    assert [(name, version) for name, version, _ in sources] == [("six", ""), ("four", "Thu, 25 Jun 2026")]


def test_no_geolocation_file_is_an_empty_table() -> None:
    ranges, sources = read_geoip([], CODES)
    assert ranges.is_empty()
    assert ranges.schema == {"first": pl.UInt128, "last": pl.UInt128, "country": pl.String}
    assert sources == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# only comments\n",
        "1,2\n",
        "1,2,AU,x\n",
        "a,b,AU\n",
        "-1,2,AU\n",
        "1,,AU\n",
        "::1,nonsense,AU\n",
        "5,3,AU\n",
    ],
)
def test_a_file_of_another_format_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "geoip").write_text(text, encoding="utf-8")
    with pytest.raises(ContextError, match="geoip"):
        read_geoip([tmp_path / "geoip"], CODES)


def test_overlapping_ranges_are_refused(tmp_path: Path) -> None:
    (tmp_path / "geoip").write_text("1,10,AU\n5,20,US\n", encoding="utf-8")
    with pytest.raises(ContextError, match="overlap"):
        read_geoip([tmp_path / "geoip"], CODES)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContextError, match="cannot be read"):
        read_geoip([tmp_path / "geoip"], CODES)
