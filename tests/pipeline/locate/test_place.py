from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from onshore_pipeline.locate.locate import locate

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

    from onshore_pipeline.context import Context

    Destinations = Callable[..., list[dict[str, Any]]]
    Events = Callable[..., pl.DataFrame]


@pytest.mark.parametrize("spelling", ["AU", "au", "AUS", "aus", "Australia", " au "])
def test_a_declared_country_is_asserted_in_every_spelling(
    shipped: Context, destinations: Destinations, spelling: str
) -> None:
    (row,) = destinations(shipped, {"declared_country": spelling})
    assert (row["country"], row["country_basis"]) == ("AU", "asserted")


def test_norway_is_a_country(shipped: Context, destinations: Destinations) -> None:
    rows = destinations(shipped, {"declared_country": "NO"}, {"declared_country": "no"})
    assert [row["country"] for row in rows] == ["NO", "NO"]


@pytest.mark.parametrize("code", ["EU", "ASI", "EUR", "OCE", "NAM", "AP", "ANY", "XX", "??", "", "none", "036"])
def test_a_continent_or_an_unknown_code_is_unknown(shipped: Context, destinations: Destinations, code: str) -> None:
    (row,) = destinations(shipped, {"declared_country": code})
    assert (row["country"], row["country_basis"], row["country_candidates"]) == (None, "unknown", [])


@pytest.mark.parametrize(
    ("provider", "region", "country"),
    [
        ("aws", "ap-southeast-2", "AU"),
        ("aws", "ap-southeast-2a", "AU"),
        ("amazon", "ap-southeast-2", "AU"),
        ("azure", "Australia East", "AU"),
        ("gcp", "australia-southeast1-b", "AU"),
        ("google_cloud", "ASIA-NORTHEAST1", "JP"),
        ("oracle_cloud", "ap-tokyo-1", "JP"),
        ("alibaba_cloud", "ap-southeast-3", "MY"),
        (None, "australia-southeast1", "AU"),
        (None, "us-east-1", "US"),  # every provider that has one has it in the United States
        (None, "ap-southeast-1", None),  # Singapore with two providers, Hong Kong with a third
        ("aws", "us-east-1-bue-1a", None),  # a local zone in another country than its parent region
        ("gcp", "ap-southeast-2", None),
        ("someone", "ap-southeast-2", None),
        ("aws", "eu-isoe-west-1", None),  # nobody has verified it
        ("azure", "malaysiasouth", None),
        ("gcp", "us", "US"),
        ("gcp", "global", None),
    ],
)
def test_a_cloud_region_is_asserted(
    shipped: Context, destinations: Destinations, provider: str | None, region: str, country: str | None
) -> None:
    (row,) = destinations(shipped, {"provider": provider, "region": region})
    assert (row["country"], row["country_basis"]) == (country, "asserted" if country else "unknown")
    assert row["country_candidates"] == []


def test_a_region_of_several_countries_is_a_set_of_candidates(shipped: Context, destinations: Destinations) -> None:
    eur4, eu = destinations(shipped, {"provider": "gcp", "region": "eur4"}, {"provider": "gcp", "region": "EU"})
    assert (eur4["country"], eur4["country_candidates"], eur4["country_basis"]) == (None, ["FI", "NL"], "asserted")
    assert (eu["country"], len(eu["country_candidates"])) == (None, 27)
    assert eur4["contradictions"] == []


def test_a_country_inside_a_set_narrows_it(shipped: Context, destinations: Destinations) -> None:
    (row,) = destinations(shipped, {"provider": "gcp", "region": "eur4", "declared_country": "FI"})
    assert (row["country"], row["country_basis"], row["contradictions"]) == ("FI", "asserted", [])


def test_a_country_outside_a_set_contradicts_it(shipped: Context, destinations: Destinations) -> None:
    (row,) = destinations(shipped, {"provider": "gcp", "region": "eur4", "declared_country": "US"})
    assert (row["country"], row["country_candidates"]) == (None, ["FI", "NL", "US"])
    assert row["contradictions"] == ["destination:declared=US,region=eur4"]


def test_region_and_geolocation_that_disagree_leave_the_country_open(
    with_geoip: Context, destinations: Destinations
) -> None:
    (row,) = destinations(with_geoip, {"provider": "aws", "region": "ap-southeast-2", "address": "52.94.0.1"})
    assert (row["country"], row["country_basis"]) == (None, "inferred")
    assert row["country_candidates"] == ["AU", "US"]
    assert row["contradictions"] == ["destination:region=ap-southeast-2,geoip=US"]


def test_claims_that_agree_have_the_basis_of_the_strongest(with_geoip: Context, destinations: Destinations) -> None:
    (row,) = destinations(
        with_geoip,
        {
            "provider": "aws",
            "region": "ap-southeast-2",
            "address": "52.62.0.1",
            "declared_country": "AU",
        },
    )
    assert (row["country"], row["country_basis"], row["contradictions"]) == ("AU", "asserted", [])


def test_every_contradiction_of_an_event_is_listed_in_order(with_geoip: Context, events: Events) -> None:
    frame = events(
        {
            "source_declared_country": "JP",
            "source_address": "203.2.218.1",
            "actor_declared_country": "SG",
            "actor_address": "203.2.218.1",
            "destination_declared_country": "AU",
            "destination_provider": "azure",
            "destination_region": "japaneast",
            "destination_address": "52.94.0.1",
        },
        {"actor_declared_country": "AU"},
    )
    assert locate(frame, with_geoip).get_column("contradictions").to_list() == [
        [
            "actor:declared=SG,geoip=AU",
            "destination:declared=AU,region=japaneast,geoip=US",
            "source:declared=JP,geoip=AU",
        ],
        [],
    ]


def test_a_facility_is_where_the_registry_says(own: Callable[..., Context], destinations: Destinations) -> None:
    context = own(**{"facilities.csv": "facility,country,entity\nSYD1,AU,Acme Hosting\n"})
    known, unknown = destinations(context, {"facility": "syd1"}, {"facility": "SYD2"})
    assert (known["country"], known["country_basis"], known["entity"]) == ("AU", "asserted", "Acme Hosting")
    assert (unknown["country"], unknown["country_basis"]) == (None, "unknown")
    (clash,) = destinations(context, {"facility": "SYD1", "declared_country": "SG"})
    assert clash["contradictions"] == ["destination:declared=SG,facility=SYD1"]
