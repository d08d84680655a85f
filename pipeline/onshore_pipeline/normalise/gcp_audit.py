"""Google Cloud Audit Logs: log entries in the body, and entries as the Collector's decoder spells them.

    column                 from protoPayload, where no other place is named
    occurred_at            the entry's timestamp, else receiveTimestamp
    action                 `gcp_audit_actions`, by serviceName and methodName; BigQuery jobs by their statement or type;
                           else config.read or config.change, by the method's verb. Where the resource was moved from
                           one location to another: data.copy. A call of a model in one region (resourceName) that
                           another one answered (resourceLocation) is model.fallback
    outcome, reason        status.code (7 and 16: denied), no authorizationInfo[].granted, the policy log;
                           status.message
    actor_id, actor_type   authenticationInfo.principalEmail, else principalSubject; service accounts are 'service'
    source_address, _host  requestMetadata.callerIp ('private' and 'gce-internal-ip' are hosts); also actor_address
    source_id              requestMetadata.callerNetwork
    source_region          the one original location of a moved resource; the called region of calls that send data away
                           (exports, replication, log sinks): where the data goes is not in the entry
    destination_*          the called service: host serviceName, provider gcp, account the resource's project, region
                           the resource's current location where it is one; else the monitored resource's location,
                           else the location in the resource's name. More than one location: unknown, all in the
                           attribute gcp.audit.resource.location.current
    dataset, object_type   bucket; project.dataset.table; secret
    object_place           the bucket and object in the resource's name
    bytes                  bytes that a BigQuery query processed
    item_count             numResponseItems
    key_id                 the resource of Cloud KMS calls; the signing account of iamcredentials calls
    approval_id, _by       of decisions on Access Approval requests: the request, and the caller, who decided
    model_*                Vertex AI: publisher's model, or endpoint, in the resource's name; the called service

Entries of the logs of Access Transparency, flows, firewalls and DNS among them are read as those formats are.

Added attributes: the decoder's names, gcp.audit.authentication.delegation (who delegated to the service account, the
real caller first), gcp.audit.bigquery.destination, gcp.audit.violation.reason. The decoder drops metadata (BigQuery
jobs, perimeters), request, response, serviceData, delegation and third-party principals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.normalise import gcp_access, gcp_dns, gcp_firewall, gcp_names, gcp_vpcflow, values
from onshore_pipeline.normalise.addresses import split_addresses
from onshore_pipeline.normalise.described import begun
from onshore_pipeline.normalise.gcp_audit_actions import ACTIONS, JOBS, LEAVES, OBJECTS, READING, SERVICES
from onshore_pipeline.normalise.gcp_audit_fields import ATTRIBUTES, DECODED, KEYS, LOSSES, RESOURCE_KEYS, fields_of
from onshore_pipeline.normalise.objects import place_of
from onshore_pipeline.normalise.shape import Shape
from onshore_pipeline.normalise.source_fields import added, first_time

if TYPE_CHECKING:
    from onshore_pipeline.normalise.fields import Records

FORMAT: Final = "gcp.audit"
# A sink may carry several logs; the entry's log says which it is of.
_OTHERS: Final = {
    "access_transparency": gcp_access.describe_transparency,
    "vpc_flows": gcp_vpcflow.describe,
    "firewall": gcp_firewall.describe,
    "dns_queries": gcp_dns.describe,
}
_OTHER_LOG: Final = (
    r"(?:cloudaudit|compute|dns|networkmanagement)\.googleapis\.com(?:%2F|%2f|/)"
    r"(access_transparency|vpc_flows|firewall|dns_queries)$"
)
_DENIED: Final = ("7", "16")  # google.rpc.Code PERMISSION_DENIED, UNAUTHENTICATED
_SERVICE_ACCOUNT: Final = r"(?i)\.gserviceaccount\.com$|^serviceAccount:|^system:|^system@google\.com$"
_ONE_REGION: Final = r"^[a-z]+-[a-z]+\d+$"
_PERSON: Final = r"(?i)^user:|^[^:@/ ]+@[^@ ]+$"


def describe(records: Records) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The columns of log entries, row by row, and attributes to add where the sender set none of that name."""
    fields = fields_of(records)
    logs = fields["log"].str.extract(_OTHER_LOG)
    present = [name for name in _OTHERS if (logs == name).any()]
    if not present:
        return _described(fields)
    parts = [
        _described(fields.filter(logs.is_null())),
        *(_OTHERS[name](records.filtered((logs == name).fill_null(False))) for name in present),
    ]
    columns, attributes = zip(*parts, strict=True)
    return pl.concat(columns, how="diagonal_relaxed").sort("row"), pl.concat(attributes)


def _described(fields: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    calls = _calls(fields)
    columns = calls.select(
        *begun(FORMAT, first_time("time", "received")), *_what(), *_who(), *_where(), *_data(), *_model()
    )
    return columns, added(calls, ATTRIBUTES, LOSSES)


def _calls(fields: pl.DataFrame) -> pl.DataFrame:
    """The fields, and what several columns are made of."""
    address, host = split_addresses(fields.select(pl.coalesce("caller", "caller_capital").alias("caller")).to_series())
    method = pl.col("method").str.to_lowercase()
    name = pl.col("resource_name")
    moved = (pl.col("original").list.len() > 0) & (pl.col("current").list.len() > 0)
    return (
        fields.with_columns(
            source_address=address,
            source_host=host,
            short=pl.col("service").str.to_lowercase().str.replace(r"\.googleapis\.com$", "").replace(SERVICES),
            call=method.str.extract(r"([^./]+)$"),
            call_of=method.str.extract(r"([^./]+[./][^./]+)$").str.replace("/", ".", literal=True),
            moved=(moved & (_sorted("original") != _sorted("current"))).fill_null(False),
            region=pl.coalesce(
                pl.when(pl.col("current").list.len() == 1).then(pl.col("current").list.first()),
                pl.when(pl.col("current").is_null()).then(pl.coalesce("location", gcp_names.location_of(name))),
            ),
            delegation=pl.concat_list(
                pl.col("first_parties").fill_null([]), pl.col("delegates").fill_null([])
            ).list.join(","),
            job_destination=pl.coalesce(
                *(gcp_names.table_of(pl.col(f"{job}_destination")) for job in ("query", "load", "copy")),
                pl.col("extract_destinations").list.join(","),
            ),
        )
        .with_columns(
            action=_action(),
            delegation=pl.when(pl.col("delegation") != "").then("delegation"),
        )
        .with_columns(action=_answered_elsewhere(), leaves=pl.col("action").is_in(LEAVES))
    )


def _sorted(name: str) -> pl.Expr:
    return pl.col(name).list.eval(pl.element().sort())


def _action() -> pl.Expr:
    listed = {f"{service} {call}": action for service, calls in ACTIONS.items() for call, action in calls.items()}

    def looked_up(call: str) -> pl.Expr:
        service = pl.col("short").fill_null("k8s")  # its methods say whose they are: io.k8s.core.v1.pods.exec.create
        found = pl.concat_str(service, call, separator=" ").replace_strict(listed, default=None, return_dtype=pl.String)
        return pl.when(pl.col("short").is_not_null() | pl.col("method").str.starts_with("io.k8s.")).then(found)

    reads = pl.col("call").str.contains(READING)
    return pl.coalesce(
        pl.when("moved").then(pl.lit("data.copy")),
        pl.when(pl.col("deletion").is_not_null()).then(pl.lit("data.delete")),
        *(
            pl.col(kind).replace_strict(JOBS, default=None, return_dtype=pl.String)
            for kind in ("statement", "job_type")
        ),
        looked_up("call_of"),
        looked_up("call"),
        pl.when(reads).then(pl.lit("config.read")).when(~reads).then(pl.lit("config.change")),
        pl.lit("log.record"),
    )


def _answered_elsewhere() -> pl.Expr:
    """The action, told apart where a model was asked for in one region and ran in another.

    What is asked of `global`, or of several regions at once (`eu`), may be answered by any of them.
    """
    asked = gcp_names.location_of(pl.col("resource_name"))
    ran = pl.when(pl.col("current").list.len() == 1).then(pl.col("current").list.first())
    both = asked.str.contains(_ONE_REGION) & ran.str.contains(_ONE_REGION) & (asked != ran)
    fell_back = (pl.col("action") == "model.invoke") & (pl.col("short") == "aiplatform") & both
    return pl.when(fell_back).then(pl.lit("model.fallback")).otherwise("action")


def _what() -> list[pl.Expr]:
    # A call may ask for more permissions than it needs: it is refused where it got none of them.
    refused = pl.col("granted").list.contains("false") & ~pl.col("granted").list.contains("true")
    refused |= pl.col("log").str.ends_with("%2Fpolicy")
    return [
        pl.col("action"),
        pl.when(pl.col("method").is_null() & pl.col("deletion").is_null())
        .then(pl.lit("unknown"))
        .when(pl.col("status").is_in(_DENIED) | refused)
        .then(pl.lit("denied"))
        .when((pl.col("status") != "0") | (pl.col("call") == "loginfailure"))
        .then(pl.lit("failure"))
        .otherwise(pl.lit("success"))
        .alias("outcome"),
        pl.coalesce("status_message", "violation").alias("reason"),
    ]


def _who() -> list[pl.Expr]:
    actor = pl.coalesce("email", "subject")
    return [
        actor.alias("actor_id"),
        pl.when(actor.str.contains(_SERVICE_ACCOUNT))
        .then(pl.lit("service"))
        .when(actor.str.contains(_PERSON))
        .then(pl.lit("user"))
        .alias("actor_type"),
        pl.col("source_address").alias("actor_address"),
    ]


def _where() -> list[pl.Expr]:
    came_from = pl.coalesce(
        pl.when(pl.col("moved") & (pl.col("original").list.len() == 1)).then(pl.col("original").list.first()),
        pl.when("leaves").then("region"),
    )
    # Of data that moves away the source is where it was; the caller stays as the actor.
    calls = ~pl.col("moved") & ~pl.col("leaves")
    region = pl.when(~pl.col("leaves")).then("region")
    gcp = pl.lit("gcp")
    return [
        pl.when(calls).then("network").alias("source_id"),
        pl.when(calls).then("source_address").alias("source_address"),
        pl.when(calls).then("source_host").alias("source_host"),
        came_from.alias("source_region"),
        pl.when(came_from.is_not_null()).then(gcp).alias("source_provider"),
        pl.col("service").alias("destination_host"),
        region.alias("destination_region"),
        pl.when(region.is_not_null() | (~pl.col("leaves") & pl.col("service").str.ends_with(".googleapis.com")))
        .then(gcp)
        .alias("destination_provider"),
        pl.when("leaves").then("project").alias("source_account"),
        pl.when(~pl.col("leaves")).then("project").alias("destination_account"),
    ]


def _data() -> list[pl.Expr]:
    touches_data = pl.col("action").str.contains(r"^(data|backup)\.")
    name = pl.col("resource_name")
    decides = pl.col("action").str.starts_with("access.")
    tables = pl.coalesce("extract_source", pl.col("copy_sources").list.first(), pl.col("query_tables").list.first())
    return [
        pl.coalesce(
            gcp_names.table_of(tables),
            gcp_names.table_of(pl.col("load_destination")),
            gcp_names.table_of(pl.when(pl.col("action") != "data.read").then("query_destination")),
            gcp_names.table_of(name),
            "bucket",
            gcp_names.bucket_of(name),
            pl.when(pl.col("short") == "secretmanager").then(name.str.extract(r"/secrets/([^/]+)")),
        ).alias("dataset"),
        pl.when(touches_data)
        .then(pl.col("short").replace_strict(OBJECTS, default=None, return_dtype=pl.String))
        .alias("object_type"),
        place_of("gs", gcp_names.bucket_of(name), gcp_names.object_of(name)).alias("object_place"),
        values.count_of(pl.col("query_bytes")).alias("bytes"),
        values.count_of(pl.col("items")).alias("item_count"),
        pl.when(pl.col("short").is_in(["cloudkms", "iamcredentials"]) & pl.col("action").str.starts_with("key."))
        .then(name)
        .alias("key_id"),
        pl.when(decides).then(name).alias("approval_id"),
        pl.when(decides).then(pl.coalesce("email", "subject")).alias("approval_by"),
    ]


def _model() -> list[pl.Expr]:
    of_model = pl.col("action").str.starts_with("model.")
    name = pl.col("resource_name")
    return [
        pl.when(of_model)
        .then(pl.when(pl.col("short") == "aiplatform").then(pl.lit("gcp.vertex_ai")).otherwise(pl.lit("gcp.gen_ai")))
        .alias("model_provider"),
        pl.when(of_model).then(name.str.extract(r"((?:models|endpoints)/[^/:]+)")).alias("model_requested"),
        pl.when(of_model).then("service").alias("model_endpoint"),
    ]


SHAPE: Final = Shape(
    FORMAT,
    KEYS,
    describe,
    lambda records: (pl.col("encoding_format") == DECODED) | records.text("gcp.audit.method.name").is_not_null(),
    RESOURCE_KEYS,
)
