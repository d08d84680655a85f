"""Okta's System Log, as its interface and log streams write it.

    column              from
    action              sign-ins and single sign-on identity.signin, into the administrators' console
                        admin.session, user.session.end identity.signout, what Okta's support may do on a
                        customer's behalf admin.impersonate, a shown password data.read; limits, risk and policy
                        evaluations identity.event; else config.change
    outcome, reason     outcome.result (DENY is denied, FAILURE of a sign-in too); outcome.reason
    occurred_at         published
    actor_id            actor.alternateId, else actor.id; type by actor.type
    actor_, source_address  client.ipAddress
    actor_declared_country  client.geographicalContext.country: Okta's geolocation, asserted
    dataset             alternateId of the first target

Names of fields in lower case, as some pipelines rewrite them, are read, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.normalise import hosted_audit
from onshore_pipeline.normalise.shape import Shape
from onshore_pipeline.normalise.source_fields import added, first_time, source_fields

if TYPE_CHECKING:
    from onshore_pipeline.normalise.fields import Records

FORMAT: Final = "okta.system"

_SPELLED: Final = {
    "published": "published",
    "did": "eventType | eventtype",
    "actor": "actor alternateId | actor id",
    "kind": "actor type",
    "at": "client ipAddress",
    "country": "client geographicalContext country",
    "city": "client geographicalContext city",
    "why": "outcome reason",
    "result": "outcome result",
    "id": "uuid",
    "severity": "severity",
    "agent": "client userAgent rawUserAgent",
    "session": "authenticationContext externalSessionId | authenticationcontext externalSessionId",
    "uri": "debugContext debugData requestUri | debugcontext debugData requestUri",
    "asn": "securityContext asNumber | securitycontext asNumber",
    "proxy": "securityContext isProxy | securitycontext isProxy",
    "targets": "target [] alternateId",
    "target_kinds": "target [] type",
}
_ATTRIBUTES: Final = {
    "did": "okta.event_type",
    "id": "okta.uuid",
    "severity": "okta.severity",
    "agent": "user_agent.original",
    "session": "session.id",
    "uri": "url.path",
    "asn": "okta.client.asn",
    "proxy": "okta.client.is_proxy",
    "city": "okta.client.city",
    "targets": "okta.targets",
    "target_kinds": "okta.target_types",
}
_SESSION: Final = r"^(user\.session\.(start|context)|user\.authentication\.|app\.oauth2\.signon)"
_EVENTS: Final = r"^(system\.org\.rate_limit|security\.|policy\.evaluate|user\.risk\.|analytics\.|workflow\.)"
_ACTIONS: Final = {
    "user.session.end": "identity.signout",
    "user.session.access_admin_app": "admin.session",
    "application.user_membership.show_password": "data.read",
    "support.org.update": "admin.impersonate",
}
_OUTCOMES: Final = {"success": "success", "allow": "success", "deny": "denied", "failure": "failure"}
_TYPES: Final = {"user": "user", "systemprincipal": "service", "publicclientapp": "service"}


def describe(records: Records) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The columns of Okta's events, row by row, and their fields without a column as attributes."""
    fields = source_fields(records, _SPELLED, {}).with_columns(
        dataset=pl.col("targets").list.first(),
        object_kind=pl.col("target_kinds").list.first(),
        account=pl.lit(None, pl.String),
        action=_action(),
    )
    result = pl.col("result").str.to_lowercase().replace_strict(_OUTCOMES, default=None, return_dtype=pl.String)
    refused = (pl.col("action") == hosted_audit.SIGN_IN) & (result == "failure")
    kind = pl.col("kind").str.to_lowercase()
    described = [
        pl.col("action"),
        pl.coalesce(pl.when(refused).then(pl.lit("denied")), result, pl.lit("unknown")).alias("outcome"),
        kind.replace_strict(_TYPES, default=None, return_dtype=pl.String).alias("actor_type"),
    ]
    return hosted_audit.columns(fields, FORMAT, first_time("published"), described), added(fields, _ATTRIBUTES)


def _action() -> pl.Expr:
    did = pl.col("did")
    return (
        pl.when(did.is_null())
        .then(pl.lit("log.record"))
        .when(did.str.contains(_SESSION))
        .then(pl.lit(hosted_audit.SIGN_IN))
        .when(did.str.starts_with("user.session.impersonation."))
        .then(pl.lit("admin.impersonate"))
        .when(did.str.contains(_EVENTS))
        .then(pl.lit("identity.event"))
        .otherwise(did.replace_strict(_ACTIONS, default="config.change", return_dtype=pl.String))
    )


SHAPE: Final = Shape(FORMAT, (), describe)
