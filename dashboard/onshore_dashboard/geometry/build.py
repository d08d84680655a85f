"""Makes `world.topojson` out of world-atlas' `countries-50m.json`.

    npm pack world-atlas@2.0.2 && tar xzf world-atlas-2.0.2.tgz
    python -m onshore_dashboard.geometry.build package/countries-50m.json world.topojson

At world scale a pixel is about a third of a degree, so borders are thinned to a tenth and islands below a pixel are
left out, except where they are all a country has. Arcs stay shared between neighbours: thinning one opens no gap.
"""

from __future__ import annotations

import csv
import json
import sys
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

Point = tuple[float, float]
Line = list[Point]

COARSEST_DEGREES: Final = 0.12
GRID_DEGREES: Final = 0.02
SMALLEST_AREA: Final = 0.15  # square degrees
NOT_DRAWN: Final = {"010"}  # Antarctica: no jurisdiction, and a third of the picture


def decode_arcs(topology: dict[str, Any]) -> list[Line]:
    """The topology's arcs as degrees (TopoJSON specification, 2.1.3)."""
    scale, translate = topology["transform"]["scale"], topology["transform"]["translate"]
    arcs: list[Line] = []
    for arc in topology["arcs"]:
        x = y = 0
        line: Line = []
        for dx, dy in arc:
            x, y = x + dx, y + dy
            line.append((x * scale[0] + translate[0], y * scale[1] + translate[1]))
        arcs.append(line)
    return arcs


def assemble(ring: list[int], arcs: list[Line]) -> Line:
    """A ring's points; a negative index is an arc walked backwards."""
    points: Line = []
    for index in ring:
        line = arcs[index] if index >= 0 else arcs[~index][::-1]
        points.extend(line[1:] if points else line)
    return points


def signed_area(ring: Line) -> float:
    """Square degrees; negative is clockwise."""
    return sum(a[0] * b[1] - b[0] * a[1] for a, b in pairwise(ring)) / 2


def thin(line: Line, tolerance: float) -> Line:
    """Douglas and Peucker's line with no point further than `tolerance` from it; the ends stay."""
    keep, stack = {0, len(line) - 1}, [(0, len(line) - 1)]
    while stack:
        first, last = stack.pop()
        if last - first < 2:  # noqa: PLR2004 - nothing lies between neighbours
            continue
        furthest = max(range(first + 1, last), key=lambda at: _distance(line[at], line[first], line[last]))
        if _distance(line[furthest], line[first], line[last]) > tolerance:
            keep.add(furthest)
            stack += [(first, furthest), (furthest, last)]
    return [line[at] for at in sorted(keep)]


def _distance(point: Point, start: Point, end: Point) -> float:
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = dx * dx + dy * dy
    along = ((point[0] - start[0]) * dx + (point[1] - start[1]) * dy) / length if length else 0.0
    along = min(1.0, max(0.0, along))
    x, y = point[0] - start[0] - along * dx, point[1] - start[1] - along * dy
    return float((x * x + y * y) ** 0.5)


def snap(line: Line) -> list[tuple[int, int]]:
    """Grid points counted from the south-west corner, repeats dropped, the two ends kept."""
    points = [(round((x + 180) / GRID_DEGREES), round((y + 90) / GRID_DEGREES)) for x, y in line]
    return [p for at, p in enumerate(points) if at in {0, len(points) - 1} or p != points[at - 1]]


def polygons_of(geometry: dict[str, Any]) -> list[list[list[int]]]:
    """A geometry's polygons, each a list of rings."""
    return [geometry["arcs"]] if geometry["type"] == "Polygon" else list(geometry["arcs"])


def kept_polygons(geometry: dict[str, Any], arcs: list[Line]) -> list[list[list[int]]]:
    """The polygons worth drawing: what is larger than a pixel, and always the largest; small holes are filled."""
    polygons = [[(ring, _area(ring, arcs)) for ring in polygon] for polygon in polygons_of(geometry)]
    largest = max(polygon[0][1] for polygon in polygons)
    worth = [polygon for polygon in polygons if polygon[0][1] >= SMALLEST_AREA or polygon[0][1] == largest]
    return [
        [ring for position, (ring, area) in enumerate(polygon) if position == 0 or area >= SMALLEST_AREA]
        for polygon in worth
    ]


def _area(ring: list[int], arcs: list[Line]) -> float:
    return abs(signed_area(assemble(ring, arcs)))


def build(topology: dict[str, Any], alpha_2: dict[str, str]) -> dict[str, Any]:
    """The thinned topology, from world-atlas' and a map of numeric to alpha-2 codes."""
    arcs = decode_arcs(topology)
    countries = [g for g in topology["objects"]["countries"]["geometries"] if g.get("id") not in NOT_DRAWN]
    kept = [(alpha_2.get(geometry.get("id", "")), kept_polygons(geometry, arcs)) for geometry in countries]
    tolerances = _tolerances([polygon for _, polygons in kept for polygon in polygons], arcs)
    on_grid = {arc: snap(thin(arcs[arc], tolerance)) for arc, tolerance in tolerances.items()}
    by_index = [[(float(x), float(y)) for x, y in on_grid.get(arc, [])] for arc in range(len(arcs))]

    # What the grid has folded into a line is no shape; turned round it would be drawn as all the world but itself.
    shapes = [(code, [p for p in polygons if signed_area(assemble(p[0], by_index)) < 0]) for code, polygons in kept]
    used = sorted({_arc(index) for _, polygons in shapes for p in polygons for ring in p for index in ring})
    position = {arc: at for at, arc in enumerate(used)}
    geometries = [
        {
            "type": "MultiPolygon",
            "arcs": [
                [[position[i] if i >= 0 else ~position[~i] for i in ring] for ring in polygon] for polygon in polygons
            ],
            **({"id": code} if code else {}),
        }
        for code, polygons in shapes
        if polygons
    ]
    return {
        "type": "Topology",
        "transform": {"scale": [GRID_DEGREES, GRID_DEGREES], "translate": [-180, -90]},
        "objects": {"countries": {"type": "GeometryCollection", "geometries": geometries}},
        "arcs": [_deltas(on_grid[arc]) for arc in used],
    }


def _tolerances(polygons: list[list[list[int]]], arcs: list[Line]) -> dict[int, float]:
    """How far each arc may be thinned: as far as the smallest ring it bounds bears, so that Singapore keeps a shape."""
    tolerances: dict[int, float] = {}
    for polygon in polygons:
        for ring in polygon:
            bearable = _area(ring, arcs) ** 0.5 / 12
            for index in ring:
                arc = _arc(index)
                tolerances[arc] = min(tolerances.get(arc, COARSEST_DEGREES), bearable)
    return tolerances


def _arc(index: int) -> int:
    return index if index >= 0 else ~index


def _deltas(line: list[tuple[int, int]]) -> list[list[int]]:
    return [list(line[0]), *([b[0] - a[0], b[1] - a[1]] for a, b in pairwise(line))]


def main() -> None:
    """Read the first argument, write the second."""
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    rows = csv.DictReader(files(__package__).joinpath("places.csv").read_text(encoding="utf-8").splitlines())
    alpha_2 = {row["numeric"]: row["country"] for row in rows}
    built = build(json.loads(source.read_text(encoding="utf-8")), alpha_2)
    target.write_text(json.dumps(built, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
