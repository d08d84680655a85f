"""The fifteen controls as plain functions over dicts: True = violated, False = satisfied, None = cannot be told.

A test holds their verdicts to the product's own on the benchmarks' traffic.
"""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

Event = dict[str, Any]
PACKAGE = resources.files("onshore_pipeline")
COUNTRIES, DESIGNATED, CONCERN = (
    {line.split(",")[0] for line in PACKAGE.joinpath(name).read_text().splitlines()}
    for name in (
        "context/reference/country_codes.csv",
        "controls/packs/lists/jp_appi28_designated.csv",
        "controls/packs/lists/us_dsp_coc.csv",
    )
)
# What moves no data to a place.
STAYS = {"network.flow", "data.delete"}


def leaves(country: str, *fine: str) -> Callable[[Event], Any]:
    """Personal data of `country` goes elsewhere without a basis."""

    def control(event: Event) -> Any:
        home, categories, to, basis = (event[name] for name in ("home", "categories", "destination_country", "basis"))
        if event["action"] in STAYS or (home and country not in home) or (categories and "personal" not in categories):
            return "not applicable"
        if not home or not categories:
            return None
        if to == country or to in fine or basis not in {None, "none"}:
            return False
        return None if to is None or basis is None else True

    return control


def abroad(column: str, *actions: str) -> Callable[[Event], Any]:
    """One of `actions` happens outside the countries where the data must stay."""

    def control(event: Event) -> Any:
        if event["action"] not in actions:
            return "not applicable"
        place = event.get(column)
        return place not in event["home"] if event["home"] and place else None

    return control


def of_category(category: str, violated: Callable[[Any, Any], bool | None]) -> Callable[[Event], Any]:
    def control(event: Event) -> Any:
        if event["action"] in STAYS or (event["categories"] and category not in event["categories"]):
            return "not applicable"
        return violated(event["destination_country"], event["actor_country"]) if event["categories"] else None

    return control


def concerning(to: str | None, actor: str | None) -> bool | None:
    if {to, actor} & CONCERN:
        return True
    return False if to and actor else None


TO = "destination_country"
MOVES, ACCESS, MACHINES = ("data_movement",), ("model_access",), ("infrastructure",)
CONTROLS = {
    "AU-APP8-01": (MOVES, leaves("AU")),
    "AU-MHR77-01": (MOVES, of_category("my_health_record", lambda to, _: None if to is None else to != "AU")),
    "JP-APPI28-01": (MOVES, leaves("JP", *DESIGNATED)),
    "MY-PDPA129-01": (MOVES, leaves("MY")),
    "SG-PDPA26-01": (MOVES, leaves("SG")),
    "SOV-01-01": (MACHINES, abroad("actor_country", "admin.session", "admin.command")),
    "SOV-02-01": (ACCESS + MOVES, abroad(TO, "model.weights.read", "model.weights.export")),
    "SOV-03-01": (MOVES, abroad(TO, "index.build")),
    "SOV-04-01": (ACCESS, abroad(TO, "model.invoke", "model.fallback")),
    "SOV-04-02": (ACCESS, abroad("destination_control_country", "model.invoke", "model.fallback")),
    "SOV-05-01": (MACHINES + MOVES, abroad("key_country", "key.use", "key.rotate")),
    "SOV-06-01": (MACHINES + MOVES, abroad(TO, "telemetry.export")),
    "SOV-10-01": (MOVES, abroad(TO, "backup.write", "data.replicate")),
    "SOV-16-01": (MOVES, lambda event: "not applicable" if event["action"] in STAYS else event[TO] is None),
    "US-DSP401-01": (MOVES, of_category("us_bulk_sensitive", concerning)),
}
WORDS = {True: "violated", False: "satisfied", None: "undetermined"}
