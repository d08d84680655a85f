"""Round trips too short for the distance contradict the places of both ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from onshore_pipeline.locate.locate import locate
from onshore_pipeline.locate.round_trips import REACH_KM_PER_MS, ROUNDED_MS

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

    from onshore_pipeline.context import Context

    Events = Callable[..., pl.DataFrame]


def contradictions(context: Context, events: Events, source: str, destination: str, rtt_ms: float | None) -> list[str]:
    row = {"source_declared_country": source, "destination_declared_country": destination, "rtt_ms": rtt_ms}
    (found,) = locate(events(row), context)["contradictions"].to_list()
    return list(found)


def test_a_round_trip_that_light_cannot_make_contradicts_both_ends(shipped: Context, events: Events) -> None:
    assert contradictions(shipped, events, "AU", "DE", 3.0) == [
        text
        for text in contradictions(shipped, events, "AU", "DE", 3.0)
        if text.startswith(("destination:country=DE,peer=AU,rtt_ms=3.0<", "source:country=AU,peer=DE,rtt_ms=3.0<"))
    ]
    assert len(contradictions(shipped, events, "AU", "DE", 3.0)) == 2


@pytest.mark.parametrize(
    ("source", "destination", "rtt_ms"),
    [
        ("AU", "DE", 250.0),  # what it really takes
        ("DE", "FR", 0.0),  # neighbours
        ("AU", "AU", 0.0),
        ("AU", "DE", None),
        ("AU", "DE", -1.0),
    ],
)
def test_a_round_trip_that_is_possible_says_nothing(
    shipped: Context, events: Events, source: str, destination: str, rtt_ms: float | None
) -> None:
    assert contradictions(shipped, events, source, destination, rtt_ms) == []


def test_only_what_is_impossible_after_rounding_is_told(shipped: Context, events: Events) -> None:
    km = shipped.distances.km("AU", "JP")
    assert km is not None
    least = km / REACH_KM_PER_MS
    assert contradictions(shipped, events, "AU", "JP", least - ROUNDED_MS) == []
    assert contradictions(shipped, events, "AU", "JP", least - ROUNDED_MS - 0.1) != []


@pytest.mark.parametrize(
    ("one", "other", "least_km", "most_km"),
    [
        ("AU", "NZ", 300, 650),  # Macquarie Island to the Auckland Islands
        ("GB", "IE", 0, 0),  # a border in Ireland
        ("JP", "KR", 0, 60),
        ("AU", "DE", 9_500, 12_500),
        ("US", "RU", 0, 0),  # the Diomedes, 4 km
        ("SG", "MY", 0, 0),
    ],
)
def test_a_certain_distance_is_at_most_the_real_one(
    shipped: Context, one: str, other: str, least_km: float, most_km: float
) -> None:
    km = shipped.distances.km(one, other)
    assert km is not None
    assert least_km <= km <= most_km
    assert km == shipped.distances.km(other, one)


def test_of_a_place_that_is_no_country_no_distance_is_known(shipped: Context) -> None:
    assert shipped.distances.km("AU", "XX") is None


def test_an_open_place_has_no_distance(with_geoip: Context, events: Events) -> None:
    row = {
        "source_declared_country": "AU",
        "destination_declared_country": "JP",
        "destination_address": "203.2.218.5",
        "rtt_ms": 0.0,
    }
    (found,) = locate(events(row), with_geoip)["contradictions"].to_list()
    assert found == ["destination:declared=JP,geoip=AU"]
