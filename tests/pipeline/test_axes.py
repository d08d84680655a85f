"""Seven axes of each party of an event and of its key: what is known, how, by whom, and what is unknown."""

from __future__ import annotations

from typing import Any

from onshore_pipeline.domain.axes import AXES, SUBJECTS, Axis, Stated, axes_of

CONTEXT = "c0" * 32
LAW, RUN_FROM = Stated(("JP", "US"), "own/entities.yaml:2", "7"), Stated(("AU", "IN"), "own/facilities.yaml:4", "9")
FILES = {
    "own/keys.yaml": "4",
    "own/facilities.csv": "9f8e7d6c5b4a",
    "reference/cloud_regions.csv": "2026-11-01",
    "reference/region_sets.csv": "2026-10-01",
    "geoip/geoip": "2026-09-30",
}
PLACED: dict[str, Any] = {
    "source_format": "otlp.log",
    "schema_url": "https://opentelemetry.io/schemas/1.40.0",
    "action": "data.copy",
    "destination_country": "AU",
    "destination_country_basis": "asserted",
    "destination_entity": "AWS",
    "destination_entity_country": "US",
    "destination_control_country": "US",
    "key_custodian": "Harbour Keys",
    "key_country": "AU",
    "key_country_basis": "attested",
    "transit_countries": ["SG", "AU"],
    "transit_basis": "observed",
}


def axes(stated: dict[tuple[str, str], Stated] | None = None, **changes: Any) -> dict[tuple[str, str], Axis]:
    told = axes_of({**PLACED, **changes}, CONTEXT, stated, FILES)
    return {(axis.subject, axis.axis): axis for axis in told}


def test_every_subject_has_all_seven_axes_and_what_nothing_is_known_about_is_unknown() -> None:
    told = axes_of({}, CONTEXT)
    assert [(axis.subject, axis.axis) for axis in told] == [(subject, axis) for subject in SUBJECTS for axis in AXES]
    assert {(axis.values, axis.basis, axis.source, axis.version) for axis in told} == {((), "unknown", "", "")}


def test_location_is_not_jurisdiction() -> None:
    told = axes()
    assert told["destination", "physical location"].values == ("AU",)
    assert told["destination", "ultimate parent's country"].values == ("US",)
    reach = told["destination", "governing-law reach"]
    assert (reach.values, reach.basis, reach.note) == (("AU", "US"), "inferred", "")


def test_reach_says_that_it_may_be_more_where_a_part_of_it_is_unknown() -> None:
    told = axes(destination_control_country=None)
    assert told["destination", "governing-law reach"].note == "at least these"


def test_a_basis_names_its_source_and_what_the_registries_said_names_their_version() -> None:
    told = axes()
    assert told["key", "physical location"].source == "a statement signed by a registered attestor"
    assert told["destination", "operating entity"].version == CONTEXT
    transit = told["source", "transit path"]
    assert (transit.values, transit.basis, transit.version) == (("SG", "AU"), "observed", CONTEXT)
    assert transit.source == "our own collector on the machine, as own registries place it"
    assert told["key", "transit path"].values == ()


def test_a_disputed_place_shows_every_claim_and_makes_the_reach_at_least_what_is_claimed() -> None:
    claim = "destination:region=ap-southeast-2,geoip=US"
    told = axes(
        destination_country=None,
        destination_country_basis="inferred",
        destination_country_candidates=["AU", "US"],
        contradictions=[claim, "source:a=AU,b=JP"],
    )
    place = told["destination", "physical location"]
    assert (place.values, place.note) == (("AU", "US"), f"disputed: {claim}")
    assert told["destination", "governing-law reach"].note == "at least these"


def test_several_countries_that_nobody_disputes_are_one_of_these() -> None:
    told = axes(destination_country=None, destination_country_candidates=["DE", "NL"])
    assert told["destination", "physical location"].note == "one of these"


def test_a_destination_is_administered_from_where_its_administrator_stands_and_else_from_nobody_knows_where() -> None:
    session = axes(action="admin.session", actor_country="IN", actor_country_basis="asserted")
    assert session["destination", "administration location"].values == ("IN",)
    copied = axes(actor_country="IN", actor_country_basis="asserted")
    assert copied["destination", "administration location"].values == ()


def test_further_law_that_a_registry_states_reaches_the_party_too_and_makes_no_place_known() -> None:
    reach = axes({("destination", "governing-law reach"): LAW})["destination", "governing-law reach"]
    assert (reach.values, reach.basis, reach.note) == (("AU", "US", "JP"), "inferred", "")
    assert reach.source.endswith(", own/entities.yaml:2")
    alone = axes({("source", "governing-law reach"): LAW})["source", "governing-law reach"]
    assert alone == Axis(
        "source", "governing-law reach", ("JP", "US"), "asserted", "own/entities.yaml:2", "7", "at least these"
    )


def test_a_facility_is_administered_from_where_its_row_says() -> None:
    where = axes({("destination", "administration location"): RUN_FROM})["destination", "administration location"]
    assert where == Axis(
        "destination", "administration location", ("AU", "IN"), "asserted", "own/facilities.yaml:4", "9"
    )


def test_one_who_administers_from_elsewhere_than_the_registry_says_is_told_beside_it() -> None:
    stated = {("destination", "administration location"): RUN_FROM}
    session = {"action": "admin.session", "actor_country_basis": "inferred"}
    allowed = axes(stated, **session, actor_country="IN")["destination", "administration location"]
    assert (allowed.values, allowed.source, allowed.note) == (("AU", "IN"), RUN_FROM.source, "")
    other = axes(stated, **session, actor_country="PH")["destination", "administration location"]
    assert (other.values, other.basis) == (("AU", "IN", "PH"), "inferred")
    assert other.note == "disputed: destination:registry=AU+IN,actor=PH"
    several = axes(stated, **session, actor_country_candidates=["IN", "PH"])["destination", "administration location"]
    assert several.values == ("AU", "IN", "PH")


def test_a_place_names_the_claim_that_it_follows_from_and_the_version_of_what_it_was_looked_up_in() -> None:
    told = axes(provenance="source=geoip/- destination=region/facility key=registered/sent", source_country="JP",
                source_country_basis="inferred")  # fmt: skip
    place = told["destination", "physical location"]
    assert (place.basis, place.source) == ("asserted", "the region that otlp.log names")
    assert place.version == "reference/cloud_regions.csv 2026-11-01, reference/region_sets.csv 2026-10-01"
    source = told["source", "physical location"]
    assert (source.source, source.version) == ("geolocation of the address", "geoip/geoip 2026-09-30")
    assert told["key", "physical location"].version == "own/keys.yaml 4"


def test_what_the_record_itself_says_has_the_version_of_its_schema_and_none_where_it_names_none() -> None:
    said = axes(provenance="destination=declared/sent")
    for axis in ("physical location", "operating entity"):
        told = said["destination", axis]
        assert (told.source, told.version) == ("otlp.log", PLACED["schema_url"])
    assert axes(provenance="destination=declared/-", schema_url=None)["destination", "physical location"].version == ""


def test_an_owner_has_the_basis_of_what_it_follows_from() -> None:
    bases = {
        owner: axes(provenance=f"destination=region/{owner}")["destination", "operating entity"].basis
        for owner in ("sent", "facility", "network", "provider", "asn", "host")
    }
    assert bases == dict.fromkeys(("sent", "facility", "network"), "asserted") | dict.fromkeys(
        ("provider", "asn", "host"), "inferred"
    )


def test_a_disputed_place_names_everyone_who_claims_something() -> None:
    claim = "destination:facility=AU,geoip=US"
    told = axes(
        destination_country=None,
        destination_country_basis="inferred",
        destination_country_candidates=["AU", "US"],
        contradictions=[claim],
        provenance="destination=facility+geoip/-",
    )["destination", "physical location"]
    assert told.source == "the registry of facilities, geolocation of the address"
    assert told.version == "geoip/geoip 2026-09-30, own/facilities.csv 9f8e7d6c5b4a"
    assert told.note == f"disputed: {claim}"


def test_who_holds_a_key_is_told_by_the_sender_or_by_the_registry_of_keys() -> None:
    told = axes(provenance="key=declared/registered")
    for each in (("key", "operating entity"), ("destination", "key custodian")):
        assert (told[each].basis, told[each].source) == ("asserted", "the registry of keys")
        assert told[each].version == "own/keys.yaml 4"


def test_claims_of_a_later_release_are_not_guessed_at() -> None:
    unknown = axes(provenance="destination=satellite/treaty odd")
    before = axes()
    assert unknown == before
