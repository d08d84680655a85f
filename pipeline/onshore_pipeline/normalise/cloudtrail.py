"""CloudTrail: raw records in the body, and records as the Collector's decoder spells them.

    column                from (raw record; decoder's attribute)
    occurred_at           eventTime
    action                `cloudtrail_actions`, by eventSource and eventName; else config.read or config.change, by
                          readOnly or the name's first word; of a model that ran in another region than was
                          called model.fallback
    outcome, reason       errorCode, ConsoleLogin's answer; errorMessage
    actor_id              userIdentity.arn, else principalId, invokedBy, accountId
    actor_type            userIdentity.type: people are 'user', AWS services 'service'; an assumed role is 'user' where
                          Identity Center, the console or a source identity says so, 'service' where it is a service's,
                          else unknown
    actor_account         userIdentity.accountId
    source_address, _host sourceIPAddress; also actor_address, for the actor acts from there
    source_id, _account   vpcEndpointId and vpcEndpointAccountId
    destination_*         the called service: host eventSource, region awsRegion, provider aws, account
                          the resources' owner, else recipientAccountId. The decoder
                          drops awsRegion and puts one cloud.region on a whole file:
                          then the region is unknown. For calls that send data away (bucket replication) the called
                          region is the source's; where the data goes is known where the request names the region
                          (replicas of secrets) or an ARN that holds it (backup copies): a bucket's name does not.
                          For snapshot copies sourceRegion is the source's. What DMS and DataSync move is in neither.
                          A snapshot or image that is shared goes to the account it is shared with; with several, or
                          all, the account is unknown and aws.share.with lists them; with nobody it is config.change
    dataset, object_type  requestParameters: bucket, table, snapshot, database, volume, secret, image; what is copied
    object_place          of S3 calls: what is copied, else bucketName and key
    destination_id        the bucket that is copied or replicated to; the session's target
    bytes                 additionalEventData.bytesTransferredOut of reads, bytesTransferredIn of writes
    key_id                KMS calls: the key's ARN among resources, else requestParameters.keyId; others: the key that
                          the answer or the request names
    key_custodian         aws, where KMS says that the key's material is its own (origin AWS_KMS)
    encrypted_in_transit  tlsDetails, or S3's cipher suite; encrypted_at_rest: S3's answer
    model_*               requestParameters.modelId of Bedrock calls, the endpoint or model of SageMaker's; the called
                          service is the endpoint. additionalEventData.inferenceRegion is where it ran; a profile's
                          model without it ran in an unknown region

The emitter is whoever read the log, so its resource describes no party. Fields without a column become attributes under
the decoder's names (rpc.method, rpc.service, aws.*), unless the sender set them. Records may be wrapped (EventBridge,
CloudWatch Logs, CloudTrail Lake) and may be spelled in lower case (Athena).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.normalise import aws_names, values
from onshore_pipeline.normalise.addresses import split_addresses
from onshore_pipeline.normalise.aws_bedrock import ELSEWHERE, invoked
from onshore_pipeline.normalise.cloudtrail_actions import (
    ACTIONS,
    LEAVES_REGION,
    MODEL_PROVIDERS,
    OBJECTS,
    SERVICES,
    SHARES,
    UNPLACED,
)
from onshore_pipeline.normalise.cloudtrail_records import ATTRIBUTES, KEYS, read
from onshore_pipeline.normalise.objects import place_of, unquoted
from onshore_pipeline.normalise.shape import Shape
from onshore_pipeline.normalise.source_fields import LOSSES, ODDITIES

if TYPE_CHECKING:
    from onshore_pipeline.normalise.fields import Records

_BARE_TIME: Final = len("2023-07-10 11:42:36")
FORMAT: Final = "aws.cloudtrail"
# Fields that the decoder drops or leaves in maps: the attributes are ours.
_OURS: Final = {
    "issuer": "aws.session.issuer.arn",
    "source_identity": "aws.session.source_identity",
    "mfa": "aws.session.mfa",
    "mfa_used": "aws.signin.mfa_used",
    "copy_source": "aws.s3.copy_source",
    "shared_with": "aws.share.with",
    "key_store": "aws.kms.custom_key_store.id",
    "key_origin": "aws.kms.key.origin",
    "ran_in": "aws.bedrock.inference_region",
    "oddities": ODDITIES,
}
_LOSSES: Final = "awsRegion,recipientAccountId,serviceEventDetails,vpcEndpointAccountId,vpcEndpointId"
# What reading any record gives and a CloudTrail record keeps.
_KEPT: Final = ("row", "message", "resource", "record_index", "schema_url", "trace_id", "span_id", "body")
_PEOPLE: Final = (
    *("IAMUser", "Root", "FederatedUser", "SAMLUser", "WebIdentityUser", "IdentityCenterUser", "Directory"),
)
_DENIED: Final = (
    r"(?i)AccessDenied|Unauthorized|NotAuthorized|Forbidden|AuthFailure|InvalidClientTokenId|SignatureDoesNotMatch"
)
_READING: Final = r"^(Get|List|Describe|Head|Lookup|Search|BatchGet|Check)"
_ACCOUNT: Final = r"^\d{12}$"
_NOBODY: Final = pl.Series([[]], dtype=pl.List(pl.String))
_API_VERSION: Final = r"\d{8}(v\d+)?$"  # UpdateFunctionCode20150331v2


def describe(records: Records) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The columns of CloudTrail records, row by row, and attributes to add where the sender set none of that name.

    Every column that these records can have is given; others are unknown, whatever shape-blind reading found.
    """
    fields = read(records)
    address, host = split_addresses(fields["source"])
    calls = fields.with_columns(
        source_address=address,
        source_host=host,
        service=pl.col("event_source").str.replace(r"\.amazonaws\.com(\.cn)?$", "").replace(SERVICES),
        call=pl.col("event_name").str.replace(_API_VERSION, ""),
        shares=_shared_with(fields),
        tls_version=pl.col("tls_version").str.replace(r"^TLSv", ""),
    ).with_columns(
        leaves=pl.col("call").is_in([*LEAVES_REGION, *UNPLACED]).fill_null(False),
        shared_with=pl.when(pl.col("shares").list.len() > 0).then(pl.col("shares").list.join(",")),
        copied=pl.col("copy_source").str.strip_prefix("/").str.extract(r"^(arn:[^/]*|[^/?]+)"),
        copied_place=_copied_place(fields["copy_source"]),
    )
    calls = calls.with_columns(action=_action())
    columns = records.frame.select(*_KEPT, "time_ns", "observed_ns").hstack(calls)
    described = columns.select(*_KEPT, *_what(), *_who(), *_where(), *_data(), *_keys())
    return described, _added_attributes(records, calls)


def _shared_with(fields: pl.DataFrame) -> pl.Expr:
    """Whom a copy is shared with: accounts, or 'all'."""
    lists = ("volume_users", "volume_groups", "launch_users", "launch_groups", "values_added")
    if all(fields[name].null_count() == fields.height for name in lists):
        return pl.lit(_NOBODY).first()
    return pl.concat_list(pl.col(name).fill_null([]) for name in lists).list.unique(maintain_order=True)


def _copied_place(copy_sources: pl.Series) -> pl.Series:
    """Where the object lies that is copied, of copies that name its bucket and no access point."""
    named = pl.Series("named", unquoted(copy_sources)).str.strip_prefix("/").str.extract(r"^([^?]+)")
    return pl.select(pl.when(~named.str.starts_with("arn:")).then(pl.lit("s3://") + named)).to_series()


def _only(name: str) -> pl.Expr:
    """The one different text of a list; null where it has none or several."""
    texts = pl.col(name).list.unique()
    return pl.when(texts.list.len() == 1).then(texts.list.first())


def _action() -> pl.Expr:
    listed = {f"{service} {call}": action for service, calls in ACTIONS.items() for call, action in calls.items()}
    reads = values.flag_of(pl.col("read_only")).fill_null(pl.col("call").str.contains(_READING))
    # Taking a share back, or changing another setting of a snapshot or an image, gives nothing away.
    keeps = pl.col("call").is_in(SHARES) & (pl.col("shares").list.len() == 0) & pl.col("permission").is_not_null()
    return pl.coalesce(
        pl.when(keeps).then(pl.lit("config.change")),
        pl.concat_str("service", "call", separator=" ").replace_strict(listed, default=None, return_dtype=pl.String),
        pl.when(reads).then(pl.lit("config.read")).when(~reads).then(pl.lit("config.change")),
        pl.lit("log.record"),
    )


def _what() -> list[pl.Expr]:
    login_failed = (pl.col("login") == "Failure").fill_null(False)
    stated = pl.col("event_time")
    # CloudTrail's times are UTC; tables that it went through drop the letter that says so.
    bare = stated.str.len_bytes() == _BARE_TIME
    said = pl.when(bare).then(stated.str.replace(" ", "T", literal=True) + "Z").otherwise(stated)
    return [
        pl.lit(FORMAT).alias("source_format"),
        pl.coalesce(values.time_of(said), pl.coalesce("time_ns", "observed_ns").cast(pl.Datetime("ns", "UTC"))).alias(
            "occurred_at"
        ),
        pl.col("observed_ns").cast(pl.Datetime("ns", "UTC")).alias("observed_at"),
        pl.when(pl.col("action") == "model.invoke").then(invoked()).otherwise("action").alias("action"),
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
        .when((pl.col("console") == "true") | pl.col("source_identity").is_not_null())
        .then(pl.lit("user"))
        .otherwise(pl.coalesce(aws_names.actor_type_of(pl.col(name)) for name in ("actor_arn", "issuer")))
        .alias("actor_type"),
        pl.col("actor_account"),
        pl.col("source_address").alias("actor_address"),
    ]


def _where() -> list[pl.Expr]:
    aws = pl.lit("aws")
    unplaced = pl.col("call").is_in(UNPLACED).fill_null(False)
    source_region = pl.coalesce(pl.when(pl.col("leaves") & ~unplaced).then("region"), "source_region")
    may_run_elsewhere = (pl.col("action") == "model.invoke") & pl.col("model").str.contains(ELSEWHERE).fill_null(False)
    destination_region = pl.coalesce(
        "ran_in",
        pl.when("leaves").then(
            pl.coalesce(_only("replica_regions"), "sent_to_region", aws_names.region_of(pl.col("destination_vault")))
        ),
        pl.when(~pl.col("leaves") & ~may_run_elsewhere).then("region"),
    )
    inside = pl.col("vpc_endpoint").str.starts_with("vpce-")
    owner = pl.when(pl.col("resource_accounts").list.len() > 0).then(_only("resource_accounts")).otherwise("account")
    account = (
        pl.when(pl.col("call").is_in(SHARES) & (pl.col("action") == "data.export"))
        .then(pl.when(_only("shares").str.contains(_ACCOUNT)).then(_only("shares")))
        .when(pl.col("call") == "PutBucketReplication")
        .then(_only("rule_accounts"))
        .when(pl.col("destination_vault").is_not_null())
        .then(aws_names.account_of(pl.col("destination_vault")))
        .when(~unplaced)
        .then(owner)
    )
    return [
        pl.when(inside).then("vpc_endpoint").alias("source_id"),
        pl.when(inside).then("endpoint_account").alias("source_account"),
        pl.col("source_address"),
        pl.col("source_host"),
        source_region.alias("source_region"),
        pl.when(source_region.is_not_null()).then(aws).alias("source_provider"),
        pl.coalesce(
            _only("rule_buckets"), pl.when(pl.col("copied").is_not_null()).then("bucket"), "target", "destination_vault"
        ).alias("destination_id"),
        pl.col("event_source").alias("destination_host"),
        destination_region.alias("destination_region"),
        pl.when(destination_region.is_not_null()).then(aws).alias("destination_provider"),
        account.alias("destination_account"),
    ]


def _data() -> list[pl.Expr]:
    touches_data = pl.col("action").str.contains(r"^(data|backup)\.")
    model = pl.col("action").str.starts_with("model.") & pl.col("service").is_in(list(MODEL_PROVIDERS))
    moved = pl.when(pl.col("action") == "data.read").then("bytes_out").otherwise("bytes_in")
    called = pl.coalesce("model", "model_endpoint_name", "model_package", "model_name")
    return [
        pl.coalesce(
            *("copied", "bucket", "table", "database_snapshot", "snapshot", "database", "volume", "secret", "image"),
            "replication_task",
        ).alias("dataset"),
        pl.when(touches_data)
        .then(pl.col("service").replace_strict(OBJECTS, default=None, return_dtype=pl.String))
        .alias("object_type"),
        pl.when(touches_data & (pl.col("service") == "s3"))
        .then(pl.coalesce("copied_place", place_of("s3", pl.col("bucket"), pl.col("object_key"))))
        .alias("object_place"),
        pl.when(touches_data).then(values.count_of(moved)).alias("bytes"),
        pl.when(model)
        .then(pl.col("service").replace_strict(MODEL_PROVIDERS, default=None, return_dtype=pl.String))
        .alias("model_provider"),
        pl.when(model).then(called).alias("model_requested"),
        pl.when(pl.col("action") == "model.invoke").then("event_source").alias("model_endpoint"),
    ]


def _keys() -> list[pl.Expr]:
    named = pl.col("resource_arns").list.eval(pl.element().filter(pl.element().str.contains(":kms:[^:]*:[^:]*:key/")))
    used = pl.coalesce(pl.when(named.list.len() == 1).then(named.list.first()), "key")
    secured = pl.coalesce("tls_version", "tls_cipher", "s3_cipher").is_not_null()
    return [
        pl.when(pl.col("service") == "kms").then(used).otherwise(pl.coalesce("sse_key", "kms_key")).alias("key_id"),
        pl.when(pl.col("key_origin") == "AWS_KMS").then(pl.lit("aws")).alias("key_custodian"),
        pl.when(secured).then(True).alias("encrypted_in_transit"),
        pl.when(pl.coalesce("sse", "sse_applied").is_not_null()).then(True).alias("encrypted_at_rest"),
    ]


def _added_attributes(records: Records, fields: pl.DataFrame) -> pl.DataFrame:
    """Fields without a column as attributes, and what the decoder loses; long, columns row, key, text."""
    losses = pl.when("decoded").then(pl.lit(_LOSSES)).alias("losses")
    named = {**ATTRIBUTES, **_OURS, "losses": LOSSES}
    beside = records.frame.select("row").hstack(fields.select(*ATTRIBUTES, *_OURS, losses).get_columns())
    return pl.concat(
        beside.filter(pl.col(name).is_not_null()).select("row", pl.lit(key).alias("key"), pl.col(name).alias("text"))
        for name, key in named.items()
    )


SHAPE: Final = Shape(FORMAT, KEYS, describe, lambda _: pl.col("event_name") == FORMAT)
