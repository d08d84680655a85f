"""Places that were worked out by hand: every basis, and each pair of claims that can contradict each other."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ruamel.yaml import YAML

from onshore_pipeline.context import DEBIAN_GEOIP, load
from onshore_pipeline.locate.locate import locate
from place_statements import ANOTHER, PUBLIC, statement

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

    from onshore_pipeline.context import Context

    Events = Callable[..., pl.DataFrame]

PLACES: list[dict[str, Any]] = YAML(typ="safe", pure=True).load(
    (Path(__file__).parent / "places.yaml").read_text(encoding="utf-8")
)
REGISTRIES = {
    "addresses.yaml": "- {network: 10.0.0.0/24, country: AU}\n- {network: 203.2.218.128/25, country: SG}\n",
    "attestors.yaml": f"- {{attestor: Notary, public_key: {PUBLIC}}}\n",
    "collectors.yaml": "- {collector: syd-1/host, host: gpu-8, facility: syd1}\n",
    "facilities.yaml": "- {facility: SYD1, country: AU}\n",
    "hosts.yaml": "- {host_pattern: db.acme.example, country: AU}\n"
    "- {host_pattern: any.acme.example, countries: [AU, NZ]}\n"
    "- {host_pattern: proxy.acme.example, reroutes: yes}\n",
    "keys.yaml": "- {key: 'arn:aws:kms:ap-northeast-1:111122223333:key/1', country: AU}\n",
    "people.yaml": "- {person: pat, country: AU}\n",
}
STATEMENTS = {"verified": statement(), "unverified": statement(key=ANOTHER)}


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory, geoip_file: Path) -> Context:
    folder = tmp_path_factory.mktemp("context")
    for name, text in REGISTRIES.items():
        (folder / name).write_text(text, encoding="utf-8")
    return load(folder, geoip=[geoip_file])


def event_of(place: dict[str, Any]) -> dict[str, Any]:
    event = {"occurred_at": datetime(2026, 6, 1, tzinfo=UTC), **place["event"]}
    return event | ({"attestation": STATEMENTS[event["attestation"]]} if "attestation" in event else {})


def check(place: dict[str, Any], row: dict[str, Any]) -> None:
    party, expected = place.get("party", "destination"), place["is"]
    assert row[f"{party}_country"] == expected.get("country"), place["why"]
    assert row[f"{party}_country_basis"] == expected.get("basis", "unknown"), place["why"]
    if party != "key":  # the table has no candidates of a key
        assert row[f"{party}_country_candidates"] == expected.get("candidates", []), place["why"]
    assert row["provenance"] == place.get("told"), place["why"]
    if expected.get("contradicted"):
        assert any(text.startswith(f"{party}:") for text in row["contradictions"]), place["why"]
    else:
        assert row["contradictions"] == expected.get("contradictions", []), place["why"]


def test_there_are_sixty_one_places() -> None:
    assert len(PLACES) == 61
    assert all(set(place) <= {"why", "event", "is", "party", "told"} for place in PLACES)


@pytest.mark.parametrize("place", PLACES, ids=[place["why"] for place in PLACES])
def test_a_place_alone_is_where_it_was_found_by_hand(known: Context, events: Events, place: dict[str, Any]) -> None:
    (row,) = locate(events(event_of(place)), known).rows(named=True)
    check(place, row)


def test_all_places_in_one_batch_are_where_each_is_alone(known: Context, events: Events) -> None:
    for place, row in zip(PLACES, locate(events(*map(event_of, PLACES)), known).rows(named=True), strict=True):
        check(place, row)


def test_every_basis_is_among_them() -> None:
    assert {place["is"].get("basis", "unknown") for place in PLACES} == {
        "attested",
        "observed",
        "asserted",
        "inferred",
        "unknown",
    }


# Addresses of the providers' own published ranges, and the country of the region that each says they are in.
_CLOUDS = {
    "13.54.0.1": "AU",  # AWS ap-southeast-2
    "52.62.0.1": "AU",
    "54.252.0.1": "AU",
    "2406:da1c::1": "AU",
    "13.112.0.1": "JP",  # AWS ap-northeast-1
    "54.248.0.1": "JP",
    "2406:da14::1": "JP",
    "13.228.0.1": "SG",  # AWS ap-southeast-1
    "2406:da18::1": "SG",
    "43.216.0.1": "MY",  # AWS ap-southeast-5
    "52.94.76.1": "US",  # AWS us-west-2
    "13.70.64.1": "AU",  # Azure australiaeast
    "20.53.0.1": "AU",
    "2603:1010::1": "AU",
    "13.78.0.1": "JP",  # Azure japaneast
    "20.43.128.1": "SG",  # Azure southeastasia
    "40.68.0.1": "NL",  # Azure westeurope
    "34.87.192.1": "AU",  # GCP australia-southeast1
    "35.189.0.1": "AU",
    "34.84.0.1": "JP",  # GCP asia-northeast1
    "34.87.0.1": "SG",  # GCP asia-southeast1
    "34.126.64.1": "SG",
}


@pytest.mark.skipif(not all(path.exists() for path in DEBIAN_GEOIP), reason="Debian's tor-geoipdb is not installed")
def test_addresses_of_well_known_cloud_regions_are_in_the_right_country_or_unknown(events: Events) -> None:
    located = locate(events(*({"destination_address": address} for address in _CLOUDS)), load(None, geoip=DEBIAN_GEOIP))
    found = dict(zip(_CLOUDS, located["destination_country"], strict=True))
    assert {address: country for address, country in found.items() if country not in (None, _CLOUDS[address])} == {}
    assert sum(country is not None for country in found.values()) >= len(_CLOUDS) - 3


def test_without_geolocation_no_cloud_address_has_a_country(shipped: Context, events: Events) -> None:
    located = locate(events(*({"destination_address": address} for address in _CLOUDS)), shipped)
    assert located["destination_country"].null_count() == len(_CLOUDS)
