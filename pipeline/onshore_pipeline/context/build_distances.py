"""Makes `reference/country_distances.csv` out of world-atlas' `countries-50m.json`.

    npm pack world-atlas@2.0.2 && tar xzf world-atlas-2.0.2.tgz
    python -m onshore_pipeline.context.build_distances package/countries-50m.json > country_distances.csv

A distance is the least between two countries' outlines, walked in steps of at most 20 km, less a tenth and less 100 km
for what the outlines leave out. Countries without an outline have no distances: nothing is said about them.
"""

from __future__ import annotations

import csv
import json
import sys
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Points = NDArray[np.float32]

EARTH_KM: Final = 6371.0
STEP_KM: Final = 20.0
LEFT_OUT_KM: Final = 100.0
LEFT_OUT_SHARE: Final = 0.1
_BLOCK: Final = 4096


def outlines(topology: dict[str, Any]) -> dict[str, Points]:
    """Points on each country's outline as unit vectors, by the country's numeric code."""
    scale, translate = topology["transform"]["scale"], topology["transform"]["translate"]
    arcs = [np.cumsum(np.array(arc, np.float64), axis=0) * scale + translate for arc in topology["arcs"]]
    found: dict[str, list[Points]] = {}
    for geometry in topology["objects"]["countries"]["geometries"]:
        if "id" in geometry and geometry.get("arcs"):
            used = {index if index >= 0 else ~index for index in _indexes(geometry["arcs"])}
            found.setdefault(geometry["id"], []).extend(_stepped(arcs[index]) for index in sorted(used))
    return {code: np.unique(np.concatenate(points), axis=0) for code, points in found.items()}


def _indexes(nested: list[Any] | int) -> Iterator[int]:
    if isinstance(nested, int):
        yield nested
    else:
        for each in nested:
            yield from _indexes(each)


def _stepped(degrees: NDArray[np.float64]) -> Points:
    """A line as unit vectors no further apart than `STEP_KM`."""
    longitude, latitude = np.radians(degrees).T
    corners = np.stack(
        [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)], axis=1
    )
    pieces = [corners[:1]]
    for one, other in pairwise(corners):
        steps = max(1, int(np.ceil(np.linalg.norm(other - one) * EARTH_KM / STEP_KM)))
        pieces.append(one + (other - one) * np.arange(1, steps + 1)[:, None] / steps)
    points = np.concatenate(pieces)
    rounded: Points = (points / np.linalg.norm(points, axis=1, keepdims=True)).round(4).astype(np.float32)
    return rounded


def least_km(one: Points, other: Points) -> int:
    """The distance that is certain, in whole km."""
    nearest = max(
        float((one[at : at + _BLOCK] @ other[to : to + _BLOCK].T).max())
        for at in range(0, len(one), _BLOCK)
        for to in range(0, len(other), _BLOCK)
    )
    km = EARTH_KM * float(np.arccos(min(1.0, max(-1.0, nearest))))
    return max(0, int(km * (1 - LEFT_OUT_SHARE) - LEFT_OUT_KM))


def main() -> None:
    """Read the first argument, write to standard output."""
    topology = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    codes = Path(__file__).parent / "reference" / "country_codes.csv"
    lines = [line for line in codes.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    alpha_2 = {row["numeric"]: row["alpha2"] for row in csv.DictReader(lines)}
    points = {alpha_2[code]: each for code, each in outlines(topology).items() if code in alpha_2}
    names = sorted(points)
    write = sys.stdout.write
    write("# Kilometres that are certain between a country and each of those above it, in their order.\n")
    write("# version: world-atlas 2.0.2 (ISC; Natural Earth, public domain)\n")
    write("country,km\n")
    for number, name in enumerate(names):
        write(f"{name},{' '.join(str(least_km(points[name], points[other])) for other in names[:number])}\n")


if __name__ == "__main__":
    main()
