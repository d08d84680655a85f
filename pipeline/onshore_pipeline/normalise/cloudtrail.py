"""CloudTrail: raw records in the body, and records as the Collector's decoder spells them.

    column                from (raw record; decoder's attribute)
    occurred_at           eventTime
    action                `cloudtrail_actions`, by eventSource and eventName; else config.read or config.change, by
                          readOnly or the name's first word
    outcome, reason       errorCode, ConsoleLogin's answer; errorMessage
    actor_id              userIdentity.arn, else principalId, invokedBy, accountId
    actor_type            userIdentity.type: people are 'user', AWS services 'service', assumed roles unknown
    actor_account         userIdentity.accountId
    source_address, _host sourceIPAddress; also actor_address, for the actor acts from there
    source_id             vpcEndpointId
    destination_*         the called service: host eventSource, region awsRegion, provider aws, account
                          recipientAccountId. The decoder drops awsRegion and puts one cloud.region on a whole file:
                          then the region is unknown. For calls that send data away (bucket replication) the called
                          region is the source's; the record does not say where the data goes. For snapshot copies
                          sourceRegion is the source's.
    dataset, object_type  requestParameters: bucket, table, snapshot, database, volume, secret
    bytes                 additionalEventData.bytesTransferredOut of reads, bytesTransferredIn of writes
    key_id                requestParameters.keyId of KMS calls
    model_*               requestParameters.modelId of Bedrock calls; the called service is the endpoint

The emitter is whoever read the log, so its resource describes no party. Fields without a column become attributes under
the decoder's names (rpc.method, rpc.service, aws.*), unless the sender set them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.normalise import values
from onshore_pipeline.normalise.addresses import split_addresses
from onshore_pipeline.normalise.cloudtrail_actions import ACTIONS, LEAVES_REGION, OBJECTS, SERVICES
from onshore_pipeline.normalise.cloudtrail_json import RECORD_PATHS, REQUEST_PATHS, read_fields

if TYPE_CHECKING:
    from onshore_pipeline.normalise.fields import Records

FORMAT: Final = "aws.cloudtrail"
_FORMAT_KEY: Final = "log.record.format"
_REQUEST_KEY: Final = "aws.request.parameters"
# Field → the attribute that the Collector's decoder writes, and that a raw record's field becomes.
_ATTRIBUTES: Final = {
    "event_name": "rpc.method",
    "event_source": "rpc.service",
    "event_id": "aws.cloudtrail.event_id",
    "vpc_endpoint": "aws.cloudtrail.vpc_endpoint_id",
    "error_code": "aws.error.code",
    "read_only": "aws.event.read_only",
}
_DECODER_ONLY: Final = {
    "source": "source.address",
    "actor_type": "aws.principal.type",
    "actor_arn": "aws.principal.arn",
    "actor_principal": "aws.principal.id",
    "actor_account": "aws.user_identity.account_id",
    "actor_service": "aws.user_identity.invoked_by",
}
KEYS: Final = (_FORMAT_KEY, _REQUEST_KEY, *_ATTRIBUTES.values(), *_DECODER_ONLY.values())

# What reading any record gives and a CloudTrail record keeps.
_KEPT: Final = ("row", "message", "resource", "record_index", "schema_url", "trace_id", "span_id", "body")
_PEOPLE: Final = (
    *("IAMUser", "Root", "FederatedUser", "SAMLUser", "WebIdentityUser", "IdentityCenterUser", "Directory"),
)
_DENIED: Final = (
    r"(?i)AccessDenied|Unauthorized|NotAuthorized|Forbidden|AuthFailure|InvalidClientTokenId|SignatureDoesNotMatch"
)
_READING: Final = r"^(Get|List|Describe|Head|Lookup|Search|BatchGet|Check)"
_API_VERSION: Final = r"\d{8}(v\d+)?$"  # UpdateFunctionCode20150331v2


def is_cloudtrail(records: Records) -> pl.Expr:
    """Whether a record is a CloudTrail record; never null."""
    return (
        pl.col("encoding_format").eq_missing(FORMAT)
        | pl.col("event_name").eq_missing(FORMAT)
        | records.text(_FORMAT_KEY).eq_missing(pl.lit(FORMAT))
    )


def describe(records: Records) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The columns of CloudTrail records, row by row, and attributes to add where the sender set none of that name.

    Every column that these records can have is given; others are unknown, whatever shape-blind reading found.
    """
    fields = _fields(records)
    address, host = split_addresses(fields["source"])
    calls = fields.with_columns(
        source_address=address,
        source_host=host,
        service=pl.col("event_source").str.replace(r"\.amazonaws\.com(\.cn)?$", "").replace(SERVICES),
        call=pl.col("event_name").str.replace(_API_VERSION, ""),
    ).with_columns(action=_action(), leaves=pl.col("call").is_in(LEAVES_REGION).fill_null(False))
    columns = records.frame.select(*_KEPT, "time_ns", "observed_ns").hstack(calls)
    return columns.select(*_KEPT, *_what(), *_who(), *_where(), *_data()), _added_attributes(records, fields)


def _fields(records: Records) -> pl.DataFrame:
    """The record's fields as text columns, row by row: of the raw record, else of the decoder's attributes."""
    sent = records.select(
        *(records.text(key).alias(name) for name, key in (_ATTRIBUTES | _DECODER_ONLY).items()),
        records.text(_REQUEST_KEY).alias("request"),
    )
    sent = sent.hstack(read_fields(sent["request"], REQUEST_PATHS).get_columns())
    raw = read_fields(records.frame["body"], RECORD_PATHS).select(
        pl.when(pl.col(name) != "").then(pl.col(name)).alias(name) for name in RECORD_PATHS
    )
    beside = raw.hstack([column.alias(f"sent {column.name}") for column in sent.get_columns()])
    return beside.select(
        pl.coalesce(name, f"sent {name}").alias(name) if name in sent.columns else pl.col(name) for name in raw.columns
    )


def _action() -> pl.Expr:
    listed = {f"{service} {call}": action for service, calls in ACTIONS.items() for call, action in calls.items()}
    reads = values.flag_of(pl.col("read_only")).fill_null(pl.col("call").str.contains(_READING))
    return pl.coalesce(
        pl.concat_str("service", "call", separator=" ").replace_strict(listed, default=None, return_dtype=pl.String),
        pl.when(reads).then(pl.lit("config.read")).when(~reads).then(pl.lit("config.change")),
        pl.lit("log.record"),
    )


def _what() -> list[pl.Expr]:
    login_failed = (pl.col("login") == "Failure").fill_null(False)
    return [
        pl.lit(FORMAT).alias("source_format"),
        pl.coalesce(
            values.time_of(pl.col("event_time")), pl.coalesce("time_ns", "observed_ns").cast(pl.Datetime("ns", "UTC"))
        ).alias("occurred_at"),
        pl.col("observed_ns").cast(pl.Datetime("ns", "UTC")).alias("observed_at"),
        pl.col("action"),
        pl.when(pl.col("event_name").is_null())
        .then(pl.lit("unknown"))
        .when(pl.col("error_code").str.contains(_DENIED))
        .then(pl.lit("denied"))
        .when(pl.col("error_code").is_not_null() | login_failed)
        .then(pl.lit("failure"))
        .otherwise(pl.lit("success"))
        .alias("outcome"),
        pl.coalesce("error_message", "error_code").alias("reason"),
    ]


def _who() -> list[pl.Expr]:
    return [
        pl.coalesce("actor_arn", "actor_principal", "actor_service", "actor_account").alias("actor_id"),
        pl.when(pl.col("actor_type").is_in(_PEOPLE))
        .then(pl.lit("user"))
        .when((pl.col("actor_type") == "AWSService") | pl.col("actor_service").is_not_null())
        .then(pl.lit("service"))
        .alias("actor_type"),
        pl.col("actor_account"),
        pl.col("source_address").alias("actor_address"),
    ]


def _where() -> list[pl.Expr]:
    aws = pl.lit("aws")
    source_region = pl.coalesce(pl.when("leaves").then("region"), "source_region")
    destination_region = pl.when(~pl.col("leaves")).then("region")
    return [
        pl.col("vpc_endpoint").alias("source_id"),
        pl.col("source_address"),
        pl.col("source_host"),
        source_region.alias("source_region"),
        pl.when(source_region.is_not_null()).then(aws).alias("source_provider"),
        pl.col("event_source").alias("destination_host"),
        destination_region.alias("destination_region"),
        pl.when(destination_region.is_not_null()).then(aws).alias("destination_provider"),
        pl.col("account").alias("destination_account"),
    ]


def _data() -> list[pl.Expr]:
    touches_data = pl.col("action").str.contains(r"^(data|backup)\.")
    invokes = pl.col("action") == "model.invoke"
    moved = pl.when(pl.col("action") == "data.read").then("bytes_out").otherwise("bytes_in")
    return [
        pl.coalesce("bucket", "table", "database_snapshot", "snapshot", "database", "volume", "secret").alias(
            "dataset"
        ),
        pl.when(touches_data)
        .then(pl.col("service").replace_strict(OBJECTS, default=None, return_dtype=pl.String))
        .alias("object_type"),
        pl.when(touches_data).then(values.count_of(moved)).alias("bytes"),
        pl.when(pl.col("service") == "kms").then("key").alias("key_id"),
        pl.when(invokes).then(pl.lit("aws.bedrock")).alias("model_provider"),
        pl.when(invokes).then("model").alias("model_requested"),
        pl.when(invokes).then("event_source").alias("model_endpoint"),
    ]


def _added_attributes(records: Records, fields: pl.DataFrame) -> pl.DataFrame:
    """Fields without a column as attributes; long, columns row, key, text."""
    beside = records.frame.select("row").hstack(fields.select(*_ATTRIBUTES).get_columns())
    return pl.concat(
        beside.filter(pl.col(name).is_not_null()).select("row", pl.lit(key).alias("key"), pl.col(name).alias("text"))
        for name, key in _ATTRIBUTES.items()
    )
