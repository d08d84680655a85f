from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from onshore_pipeline.context import DEBIAN_GEOIP, Context, load
from onshore_pipeline.locate.addresses import address_places

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Destinations = Callable[..., list[dict[str, Any]]]


def _place(row: dict[str, Any]) -> tuple[str | None, str]:
    assert row["country_candidates"] == []
    return row["country"], row["country_basis"]


UNKNOWN = (None, "unknown")


def test_geolocation_infers_the_country_of_a_cloud_address(with_geoip: Context, destinations: Destinations) -> None:
    (row,) = destinations(with_geoip, {"address": "52.62.0.1"})
    assert _place(row) == ("AU", "inferred")
    assert (row["entity"], row["control_country"]) == ("AWS", "US")


def test_a_registry_answer_for_a_cloud_address_is_unknown(shipped: Context, destinations: Destinations) -> None:
    clouds = ("52.62.0.1", "20.53.0.1", "34.87.0.1", "47.74.0.1", "2406:da1c::1", "2603:1010::1", "152.67.96.1")
    for row in destinations(shipped, *({"address": address} for address in clouds)):
        assert _place(row) == UNKNOWN


def test_a_registry_answer_elsewhere_is_inferred(shipped: Context, destinations: Destinations) -> None:
    rows = destinations(shipped, {"address": "203.2.218.214"}, {"address": "133.11.0.1"}, {"address": "2001:200::1"})
    assert [_place(row) for row in rows] == [("AU", "inferred"), ("JP", "inferred"), ("JP", "inferred")]


def test_registry_answers_can_be_switched_off(destinations: Destinations) -> None:
    (row,) = destinations(load(None, uses_registry=False), {"address": "203.2.218.214"})
    assert _place(row) == UNKNOWN


@pytest.mark.parametrize(
    "claim", [{"provider": "aws"}, {"asn": 16509}, {"host": "x.s3.amazonaws.com"}, {"asn": 174}], ids=str
)
def test_a_registry_answer_is_not_used_where_a_cloud_operator_is_at_work(
    shipped: Context, destinations: Destinations, claim: dict[str, Any]
) -> None:
    (row,) = destinations(shipped, {"address": "203.2.218.214"} | claim)
    assert _place(row) == UNKNOWN


def test_a_registry_answer_stays_in_the_network_of_a_telephone_company(
    shipped: Context, destinations: Destinations
) -> None:
    (row,) = destinations(shipped, {"address": "203.2.218.214", "asn": 1221})
    assert _place(row) == ("AU", "inferred")


def test_geolocation_wins_over_the_registry_without_a_contradiction(destinations: Destinations, tmp_path: Path) -> None:
    first = int.from_bytes(bytes([203, 2, 218, 0]), "big")
    (tmp_path / "geoip").write_text(f"{first},{first + 255},NZ\n", encoding="utf-8")
    (row,) = destinations(load(None, geoip=[tmp_path / "geoip"]), {"address": "203.2.218.214"})
    assert _place(row) == ("NZ", "inferred")
    assert row["contradictions"] == []


@pytest.mark.parametrize(
    "address",
    [
        *("10.0.0.1", "172.16.0.1", "192.168.1.1", "127.0.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
        *("224.0.0.1", "255.255.255.255", "203.0.113.5", "198.51.100.1", "192.0.2.1", "198.18.0.1", "192.88.99.1"),
        *("::", "::1", "fd00::1", "fc00::1", "fe80::1", "ff02::1", "2001:db8::1", "3fff::1", "100::1"),
        *("2002:cb02:dad6::1", "2001::1", "64:ff9b:1::1", "::203.2.218.214"),
    ],
)
def test_an_address_that_is_nowhere_in_particular_is_unknown(
    with_geoip: Context, destinations: Destinations, address: str
) -> None:
    (row,) = destinations(with_geoip, {"address": address})
    assert _place(row) == UNKNOWN
    assert row["entity"] is None


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "8.8.8.8",
        "::ffff:8.8.8.8",
        "9.9.9.9",
        "198.41.0.4",
        "2606:4700:4700::1111",
        "104.16.1.1",
        "142.250.4.4",
    ],
)
def test_an_anycast_address_has_no_location(with_geoip: Context, destinations: Destinations, address: str) -> None:
    (row,) = destinations(with_geoip, {"address": address})
    assert _place(row) == UNKNOWN


def test_a_nat64_address_is_the_address_inside_it(with_geoip: Context, destinations: Destinations) -> None:
    rows = destinations(
        with_geoip, {"address": "64:ff9b::52.62.0.1"}, {"address": "64:ff9b::10.0.0.1"}, {"address": "64:ff9b::8.8.8.8"}
    )
    assert [_place(row) for row in rows] == [("AU", "inferred"), UNKNOWN, UNKNOWN]


def test_a_continent_in_the_geolocation_file_is_no_country(with_geoip: Context, destinations: Destinations) -> None:
    (row,) = destinations(with_geoip, {"address": "213.0.0.1", "asn": 16276})
    assert _place(row) == UNKNOWN


def test_the_users_address_registry_places_what_nobody_else_does_and_is_held_against_geolocation(
    own: Callable[..., Context], destinations: Destinations, geoip_file: Path
) -> None:
    context = own(
        geoip=geoip_file,
        **{
            "addresses.csv": "network,country,entity\n10.0.0.0/8,AUS,Acme\n"
            "10.9.0.0/16,JP,\n52.62.0.0/16,SG,\nfd00::/8,my,\n"
        },
    )
    addresses = ("10.1.2.3", "10.9.2.3", "52.62.0.1", "fd00::7", "192.168.0.1")
    rows = destinations(context, *({"address": address} for address in addresses))
    disputed = rows.pop(2)
    assert [_place(row) for row in rows] == [("AU", "asserted"), ("JP", "asserted"), ("MY", "asserted"), UNKNOWN]
    assert [row["entity"] for row in rows] == ["Acme", None, None, None]
    assert [row["contradictions"] for row in rows] == [[]] * 4
    assert (disputed["country"], disputed["country_basis"]) == (None, "inferred")
    assert (disputed["country_candidates"], disputed["entity"]) == (["AU", "SG"], "AWS")
    assert disputed["contradictions"] == ["destination:network=SG,geoip=AU"]


def test_where_the_users_registry_and_geolocation_agree_the_place_is_the_users_word(
    own: Callable[..., Context], destinations: Destinations, geoip_file: Path
) -> None:
    context = own(geoip=geoip_file, **{"addresses.csv": "network,country\n52.62.0.0/16,AU\n8.8.8.0/24,SG\n"})
    rows = destinations(context, {"address": "52.62.0.1"}, {"address": "8.8.8.8"})
    assert [_place(row) for row in rows] == [("AU", "asserted"), ("SG", "asserted")]  # geolocation of anycast is none
    assert [row["contradictions"] for row in rows] == [[], []]


def test_whom_a_block_was_given_to_does_not_contradict_who_holds_it(
    own: Callable[..., Context], destinations: Destinations
) -> None:
    (row,) = destinations(own(**{"addresses.csv": "network,country\n133.11.0.0/16,SG\n"}), {"address": "133.11.0.1"})
    assert (_place(row), row["contradictions"]) == (("SG", "asserted"), [])


def test_an_address_is_where_its_facility_is(own: Callable[..., Context], destinations: Destinations) -> None:
    context = own(
        **{
            "facilities.csv": "facility,country,entity\nKUL1,MY,Acme\n",
            "addresses.csv": "network,country,facility\n10.3.0.0/16,,kul1\n",
        }
    )
    (row,) = destinations(context, {"address": "10.3.0.1"})
    assert (*_place(row), row["entity"]) == ("MY", "asserted", "Acme")


@pytest.mark.skipif(not all(path.exists() for path in DEBIAN_GEOIP), reason="Debian's tor-geoipdb is not installed")
def test_the_files_of_debian_tor_geoipdb_place_cloud_regions(destinations: Destinations) -> None:
    context = load(None, geoip=DEBIAN_GEOIP)
    expected = {
        "52.62.0.1": "AU",
        "2406:da1c::1": "AU",
        "203.2.218.214": "AU",
        "2001:200::1": "JP",
        "2001:e68::1": "MY",
    }
    rows = destinations(context, *({"address": address} for address in expected))
    assert {address: row["country"] for address, row in zip(expected, rows, strict=True)} == expected
    versions = {source.name: source.version for source in context.sources}
    assert versions["geoip/geoip"]


def _said(addresses: pl.Series, context: Context) -> pl.DataFrame:
    answers, which = address_places(addresses, context)
    return answers[which]


def test_what_was_said_about_addresses_before_is_said_again_also_after_more_than_can_be_remembered(
    geoip_file: Path,
) -> None:
    used = load(None, geoip=[geoip_file])
    scattered = [(number * 2_654_435_761) % (1 << 32) for number in range(120_000)]
    addresses = pl.Series([bytes(10) + b"\xff\xff" + each.to_bytes(4, "big") for each in scattered], dtype=pl.Binary)
    first, second = addresses[:60_000], addresses[60_000:]
    fresh = [_said(batch, load(None, geoip=[geoip_file])) for batch in (first, second)]
    assert fresh[0]["registry"].null_count() < 60_000
    for batch, expected in ((first, fresh[0]), (first, fresh[0]), (second, fresh[1]), (first, fresh[0])):
        assert _said(batch, used).equals(expected)
    assert _said(addresses, used).equals(pl.concat(fresh))


def test_rows_without_an_address_have_no_answer_beside_rows_that_have_one(shipped: Context) -> None:
    known = bytes(10) + b"\xff\xff" + bytes([203, 2, 218, 214])
    answers, which = address_places(pl.Series([None, known, None, known], dtype=pl.Binary), shipped)
    assert which[0] == which[2] == -1
    assert answers[which[[1, 3]]]["registry"].to_list() == ["AU", "AU"]
