"""Azure Customer Lockbox: what an engineer of Microsoft asked for, and who let him, from the activity log.

    column                 from
    occurred_at            time
    action                 properties.status, else operationName: access.request, access.approve, access.deny,
                           access.expire, access.revoke, access.end (completed or cancelled); else access.request. That
                           the provider is registered, or lockbox switched on or off, is config.change
    outcome                a denied request is denied; else resultType
    reason                 properties.justification, else properties.reason (of a decision), resultDescription
    actor_type, _employer  'vendor', Microsoft: whom the access is for. The engineer is not named: actor_id is
                           unknown. Of config.change the customer's own caller
    approval_id            properties.requestId, else the last name of resourceId
    approval_by            the caller of an approval, denial or revocation; of a request without one, and of what was
                           approved or denied by itself (AutoApprove, AutoDeny): unknown
    approval_expires_at    properties.expirationDateTime
    destination_*          what is asked for: id properties.resourceIds or requestedResourceIds (the first), else
                           properties.resourceId, resourceId; account its subscription, else properties.subscriptionId;
                           region location, provider azure
    source_address, _host  callerIpAddress of a request; of a decision it is the customer's own and stays an attribute

The Collector's decoder takes these records for any others of the activity log: it keeps who, what and how it ended, and
of the properties the justification alone, as `azure.pim.justification`.

Microsoft names the operations (Microsoft.CustomerLockbox/requests/activitylog/CreateLockboxRequest/action ...) and the
request's properties in its management API, and publishes no sample of the log records: what is not there stays unknown.
Where the engineer sits is in none of them.

Checked against Azure/azure-rest-api-specs, specification/customerlockbox, 2018-02-28-preview (customerlockbox.json and
its examples, which differ in some names: both are read), and opentelemetry-collector-contrib
(extension/encoding/azureencodingextension, category_activitylogs.go).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.normalise import azure_names
from onshore_pipeline.normalise.addresses import split_addresses
from onshore_pipeline.normalise.described import begun
from onshore_pipeline.normalise.shape import Shape
from onshore_pipeline.normalise.source_fields import added, first_time, source_fields
from onshore_pipeline.normalise.values import time_of

if TYPE_CHECKING:
    from onshore_pipeline.normalise.fields import Records

FORMAT: Final = "azure.lockbox"
_SOAP: Final = "identity claims http://schemas.xmlsoap.org/ws/2005/05/identity/claims"
_SPELLED: Final = {
    "time": "time | timestamp",
    "operation": "operationName",
    "result": "resultType",
    "description": "resultDescription",
    "caller": "callerIpAddress",
    "resource_id": "resourceId",
    "region": "location",
    "tenant": "tenantId",
    "correlation": "correlationId",
    "sent_by": "caller",
    "person": f"{_SOAP}/upn | identity claims upn | {_SOAP}/name | {_SOAP}/emailaddress",
    "status": "properties status | properties Status",
    "request": "properties requestId | properties RequestId | properties id",
    "justification": "properties justification | properties Justification | properties reason",
    "expires": "properties expirationDateTime | properties ExpirationDateTime",
    "duration": "properties duration",
    "wanted": "properties requestedResourceIds []",
    "wanted_text": "properties resourceIds | properties resourceId",
    "wanted_kind": "properties resourceType",
    "subscription": "properties subscriptionId",
    "work_item": "properties workItemSource",
    "ticket": "properties supportRequest | properties supportCaseUrl",
    "level": "properties accessLevel",
}
_ATTRIBUTES: Final = {
    "operation": "azure.operation.name",
    "correlation": "azure.correlation_id",
    "tenant": "azure.tenant.id",
    "status": "azure.lockbox.status",
    "ticket": "azure.lockbox.ticket",
    "level": "azure.lockbox.access_level",
    "duration": "azure.lockbox.duration_hours",
    "decided_from": "azure.lockbox.decided_from",
    "wanted_kind": "azure.lockbox.resource_type",
    "work_item": "azure.lockbox.work_item_source",
}
# Field → the attribute that the Collector's decoder writes.
_DECODED: Final = {
    "operation": "azure.operation.name",
    "correlation": "azure.correlation_id",
    "tenant": "azure.tenant.id",
    "result": "azure.result.type",
    "description": "azure.result.description",
    "caller": "network.peer.address",
    "sent_by": "user.email",
    "justification": "azure.pim.justification",
}
_ON_RESOURCE: Final = {"resource_id": "cloud.resource_id", "region": "cloud.region"}
KEYS: Final = tuple(_DECODED.values())
RESOURCE_KEYS: Final = tuple(_ON_RESOURCE.values())
_LOSSES: Final = (
    "properties.accessLevel,properties.duration,properties.expirationDateTime,properties.reason,properties.requestId,"
    "properties.resourceIds,properties.status,properties.supportRequest,properties.workItemSource"
)
# The first that the operation or the status contains; Microsoft writes Approve and Approving, Deny and Denied.
_WORDS: Final = {
    "approv": "access.approve",
    "den": "access.deny",
    "expir": "access.expire",
    "revo": "access.revoke",
    "complet": "access.end",
    "cancel": "access.end",
    "create": "access.request",
    "pending": "access.request",
}
_ADMINISTERED: Final = r"(?i)/(register|enablelockbox|disablelockbox)(/|$)"
_EVERYWHERE: Final = "global"
_FIRST: Final = r"^\s*([^,]+?)\s*(?:,|$)"
_DECIDED: Final = ("access.approve", "access.deny", "access.revoke")
_SUCCEEDED: Final = ("success", "succeeded", "accepted")
_FAILED: Final = ("failure", "failed")


def describe(records: Records) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The columns of lockbox records, row by row, and attributes to add where the sender set none of that name."""
    sent = {name: records.text(key) for name, key in _DECODED.items()}
    sent |= {name: records.resource(key) for name, key in _ON_RESOURCE.items()}
    fields = source_fields(records, _SPELLED, sent)
    address, host = split_addresses(fields["caller"])
    steps = fields.with_columns(
        caller_address=address,
        caller_host=host,
        named=pl.col("operation").str.to_lowercase().str.replace("updateapproval", "", literal=True),
        state=pl.col("status").str.to_lowercase(),
        word=pl.col("result").str.to_lowercase(),
        managed=pl.col("operation").str.contains(_ADMINISTERED).fill_null(False),
        person=pl.coalesce("person", "sent_by"),
    ).with_columns(action=_action())
    decided = pl.col("action").is_in(_DECIDED)
    columns = steps.select(*begun(FORMAT, first_time("time")), *_what(), *_who(decided), *_where(decided))
    with_decision = steps.with_columns(decided_from=pl.when(decided).then("caller"))
    return columns, added(with_decision, _ATTRIBUTES, _LOSSES)


def _action() -> pl.Expr:
    """An approval that is being decided (operation UpdateApproval) is told by its status."""
    places = (pl.col("state"), pl.col("named"))
    said = [
        pl.when(place.str.contains(beginning, literal=True)).then(pl.lit(action))
        for place in places
        for beginning, action in _WORDS.items()
    ]
    anything = pl.coalesce("operation", "request", "justification").is_not_null()
    return pl.coalesce(
        pl.when("managed").then(pl.lit("config.change")),
        *said,
        pl.when(anything).then(pl.lit("access.request")),
        pl.lit("log.record"),
    )


def _what() -> list[pl.Expr]:
    return [
        pl.col("action"),
        pl.when(pl.col("action") == "access.deny")
        .then(pl.lit("denied"))
        .when(pl.col("word").is_in(_FAILED))
        .then(pl.lit("failure"))
        .when(pl.col("word").is_in(_SUCCEEDED))
        .then(pl.lit("success"))
        .otherwise(pl.lit("unknown"))
        .alias("outcome"),
        pl.coalesce("justification", "description").alias("reason"),
    ]


def _who(decided: pl.Expr) -> list[pl.Expr]:
    read = (pl.col("action") != "log.record") & ~pl.col("managed")
    by_itself = pl.col("operation").str.contains("(?i)/auto").fill_null(False)
    named = azure_names.name_of(pl.col("resource_id"))
    return [
        pl.when("managed").then("person").alias("actor_id"),
        pl.when("managed").then("caller_address").alias("actor_address"),
        pl.when(read).then(pl.lit("vendor")).alias("actor_type"),
        pl.when(read).then(pl.lit("Microsoft")).alias("actor_employer"),
        pl.when(~pl.col("managed")).then(pl.coalesce("request", named)).alias("approval_id"),
        pl.when(decided & ~by_itself).then("person").alias("approval_by"),
        time_of(pl.col("expires")).alias("approval_expires_at"),
    ]


def _where(decided: pl.Expr) -> list[pl.Expr]:
    wanted = pl.coalesce(pl.col("wanted").list.first(), pl.col("wanted_text").str.extract(_FIRST), "resource_id")
    return [
        pl.when(~decided).then("caller_address").alias("source_address"),
        pl.when(~decided).then("caller_host").alias("source_host"),
        wanted.alias("destination_id"),
        pl.coalesce(azure_names.subscription_of(wanted), "subscription").alias("destination_account"),
        pl.when(pl.col("region").str.to_lowercase() != _EVERYWHERE).then("region").alias("destination_region"),
        pl.when(pl.col("action") != "log.record").then(pl.lit("azure")).alias("destination_provider"),
    ]


SHAPE: Final = Shape(FORMAT, KEYS, describe, resource_keys=RESOURCE_KEYS)
