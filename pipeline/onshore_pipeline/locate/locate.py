"""Where each party is, whose it is, and how we know: normalised events → located events.

Place and ownership are different answers. 52.62.0.1 is in Australia, and a United States company controls it; neither
says anything about the other. What is not known stays null, and no answer is taken from a name that merely looks right
(`model_provider` says which dialect a client speaks, not whose machine answered).

An actor is a person or a service, not the network it comes through: its entity is what it was sent as, else its
employer; network operators are entities of sources and destinations only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.distinct import by_distinct, looked_up, nulls
from onshore_pipeline.domain.event import PARTIES
from onshore_pipeline.locate import addresses, codes, hosts, ownership, regions
from onshore_pipeline.locate.claims import weigh

if TYPE_CHECKING:
    from onshore_pipeline.context import Context

CLAIM_COLUMNS: Final = tuple(
    f"{party}_{claim}" for party in PARTIES for claim in ("declared_country", "provider", "observed")
)
_FACILITY: Final[dict[str, pl.DataType]] = {"country": pl.String(), "entity": pl.String()}
_OPERATOR: Final[dict[str, pl.DataType]] = {"operator": pl.String(), "is_hosting": pl.Boolean()}


def locate(events: pl.DataFrame, context: Context) -> pl.DataFrame:
    """Add place, ownership and key custody to events.

    Args:
        events: normalised events, claim columns (`P_declared_country`, `P_provider`, `P_observed`) included.
        context: what is known about the world.

    Returns:
        The same rows in the same order, without the claim columns and with, for P in actor, source, destination:
        P_country, P_country_basis (never null), P_country_candidates (never null; filled where P_country is null but a
        set is known), P_entity_country, P_control_country; P_asn and P_entity filled where known; actor_nationality,
        key_country, transit_countries and home_jurisdictions as alpha-2 (lists are never null; empty is unknown);
        key_country_basis, transit_basis, contradictions (sorted, never null).
    """
    places = _address_places(events, context)
    located: list[pl.Series] = []
    contradictions: list[pl.Series] = []
    for party in PARTIES:
        known = _Party(events, party, places[party], context)
        place = weigh(known.claims(), party)
        contradictions.append(place.get_column("contradiction").alias(party))
        located += [
            place.get_column("country").alias(f"{party}_country"),
            place.get_column("basis").alias(f"{party}_country_basis"),
            place.get_column("candidates").alias(f"{party}_country_candidates"),
            *known.ownership(),
        ]
    return (
        events.drop(CLAIM_COLUMNS)
        .with_columns(located)
        .with_columns(
            *_key_country(events, context),
            *_transit(events, context),
            codes.country_codes(events.get_column("actor_nationality"), context.countries),
            codes.country_lists(events.get_column("home_jurisdictions"), context.countries),
            _contradictions(contradictions),
        )
    )


class _Party:
    """What is known about one party of every event; all columns in event order."""

    def __init__(self, events: pl.DataFrame, party: str, places: pl.DataFrame, context: Context) -> None:
        self._events, self._party, self._context = events, party, context
        self._address = places
        self._provider = regions.provider_names(self._column("provider"), context)
        self._region = regions.region_places(self._provider, self._column("region"), context)
        self._facility = by_distinct(
            self._column("facility"),
            lambda names: looked_up(names.str.to_lowercase(), context.facilities, "facility"),
            _FACILITY,
        )
        self._host = hosts.host_places(self._host_names(), context)
        self._asn = self._column("asn").zip_with(self._column("asn").is_not_null(), places.get_column("asn"))
        self._operator = by_distinct(self._asn, lambda numbers: looked_up(numbers, context.operators, "asn"), _OPERATOR)

    def _column(self, name: str) -> pl.Series:
        return self._events.get_column(f"{self._party}_{name}")

    def _host_names(self) -> pl.Series:
        """The host; for a called model without one, the endpoint."""
        host = self._column("host")
        if self._party != "destination":
            return host
        called = pl.when(pl.col("domain") == "model_access").then("model_endpoint")
        return self._events.select(pl.coalesce("destination_host", called)).to_series()

    def claims(self) -> pl.DataFrame:
        """The claims about the party's place, as `claims.weigh` takes them."""
        observed = pl.when(self._column("observed").fill_null(False)).then(pl.lit("observed"))
        claims = pl.DataFrame(
            [
                codes.country_codes(self._column("declared_country"), self._context.countries).alias("declared"),
                self._region.get_column("region"),
                self._region.get_column("region_set"),
                self._column("region").alias("region_label"),
                self._facility.get_column("country").alias("facility"),
                self._column("facility").alias("facility_label"),
                *self._host.select("host", "host_label", "host_basis").get_columns(),
                *self._address.select("network", "geoip", "registry").get_columns(),
            ]
        ).with_columns(
            observed.otherwise(pl.lit("asserted")).alias("declared_basis"),
            *(pl.lit("asserted").alias(f"{name}_basis") for name in ("region", "facility", "network")),
        )
        claims = claims.with_columns(self._without_registry(claims))
        return _made(self._without_entry_points(claims))

    def _without_registry(self, claims: pl.DataFrame) -> pl.Series:
        """Where a cloud operator is at work the registry tells where addresses were bought, not where they are."""
        hosted = (
            self._provider.is_not_null()
            | self._host.get_column("host_provider").is_not_null()
            | self._operator.get_column("is_hosting").fill_null(False)
        )
        registry = claims.get_column("registry")
        return registry if registry.null_count() == len(registry) else registry.set(hosted, None)

    def _without_entry_points(self, claims: pl.DataFrame) -> pl.DataFrame:
        """A host that passes calls on, or a cross-region model, is only where the call enters."""
        reroutes = self._host.get_column("reroutes").fill_null(False)
        entry = (
            claims.with_columns(
                pl.when(reroutes).then(None).otherwise(pl.col(name)).alias(name) for name in ("geoip", "registry")
            )
            if reroutes.any()
            else claims
        )
        profiled = self._host.get_column("has_profiles").fill_null(False) | (self._provider == "aws").fill_null(False)
        if self._party != "destination" or not profiled.any():
            return entry
        models = self._events.select(pl.when(profiled).then("model_requested")).to_series()
        profile = regions.profile_places(models, self._context)
        entered = profile.get_column("profile").is_not_null()
        if not entered.any():
            return entry
        dropped = ("region", "region_set", "host", "network", "geoip", "registry")
        countries = profile.get_column("profile_set")
        return entry.with_columns(
            *(pl.when(entered).then(None).otherwise(pl.col(name)).alias(name) for name in dropped),
            pl.when(countries.list.len() > 0).then(countries).alias("profile_set"),
            profile.get_column("profile").alias("profile_label"),
        )

    def ownership(self) -> list[pl.Series]:
        """P_asn, P_entity, P_entity_country, P_control_country."""
        sent = self._column("entity")
        if self._party == "actor":
            others = [self._events.get_column("actor_employer")]
        else:
            others = [
                self._address.get_column("network_entity"),
                self._facility.get_column("entity"),
                self._host.get_column("host_entity"),
                self._region.get_column("region_operator"),
                ownership.provider_operators(self._provider, self._context),
                self._operator.get_column("operator"),
                self._address.get_column("operator"),
            ]
        entity = sent
        for other in others:
            if other.null_count() < len(other):
                entity = entity.zip_with(entity.is_not_null(), other)
        countries = ownership.entity_countries(entity, self._events.get_column("occurred_at"), self._context)
        return [
            self._asn.alias(f"{self._party}_asn"),
            entity.alias(f"{self._party}_entity"),
            countries.get_column("country").alias(f"{self._party}_entity_country"),
            countries.get_column("control_country").alias(f"{self._party}_control_country"),
        ]


def _address_places(events: pl.DataFrame, context: Context) -> dict[str, pl.DataFrame]:
    """What each party's address says; an address that several parties have is looked up once."""
    height = events.height
    columns = [events.get_column(f"{party}_address").alias("address") for party in PARTIES]
    if all(column.null_count() == height for column in columns):
        return dict.fromkeys(PARTIES, nulls(height, addresses.SCHEMA))
    everything = addresses.address_places(pl.concat(columns), context)
    return {party: everything.slice(index * height, height) for index, party in enumerate(PARTIES)}


def _made(claims: pl.DataFrame) -> pl.DataFrame:
    """Without the claims that nobody made."""
    unmade = [column.name for column in claims.get_columns() if column.null_count() == claims.height]
    return claims.drop(unmade)


def _key_country(events: pl.DataFrame, context: Context) -> tuple[pl.Series, pl.Series]:
    """Where the key is held: as sent, else where its custodian is registered."""
    sent = codes.country_codes(events.get_column("key_country"), context.countries)
    when = events.get_column("occurred_at")
    custodian = ownership.entity_countries(events.get_column("key_custodian"), when, context).get_column("country")
    known = pl.DataFrame({"sent": sent, "custodian": custodian}).select(
        pl.coalesce("sent", "custodian").alias("key_country"),
        pl.when(pl.col("sent").is_not_null())
        .then(pl.lit("asserted"))
        .when(pl.col("custodian").is_not_null())
        .then(pl.lit("inferred"))
        .otherwise(pl.lit("unknown"))
        .alias("key_country_basis"),
    )
    return known.to_series(0), known.to_series(1)


def _transit(events: pl.DataFrame, context: Context) -> tuple[pl.Series, pl.Series]:
    countries = codes.country_lists(events.get_column("transit_countries"), context.countries)
    given = countries.list.len() > 0
    basis = pl.select(pl.when(given).then(pl.lit("asserted")).otherwise(pl.lit("unknown")).alias("transit_basis"))
    return countries, basis.to_series()


def _contradictions(texts: list[pl.Series]) -> pl.Series:
    """One list an event; texts start with their party, so the order of the parties' names is the sorted order."""
    height = len(texts[0])
    made = sorted((text for text in texts if text.null_count() < height), key=lambda text: text.name)
    none = pl.select(pl.repeat(None, height, dtype=pl.List(pl.String)).fill_null(pl.lit([], dtype=pl.List(pl.String))))
    if not made:
        return none.to_series().alias("contradictions")
    long = pl.concat(pl.DataFrame({"text": text}).with_row_index("event").drop_nulls() for text in made)
    lists = long.group_by("event", maintain_order=True).agg("text")
    return (
        none.with_row_index("event")
        .join(lists, on="event", how="left", maintain_order="left")
        .select(pl.coalesce("text", none.columns[0]).alias("contradictions"))
        .to_series()
    )
