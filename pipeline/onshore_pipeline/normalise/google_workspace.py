"""Google Workspace: activities of the Reports interface, and the same with their one event taken out.

    column              from
    action              sign-ins identity.signin, logout identity.signout; of drive and gmail by event:
                        views and downloads data.read, copies and uploads data.copy, trash and deletions data.delete,
                        delivery data.send; exports of the whole organisation and mail forwarded out of the domain
                        data.export; mobile and rules identity.event; else config.read of what begins with view,
                        config.change
    outcome             a sign-in that failed or was blocked denied; else unknown: the log does not say
    occurred_at         id.time
    actor_id            actor.email, else actor.profileId
    actor_, source_address  ipAddress
    destination_account id.customerId
    dataset             doc_id of the event's parameters, where they are an object
    object_type         id.applicationName

Of an activity with several events the first decides, and all are named in an attribute. Parameters as the interface
lists them (name, value) stay in the body.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.normalise import hosted_audit
from onshore_pipeline.normalise.shape import Shape
from onshore_pipeline.normalise.source_fields import added, first_time, source_fields

if TYPE_CHECKING:
    from onshore_pipeline.normalise.fields import Records

FORMAT: Final = "google.workspace"

_SPELLED: Final = {
    "time": "id time",
    "object_kind": "id applicationName",
    "account": "id customerId",
    "id": "id uniqueQualifier",
    "actor": "actor email | actor profileId",
    "kind": "actor callerType",
    "at": "ipAddress",
    "did": "name",
    "about": "type",
    "all": "events [] name",
    "dataset": "parameters doc_id",
    "visibility": "parameters visibility",
}
_ATTRIBUTES: Final = {
    "did": "google.event",
    "about": "google.event_type",
    "all": "google.events",
    "id": "google.unique_qualifier",
    "visibility": "google.visibility",
}
_ACTIONS: Final = {
    **dict.fromkeys(("login_success", "login_failure", "login_challenge", "login_verification"), "identity.signin"),
    **dict.fromkeys(("suspicious_login", "gov_attack_warning"), "identity.signin"),
    "logout": "identity.signout",
    **dict.fromkeys(("view", "preview", "download", "print"), "data.read"),
    **dict.fromkeys(("copy", "upload"), "data.copy"),
    **dict.fromkeys(("trash", "delete"), "data.delete"),
    "delivery": "data.send",
    "email_forwarding_out_of_domain": "data.export",
}
_TAKEN_OUT: Final = r"(?i)^customer_takeout|^data_export|takeout"
_HAPPENED: Final = ("mobile", "rules", "context_aware_access")
_REFUSED: Final = ("login_failure", "suspicious_login_blocked")


def describe(records: Records) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The columns of Google Workspace's activities, row by row, and their fields without a column as attributes."""
    fields = source_fields(records, _SPELLED, {}).with_columns(
        did=pl.coalesce("did", pl.col("all").list.first()), country=pl.lit(None, pl.String), why=pl.lit(None, pl.String)
    )
    described = [
        _action().alias("action"),
        pl.when(pl.col("did").is_in(_REFUSED))
        .then(pl.lit("denied"))
        .when(pl.col("did") == "login_success")
        .then(pl.lit("success"))
        .otherwise(pl.lit("unknown"))
        .alias("outcome"),
        pl.when(pl.col("kind") == "USER").then(pl.lit("user")).alias("actor_type"),
    ]
    return hosted_audit.columns(fields, FORMAT, first_time("time"), described), added(fields, _ATTRIBUTES)


def _action() -> pl.Expr:
    did = pl.col("did")
    return pl.coalesce(
        did.replace_strict(_ACTIONS, default=None, return_dtype=pl.String),
        pl.when(did.str.contains(_TAKEN_OUT)).then(pl.lit("data.export")),
        pl.when(did.is_not_null() & pl.col("object_kind").is_in(_HAPPENED)).then(pl.lit("identity.event")),
        pl.when(did.str.contains(r"(?i)^view")).then(pl.lit("config.read")),
        pl.when(did.is_not_null()).then(pl.lit("config.change")),
        pl.lit("log.record"),
    )


SHAPE: Final = Shape(FORMAT, (), describe)
