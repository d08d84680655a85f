from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from onshore_pipeline.context import load
from onshore_pipeline.context.mmdb import AddressDatabases
from onshore_pipeline.errors import ContextError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    WriteMmdb = Callable[[str, dict[str, Any]], Path]

CODES = ["AU", "JP", "US"]


def _packed(*texts: str) -> pl.Series:
    mapped = [f"::ffff:{text}" if "." in text else text for text in texts]
    return pl.Series([ipaddress.IPv6Address(text).packed for text in mapped], dtype=pl.Binary)


def test_addresses_of_both_families_are_found(write_mmdb: WriteMmdb) -> None:
    file = write_mmdb(
        "c.mmdb", {"203.2.0.0/16": {"country": {"iso_code": "AU"}}, "2400:8800::/32": {"country": {"iso_code": "JP"}}}
    )
    places = AddressDatabases([file], CODES).places(_packed("203.2.1.1", "2400:8800::1", "9.1.1.1"))
    assert places.get_column("country").to_list() == ["AU", "JP", None]


@pytest.mark.parametrize(
    "record", [{"country": {"iso_code": "au"}}, {"country": "AU"}, {"country_code": "AU", "continent_code": "OC"}]
)
def test_the_usual_shapes_of_a_country_are_read(write_mmdb: WriteMmdb, record: dict[str, Any]) -> None:
    file = write_mmdb("c.mmdb", {"203.2.0.0/16": record})
    assert AddressDatabases([file], CODES).places(_packed("203.2.1.1")).item(0, "country") == "AU"


@pytest.mark.parametrize(
    "record",
    [
        {"country": {"iso_code": "EU"}},
        {"registered_country": {"iso_code": "AU"}},
        {"continent": "Asia"},
        {"country": ""},
    ],
)
def test_a_continent_or_the_place_of_registration_is_no_country(write_mmdb: WriteMmdb, record: dict[str, Any]) -> None:
    file = write_mmdb("c.mmdb", {"203.2.0.0/16": record})
    assert AddressDatabases([file], CODES).places(_packed("203.2.1.1")).item(0, "country") is None


def test_country_and_network_number_may_come_from_different_files(write_mmdb: WriteMmdb) -> None:
    first = write_mmdb("c.mmdb", {"203.2.0.0/16": {"country": "AU"}})
    second = write_mmdb("n.mmdb", {"203.2.0.0/16": {"country": "US", "autonomous_system_number": 64500}})
    third = write_mmdb("m.mmdb", {"203.3.0.0/16": {"asn": "AS64501"}})
    places = AddressDatabases([first, second, third], CODES).places(_packed("203.2.1.1", "203.3.1.1"))
    assert places.select("country", "asn").rows() == [("AU", 64500), (None, 64501)]


def test_anycast_is_told(write_mmdb: WriteMmdb) -> None:
    file = write_mmdb("c.mmdb", {"203.2.0.0/16": {"country": "AU", "traits": {"is_anycast": True}}})
    assert AddressDatabases([file], CODES).places(_packed("203.2.1.1")).item(0, "is_anycast") is True


def test_the_context_names_the_file_with_type_and_build_date(write_mmdb: WriteMmdb) -> None:
    file = write_mmdb("c.mmdb", {"203.2.0.0/16": {"country": "AU"}})
    source = next(source for source in load(None, databases=[file]).sources if source.name.startswith("mmdb/"))
    assert (source.name, source.version) == ("mmdb/c.mmdb", "Test-Country 2026-01-01T00:00:00Z")


@pytest.mark.parametrize("content", [b"", b"no database", bytes(100_000)])
def test_a_file_that_is_no_database_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "c.mmdb").write_bytes(content)
    with pytest.raises(ContextError, match=r"c\.mmdb"):
        AddressDatabases([tmp_path / "c.mmdb"], CODES)
    with pytest.raises(ContextError, match="cannot be read"):
        AddressDatabases([tmp_path / "none.mmdb"], CODES)
