"""The data that ships, checked for what would make it lie."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest

import onshore_pipeline.context
from onshore_pipeline.context import Context, load

REFERENCE = Path(onshore_pipeline.context.__file__).parent / "reference"


@pytest.fixture(scope="module")
def shipped() -> Context:
    return load(None)


def test_there_are_249_countries_with_distinct_codes(shipped: Context) -> None:
    table = pl.read_csv(REFERENCE / "country_codes.csv", comment_prefix="#", infer_schema=False)
    assert table.height == 249
    for column in table.columns:
        assert table.get_column(column).n_unique() == 249
    assert len(shipped.countries.codes) == 249


@pytest.mark.parametrize(
    ("spelling", "code"),
    [("NO", "NO"), ("NOR", "NO"), ("NORWAY", "NO"), ("UK", "GB"), ("AS", "AS"), ("VIET NAM", "VN"), ("MYS", "MY")],
)
def test_spellings_name_their_country(shipped: Context, spelling: str, code: str) -> None:
    assert shipped.countries.by_spelling[spelling] == code


@pytest.mark.parametrize("spelling", ["EU", "AP", "ANY", "ASI", "EUR", "OCE", "NAM", "XK", "??", "", "A1", "CS", "AN"])
def test_continents_and_codes_nobody_assigned_name_no_country(shipped: Context, spelling: str) -> None:
    assert spelling not in shipped.countries.by_spelling


def test_unverified_regions_say_nothing(shipped: Context) -> None:
    table = pl.read_csv(REFERENCE / "cloud_regions.csv", comment_prefix="#", infer_schema=False)
    checks = table.filter(confidence="check").select(key=pl.concat_str("provider", pl.lit("/"), "region")).to_series()
    assert checks.len() > 5
    said = shipped.regions.filter(pl.col("key").is_in(checks.implode()))
    assert said.get_column("countries").list.len().to_list() == [0] * checks.len()


def test_a_region_name_that_providers_use_for_different_countries_needs_its_provider(shipped: Context) -> None:
    keys = set(shipped.regions.get_column("key"))
    assert "/ap-southeast-1" not in keys  # Singapore, Singapore and Hong Kong
    assert {"/us-east-1", "/australia-southeast1"} <= keys


def test_ranges_are_disjoint_and_sorted(shipped: Context) -> None:
    ranges = shipped.known_networks
    assert ranges.select(pl.col("first") > pl.col("last").shift(1)).to_series().drop_nulls().all()
    assert ranges.select(pl.col("first") <= pl.col("last")).to_series().all()


def test_every_operator_of_an_address_block_or_region_is_a_known_organisation(shipped: Context) -> None:
    known = set(shipped.entities.get_column("entity"))
    named = {*shipped.known_networks.get_column("operator"), *shipped.regions.get_column("operator")}
    assert {name.lower() for name in named if name} <= known


def test_groups_are_dated_and_hold_only_countries(shipped: Context) -> None:
    groups = {(group.name, group.effective_from): group.members for group in shipped.country_groups}
    assert len(groups["EEA", date(2020, 2, 1)]) == 30
    assert "US" not in groups["EU_ADEQUATE", date(2021, 12, 17)]  # conditional: only certified companies
    assert "TL" not in groups["ASEAN", None]
    assert "TL" in groups["ASEAN", date(2025, 10, 26)]
    assert not {"AU_APP8_PRESCRIBED", "IN_RESTRICTED"} & {name for name, _ in groups}
