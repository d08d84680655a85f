"""The world as it ships."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import polars as pl

from dashboard_history import TENANTS
from onshore_dashboard import charts, summaries, theme
from onshore_dashboard.geometry import build, country_name, places, world

FLOWS = pl.DataFrame(
    {
        "tenant": [TENANTS[0]] * 5,
        "source": ["JP", "JP", "SG", None, "JP"],
        "destination": ["US", "JP", "IN", "US", "XX"],
        "events": [100, 900, 4, 7, 1],
        "bytes": [10, 10, 10, 10, 10],
        "firm": [50, 0, 0, 0, 0],
        "controllers": [["US"], ["JP"], ["IN"], ["US"], [""]],
    },
    schema_overrides={"controllers": pl.List(pl.String)},
)
FLAGGED = pl.DataFrame(
    {"tenant": [TENANTS[0]], "destination": ["US"], "source": [None]}, schema_overrides={"source": pl.String}
)


def test_every_shape_that_names_a_country_has_a_place_and_a_name() -> None:
    shapes = {shape["id"] for shape in world()["objects"]["countries"]["geometries"] if "id" in shape}
    assert shapes <= set(places())
    assert {"AU", "HK", "JP", "MY", "SG", "TW", "US"} <= shapes
    assert country_name("SG") == "Singapore"


def test_small_countries_have_a_place_even_where_the_map_has_no_shape_for_them() -> None:
    assert {"GI", "TV", "GP", "BQ"} <= set(places())
    assert all(-180 <= place.longitude <= 180 and -90 <= place.latitude <= 90 for place in places().values())


def test_an_unknown_code_is_shown_as_it_is_and_no_code_as_unknown() -> None:
    assert country_name("ZZ") == "ZZ"
    assert country_name(None) == "unknown"


def test_the_geometry_is_small() -> None:
    assert len(files("onshore_dashboard.geometry").joinpath("world.topojson").read_bytes()) < 200_000


def test_every_outer_ring_is_closed_and_runs_clockwise() -> None:
    # a ring the other way round would be drawn as everything but the country
    arcs = build.decode_arcs(world())
    for shape in world()["objects"]["countries"]["geometries"]:
        for polygon in shape["arcs"]:
            ring = build.assemble(polygon[0], arcs)
            assert ring[0] == ring[-1]
            assert len(ring) >= 4
            assert build.signed_area(ring) < 0


def test_building_thins_borders_and_drops_specks() -> None:
    square = [[0, 0], [0, 100], [0, 100], [200, 0], [0, -200], [-200, 0]]
    speck = [[5000, 5000], [0, 1], [1, 0], [-1, -1]]
    source: dict[str, Any] = {
        "transform": {"scale": [0.1, 0.1], "translate": [0, 0]},
        "arcs": [square, speck],
        "objects": {
            "countries": {"geometries": [{"type": "MultiPolygon", "id": "036", "arcs": [[[0]], [[1]]]}]},
        },
    }
    built = build.build(source, {"036": "AU"})
    (shape,) = built["objects"]["countries"]["geometries"]
    assert shape == {"type": "MultiPolygon", "id": "AU", "arcs": [[[0]]]}
    assert len(built["arcs"][0]) == 5  # the point on a straight line is gone


def test_lines_join_known_countries_and_flagged_ones_lie_on_top() -> None:
    lines = charts.flow_lines(summaries.classify_flows(FLOWS, FLAGGED))
    flows = [line["properties"]["flow"] for line in lines if isinstance(line["properties"], dict)]
    assert flows == ["Singapore → India", "Japan → United States"]


def test_a_country_reached_only_from_itself_has_a_neutral_dot() -> None:
    dots = {dot["country"]: dot["colour"] for dot in charts.flow_dots(summaries.classify_flows(FLOWS, FLAGGED))}
    assert dots["Japan (JP)"] == theme.NEUTRAL
    assert dots["United States (US)"] == theme.VIOLATED
    assert dots["India (IN)"] == theme.SATISFIED


def test_a_map_without_flows_is_a_map_of_land() -> None:
    nothing = summaries.classify_flows(FLOWS.clear(), FLAGGED.clear())
    assert charts.flow_lines(nothing) == []
    assert charts.flow_dots(nothing) == []
    assert charts.flow_map(nothing)["datasets"]["world"] == world()


def test_the_map_carries_its_geometry_and_names_no_address_to_load_from() -> None:
    drawn = charts.flow_map(summaries.classify_flows(FLOWS, FLAGGED))
    drawn.pop("$schema")  # a name, not an address: nobody opens it
    assert "http" not in json.dumps(drawn)
    assert '"url"' not in json.dumps(drawn)


def test_the_pacific_is_in_the_middle_when_data_starts_around_it() -> None:
    standing = summaries.classify_flows(FLOWS, FLAGGED)
    assert charts.middle_longitude(standing) == 150
    europe = standing.with_columns(source=pl.lit("DE"))
    assert charts.middle_longitude(europe) == 11
