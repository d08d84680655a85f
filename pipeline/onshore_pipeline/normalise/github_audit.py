"""GitHub's audit log of organisations and enterprises, as streamed or exported in JSON.

column              from
action              git.clone, git.fetch and downloads data.read, git.push data.copy, migrations and exports
                    data.export, repo.destroy data.delete, sign-ins identity.signin; else config.read where
                    operation_type is access, config.change
outcome             conclusion of a workflow's run; else unknown: the log tells what was done, and says so nowhere
occurred_at         @timestamp, created_at (milliseconds, or RFC 3339)
actor_id            actor; service where actor_is_bot says so
actor_, source_address  actor_ip, which an enterprise must have switched on
actor_declared_country  actor_location.country_code: GitHub's geolocation, asserted
destination_account org, else business
dataset             repo, repository
object_type         what stands before the first dot of action
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.normalise import hosted_audit, values
from onshore_pipeline.normalise.shape import Shape
from onshore_pipeline.normalise.source_fields import added, source_fields

if TYPE_CHECKING:
    from onshore_pipeline.normalise.fields import Records

FORMAT: Final = "github.audit"

_SPELLED: Final = {
    "did": "action",
    "sent": "@timestamp",
    "created": "created_at",
    "actor": "actor",
    "bot": "actor_is_bot",
    "at": "actor_ip",
    "country": "actor_location country_code",
    "why": "reason",
    "account": "org | business",
    "dataset": "repo | repository",
    "operation": "operation_type",
    "conclusion": "conclusion",
    "user": "user",
    "agent": "user_agent",
    "access": "programmatic_access_type",
    "id": "_document_id",
    "visibility": "visibility",
    "protocol": "transport_protocol_name",
    "hook": "config url",
}
_ATTRIBUTES: Final = {
    "did": "github.action",
    "operation": "github.operation_type",
    "conclusion": "github.conclusion",
    "user": "github.user",
    "agent": "user_agent.original",
    "access": "github.programmatic_access_type",
    "id": "github.document_id",
    "visibility": "github.visibility",
    "protocol": "network.protocol.name",
    "hook": "github.hook.url",
}
_ACTIONS: Final = {
    **dict.fromkeys(("git.clone", "git.fetch", "repo.download_zip"), "data.read"),
    "git.push": "data.copy",
    **dict.fromkeys(("migration.create", "org.audit_log_export", "org.audit_log_git_event_export"), "data.export"),
    "repo.destroy": "data.delete",
    **dict.fromkeys(
        ("user.login", "user.failed_login", "org.sso_response", "business.sso_response"), hosted_audit.SIGN_IN
    ),
}
_CONCLUSIONS: Final = {"success": "success", "failure": "failure", "timed_out": "failure", "startup_failure": "failure"}


def describe(records: Records) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The columns of GitHub's audit events, row by row, and their fields without a column as attributes."""
    fields = source_fields(records, _SPELLED, {}).with_columns(object_kind=pl.col("did").str.extract(r"^([^.]+)"))
    reads = (hosted_audit.milliseconds_of, values.time_of)
    moments = [read(pl.col(name)) for name in ("sent", "created") for read in reads]
    described = [
        pl.coalesce(
            pl.col("did").replace_strict(_ACTIONS, default=None, return_dtype=pl.String),
            pl.when((pl.col("operation") == "access") & pl.col("did").is_not_null()).then(pl.lit("config.read")),
            pl.when(pl.col("did").is_not_null()).then(pl.lit("config.change")),
            pl.lit("log.record"),
        ).alias("action"),
        pl.coalesce(
            pl.when(pl.col("did") == "user.failed_login").then(pl.lit("denied")),
            pl.col("conclusion").replace_strict(_CONCLUSIONS, default=None, return_dtype=pl.String),
            pl.lit("unknown"),
        ).alias("outcome"),
        pl.when(values.flag_of(pl.col("bot"))).then(pl.lit("service")).alias("actor_type"),
    ]
    return hosted_audit.columns(fields, FORMAT, pl.coalesce(moments), described), added(fields, _ATTRIBUTES)


SHAPE: Final = Shape(FORMAT, (), describe)
