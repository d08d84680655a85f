"""Databricks' audit log, as delivered to storage in JSON.

column              from
action              by actionName: log-ins identity.signin, commands admin.command, downloads and what a
                    Delta Share's recipient queries data.export, files and secrets data.read, tables and schemas
                    dropped data.delete;
                    else config.read of what begins with get or list, config.change
outcome, reason     response.statusCode; an address that was refused is denied; response.errorMessage
occurred_at         timestamp (milliseconds)
actor_id            userIdentity.email; System-User is a service
actor_, source_address  sourceIPAddress
destination_account workspaceId, else accountId
dataset             requestParams.name, full_name_arg, path, share
object_type         serviceName
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.normalise import hosted_audit
from onshore_pipeline.normalise.shape import Shape
from onshore_pipeline.normalise.source_fields import added, source_fields

if TYPE_CHECKING:
    from onshore_pipeline.normalise.fields import Records

FORMAT: Final = "databricks.audit"

_SPELLED: Final = {
    "sent": "timestamp",
    "object_kind": "serviceName",
    "did": "actionName",
    "actor": "userIdentity email",
    "at": "sourceIPAddress",
    "code": "response statusCode",
    "why": "response errorMessage",
    "workspace": "workspaceId",
    "tenant_account": "accountId",
    "dataset": "requestParams full_name_arg | requestParams name | requestParams share | requestParams path",
    "target": "requestParams targetUserName | requestParams principal",
    "group": "requestParams targetGroupName",
    "level": "auditLevel",
    "agent": "userAgent",
    "id": "requestId",
}
_ATTRIBUTES: Final = {
    "did": "databricks.action",
    "code": "http.response.status_code",
    "tenant_account": "databricks.account_id",
    "target": "databricks.target",
    "group": "databricks.target_group",
    "level": "databricks.audit_level",
    "agent": "user_agent.original",
    "id": "databricks.request_id",
}
_LOG_IN: Final = r"(?i)login$|^ipaccessdenied$|^accountipaclsvalidationfailed$"
_EXPORT: Final = r"(?i)^(download|export|deltasharingquer|deltasharingproxyquer)"
_READ: Final = ("getsecret", "read", "getobject", "downloadartifact")
_DROPPED: Final = r"(?i)^(delete|drop)(table|schema|catalog|volume|model|registeredmodel|file|object)$"
_COMMAND: Final = ("executecommand", "runcommand", "commandsubmit", "executeadhocquery", "submitcommand")


def describe(records: Records) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The columns of Databricks' audit events, row by row, and their fields without a column as attributes."""
    fields = source_fields(records, _SPELLED, {}).with_columns(
        account=pl.coalesce("workspace", "tenant_account"), country=pl.lit(None, pl.String)
    )
    denied = pl.col("did").str.contains(r"(?i)denied$|validationfailed$")
    described = [
        _action().alias("action"),
        pl.coalesce(
            pl.when(denied).then(pl.lit("denied")), hosted_audit.status_of(pl.col("code")), pl.lit("unknown")
        ).alias("outcome"),
        pl.when(pl.col("actor") == "System-User").then(pl.lit("service")).alias("actor_type"),
    ]
    occurred = hosted_audit.milliseconds_of(pl.col("sent"))
    return hosted_audit.columns(fields, FORMAT, occurred, described), added(fields, _ATTRIBUTES)


def _action() -> pl.Expr:
    did = pl.col("did")
    word = did.str.to_lowercase()
    return (
        pl.when(did.is_null())
        .then(pl.lit("log.record"))
        .when(did.str.contains(_LOG_IN))
        .then(pl.lit(hosted_audit.SIGN_IN))
        .when(word == "logout")
        .then(pl.lit("identity.signout"))
        .when(did.str.contains(_EXPORT))
        .then(pl.lit("data.export"))
        .when(word.is_in(_READ))
        .then(pl.lit("data.read"))
        .when(word.is_in(_COMMAND))
        .then(pl.lit("admin.command"))
        .when(did.str.contains(_DROPPED))
        .then(pl.lit("data.delete"))
        .when(word.str.contains(r"^(get|list)"))
        .then(pl.lit("config.read"))
        .otherwise(pl.lit("config.change"))
    )


SHAPE: Final = Shape(FORMAT, (), describe)
