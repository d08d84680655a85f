"""Who is on which side: the standard attributes of a record and of its resource as source, destination and actor.

A resource describes the emitter, a record's attributes describe the call; the two are never merged. Which party the
emitter is depends on the record:

    span SERVER               emitter = destination; network.peer.* is the caller
    span CONSUMER             emitter = destination; server.* is the broker, the source
    any other span, metrics   emitter = source
    log                       emitter = source, unless the record says where the source is (onshore.source.country,
                              .region, .facility) or names another caller (client.address; source.address on a record
                              without onshore.* attributes): then the resource describes no party

    attribute                                                 column
    resource cloud.region, cloud.provider, cloud.account.id   region, provider, account of the emitter's party
    resource geo.country.iso_code, onshore.source.*           declared_country, region, facility, entity of the same
    resource host.id, host.name (or k8s.node.name)            id, host of the same
    resource service.name                                     actor_id where the emitter calls and names no user
    source.address, client.address, network.local.address     source_address, or source_host where it is no address
    destination.address, server.address, network.peer.address destination_address, or destination_host
    service.peer.name, peer.service                           destination_host where nothing better names it
    cloud.region, cloud.provider, cloud.account.id, cloud.resource_id of a call   destination_*
    source.geo.*, client.geo.*; destination.geo.*, server.geo.*   declared_country of source; of destination
    geo.country.iso_code                                      declared_country of the named caller (the geoip processor)
    source.as.number, destination.as.number                   source_asn, destination_asn
    user.id, enduser.id, user.email, user.name                actor_id, actor_type 'user'

The deprecated net.* and http.client_ip names stand in where the new ones are missing. A caller's address is also the
actor's, unless the record says where the actor is; a calling service acts from where it runs.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from onshore_pipeline.normalise import values
from onshore_pipeline.normalise.addresses import split_addresses
from onshore_pipeline.normalise.fields import Records

SERVER: Final = 2
CLIENT: Final = 3
PRODUCER: Final = 4
CONSUMER: Final = 5

_CALLER: Final = ("client.address", "http.client_ip")
_PEER: Final = ("network.peer.address", "net.sock.peer.addr", "net.peer.ip")
_LOCAL: Final = ("network.local.address", "net.sock.host.addr", "net.host.ip")
_CALLED: Final = ("server.address", "net.peer.name")  # as a caller sees it
_SERVING: Final = ("server.address", "net.host.name")  # as the server itself sees it
_PEER_SERVICE: Final = ("service.peer.name", "peer.service")
_USER: Final = ("user.id", "enduser.id", "user.email", "user.name", "enduser.pseudo.id")
_CLOUD: Final = ("cloud.region", "cloud.provider", "cloud.account.id", "cloud.resource_id")
_GEO: Final = ("geo.country.iso_code", "geo.country_iso_code")  # the second as the geoip processor spells it
_SOURCE_GEO: Final = tuple(f"{end}.{geo}" for end in ("source", "client") for geo in _GEO)
_DESTINATION_GEO: Final = tuple(f"{end}.{geo}" for end in ("destination", "server") for geo in _GEO)
_SOURCE_PLACE: Final = ("onshore.source.country", "onshore.source.region", "onshore.source.facility")
_DESTINATION_PLACE: Final = tuple(key.replace("source", "destination") for key in _SOURCE_PLACE)

KEYS: Final = (
    *(*_CALLER, *_PEER, *_LOCAL, *_CALLED, "net.host.name", "source.address", "destination.address"),
    *(*_PEER_SERVICE, *_USER, *_CLOUD, *_GEO, *_SOURCE_GEO, *_DESTINATION_GEO),
    *("source.as.number", "destination.as.number"),
)
RESOURCE_KEYS: Final = (
    *(*_CLOUD, *_GEO, *_SOURCE_PLACE, "onshore.source.entity"),
    *("host.id", "host.name", "k8s.node.name", "service.name"),
)

# cloud.provider's values in OpenTelemetry → the names of the cloud region table; others stay as sent.
_PROVIDERS: Final = {
    "alibaba_cloud": "alibaba",
    "huawei_cloud": "huawei",
    "ibm_cloud": "ibm",
    "oracle_cloud": "oci",
    "tencent_cloud": "tencent",
}


def provider_of(text: pl.Expr) -> pl.Expr:
    """The cloud provider as the region table spells it."""
    return values.word_of(text).replace(_PROVIDERS)


def describe_parties(records: Records, *, declared: pl.Expr, model_call: pl.Expr) -> pl.DataFrame:
    """The party columns that standard attributes give, row by row.

    Args:
        records: the records.
        declared: whether a record uses Onshore's own attributes.
        model_call: whether a record is a call to a model.
    """
    roles = _with_roles(records, declared, model_call)
    ends = pl.DataFrame([*_source_ends(roles), *_destination_ends(roles)])
    placed = Records(roles.frame.hstack(ends))
    return placed.frame.select(
        *_from_emitter(placed, "source"),
        *_from_emitter(placed, "destination"),
        source_address=pl.col("source_address"),
        source_asn=values.count_of(placed.text("source.as.number")).cast(pl.UInt32, strict=False),
        destination_address=pl.col("destination_address"),
        destination_asn=values.count_of(placed.text("destination.as.number")).cast(pl.UInt32, strict=False),
        actor_id=pl.coalesce(placed.first(*_USER), pl.when("service_acts").then(placed.resource("service.name"))),
        actor_type=pl.when(placed.any_of(*_USER)).then(pl.lit("user")).when("service_acts").then(pl.lit("service")),
        actor_address=pl.when(pl.col("caller_named") & placed.text("onshore.actor.country").is_null()).then(
            "source_address"
        ),
        actor_region=pl.when("service_acts").then(_emitter_region(placed)),
        actor_provider=pl.when("service_acts").then(provider_of(placed.resource("cloud.provider"))),
        actor_account=pl.when("service_acts").then(placed.resource("cloud.account.id")),
        actor_declared_country=pl.when("service_acts").then(_emitter_country(placed)),
    )


def _with_roles(records: Records, declared: pl.Expr, model_call: pl.Expr) -> Records:
    """Add what each record is, as Boolean columns that are never null."""
    kind, span = pl.col("span_kind"), pl.col("signal") == "span"
    caller = records.any_of(*_CALLER)
    another = caller | (records.any_of("source.address") & ~declared)
    first = records.frame.with_columns(
        serves=kind.eq_missing(SERVER),
        consumes=kind.eq_missing(CONSUMER),
        caller_named=caller,
        end_named=another | records.any_of("source.address"),
        is_call=declared
        | model_call
        | kind.is_in([SERVER, CLIENT, PRODUCER]).fill_null(False)
        | (records.any_of("destination.address", *_CALLED) & ~kind.eq_missing(CONSUMER)),
    )
    calls = ~pl.col("serves") & ~pl.col("consumes")
    return Records(
        first.with_columns(
            calls=calls,
            emitter_is_source=calls & ~records.any_of(*_SOURCE_PLACE) & ~another,
            emitter_is_destination=~calls & ~records.any_of(*_DESTINATION_PLACE, *_CLOUD),
            service_acts=(span | model_call)
            & ~pl.col("serves")
            & ~caller
            & ~records.any_of(*_USER, "onshore.actor.id"),
        )
    )


def _source_ends(roles: Records) -> tuple[pl.Series, pl.Series]:
    return _end(
        roles,
        "source",
        roles.text("source.address"),
        roles.first(*_CALLER),
        pl.when("serves").then(roles.first(*_PEER)).when("consumes").then(roles.first(*_CALLED, *_PEER)),
        pl.when("calls").then(roles.first(*_LOCAL)),
    )


def _destination_ends(roles: Records) -> tuple[pl.Series, pl.Series]:
    # A log that names its caller was written by the called side: its peer is that caller, not a destination.
    sees_peer = pl.col("calls") & ~pl.col("caller_named")
    return _end(
        roles,
        "destination",
        roles.text("destination.address"),
        pl.when("calls").then(roles.first(*_CALLED)).when("serves").then(roles.first(*_SERVING)),
        pl.when(sees_peer).then(roles.first(*_PEER)).when(~pl.col("calls")).then(roles.first(*_LOCAL)),
        pl.when("calls").then(roles.first(*_PEER_SERVICE)),
    )


def _end(roles: Records, party: str, *candidates: pl.Expr) -> tuple[pl.Series, pl.Series]:
    """One party's address and host: of each, the first that a candidate text gives."""
    texts = roles.select(*(candidate.alias(f"candidate {number}") for number, candidate in enumerate(candidates)))
    address = pl.Series([None], dtype=pl.Binary).new_from_index(0, texts.height)
    host = pl.Series([None], dtype=pl.String).new_from_index(0, texts.height)
    for text in texts.get_columns():
        if text.null_count() == len(text):
            continue
        found_address, found_host = split_addresses(text)
        address = address.zip_with(address.is_not_null(), found_address)
        host = host.zip_with(host.is_not_null(), found_host)
    return address.alias(f"{party}_address"), host.alias(f"{party}_named")


def _from_emitter(records: Records, party: str) -> list[pl.Expr]:
    """Place and identity of source or destination: what the record says, else what its emitter is."""
    is_emitter = pl.col(f"emitter_is_{party}")

    def of(own: pl.Expr, emitter: pl.Expr) -> pl.Expr:
        return pl.coalesce(own, pl.when(is_emitter).then(emitter))

    none = pl.lit(None, pl.String)
    called = party == "destination"

    def cloud(key: str) -> pl.Expr:
        return pl.when("is_call").then(records.text(key)) if called else none

    country = records.first(*_DESTINATION_GEO) if called else _caller_country(records)
    host = records.resource("host.name").fill_null(records.resource("k8s.node.name"))
    return [
        of(cloud("cloud.resource_id"), records.resource("host.id")).alias(f"{party}_id"),
        of(pl.col(f"{party}_named"), host).alias(f"{party}_host"),
        of(cloud("cloud.region"), _emitter_region(records)).alias(f"{party}_region"),
        of(provider_of(cloud("cloud.provider")), provider_of(records.resource("cloud.provider"))).alias(
            f"{party}_provider"
        ),
        of(cloud("cloud.account.id"), records.resource("cloud.account.id")).alias(f"{party}_account"),
        of(country, _emitter_country(records)).alias(f"{party}_declared_country"),
        of(none, records.resource("onshore.source.facility")).alias(f"{party}_facility"),
        of(none, records.resource("onshore.source.entity")).alias(f"{party}_entity"),
    ]


def _caller_country(records: Records) -> pl.Expr:
    return pl.coalesce(records.first(*_SOURCE_GEO), pl.when("end_named").then(records.first(*_GEO)))


def _emitter_region(records: Records) -> pl.Expr:
    return pl.coalesce(records.resource("onshore.source.region"), records.resource("cloud.region"))


def _emitter_country(records: Records) -> pl.Expr:
    return pl.coalesce(records.resource("onshore.source.country"), *(records.resource(spelling) for spelling in _GEO))
