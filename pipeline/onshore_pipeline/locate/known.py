"""What is known about a party: the claims about its place, whose it is, and what of that disagrees.

What is not known stays null, and no answer is taken from a name that merely looks right. An actor is a person or a
service, not the network it comes through: its entity is what it was sent as, else its employer; network operators are
entities of sources and destinations only.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.distinct import by_distinct, is_true, looked_up
from onshore_pipeline.locate import codes, hosts, ownership, regions
from onshore_pipeline.locate.claims import weigh
from onshore_pipeline.locate.provenance import party_text

if TYPE_CHECKING:
    from onshore_pipeline.context import Context

_LIST: Final = pl.List(pl.String)
_FACILITY: Final[dict[str, pl.DataType]] = {"country": pl.String(), "entity": pl.String()}
_OPERATOR: Final[dict[str, pl.DataType]] = {"operator": pl.String(), "is_hosting": pl.Boolean()}
# Where a call enters, when a host passes it on or a model is served by several regions.
_ENTRY: Final = ("region", "region_set", "resource", "resource_set", "host", "host_set", "network", "geoip", "registry")
_AS_THEY_ARE: Final = ("attested", "sensor", "attestation", "person", "network", "geoip", "registry")
_ASSERTED: Final = ("declared", "attestation", "region", "resource", "facility", "person", "network")
_BASES: Final = {"attested": "attested", "sensor": "observed", **dict.fromkeys(_ASSERTED, "asserted")}


class Known:
    """What is known about one party; a row a combination of what it depends on (`party.INPUTS`, `addresses.SCHEMA`)."""

    def __init__(self, party: str, kinds: pl.DataFrame, context: Context) -> None:
        """Look everything up that can be."""
        self._party, self._kinds, self._context = party, kinds, context
        self._provider = regions.provider_names(kinds["provider"], context)
        self._region = regions.region_places(self._provider, kinds["region"], context)
        self._resource = regions.resource_places(kinds["resource"], context)
        self._facility = by_distinct(
            kinds["facility"],
            lambda names: looked_up(names.str.to_lowercase(), context.facilities, "facility"),
            _FACILITY,
        )
        self._host = hosts.host_places(kinds["host"], context)
        self._operator = by_distinct(
            kinds["asn"], lambda numbers: looked_up(numbers, context.operators, "asn"), _OPERATOR
        )
        self._provider_operator = ownership.provider_operators(self._provider, context)
        self._owners = self._owned()

    def answers(self) -> pl.DataFrame:
        """`party.ANSWERS` of each row."""
        place = weigh(self._claims(), self._party)
        disputes = [place.get_column("contradiction"), self._owners_that_disagree()]
        return pl.DataFrame(
            [
                place.get_column("country"),
                place.get_column("basis").alias("country_basis"),
                place.get_column("candidates").alias("country_candidates"),
                *self._ownership(),
                _listed(disputes).alias("contradictions"),
                self._provenance(place.get_column("claim")),
            ]
        )

    def _claims(self) -> pl.DataFrame:
        """The claims about the party's place, as `claims.weigh` takes them."""
        kinds = self._kinds
        claims = pl.DataFrame(
            [
                *(kinds.get_column(name) for name in _AS_THEY_ARE),
                codes.country_codes(kinds["declared_country"], self._context.countries).alias("declared"),
                *(self._region.get_column(name) for name in ("region", "region_set")),
                kinds["region"].alias("region_label"),
                *self._resource.get_columns(),
                self._facility["country"].alias("facility"),
                kinds["facility"].alias("facility_label"),
                *(self._host.get_column(name) for name in ("host", "host_set", "host_label", "host_basis")),
            ]
        )
        claims = self._without_entry_points(claims.with_columns(self._without_registry(claims["registry"])))
        made = [column for column in claims.get_columns() if column.null_count() < claims.height]
        if not made:
            return pl.DataFrame(height=claims.height)
        names = dict.fromkeys(column.name.removesuffix("_set") for column in made)
        bases = (
            pl.Series(f"{name}_basis", [_BASES[name]]).new_from_index(0, claims.height)
            for name in names
            if name in _BASES
        )
        return pl.DataFrame([*made, *bases])

    def _without_registry(self, registry: pl.Series) -> pl.Series:
        """Where a cloud operator is at work the registry tells where addresses were bought, not where they are."""
        if registry.null_count() == len(registry):
            return registry
        by_asn = is_true(self._operator["is_hosting"])
        hosted = self._provider.is_not_null() | self._host["host_provider"].is_not_null() | by_asn
        return registry.set(hosted, None) if hosted.any() else registry

    def _without_entry_points(self, claims: pl.DataFrame) -> pl.DataFrame:
        """A host that passes calls on, or a cross-region model, is only where the call enters."""
        reroutes = is_true(self._host["reroutes"])
        entry = (
            claims.with_columns(
                pl.when(reroutes).then(None).otherwise(pl.col(name)).alias(name) for name in ("geoip", "registry")
            )
            if reroutes.any()
            else claims
        )
        models = self._kinds["model"]
        if models.null_count() == len(models):
            return entry
        profiled = is_true(self._host["has_profiles"]) | self._provider.eq_missing("aws")
        if not profiled.any():
            return entry
        profile = regions.profile_places(self._kinds.select(pl.when(profiled).then("model")).to_series(), self._context)
        entered = profile["profile"].is_not_null()
        if not entered.any():
            return entry
        countries = profile["profile_set"]
        return entry.with_columns(
            *(pl.when(entered).then(None).otherwise(pl.col(name)).alias(name) for name in _ENTRY),
            pl.when(countries.list.len() > 0).then(countries).alias("profile_set"),
            profile["profile"].alias("profile_label"),
        )

    def _owned(self) -> dict[str, pl.Series]:
        """Whose it is, by who says so (`domain.provenance.OWNERS`), the strongest first."""
        kinds = self._kinds
        sent = {"sent": kinds["entity"]}
        if self._party == "actor":
            by_registry = is_true(kinds["employer_registered"])
            employer = kinds["employer"]
            return sent | {"employer": employer.set(by_registry, None), "person": employer.set(~by_registry, None)}
        return sent | {
            "network": kinds["network_entity"],
            "facility": self._facility["entity"],
            "host": self._host["host_entity"],
            "region": self._region["region_operator"],
            "provider": self._provider_operator,
            "asn": self._operator["operator"],
            "range": kinds["operator"],
        }

    def _provenance(self, place: pl.Series) -> pl.Series:
        """This party's part of `provenance`, null where nothing is known."""
        owner = pl.Series([None], dtype=pl.String).new_from_index(0, len(place))
        for name, said in reversed(self._owners.items()):
            if said.null_count() < len(said):
                owner = pl.Series([name]).zip_with(said.is_not_null(), owner)
        return party_text(self._party, place, owner).alias("provenance")

    def _ownership(self) -> list[pl.Series]:
        """asn, entity, entity_country, control_country."""
        kinds = self._kinds
        entity, *others = self._owners.values()
        for other in others:
            if other.null_count() < len(other):
                entity = entity.zip_with(entity.is_not_null(), other)
        countries = ownership.entity_countries(entity, kinds["occurred_at"], self._context)
        return [
            kinds["asn"],
            entity.alias("entity"),
            countries["country"].alias("entity_country"),
            countries["control_country"].alias("control_country"),
        ]

    def _owners_that_disagree(self) -> pl.Series:
        """Where the cloud that is named and the network that the address lies in belong to different clouds."""
        context, by_host = self._context, self._host["host_provider"]
        network = self._operator["operator"]
        network = network.zip_with(network.is_not_null(), self._kinds["operator"])
        owner = {
            "provider owner": ownership.mapped_texts(self._provider_operator, context.cloud_owners),
            "host owner": ownership.mapped_texts(ownership.provider_operators(by_host, context), context.cloud_owners),
            "network owner": ownership.mapped_texts(network, context.cloud_owners),
        }
        if sum(side.null_count() < len(side) for side in owner.values()) < 2:  # noqa: PLR2004 - it takes two
            return pl.Series("owners", [None], dtype=pl.String).new_from_index(0, len(network))
        named = {"provider": self._provider, "host": by_host, "network": network, "asn": self._kinds["asn"]}
        frame = pl.DataFrame({**named, **owner, "run by": self._region["region_operator"]})
        return frame.select_seq(_disagreement(self._party)).to_series()


def _listed(texts: list[pl.Series]) -> pl.Series:
    """Lists of what is there."""
    said = [column for column in texts if column.null_count() < len(column)]
    if not said:
        return pl.Series([[]], dtype=_LIST).new_from_index(0, len(texts[0]))
    return pl.DataFrame(said).select_seq(pl.concat_list(pl.all()).list.drop_nulls()).to_series()


@cache
def _disagreement(party: str) -> pl.Expr:
    asn = pl.lit("asn=AS") + pl.col("asn").cast(pl.String) + pl.lit(" ") + pl.col("network")
    spelled = {
        "provider": pl.lit("provider=") + pl.col("provider"),
        "host": pl.lit("host_provider=") + pl.col("host"),
        "network": pl.coalesce(asn, pl.lit("network=") + pl.col("network")),
    }
    # Some regions of a cloud are run by another company, in its own network.
    network_owner = pl.when(pl.col("run by").is_null()).then("network owner")
    sides = {"provider": pl.col("provider owner"), "host": pl.col("host owner"), "network": network_owner}
    known = pl.coalesce(sides.values())
    differ = pl.any_horizontal((side != known).fill_null(False) for side in sides.values())
    made = [pl.when(side.is_not_null()).then(spelled[name]) for name, side in sides.items()]
    text = pl.lit(f"{party}:") + pl.concat_str(made, separator=",", ignore_nulls=True)
    return pl.when(differ).then(text).alias("owners")
