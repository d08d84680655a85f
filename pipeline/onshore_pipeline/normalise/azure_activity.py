"""Azure activity log: diagnostic-settings records in the body, and records as the Collector's decoder spells them.

    column                 from
    occurred_at            time
    action                 `azure_actions`, by operationName; by category where the record is no call; else config.read
                           or config.change, by the operation's last word
    outcome                resultType; a call that only started is unknown; denied by resultSignature or
                           properties.statusCode
    reason                 properties.Justification (privileged roles), resultDescription, else resultSignature of what
                           did not succeed
    actor_id               identity.claims: upn, name, e-mail address, object id, application id; else
                           authorization.evidence.principalId
    actor_type             identity.claims.idtyp, else authorization.evidence.principalType
    source_address, _host  callerIpAddress; also actor_address
    source_id, _region     the resource and its location, of calls that send data away: where to is not in the record
    destination_*          the resource: id resourceId, account its subscription, region location or
                           properties.resourceLocation, provider azure
    dataset, object_type   storage account and container; else the last name of the resource, of calls about data
    key_id                 the resource of key calls

Added attributes: the decoder's names. Records of Customer Lockbox are read as `azure.lockbox` reads them. The form of
the REST API (`az monitor activity-log list`) is another one, which is not read. The decoder drops the front end's
region, the request's body and most claims.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.normalise import azure_lockbox, azure_names
from onshore_pipeline.normalise.addresses import split_addresses
from onshore_pipeline.normalise.azure_actions import CATEGORIES, LEAVES, OBJECTS, OPERATIONS, READING
from onshore_pipeline.normalise.described import begun
from onshore_pipeline.normalise.shape import Shape
from onshore_pipeline.normalise.source_fields import added, first_time, source_fields

if TYPE_CHECKING:
    from onshore_pipeline.normalise.fields import Records

FORMAT: Final = "azure.activity"
_LOSSES: Final = (
    "RoleLocation,identity.claims.groups,identity.claims.ipaddr,identity.claims.name,properties.requestbody,"
    "properties.resourceLocation,properties.responseBody,properties.statusCode"
)
_CLAIMS: Final = "identity claims"
_SOAP: Final = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims"
_MICROSOFT: Final = "http://schemas.microsoft.com/identity/claims"
_SPELLED: Final = {
    "time": "time | timestamp",
    "operation": "operationName",
    "category": "category",
    "result": "resultType",
    "signature": "resultSignature",
    "description": "resultDescription",
    "caller": "callerIpAddress",
    "correlation": "correlationId",
    "resource_id": "resourceId",
    "tenant": "tenantId",
    "region": "location | properties resourceLocation",
    "status": "properties statusCode",
    "justification": "properties Justification",
    "user": f"{_CLAIMS} {_SOAP}/upn | {_CLAIMS} upn | {_CLAIMS} {_SOAP}/name",
    "email": f"{_CLAIMS} {_SOAP}/emailaddress",
    "display": f"{_CLAIMS} name",
    "object": f"{_CLAIMS} {_MICROSOFT}/objectidentifier",
    "application": f"{_CLAIMS} appid",
    "kind": f"{_CLAIMS} idtyp",
    "identity_provider": f"{_CLAIMS} {_MICROSOFT}/identityprovider",
    "principal": "identity authorization evidence principalId",
    "principal_kind": "identity authorization evidence principalType",
    "role": "identity authorization evidence role",
}
# Field → the attribute that the Collector's decoder writes, and that a raw record's field becomes.
_ATTRIBUTES: Final = {
    "operation": "azure.operation.name",
    "category": "azure.category",
    "result": "azure.result.type",
    "correlation": "azure.correlation_id",
    "application": "azure.identity.application.id",
    "identity_provider": "azure.identity.provider",
    "role": "azure.identity.authorization.evidence.role",
    "tenant": "azure.tenant.id",
}
_DECODER_ONLY: Final = {
    "signature": "azure.result.signature",
    "description": "azure.result.description",
    "caller": "network.peer.address",
    "email": "user.email",
    "object": "azure.identity.identifier.object",
    "kind": "azure.identity.type",
    "principal": "azure.identity.authorization.evidence.principal.id",
    "principal_kind": "azure.identity.authorization.evidence.principal.type",
    "justification": "azure.pim.justification",
}
_ON_RESOURCE: Final = {"resource_id": "cloud.resource_id", "region": "cloud.region", "tenant": "azure.tenant.id"}
KEYS: Final = (*_ATTRIBUTES.values(), *_DECODER_ONLY.values())
RESOURCE_KEYS: Final = tuple(_ON_RESOURCE.values())

_DECODED: Final = ("administrative", "autoscale", *CATEGORIES)
_SUCCEEDED: Final = ("success", "succeeded", "accepted", "ok")
_FAILED: Final = ("failure", "failed", "error", "canceled", "cancelled")
_DENIED: Final = r"(?i)^40[13]\b|forbidden|unauthorized|authorizationfailed|denied"
_PEOPLE: Final = ("user", "member", "guest")
_MACHINES: Final = ("app", "serviceprincipal", "managedidentity", "device")


def describe(records: Records) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The columns of activity log records, row by row, and attributes to add where the sender set none of that name."""
    fields = _fields(records)
    lockbox = fields["operation"].str.contains("(?i)customerlockbox").fill_null(False)
    if not lockbox.any():
        return _described(fields)
    parts = (_described(fields.filter(~lockbox)), azure_lockbox.describe(records.filtered(lockbox)))
    columns, attributes = zip(*parts, strict=True)
    return pl.concat(columns, how="diagonal_relaxed").sort("row"), pl.concat(attributes)


def _fields(records: Records) -> pl.DataFrame:
    sent = {name: records.text(key) for name, key in (_ATTRIBUTES | _DECODER_ONLY).items()}
    for name, key in _ON_RESOURCE.items():
        sent[name] = pl.coalesce(sent[name], records.resource(key)) if name in sent else records.resource(key)
    return source_fields(records, _SPELLED, sent)


def _described(fields: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    address, host = split_addresses(fields["caller"])
    calls = fields.with_columns(
        source_address=address,
        source_host=host,
        call=pl.col("operation").str.to_lowercase().str.replace(r"^microsoft\.", ""),
        family=pl.col("category").str.to_lowercase().str.replace_all(" ", "", literal=True),
        word=pl.col("result").str.to_lowercase(),
    ).with_columns(action=_action())
    columns = calls.select(*begun(FORMAT, first_time("time")), *_what(), *_who(), *_where(), *_data())
    return columns, added(fields, _ATTRIBUTES, _LOSSES)


def _action() -> pl.Expr:
    reads = pl.col("call").str.contains(READING)
    return pl.coalesce(
        pl.col("family").replace_strict(CATEGORIES, default=None, return_dtype=pl.String),
        pl.col("call").replace_strict(OPERATIONS, default=None, return_dtype=pl.String),
        pl.when(reads).then(pl.lit("config.read")).when(~reads).then(pl.lit("config.change")),
        pl.lit("log.record"),
    )


def _what() -> list[pl.Expr]:
    failed = pl.col("word").is_in(_FAILED)
    refused = pl.any_horizontal(pl.col(name).str.contains(_DENIED) for name in ("signature", "status", "result"))
    return [
        pl.col("action"),
        pl.when(failed & refused)
        .then(pl.lit("denied"))
        .when(failed)
        .then(pl.lit("failure"))
        .when(pl.col("word").is_in(_SUCCEEDED))
        .then(pl.lit("success"))
        .otherwise(pl.lit("unknown"))
        .alias("outcome"),
        pl.coalesce("justification", "description", pl.when(failed).then("signature")).alias("reason"),
    ]


def _who() -> list[pl.Expr]:
    kind = pl.coalesce("kind", "principal_kind").str.to_lowercase()
    actor = pl.coalesce("user", "email", "display", "object", "application", "principal")
    return [
        actor.alias("actor_id"),
        pl.when(kind.is_in(_PEOPLE) | (kind.is_null() & actor.str.contains("@", literal=True)))
        .then(pl.lit("user"))
        .when(kind.is_in(_MACHINES))
        .then(pl.lit("service"))
        .alias("actor_type"),
        pl.col("source_address").alias("actor_address"),
    ]


def _where() -> list[pl.Expr]:
    leaves = pl.col("action").is_in(LEAVES)
    azure = pl.lit("azure")
    account = azure_names.subscription_of(pl.col("resource_id"))
    return [
        pl.when(leaves).then("resource_id").alias("source_id"),
        pl.when(~leaves).then("source_address").alias("source_address"),
        pl.when(~leaves).then("source_host").alias("source_host"),
        pl.when(leaves).then("region").alias("source_region"),
        pl.when(leaves).then(azure).alias("source_provider"),
        pl.when(~leaves).then("resource_id").alias("destination_id"),
        pl.when(~leaves).then("region").alias("destination_region"),
        pl.when(~leaves & pl.col("operation").is_not_null()).then(azure).alias("destination_provider"),
        pl.when(leaves).then(account).alias("source_account"),
        pl.when(~leaves).then(account).alias("destination_account"),
    ]


def _data() -> list[pl.Expr]:
    touches_data = pl.col("action").str.contains(r"^(data|backup)\.")
    resource = pl.col("resource_id")
    kind = pl.col("call").str.extract(r"^([^/]+/[^/]+)")
    return [
        pl.coalesce(azure_names.storage_of(resource), pl.when(touches_data).then(azure_names.name_of(resource))).alias(
            "dataset"
        ),
        pl.when(touches_data)
        .then(kind.replace_strict(OBJECTS, default=None, return_dtype=pl.String))
        .alias("object_type"),
        pl.when(pl.col("action").str.starts_with("key.")).then(resource).alias("key_id"),
    ]


SHAPE: Final = Shape(
    FORMAT,
    KEYS,
    describe,
    lambda records: records.text("azure.category").str.to_lowercase().is_in(_DECODED),
    RESOURCE_KEYS,
)
