"""Microsoft Entra sign-ins and directory changes (diagnostic settings): SignInLogs of all kinds, and AuditLogs.

    column                 from properties, where no other place is named
    occurred_at            createdDateTime, else activityDateTime, the record's time
    action                 sign-ins to Azure's own management are admin.session, others identity.signin; directory
                           operations config.change
    outcome                status.errorCode, else resultType: 0 is success, 53000 to 53004 and 530032 (conditional
                           access) denied, others failure; result of directory operations
    reason                 of what did not succeed: status.failureReason, else resultDescription, resultReason
    actor_id, actor_type   userPrincipalName, userId ('user'); servicePrincipalName, servicePrincipalId ('service');
                           initiatedBy.user, initiatedBy.app
    source_*               address ipAddress, else callerIpAddress; asn autonomousSystemNumber; declared country
                           location.countryOrRegion: what Microsoft believes, asserted. The actor's, too
    destination_*          host resourceDisplayName, else appDisplayName; account the tenant; provider azure

Added attributes: azure.operation.name, azure.category, azure.result.type, azure.correlation_id, azure.tenant.id,
azure.entra.app, .home_tenant and .target. Field names are read in Microsoft's spelling and in lower case.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.normalise import values
from onshore_pipeline.normalise.addresses import split_addresses
from onshore_pipeline.normalise.described import begun
from onshore_pipeline.normalise.shape import Shape
from onshore_pipeline.normalise.source_fields import added, first_time, source_fields

if TYPE_CHECKING:
    from onshore_pipeline.normalise.fields import Records

FORMAT: Final = "azure.entra"
_SPELLED: Final = {
    "time": "properties createdDateTime | properties activityDateTime | time",
    "record_time": "time",
    "operation": "operationName | operationname | properties activityDisplayName",
    "category": "category",
    "result": "resultType | resulttype",
    "description": "resultDescription | resultdescription",
    "caller": "properties ipAddress | properties initiatedBy user ipAddress | callerIpAddress | calleripaddress",
    "correlation": "correlationId | correlationid",
    "tenant": "tenantId | tenantid",
    "error": "properties status errorCode",
    "failure": "properties status failureReason",
    "audit_result": "properties result",
    "audit_reason": "properties resultReason",
    "person": "properties userPrincipalName | properties initiatedBy user userPrincipalName",
    "person_id": "properties userId | properties initiatedBy user id",
    "program": "properties servicePrincipalName | properties initiatedBy app displayName",
    "program_id": "properties servicePrincipalId | properties initiatedBy app servicePrincipalId",
    "country": "properties location countryOrRegion",
    "asn": "properties autonomousSystemNumber",
    "app": "properties appDisplayName",
    "service": "properties resourceDisplayName",
    "home_tenant": "properties homeTenantId",
    "targets": "properties targetResources [] displayName",
}
_ATTRIBUTES: Final = {
    "operation": "azure.operation.name",
    "category": "azure.category",
    "result": "azure.result.type",
    "correlation": "azure.correlation_id",
    "tenant": "azure.tenant.id",
    "app": "azure.entra.app",
    "home_tenant": "azure.entra.home_tenant",
    "targets": "azure.entra.target",
}
_SIGN_IN: Final = r"(?i)signinlogs$"
_ADMINISTRATION: Final = (
    *("Windows Azure Service Management API", "Azure Portal", "Microsoft Azure CLI", "Microsoft Azure PowerShell"),
    *("Azure Resource Manager", "Azure Active Directory PowerShell", "Microsoft Graph Command Line Tools"),
)
_BLOCKED: Final = ("53000", "53001", "53002", "53003", "53004", "530032")
_GOOD: Final = ("0", "success")


def describe(records: Records) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The columns of sign-ins and directory changes, row by row, and attributes to add."""
    fields = source_fields(records, _SPELLED, {})
    address, host = split_addresses(fields["caller"])
    logins = fields.with_columns(
        source_address=address, source_host=host, signs_in=pl.col("category").str.contains(_SIGN_IN).fill_null(False)
    )
    columns = logins.select(*begun(FORMAT, first_time("time", "record_time")), *_what(), *_who(), *_where())
    return columns, added(fields, _ATTRIBUTES)


def _what() -> list[pl.Expr]:
    administers = pl.any_horizontal(pl.col(name).is_in(_ADMINISTRATION).fill_null(False) for name in ("service", "app"))
    code = pl.when("signs_in").then(pl.coalesce("error", "result")).otherwise(pl.coalesce("audit_result", "result"))
    word = code.str.to_lowercase()
    return [
        pl.when(pl.col("signs_in") & administers)
        .then(pl.lit("admin.session"))
        .when("signs_in")
        .then(pl.lit("identity.signin"))
        .when(pl.col("operation").is_not_null())
        .then(pl.lit("config.change"))
        .otherwise(pl.lit("log.record"))
        .alias("action"),
        pl.when(word.is_in(_GOOD))
        .then(pl.lit("success"))
        .when(word.is_in(_BLOCKED))
        .then(pl.lit("denied"))
        .when(word.is_not_null())
        .then(pl.lit("failure"))
        .otherwise(pl.lit("unknown"))
        .alias("outcome"),
        pl.when(~word.is_in(_GOOD)).then(pl.coalesce("failure", "description", "audit_reason")).alias("reason"),
    ]


def _who() -> list[pl.Expr]:
    person = pl.coalesce("person", "person_id")
    program = pl.coalesce("program", "program_id")
    return [
        pl.coalesce(person, program).alias("actor_id"),
        pl.when(person.is_not_null())
        .then(pl.lit("user"))
        .when(program.is_not_null())
        .then(pl.lit("service"))
        .alias("actor_type"),
        pl.col("source_address").alias("actor_address"),
        pl.col("country").alias("actor_declared_country"),
    ]


def _where() -> list[pl.Expr]:
    return [
        pl.col("source_address"),
        pl.col("source_host"),
        values.count_of(pl.col("asn")).cast(pl.UInt32, strict=False).alias("source_asn"),
        pl.col("country").alias("source_declared_country"),
        pl.coalesce("service", "app").alias("destination_host"),
        pl.col("tenant").alias("destination_account"),
        pl.when(pl.coalesce("operation", "category").is_not_null()).then(pl.lit("azure")).alias("destination_provider"),
    ]


SHAPE: Final = Shape(FORMAT, (), describe)
