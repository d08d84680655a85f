"""Kubernetes audit events (audit.k8s.io/v1 and v1beta1), bare and as EKS, AKS and GKE hand them out.

Three forms of one record, told apart by what is there: the event itself (EKS, self-run), an Azure diagnostic record
with the event as text in `properties.log` (AKS), a Google audit entry of service k8s.io (GKE). An EventList is split by
whoever reads it.

    column                from (event; GKE's entry)
    occurred_at           requestReceivedTimestamp, else stageTimestamp, timestamp, the envelope's time
    action                `kubernetes_actions`, by verb and objectRef; methodName. A plain read or change on behalf of
                          an impersonated user is admin.impersonate: who acted stays the actor. A verb that is
                          missing or none of the API's is api.request
    outcome               responseStatus.code, the annotation authorization.k8s.io/decision, stage Panic;
                          authorizationInfo.granted, status.code. A request that was only received has none
    reason                responseStatus.message, responseStatus.reason; status.message
    actor_id              user.username; authenticationInfo.principalEmail
    actor_type            'service' for system: names except the anonymous and Google service accounts, 'user' for
                          mail addresses; any other name may be a person's or a program's
    source_address        of sourceIPs the last that is not private, else the last: all but the last can be set by the
                          client at will, and a proxy of one's own adds what it saw at the end; callerIP
    destination_*         the cluster: host k8s.cluster.name (record or resource), cluster_name, the end of Azure's
                          resourceId; with the cluster's resource its cloud.region, cloud.provider, cloud.account.id;
                          GKE's location and project. For a webhook with one URL outside the cluster, that URL's host:
                          there the cluster's objects will be sent
    object_type           resource/subresource; 'secret' for secrets
    dataset               namespace/name of a secret

One request gives up to three records (stages RequestReceived, ResponseStarted, ResponseComplete); each is an event, and
only those with an answer have an outcome. auditID ties them together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.normalise import values
from onshore_pipeline.normalise.addresses import split_addresses
from onshore_pipeline.normalise.described import as_attributes, begun, beside, known
from onshore_pipeline.normalise.json_fields import ITEMS, read_fields
from onshore_pipeline.normalise.kubernetes_actions import action_of
from onshore_pipeline.normalise.oddities import oddities
from onshore_pipeline.normalise.shape import Shape
from onshore_pipeline.normalise.source_fields import ODDITIES
from onshore_pipeline.normalise.url_secrets import without_secrets

if TYPE_CHECKING:
    from onshore_pipeline.normalise.fields import Records

FORMAT: Final = "kubernetes.audit"
_KNOWN_VERSION: Final = "audit.k8s.io/v1"
_CLUSTER: Final = "k8s.cluster.name"
_CLOUD: Final = ("cloud.region", "cloud.provider", "cloud.account.id")

_EVENT: Final[dict[str, tuple[str, ...]]] = {
    "apiVersion": ("apiVersion",),
    "audit_id": ("auditID",),
    "level": ("level",),
    "stage": ("stage",),
    "uri": ("requestURI",),
    "verb": ("verb",),
    "user": ("user", "username"),
    "arns": ("user", "extra", "arn", ITEMS),
    "impersonated": ("impersonatedUser", "username"),
    "addresses": ("sourceIPs", ITEMS),
    "agent": ("userAgent",),
    "kind": ("objectRef", "resource"),
    "part": ("objectRef", "subresource"),
    "namespace": ("objectRef", "namespace"),
    "name": ("objectRef", "name"),
    "code": ("responseStatus", "code"),
    "answer": ("responseStatus", "message"),
    "status_reason": ("responseStatus", "reason"),
    "decision": ("annotations", "authorization.k8s.io/decision"),
    "role": ("requestObject", "roleRef", "name"),
    "webhooks": ("requestObject", "webhooks", ITEMS, "clientConfig", "url"),
    "received": ("requestReceivedTimestamp",),
    "staged": ("stageTimestamp",),
    "timestamp": ("timestamp",),
}
_AZURE: Final[dict[str, tuple[str, ...]]] = {
    "azure_log": ("properties", "log"),
    "azure_time": ("time",),
    "azure_cluster": ("resourceId",),
}
_GOOGLE: Final[dict[str, tuple[str, ...]]] = {
    "method": ("protoPayload", "methodName"),
    "object": ("protoPayload", "resourceName"),
    "principal": ("protoPayload", "authenticationInfo", "principalEmail"),
    "caller": ("protoPayload", "requestMetadata", "callerIP"),
    "caller_agent": ("protoPayload", "requestMetadata", "callerSuppliedUserAgent"),
    "granted": ("protoPayload", "authorizationInfo", ITEMS, "granted"),
    "rpc_code": ("protoPayload", "status", "code"),
    "rpc_message": ("protoPayload", "status", "message"),
    "google_role": ("protoPayload", "request", "roleRef", "name"),
    "google_webhooks": ("protoPayload", "request", "webhooks", ITEMS, "clientConfig", "url"),
    "insert_id": ("insertId",),
    "google_cluster": ("resource", "labels", "cluster_name"),
    "project": ("resource", "labels", "project_id"),
    "location": ("resource", "labels", "location"),
}
_ATTRIBUTES: Final = {
    "oddities": ODDITIES,
    "audit_id": "k8s.audit.id",
    "level": "k8s.audit.level",
    "stage": "k8s.audit.stage",
    "verb": "k8s.audit.verb",
    "impersonated": "k8s.audit.impersonated_user",
    "source_ips": "k8s.audit.source_ips",
    "decision": "k8s.audit.decision",
    "role": "k8s.audit.role",
    "webhook": "k8s.audit.webhook_urls",
    "namespace": "k8s.namespace.name",
    "name": "k8s.object.name",
    "agent": "user_agent.original",
    "path": "url.path",
    "query": "url.query",
    "arn": "aws.principal.arn",
}
# Addresses that only one's own network has: RFC 1918, 6598, 3927, 1122, 4193, 4291.
_PRIVATE: Final = (
    r"^(10\.|127\.|169\.254\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\."
    r"|::1$|(?i)f[cd][0-9a-f]{2}:|fe80:)"
)
_NOBODY: Final = ("system:anonymous", "system:unauthenticated")
# io.k8s.core.v1.pods.exec.create: group, version, resource, subresource where there is one, verb
_METHOD: Final = r"^io\.k8s\.(?:.+\.)?v\d+(?:alpha\d+|beta\d+)?\.(.+)\.([a-z]+)$"
# core/v1/namespaces/models/pods/llm-0/exec; cluster-wide objects stand without a namespace, lists without a name.
_IN_NAMESPACE: Final = r"/namespaces/([^/]+)/[^/]+"
_NAME: Final = r"^[^/]+/v\d[^/]*/(?:namespaces/[^/]+/)?[^/]+/([^/]+)"
_ALL_OF: Final = r"/namespaces/[^/]+/[^/]+$"
_ADDRESS: Final = r"^[0-9A-Fa-f.:]+$"
_DENIED_RPC: Final = ("7", "16")  # google.rpc.Code PERMISSION_DENIED, UNAUTHENTICATED


def describe(records: Records) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The columns of audit events, row by row, and their fields without a column as attributes."""
    fields = _fields(records)
    address, host = split_addresses(fields["source"])
    outside = pl.col("webhook").str.extract(r"^https?://(?:[^/?#,]*@)?([^/?#,]+)[^,]*$")
    webhook_address, webhook_host = split_addresses(fields.select(outside).to_series())
    placed = beside(records, fields).with_columns(
        source_address=address,
        source_host=host,
        webhook_address=webhook_address,
        webhook_host=webhook_host,
        action=pl.coalesce(
            action_of(pl.col("verb"), pl.col("target"), pl.col("impersonated")),
            pl.when(pl.any_horizontal(pl.col("user", "path", "target").is_not_null())).then(pl.lit("api.request")),
            pl.lit("log.record"),
        ),
    )
    columns = placed.select(*begun(FORMAT, _occurred()), *_what(), *_who(), *_where())
    odd = oddities(fields["apiVersion"], _KNOWN_VERSION, records.frame["body"])
    return columns, as_attributes(records, fields.with_columns(odd), _ATTRIBUTES)


def _fields(records: Records) -> pl.DataFrame:
    """The fields of any of the three forms under one name each, row by row."""
    whole = read_fields(records.frame["body"], _EVENT | _AZURE | _GOOGLE)
    if whole["azure_log"].null_count() < whole.height:
        inner = read_fields(whole["azure_log"], _EVENT)
        wrapped = whole["azure_log"].is_not_null()
        whole = whole.with_columns(inner[name].zip_with(wrapped, whole[name]) for name in _EVENT)
    said = whole.hstack(records.select(*_cluster(records)).get_columns())
    return known(said).with_columns(*_google()).with_columns(*_derived())


def _cluster(records: Records) -> list[pl.Expr]:
    """The cluster as record or resource name it; a resource that names it is the cluster's own."""
    own = records.resource(_CLUSTER).is_not_null()
    return [
        pl.coalesce(records.text(_CLUSTER), records.resource(_CLUSTER)).alias("named_cluster"),
        *(pl.when(own).then(records.resource(key)).alias(key) for key in _CLOUD),
    ]


def _google() -> list[pl.Expr]:
    method = pl.col("method").str.extract_groups(_METHOD)
    in_namespace = pl.col("object").str.extract(_IN_NAMESPACE)
    return [
        pl.coalesce("audit_id", "insert_id").alias("audit_id"),
        pl.coalesce("user", "principal").alias("user"),
        pl.coalesce("agent", "caller_agent").alias("agent"),
        pl.coalesce("role", "google_role").alias("role"),
        pl.coalesce("webhooks", "google_webhooks").alias("webhooks"),
        pl.coalesce(
            pl.col("verb").str.to_lowercase(),
            method.struct[1],
            pl.when(pl.col("method").is_not_null()).then(pl.lit("get")),
        ).alias("verb"),
        pl.coalesce(
            pl.concat_str("kind", "part", separator="/"),
            "kind",
            method.struct[0].str.replace_all(".", "/", literal=True),
        ).alias("target"),
        pl.coalesce("namespace", in_namespace).alias("namespace"),
        pl.coalesce(
            "name", pl.when(~pl.col("object").str.contains(_ALL_OF)).then(pl.col("object").str.extract(_NAME))
        ).alias("name"),
    ]


def _derived() -> list[pl.Expr]:
    addresses = pl.coalesce("addresses", pl.concat_list("caller").list.drop_nulls())
    public = addresses.list.eval(
        pl.element().filter(pl.element().str.contains(_ADDRESS) & ~pl.element().str.contains(_PRIVATE))
    )
    several = pl.when(addresses.list.len() > 1).then(addresses.list.join(","))
    webhooks = pl.col("webhooks").list.eval(without_secrets(pl.element()))  # one by one: a secret may hold a comma
    return [
        pl.coalesce(public.list.last(), addresses.list.last()).alias("source"),
        several.alias("source_ips"),
        pl.when(pl.col("webhooks").list.len() > 0).then(webhooks.list.join(",")).alias("webhook"),
        pl.col("arns").list.first().alias("arn"),
        pl.col("uri").str.extract(r"^([^?]+)").alias("path"),
        pl.col("uri").str.extract(r"\?(.+)$").alias("query"),
    ]


def _occurred() -> pl.Expr:
    return pl.coalesce([values.time_of(pl.col(name)) for name in ("received", "staged", "timestamp", "azure_time")])


def _what() -> list[pl.Expr]:
    secret = pl.col("target") == "secrets"
    return [
        pl.col("action"),
        _outcome().alias("outcome"),
        pl.coalesce("answer", "status_reason", "rpc_message").alias("reason"),
        pl.when(secret).then(pl.lit("secret")).otherwise("target").alias("object_type"),
        pl.when(secret & pl.col("namespace").is_not_null())
        .then(pl.concat_str("namespace", "name", separator="/", ignore_nulls=True))
        .alias("dataset"),
    ]


def _outcome() -> pl.Expr:
    code = pl.col("code").cast(pl.Int32, strict=False)
    refused = pl.col("granted").list.contains("false").fill_null(False)
    google = pl.col("method").is_not_null()
    return (
        pl.when(
            (pl.col("decision") == "forbid") | code.is_in([401, 403]) | refused | pl.col("rpc_code").is_in(_DENIED_RPC)
        )
        .then(pl.lit("denied"))
        .when(code.is_between(400, 599) | (pl.col("stage") == "Panic") | (pl.col("rpc_code").fill_null("0") != "0"))
        .then(pl.lit("failure"))
        .when(code.is_between(100, 399) | google)  # Google leaves the code of a request that went well out
        .then(pl.lit("success"))
        .otherwise(pl.lit("unknown"))
    )


def _who() -> list[pl.Expr]:
    user = pl.col("user")
    service = user.str.contains(r"^(system:|eks:|aksService$)|\.gserviceaccount\.com$")
    return [
        user.alias("actor_id"),
        pl.when(~user.is_in(_NOBODY))
        .then(pl.when(service).then(pl.lit("service")).when(user.str.contains("@")).then(pl.lit("user")))
        .alias("actor_type"),
        pl.col("source_address").alias("actor_address"),
        pl.col("source_address"),
        pl.col("source_host"),
    ]


def _where() -> list[pl.Expr]:
    elsewhere = pl.col("webhook_address").is_not_null() | pl.col("webhook_host").is_not_null()
    google = pl.col("method").is_not_null()
    azure = pl.col("azure_cluster").is_not_null()

    def here(value: pl.Expr) -> pl.Expr:
        return pl.when(~elsewhere).then(value)

    return [
        pl.col("webhook_address").alias("destination_address"),
        pl.coalesce(
            "webhook_host",
            here(pl.coalesce("named_cluster", "google_cluster", pl.col("azure_cluster").str.extract(r"([^/]+)/*$"))),
        ).alias("destination_host"),
        here(pl.col("azure_cluster")).alias("destination_id"),
        here(pl.coalesce("cloud.region", "location")).alias("destination_region"),
        here(
            pl.coalesce("cloud.provider", pl.when(google).then(pl.lit("gcp")).when(azure).then(pl.lit("azure")))
        ).alias("destination_provider"),
        here(pl.coalesce("cloud.account.id", "project")).alias("destination_account"),
    ]


SHAPE: Final = Shape(FORMAT, (_CLUSTER,), describe, resource_keys=(_CLUSTER, *_CLOUD))
