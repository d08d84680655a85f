"""The world map of flows, drawn from geometry in the package."""

from __future__ import annotations

import math
from typing import Any, Final

import altair as alt
import polars as pl

from onshore_dashboard.formats import number, share, size
from onshore_dashboard.geometry import country_name, places, world
from onshore_dashboard.theme import NEUTRAL, SATISFIED, VIOLATED

MOST_LINES: Final = 120
_THINNEST: Final = 1.2
_WIDEST: Final = 5.0
_COLOURS: Final = {"abroad": SATISFIED, "flagged": VIOLATED, "within": NEUTRAL}
_SAID: Final = {
    "abroad": "leaves the country",
    "flagged": "leaves the country; a finding names it",
    "within": "stays in the country",
}


def flow_lines(flows: pl.DataFrame) -> list[dict[str, object]]:
    """GeoJSON lines of the flows that cross a border and can be drawn, the flagged ones last and so on top.

    Takes `summaries.classify_flows`.
    """
    drawn = _drawable(flows).filter(pl.col("standing").is_in(["abroad", "flagged"])).head(MOST_LINES)
    most = _as_int(drawn["events"].max())
    known = places()
    return [
        {
            "type": "Feature",
            "geometry": {
                "type": "LineString",
                "coordinates": [
                    [known[row["source"]].longitude, known[row["source"]].latitude],
                    [known[row["destination"]].longitude, known[row["destination"]].latitude],
                ],
            },
            "properties": {**_tooltip(row), "width": _width(row["events"], most)},
        }
        for row in drawn.sort(pl.col("standing") == "flagged", "events").iter_rows(named=True)
    ]


def flow_dots(flows: pl.DataFrame) -> list[dict[str, object]]:
    """One dot a country that data reached, from wherever it came; vermilion where a finding names a flow into it."""
    reached = (
        _drawable(flows)
        .group_by("destination")
        .agg(
            pl.col("events").sum(),
            pl.col("bytes").sum(),
            (pl.col("standing") == "flagged").any().alias("flagged"),
            (pl.col("standing") == "within").all().alias("within"),
        )
        .sort("events", "destination")
    )
    most = _as_int(reached["events"].max())
    return [
        {
            "longitude": places()[row["destination"]].longitude,
            "latitude": places()[row["destination"]].latitude,
            "country": f"{country_name(row['destination'])} ({row['destination']})",
            "events": number(row["events"]),
            "bytes": size(row["bytes"]),
            "colour": _COLOURS["flagged" if row["flagged"] else "within" if row["within"] else "abroad"],
            "area": 30 + 170 * (row["events"] / most) ** 0.5,
        }
        for row in reached.iter_rows(named=True)
    ]


def middle_longitude(flows: pl.DataFrame) -> int:
    """Where to put the middle of the map: the Pacific when most flows start around it, else Europe and Africa.

    Both cut the world where nobody lives, at 30 degrees west or near the date line.
    """
    starts = _drawable(flows).group_by("source").agg(pl.col("events").sum())
    east = sum(count for country, count in starts.iter_rows() if not -120 <= places()[country].longitude <= 60)  # noqa: PLR2004
    return 150 if 2 * east > _as_int(starts["events"].sum()) else 11


def flow_map(flows: pl.DataFrame, height: int = 440) -> dict[str, Any]:
    """A Vega-Lite chart: land, the lines between countries and a dot in each country that was reached."""
    land = (
        alt.Chart(alt.NamedData("world", format=alt.TopoDataFormat(type="topojson", feature="countries")))
        .mark_geoshape(fill=NEUTRAL, fillOpacity=0.22, stroke=NEUTRAL, strokeWidth=0.5, strokeOpacity=0.5)
        .encode()
    )
    lines = (
        alt.Chart(alt.NamedData("lines"))
        .mark_geoshape(filled=False, strokeOpacity=0.85, strokeCap="round")
        .encode(
            stroke=alt.Stroke("properties.colour:N", scale=None),
            strokeWidth=alt.StrokeWidth("properties.width:Q", scale=None),
            tooltip=[
                alt.Tooltip("properties.flow:N", title="Flow"),
                alt.Tooltip("properties.standing:N", title="Standing"),
                alt.Tooltip("properties.events:N", title="Events"),
                alt.Tooltip("properties.bytes:N", title="Bytes"),
                alt.Tooltip("properties.firm:N", title="Destination attested or observed"),
            ],
        )
    )
    dots = (
        alt.Chart(alt.NamedData("dots"))
        .mark_circle(opacity=0.95, stroke="white", strokeWidth=0.8)
        .encode(
            longitude="longitude:Q",
            latitude="latitude:Q",
            color=alt.Color("colour:N", scale=None),
            size=alt.Size("area:Q", scale=None),
            tooltip=[
                alt.Tooltip("country:N", title="Reached"),
                alt.Tooltip("events:N", title="Events"),
                alt.Tooltip("bytes:N", title="Bytes"),
            ],
        )
    )
    drawn: alt.LayerChart = (
        alt.layer(land, lines, dots)
        .project(type="equalEarth", rotate=[-middle_longitude(flows), 0, 0])
        .properties(height=height, description="World map of the flows in the table below")
        .configure_view(strokeWidth=0)
    )
    # The data goes in afterwards: checking the whole world against the schema of a chart takes a second.
    spec: dict[str, Any] = drawn.to_dict()
    return {**spec, "datasets": {"world": world(), "lines": flow_lines(flows), "dots": flow_dots(flows)}}


def _drawable(flows: pl.DataFrame) -> pl.DataFrame:
    known = list(places())
    return flows.filter(pl.col("source").is_in(known) & pl.col("destination").is_in(known))


def _tooltip(row: dict[str, object]) -> dict[str, object]:
    events, firm = _as_int(row["events"]), _as_int(row["firm"])
    standing = str(row["standing"])
    return {
        "flow": f"{country_name(str(row['source']))} → {country_name(str(row['destination']))}",
        "standing": _SAID[standing],
        "events": number(events),
        "bytes": size(_as_int(row["bytes"])),
        "firm": share(firm, events),
        "colour": _COLOURS[standing],
    }


def _width(events: int, most: int) -> float:
    """The square root keeps a small flow visible beside a large one."""
    return round(_THINNEST + (_WIDEST - _THINNEST) * math.sqrt(events / most), 2)


def _as_int(value: object) -> int:
    return value if isinstance(value, int) else 1
