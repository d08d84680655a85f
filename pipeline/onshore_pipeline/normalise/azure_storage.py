"""Azure storage logs (StorageRead, StorageWrite, StorageDelete): diagnostic records, and as the decoder spells them.

    column                 from
    occurred_at            time
    action                 `azure_actions`, by operationName: data.read, data.copy, data.delete for what is about the
                           data itself; else config.read or config.change
    outcome, reason        statusCode (401 and 403: denied), else resultType or properties.metricResponseType;
                           statusText
    actor_id, actor_type   identity.requester: upn, else objectId, appId; 'user' where a upn stands there, else
                           identity.authorization[].principals[].type
    source_address, _host  callerIpAddress (its port is dropped); also actor_address
    destination_*          the account: host of the URI, id resourceId, account the subscription, region location,
                           provider azure
    dataset, object_type   ACCOUNT/CONTAINER of properties.objectKey, else properties.accountName or the resource's
                           account; by properties.serviceType
    object_place           properties.objectKey: account, container and path
    bytes                  properties.responseBodySize of reads, requestBodySize of writes
    encrypted_in_transit   protocol: HTTPS is, HTTP is not, others are unknown

Added attributes: the decoder's names; azure.identity.requester.tenant.id, the tenant that the requester is of;
azure.storage.source.uri, where a copy reads from. The signature in a shared access URI is not repeated. The decoder
drops a user's name and application, the time of the last change, and gives the request's header size as the response's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.normalise import azure_names, values
from onshore_pipeline.normalise.addresses import split_addresses
from onshore_pipeline.normalise.azure_actions import STORAGE_OBJECTS, STORAGE_READS, STORAGE_WRITES
from onshore_pipeline.normalise.described import begun
from onshore_pipeline.normalise.json_fields import read_fields
from onshore_pipeline.normalise.objects import place_of
from onshore_pipeline.normalise.shape import Shape
from onshore_pipeline.normalise.source_fields import added, first_time, source_fields

if TYPE_CHECKING:
    from onshore_pipeline.normalise.fields import Records

FORMAT: Final = "azure.storage"
_LOSSES: Final = (
    "identity.requester.appId,identity.requester.upn,properties.lastModifiedTime,properties.metricResponseType,"
    "properties.responseHeaderSize,properties.sourceUri"
)
_SPELLED: Final = {
    "time": "time | timestamp",
    "operation": "operationName",
    "category": "category",
    "result": "resultType | properties metricResponseType",
    "status": "statusCode",
    "status_text": "statusText",
    "caller": "callerIpAddress",
    "correlation": "correlationId",
    "resource_id": "resourceId",
    "region": "location",
    "uri": "uri",
    "protocol": "protocol",
    "identity_type": "identity type",
    "upn": "identity requester upn",
    "object": "identity requester objectId",
    "application": "identity requester appId",
    "requester_tenant": "identity requester tenantId",
    "principals": "identity authorization [] principals [] type",
    "account": "properties accountName",
    "service": "properties serviceType",
    "key": "properties objectKey",
    "sent_bytes": "properties responseBodySize",
    "received_bytes": "properties requestBodySize",
    "source_uri": "properties sourceUri",
}
# Field → the attribute that the Collector's decoder writes, and that a raw record's field becomes.
_ATTRIBUTES: Final = {
    "operation": "azure.operation.name",
    "category": "azure.category",
    "correlation": "azure.correlation_id",
    "key": "azure.storage.object.key",
}
_OURS: Final = {
    "identity_type": "azure.identity.type",
    "requester_tenant": "azure.identity.requester.tenant.id",
    "source_uri": "azure.storage.source.uri",
}
_DECODER_ONLY: Final = {
    "result": "azure.result.type",
    "status": "http.response.status_code",
    "status_text": "http.response.status_text",
    "caller": "network.peer.address",
    "uri": "url.full",
    "protocol": "network.protocol.name",
    "account": "azure.storage.namespace",
    "service": "azure.storage.service.type",
    "sent_bytes": "http.response.body.size",
    "received_bytes": "http.request.body.size",
}
_IDENTITY: Final = "azure.identity"  # the decoder's map, as JSON text
_IN_IDENTITY: Final = {
    "identity_type": ("type",),
    "object": ("requester", "objectId"),
    "requester_tenant": ("requester", "tenantId"),
}
_ON_RESOURCE: Final = {"resource_id": "cloud.resource_id", "region": "cloud.region"}
KEYS: Final = (*_ATTRIBUTES.values(), *_DECODER_ONLY.values(), _IDENTITY)
RESOURCE_KEYS: Final = tuple(_ON_RESOURCE.values())

_CATEGORIES: Final = ("StorageRead", "StorageWrite", "StorageDelete")
_DENIED: Final = ("401", "403")
_GOOD: Final = r"(?i)^(success|succeeded|sasSuccess|anonymousSuccess)"
_REFUSED: Final = r"(?i)authorization"


def describe(records: Records) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The columns of storage records, row by row, and attributes to add where the sender set none of that name."""
    fields = _fields(records)
    address, host = split_addresses(fields["caller"])
    calls = fields.with_columns(
        source_address=address,
        source_host=host,
        call=pl.col("operation").str.to_lowercase(),
    ).with_columns(action=_action())
    columns = calls.select(*begun(FORMAT, first_time("time")), *_what(), *_who(), *_where(), *_data())
    return columns, added(fields, _ATTRIBUTES | _OURS, _LOSSES)


def _fields(records: Records) -> pl.DataFrame:
    sent = {name: records.text(key) for name, key in (_ATTRIBUTES | _DECODER_ONLY).items()}
    sent |= {name: records.resource(key) for name, key in _ON_RESOURCE.items()}
    decoded = read_fields(records.select(records.text(_IDENTITY).alias("identity")).to_series(), _IN_IDENTITY)
    sent |= {name: pl.lit(decoded[name]) for name in _IN_IDENTITY if records.has(_IDENTITY)}
    return source_fields(records, _SPELLED, sent)


def _action() -> pl.Expr:
    call = pl.col("call")
    reads = call.str.contains(r"^(get|list|peek|query|find)") | (pl.col("category") == "StorageRead")
    return (
        pl.when(call.is_null())
        .then(pl.lit("log.record"))
        .when(call.is_in(STORAGE_READS))
        .then(pl.lit("data.read"))
        .when(call.is_in(STORAGE_WRITES))
        .then(pl.lit("data.copy"))
        .when(call.str.starts_with("delete") | (pl.col("category") == "StorageDelete"))
        .then(pl.lit("data.delete"))
        .when(reads)
        .then(pl.lit("config.read"))
        .otherwise(pl.lit("config.change"))
    )


def _what() -> list[pl.Expr]:
    code = pl.col("status").cast(pl.Int32, strict=False)
    result = pl.col("result")
    return [
        pl.col("action"),
        pl.when(pl.col("status").is_in(_DENIED))
        .then(pl.lit("denied"))
        .when(code.is_between(100, 399))
        .then(pl.lit("success"))
        .when(code.is_between(400, 599))
        .then(pl.lit("failure"))
        .when(result.str.contains(_GOOD))
        .then(pl.lit("success"))
        .when(result.str.contains(_REFUSED))
        .then(pl.lit("denied"))
        .when(result.is_not_null())
        .then(pl.lit("failure"))
        .otherwise(pl.lit("unknown"))
        .alias("outcome"),
        pl.when(~pl.col("status_text").str.contains(_GOOD)).then("status_text").alias("reason"),
    ]


def _who() -> list[pl.Expr]:
    kinds = pl.col("principals")
    return [
        pl.coalesce("upn", "object", "application").alias("actor_id"),
        pl.when(pl.col("upn").is_not_null() | kinds.list.contains("User"))
        .then(pl.lit("user"))
        .when(
            kinds.list.contains("ServicePrincipal") | (pl.col("object").is_null() & pl.col("application").is_not_null())
        )
        .then(pl.lit("service"))
        .alias("actor_type"),
        pl.col("source_address").alias("actor_address"),
    ]


def _where() -> list[pl.Expr]:
    return [
        pl.col("source_address"),
        pl.col("source_host"),
        pl.col("resource_id").alias("destination_id"),
        pl.col("uri").str.extract(r"://(?:[^/?#]*@)?([^/:?#]+)").alias("destination_host"),
        pl.col("region").alias("destination_region"),
        pl.when(pl.col("operation").is_not_null()).then(pl.lit("azure")).alias("destination_provider"),
        azure_names.subscription_of(pl.col("resource_id")).alias("destination_account"),
    ]


def _data() -> list[pl.Expr]:
    action = pl.col("action")
    moved = pl.when(action == "data.read").then("sent_bytes").when(action == "data.copy").then("received_bytes")
    return [
        pl.coalesce(
            pl.col("key").str.extract(r"^/?([^/]+/[^/]+)"), "account", azure_names.storage_of(pl.col("resource_id"))
        ).alias("dataset"),
        pl.when(action.str.starts_with("data."))
        .then(
            pl.col("service").str.to_lowercase().replace_strict(STORAGE_OBJECTS, default=None, return_dtype=pl.String)
        )
        .alias("object_type"),
        place_of("azure", pl.col("key").str.strip_prefix("/")).alias("object_place"),
        values.count_of(moved).alias("bytes"),
        pl.when(pl.col("protocol").str.to_uppercase() == "HTTPS")
        .then(True)
        .when(pl.col("protocol").str.to_uppercase() == "HTTP")
        .then(False)
        .alias("encrypted_in_transit"),
    ]


SHAPE: Final = Shape(
    FORMAT, KEYS, describe, lambda records: records.text("azure.category").is_in(_CATEGORIES), RESOURCE_KEYS
)
