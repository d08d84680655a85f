"""Google's own people at a customer's data: Access Transparency (what they did) and Access Approval (what they asked).

Access Transparency, log entries (`gcp.access_transparency`), from jsonPayload:

    column                 from
    occurred_at            the entry's timestamp
    action, outcome        admin.session, success
    reason                 reason[].type and .detail, 'TYPE: detail', several divided by '; '
    actor_type, _employer  'vendor', a supplier's staff; location.principalEmployingEntity. Nobody is named: actor_id is
                           unknown
    actor country          location.principalPhysicalLocationCountry, declared; a continent (ASI, EUR ...) or '??' names
                           no country and leaves it unknown. The country of the office says nothing about where he was,
                           and nothing about his nationality: it is an attribute
    approval_id            accessApprovals (the first): who approved is in Access Approval
    destination_*          id the first of accesses[].resourceName, host product, account the project, region the
                           location in the resource's name, provider gcp. Where the resources lie in different regions
                           none of them is the place: id and region are unknown, gcp.access.resources has all
    dataset                the bucket or table in the resource's name

Access Approval, approval requests of its API as JSON (`gcp.access_approval`):

    occurred_at            approve.invalidateTime, approve.approveTime, dismiss.dismissTime, else requestTime
    action                 access.revoke, access.approve, access.expire (dismiss.implicit), access.deny, access.request
    reason                 requestedReason.type and .detail
    actor_*                'vendor', of Google; country requestedLocations.principalPhysicalLocationCountry
    approval_id            name
    approval_by            'automatic' where approve.autoApproved is true; a person is not in the request but in the
                           audit log, which `gcp.audit` reads
    approval_expires_at    of access.approve: approve.expireTime, else requestedExpiration
    destination_id         requestedResourceName

Added attributes: gcp.access.* below. A signature in approve.signatureInfo is kept in the body and not checked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.normalise import gcp_names, values
from onshore_pipeline.normalise.described import begun
from onshore_pipeline.normalise.shape import Shape
from onshore_pipeline.normalise.source_fields import added, first_time, source_fields

if TYPE_CHECKING:
    from onshore_pipeline.normalise.fields import Records

TRANSPARENCY: Final = "gcp.access_transparency"
APPROVAL: Final = "gcp.access_approval"
_ZONE: Final = r"-[a-z]$"
_ACCESS: Final = {
    "employer": "location principalEmployingEntity",
    "country": "location principalPhysicalLocationCountry",
    "office": "location principalOfficeCountry",
    "title": "principalJobTitle",
    "products": "product []",
    "reasons": "reason [] type",
    "details": "reason [] detail",
    "permissions": "permissionDetails [] permissionType",
    "access_id": "eventId",
    "methods": "accesses [] methodName",
    "resources": "accesses [] resourceName",
    "approvals": "accessApprovals []",
}
_ENTRY: Final = {
    **{name: f"jsonPayload {path}" for name, path in _ACCESS.items()},
    "insert_id": "insertId",
    "time": "timestamp",
    "project": "resource labels project_id",
}
_REQUEST: Final = {
    "name": "name",
    "wanted": "requestedResourceName",
    "reason_type": "requestedReason type",
    "reason_detail": "requestedReason detail",
    "country": "requestedLocations principalPhysicalLocationCountry",
    "office": "requestedLocations principalOfficeCountry",
    "asked": "requestTime",
    "asked_until": "requestedExpiration",
    "approved": "approve approveTime",
    "expires": "approve expireTime",
    "invalidated": "approve invalidateTime",
    "automatic": "approve autoApproved",
    "dismissed": "dismiss dismissTime",
    "implicit": "dismiss implicit",
}
_ATTRIBUTES: Final = {
    "office": "gcp.access.office_country",
    "title": "gcp.access.job_title",
    "products": "gcp.access.products",
    "permissions": "gcp.access.permissions",
    "access_id": "gcp.access.event_id",
    "methods": "gcp.access.methods",
    "resources": "gcp.access.resources",
    "approvals": "gcp.access.approvals",
    "insert_id": "log.record.uid",
}


def describe_transparency(records: Records) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The columns of Access Transparency entries, row by row, and attributes to add."""
    fields = source_fields(records, _ENTRY, {})
    entries = fields.with_columns(read=pl.any_horizontal(pl.col(name).is_not_null() for name in _ACCESS))
    resource = pl.col("resources").list.first()
    in_one_region = pl.when(~_in_several_regions(pl.col("resources"))).then(resource)
    columns = entries.select(
        *begun(TRANSPARENCY, first_time("time")),
        pl.when("read").then(pl.lit("admin.session")).otherwise(pl.lit("log.record")).alias("action"),
        pl.when("read").then(pl.lit("success")).otherwise(pl.lit("unknown")).alias("outcome"),
        _reasons(),
        pl.when("read").then(pl.lit("vendor")).alias("actor_type"),
        pl.col("employer").alias("actor_employer"),
        pl.col("country").alias("actor_declared_country"),
        pl.col("approvals").list.first().alias("approval_id"),
        in_one_region.alias("destination_id"),
        pl.col("products").list.first().alias("destination_host"),
        gcp_names.location_of(in_one_region).alias("destination_region"),
        pl.when("read").then(pl.lit("gcp")).alias("destination_provider"),
        pl.coalesce("project", gcp_names.project_of(resource)).alias("destination_account"),
        pl.coalesce(gcp_names.table_of(resource), gcp_names.bucket_of(resource)).alias("dataset"),
    )
    return columns, added(fields, _ATTRIBUTES)


def _in_several_regions(resources: pl.Expr) -> pl.Expr:
    """Whether the names that say where they lie say different regions; zones of one are one, and global is none."""
    region = gcp_names.location_of(pl.element()).str.replace(_ZONE, "").replace("global", None)
    return (resources.list.eval(region).list.drop_nulls().list.n_unique() > 1).fill_null(value=False)


def _reasons() -> pl.Expr:
    """Types and details side by side where there are as many of both; else all of the one and all of the other."""
    types, details = pl.col("reasons"), pl.col("details")
    one = (types.list.len() == 1) & (details.list.len() == 1)
    beside = pl.concat_str(types.list.first(), details.list.first(), separator=": ")
    every = pl.concat_str(types.list.join("; "), details.list.join("; "), separator=": ", ignore_nulls=True)
    return pl.when(one).then(beside).when(every != "").then(every).alias("reason")


def describe_approval(records: Records) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The columns of Access Approval requests, row by row, and attributes to add."""
    fields = source_fields(records, _REQUEST, {})
    read = pl.coalesce("name", "wanted", "asked").is_not_null()
    approved = _step(read) == "access.approve"
    columns = fields.select(
        *begun(APPROVAL, first_time("invalidated", "approved", "dismissed", "asked")),
        _step(read).alias("action"),
        pl.when(pl.col("dismissed").is_not_null())
        .then(pl.lit("denied"))
        .when(read)
        .then(pl.lit("success"))
        .otherwise(pl.lit("unknown"))
        .alias("outcome"),
        pl.concat_str("reason_type", "reason_detail", separator=": ", ignore_nulls=True)
        .replace("", None)
        .alias("reason"),
        pl.when(read).then(pl.lit("vendor")).alias("actor_type"),
        pl.when(read).then(pl.lit("Google")).alias("actor_employer"),
        pl.col("country").alias("actor_declared_country"),
        pl.col("name").alias("approval_id"),
        pl.when(values.flag_of(pl.col("automatic"))).then(pl.lit("automatic")).alias("approval_by"),
        values.time_of(pl.when(approved).then(pl.coalesce("expires", "asked_until"))).alias("approval_expires_at"),
        pl.col("wanted").alias("destination_id"),
        gcp_names.location_of(pl.col("wanted")).alias("destination_region"),
        pl.when(read).then(pl.lit("gcp")).alias("destination_provider"),
        gcp_names.project_of(pl.coalesce("wanted", "name")).alias("destination_account"),
    )
    return columns, added(fields, {"office": _ATTRIBUTES["office"]})


def _step(read: pl.Expr) -> pl.Expr:
    return (
        pl.when(pl.col("invalidated").is_not_null())
        .then(pl.lit("access.revoke"))
        .when(pl.col("approved").is_not_null())
        .then(pl.lit("access.approve"))
        .when(pl.col("dismissed").is_not_null() & values.flag_of(pl.col("implicit")).fill_null(False))
        .then(pl.lit("access.expire"))
        .when(pl.col("dismissed").is_not_null())
        .then(pl.lit("access.deny"))
        .when(read)
        .then(pl.lit("access.request"))
        .otherwise(pl.lit("log.record"))
    )


TRANSPARENCY_SHAPE: Final = Shape(TRANSPARENCY, (), describe_transparency)
APPROVAL_SHAPE: Final = Shape(APPROVAL, (), describe_approval)
