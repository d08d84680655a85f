"""Where each party is, whose it is, and how we know: normalised events → located events.

Place and ownership are different answers. 52.62.0.1 is in Australia, and a United States company controls it; neither
says anything about the other. What is not known stays null, and no answer is taken from a name that merely looks right
(`model_provider` says which dialect a client speaks, not whose machine answered).
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.domain.event import PARTIES
from onshore_pipeline.locate import addresses, codes, regions, registered
from onshore_pipeline.locate.attestations import attested_countries
from onshore_pipeline.locate.combinations import Numbered, combined, numbered
from onshore_pipeline.locate.custody import key_places
from onshore_pipeline.locate.party import party_answers
from onshore_pipeline.locate.round_trips import impossible_round_trips
from onshore_pipeline.locate.sensors import sensed_countries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onshore_pipeline.context import Context

CLAIM_COLUMNS: Final = (
    *(f"{party}_{claim}" for party in PARTIES for claim in ("declared_country", "provider")),
    "attestation",
    "rtt_ms",
    "object_place",
)
_LEFT_OUT: Final = (*CLAIM_COLUMNS, "sensor")
_LIST: Final = pl.List(pl.String)
_SENT: Final = ("declared_country", "provider", "region", "facility", "host", "asn", "entity")
# Formats whose records name a region for a cross-region model only where they say that it ran there.
_SAY_WHERE_IT_RAN: Final = ["aws.bedrock", "aws.cloudtrail"]


def locate(events: pl.DataFrame, context: Context) -> pl.DataFrame:
    """Add place, ownership and key custody to events, and what the user's registries say about them.

    Args:
        events: normalised events, claim columns (`P_declared_country`, `P_provider`, `attestation`, `rtt_ms`,
            `object_place`) included; and `sensor`, where it is known by which collector of ours a message was sent.
        context: what is known about the world.

    Returns:
        The same rows in the same order, without the claim columns and with, for P in actor, source, destination:
        P_country, P_country_basis (never null), P_country_candidates (never null; filled where P_country is null but a
        set is known), P_entity_country, P_control_country; P_asn and P_entity filled where known; actor_nationality,
        key_country, transit_countries and home_jurisdictions as alpha-2 (lists are never null; empty is unknown);
        key_country_basis, transit_basis, contradictions (sorted, never null), provenance (`domain.provenance`; null
        where nothing is known). Filled from the user's registries where
        the event did not say it: actor_employer, classification, categories, key_custodian, transfer_basis,
        approval_id, approval_by, approval_expires_at.
    """
    if not context.epochs or events.is_empty():
        return _locate(events, context)
    days = events["occurred_at"].dt.date().rename("day")
    known = [(day, bisect_right(context.epochs, day) if day else None) for day in days.unique()]
    begun = pl.DataFrame(known, schema={"day": pl.Date, "epoch": pl.Int64}, orient="row")
    spans = days.to_frame().join(begun, on="day", how="left", maintain_order="left", nulls_equal=True)
    parts = spans.with_row_index("at").partition_by("epoch", maintain_order=True)
    located = [
        _locate(events[part["at"]], context.of_epoch(part["epoch"][0])).with_columns(part["at"].alias("_at"))
        for part in parts
    ]
    return located[0].drop("_at") if len(located) == 1 else pl.concat(located).sort("_at").drop("_at")


def _locate(events: pl.DataFrame, context: Context) -> pl.DataFrame:
    events, person, employer_registered = registered.with_people(events, context)
    statements, sensed = attested_countries(events, context), sensed_countries(events, context)
    located: list[pl.Series] = []
    disputes: list[Numbered] = []
    told: list[Numbered] = []
    looked_up: list[tuple[pl.Series, addresses.AddressPlaces]] = []  # an actor's address is often the source's
    for party in PARTIES:
        inputs = {name: events[f"{party}_{name}"] for name in _SENT}
        inputs |= _inputs_of(events, party, context)
        if party == "actor" and person is not None and employer_registered is not None:
            inputs["person"], inputs["employer_registered"] = person, employer_registered
        if party in sensed:
            inputs["sensor"] = sensed[party]
        if party in statements:
            inputs["attested"], inputs["attestation"] = statements[party]
        address = events[f"{party}_address"]
        places = next((said for seen, said in looked_up if seen.equals(address, null_equal=True)), None)
        if places is None:
            places = addresses.address_places(address, context)
            looked_up.append((address, places))
        answers = party_answers(party, inputs, places, context)
        disputes.append(answers.contradictions)
        told.append(answers.provenance)
        located += [answer.alias(f"{party}_{name}") for name, answer in answers.columns.items()]
    key, key_dispute, key_told = key_places(events, context)
    found = {column.name: column for column in located}
    shorter = impossible_round_trips(events["rtt_ms"], found["source_country"], found["destination_country"], context)
    disputes += _lists(key_dispute, *(shorter or ()))
    told += [known] if (known := numbered(key_told)) else []
    added = (
        *located,
        *key,
        *_transit(events, context),
        codes.country_codes(events["actor_nationality"], context.countries),
        codes.country_lists(events["home_jurisdictions"], context.countries),
        _contradictions(disputes, events.height),
        _provenance(told, events.height),
    )
    columns = {column.name: column for column in events.get_columns() if column.name not in _LEFT_OUT}
    whole = pl.DataFrame(list((columns | {column.name: column for column in added}).values()))
    of_data = registered.with_data(whole, events["object_place"], context)
    return registered.with_permissions(of_data, context)


def _inputs_of(events: pl.DataFrame, party: str, context: Context) -> dict[str, pl.Series]:
    """What a party's answer depends on beside what was sent of it alone."""
    inputs = {}
    if context.entities_are_dated:
        inputs["occurred_at"] = events["occurred_at"].dt.truncate("1d")
    if party == "actor":
        return inputs | {"employer": events["actor_employer"]}
    in_name = regions.resource_regions(events[f"{party}_id"])
    if in_name is not None:
        inputs["resource"] = in_name
    if party == "destination" and events["model_requested"].null_count() < events.height:
        inputs["model"] = _asked_for(events)
    if party == "destination" and events["model_endpoint"].null_count() < events.height:
        # A called model without a host is called at its endpoint.
        called = pl.when(pl.col("domain") == "model_access").then("model_endpoint")
        inputs["host"] = events.select(pl.coalesce("destination_host", called)).to_series()
    return inputs


def _asked_for(events: pl.DataFrame) -> pl.Series:
    """The called model; unknown where the record itself says in which region the call ran, whatever the name says."""
    asked = events["model_requested"]
    if events["destination_region"].null_count() == events.height:
        return asked
    ran_there = pl.col("source_format").is_in(_SAY_WHERE_IT_RAN) & pl.col("destination_region").is_not_null()
    return events.select(pl.when(~ran_there.fill_null(False)).then("model_requested").alias("model")).to_series()


def _transit(events: pl.DataFrame, context: Context) -> tuple[pl.Series, pl.Series]:
    countries = codes.country_lists(events["transit_countries"], context.countries)
    given = countries.list.len() > 0
    if not given.any():
        return countries, pl.Series("transit_basis", ["unknown"]).new_from_index(0, events.height)
    basis = pl.select(pl.when(given).then(pl.lit("asserted")).otherwise(pl.lit("unknown")).alias("transit_basis"))
    return countries, basis.to_series()


def _lists(*texts: pl.Series) -> list[Numbered]:
    """Texts that disagree, each as a list of one, as the parties' are lists."""
    made = (numbered(text) for text in texts)
    return [Numbered(pl.select(pl.concat_list(each.values)).to_series(), each.which) for each in made if each]


def _contradictions(disputes: Sequence[Numbered], height: int) -> pl.Series:
    """Everything that disagrees, one sorted list an event."""
    lists = pl.concat_list(pl.all().fill_null(pl.lit([], dtype=_LIST))).list.eval(pl.element().sort())
    whole = combined(disputes, height, lists)
    if whole is None:
        return pl.Series("contradictions", [[]], dtype=_LIST).new_from_index(0, height)
    return whole.alias("contradictions")


def _provenance(told: Sequence[Numbered], height: int) -> pl.Series:
    """What every party's place and owner follow from, null where nothing is known."""
    whole = combined(told, height, pl.concat_str(pl.all(), separator=" ", ignore_nulls=True).replace("", None))
    return pl.Series("provenance", [None] * height, dtype=pl.String) if whole is None else whole.alias("provenance")
