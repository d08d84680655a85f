"""World geometry shipped with the package, so that a map needs no request to anybody."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, slots=True)
class Place:
    """A country as it is labelled and where its dot is drawn (degrees)."""

    country: str
    name: str
    longitude: float
    latitude: float


@lru_cache(maxsize=1)
def places() -> dict[str, Place]:
    """Every country with a label, by upper-case alpha-2 code."""
    text = files(__name__).joinpath("places.csv").read_text(encoding="utf-8")
    return {
        row["country"]: Place(row["country"], row["name"], float(row["longitude"]), float(row["latitude"]))
        for row in csv.DictReader(text.splitlines())
    }


@lru_cache(maxsize=1)
def world() -> dict[str, Any]:
    """The TopoJSON topology: object `countries`, one geometry a country, its `id` the alpha-2 code if it has one."""
    topology: dict[str, Any] = json.loads(files(__name__).joinpath("world.topojson").read_text(encoding="utf-8"))
    return topology


def country_name(country: str | None) -> str:
    """A country's short name; its code where it has no label; `unknown` where there is none."""
    if country is None:
        return "unknown"
    place = places().get(country)
    return place.name if place else country
