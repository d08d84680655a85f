"""Amazon S3 server access logs: lines, JSON objects, and records as the Collector's decoder spells them.

    column                from
    action                the operation: objects that are read data.read, written or copied data.copy, removed
                          data.delete; replication rules data.replicate; else config.read or config.change, by its verb
    occurred_at           time
    outcome, reason       HTTP status; error code. What S3 does itself (lifecycle) has no status: unknown
    actor_id              requester; 'anonymous' where a whole line says that nobody signed the request
    actor_type            where the requester's ARN says it; S3 itself and other services are 'service'
    actor_account         the account in the requester's ARN
    actor_, source_address   remote IP
    source_region         source region, where the request came from inside AWS
    destination_host      host header
    destination_region    the region in the access point's ARN. A bucket's own region is not in the log; the host's name
                          may say it
    dataset, object_type  bucket; object, where a key is named, else bucket
    object_place          bucket and key, which the log encodes as in URLs
    bytes                 bytes sent of reads, object size of writes, where they succeeded
    encrypted_in_transit  TLS version; a whole line that names none came without TLS

Fields may be quoted and hold quotes; fields that come after the last known one stay in the line. Fields without a
column become attributes under the decoder's names. The decoder drops the source region, puts bucket and owner on the
resource of a whole file, and refuses lines with more or fewer fields than it knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.normalise import aws_envelopes, aws_names, values
from onshore_pipeline.normalise.addresses import split_addresses
from onshore_pipeline.normalise.described import KEPT
from onshore_pipeline.normalise.json_fields import read_fields
from onshore_pipeline.normalise.objects import place_of, unquoted
from onshore_pipeline.normalise.shape import Shape
from onshore_pipeline.normalise.source_fields import added

if TYPE_CHECKING:
    from onshore_pipeline.normalise.fields import Records

FORMAT: Final = "aws.s3access"
# The fields of a line, in order.
FIELDS: Final = (
    *("owner", "bucket", "time", "remote_ip", "requester", "request_id", "operation", "key", "request_uri"),
    *("status", "error_code", "bytes_sent", "object_size", "total_time", "turn_around", "referer"),
    *("user_agent", "version_id", "host_id", "signature_version", "cipher_suite", "auth_type", "host_header"),
    *("tls_version", "access_point_arn", "acl_required", "source_region"),
)
_PLAIN: Final = r"(\S+)"
_QUOTED: Final = r'(-|".*?")'
# What clients call themselves may hold quotes: the last quoted field ends at the line's last quote.
_LINE: Final = " ".join(
    [*[_PLAIN] * 2, r"(\[[^\]]*\])", *[_PLAIN] * 5, _QUOTED, *[_PLAIN] * 6, _QUOTED, r'(-|".*") ([^"]*)']
)
_HEAD: Final = FIELDS.index("user_agent") + 1
_WORD: Final = r'"(?:[^"]|"[^ "])*"|"[^"]*$|\[[^\]]*\]|[^ ]+'
_WHOLE: Final = FIELDS.index("tls_version") + 1  # a line that is not cut off before it
# Field → the attribute that the Collector's decoder writes, and that a line's field becomes.
_ATTRIBUTES: Final = {
    "request_id": "aws.request_id",
    "operation": "rpc.method",
    "key": "aws.s3.key",
    "status": "http.response.status_code",
    "error_code": "error.type",
    "referer": "http.request.header.referer",
    "user_agent": "user_agent.original",
    "version_id": "aws.s3.version_id",
    "signature_version": "aws.signature.version",
    "cipher_suite": "tls.cipher",
    "auth_type": "aws.s3.auth_type",
    "host_header": "http.request.header.host",
    "tls_version": "tls.protocol.version",
    "access_point_arn": "aws.s3.access_point.arn",
    "acl_required": "aws.s3.acl_required",
}
_DECODER_ONLY: Final = {
    "remote_ip": "source.address",
    "requester": "user.id",
    "bytes_sent": "http.response.body.size",
    "object_size": "aws.s3.object.size",
}
_ON_RESOURCE: Final = {"bucket": "aws.s3.bucket", "owner": "aws.s3.owner"}
_OURS: Final = {"owner": "aws.s3.owner"}
_LOSSES: Final = "source region"
# Further spellings in JSON objects, beside the names above and those without the underscore.
_SPELLED: Final = {
    "owner": "bucket_owner_id bucket_owner bucketowner",
    "bucket": "bucket_name bucketname",
    "time": "request_time requestdatetime requesttime",
    "key": "object_key",
    "request_uri": "requesturi request_uri_operation",
    "status": "http_status httpstatus",
    "turn_around": "turn_around_time turnaroundtime",
    "referer": "referrer",
    "signature_version": "sigversion signatureversion",
    "auth_type": "authentication_type authenticationtype authtype",
    "tls_version": "tlsVersion tlsversion",
}
_TIME: Final = pl.Datetime("ns", "UTC")
_LINE_TIME: Final = "[%d/%b/%Y:%H:%M:%S %z]"
_READS: Final = (
    r"\.(GET|HEAD|SELECT)\.(OBJECT|PART)$|\.COPY\.(OBJECT|PART)_GET$|\.POST\.(SELECT|RESTORE)$|^S3\.RESTORE\."
)
_DELETES: Final = r"\.(DELETE|EXPIRE)\.(OBJECT|UPLOAD|PART)$|MULTI_OBJECT_DELETE$|\.DELETEMARKER$"
_WRITES: Final = r"\.(PUT|POST|COPY)\.(OBJECT|PART|UPLOADS?)$"
_REPLICATES: Final = r"\.PUT\.REPLICATION$"
_LOOKS: Final = r"\.(GET|HEAD|OPTIONS|COMPUTE)\."
_ASKED: Final = r"^(REST|SOAP|WEBSITE)\."  # by somebody, and not done by S3 itself


def describe(records: Records) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The columns of requests, row by row, and attributes to add where the sender set none of that name."""
    requests = _requests(_fields(records))
    columns = requests.select(*KEPT, *_what(), *_who(), *_where(), *_data())
    return columns, added(requests, _ATTRIBUTES | _OURS, _LOSSES)


def _fields(records: Records) -> pl.DataFrame:
    """One text column a field: of the line, else the JSON object, else the attributes; whether the line is whole."""
    body = aws_envelopes.unwrapped(records.frame["body"].str.strip_chars())
    is_json = body.str.starts_with("{")
    words = _words(body.set(is_json, None))
    paths = {f"{name} {number}": (spelled,) for name in FIELDS for number, spelled in enumerate(_spellings(name))}
    objects = read_fields(body.set(~is_json, None), paths)
    sent = records.select(
        *(records.text(key).alias(f"{name} sent") for name, key in (_ATTRIBUTES | _DECODER_ONLY).items()),
        *(records.resource(key).alias(f"{name} sent") for name, key in _ON_RESOURCE.items()),
    )
    beside = records.frame.select(*KEPT, "time_ns", "observed_ns").hstack([words, *objects, *sent])
    word = pl.col("words").list
    return beside.select(
        *KEPT,
        *("time_ns", "observed_ns"),
        (word.len() >= _WHOLE).fill_null(False).alias("whole"),
        pl.col("body").is_not_null().alias("raw"),
        *(
            _known(
                pl.coalesce(
                    word.get(place, null_on_oob=True).str.strip_prefix('"').str.strip_suffix('"'),
                    *(f"{name} {number}" for number, _ in enumerate(_spellings(name))),
                    *([f"{name} sent"] if f"{name} sent" in sent.columns else []),
                )
            ).alias(name)
            for place, name in enumerate(FIELDS)
        ),
    )


def _words(lines: pl.Series) -> pl.Series:
    """The fields of each line, in order; of a line that is cut off those that are there."""
    parts = pl.col("line").str.extract_groups(f"^{_LINE}$").struct
    head = pl.concat_list([parts.field(str(number)) for number in range(1, _HEAD + 1)])
    whole = head.list.concat(parts.field(str(_HEAD + 1)).str.split(" "))
    words = pl.col("line").str.extract_all(_WORD)
    cut = pl.when(words.list.get(FIELDS.index("time"), null_on_oob=True).str.contains(r"^(\[|-$)")).then(words)
    frame = lines.alias("line").to_frame()
    return frame.select(pl.when(parts.field("1").is_not_null()).then(whole).otherwise(cut).alias("words")).to_series()


def _known(text: pl.Expr) -> pl.Expr:
    return pl.when(~text.is_in(["-", ""])).then(text)


def _spellings(name: str) -> list[str]:
    return list(dict.fromkeys([name, name.replace("_", ""), *_SPELLED.get(name, "").split()]))


def _requests(fields: pl.DataFrame) -> pl.DataFrame:
    """The fields, and what several columns are made of."""
    address, host = split_addresses(fields["remote_ip"])
    operation = pl.col("operation")
    looks = operation.str.contains(_LOOKS)
    return fields.with_columns(
        remote_address=address,
        remote_host=host,
        name=unquoted(fields["key"]),
        tls_version=pl.col("tls_version").str.replace(r"(?i)^TLSv", ""),
        http=pl.col("status").cast(pl.Int32, strict=False),
        asked=operation.str.contains(_ASKED).fill_null(False) & pl.col("whole"),
        action=pl.when(operation.str.contains(_DELETES))
        .then(pl.lit("data.delete"))
        .when(operation.str.contains(_READS))
        .then(pl.lit("data.read"))
        .when(operation.str.contains(_WRITES))
        .then(pl.lit("data.copy"))
        .when(operation.str.contains(_REPLICATES))
        .then(pl.lit("data.replicate"))
        .when(looks)
        .then(pl.lit("config.read"))
        .when(~looks)
        .then(pl.lit("config.change"))
        .when(pl.col("bucket").is_not_null())
        .then(pl.lit("data.access"))
        .otherwise(pl.lit("log.record")),
    )


def _what() -> list[pl.Expr]:
    own = pl.coalesce("time_ns", "observed_ns").cast(_TIME)
    time = pl.col("time")
    return [
        pl.lit(FORMAT).alias("source_format"),
        pl.coalesce(
            time.str.to_datetime(_LINE_TIME, time_unit="ns", time_zone="UTC", strict=False),
            values.time_of(time),
            values.time_of(time.str.replace(" ", "T") + pl.lit("Z")),
            own,
        ).alias("occurred_at"),
        pl.col("observed_ns").cast(_TIME).alias("observed_at"),
        pl.col("action"),
        pl.when(pl.col("http").is_in([401, 403]))
        .then(pl.lit("denied"))
        .when(pl.col("http").is_between(400, 599))
        .then(pl.lit("failure"))
        .when(pl.col("http").is_between(100, 399))
        .then(pl.lit("success"))
        .otherwise(pl.lit("unknown"))
        .alias("outcome"),
        pl.col("error_code").alias("reason"),
    ]


def _who() -> list[pl.Expr]:
    return [
        pl.coalesce("requester", pl.when("asked").then(pl.lit("anonymous"))).alias("actor_id"),
        aws_names.actor_type_of(pl.col("requester")).alias("actor_type"),
        aws_names.account_of(pl.col("requester")).alias("actor_account"),
        pl.col("remote_address").alias("actor_address"),
    ]


def _where() -> list[pl.Expr]:
    aws = pl.lit("aws")
    return [
        pl.col("remote_address").alias("source_address"),
        pl.col("remote_host").alias("source_host"),
        pl.col("source_region"),
        pl.when(pl.col("source_region").is_not_null()).then(aws).alias("source_provider"),
        pl.col("host_header").alias("destination_host"),
        aws_names.region_of(pl.col("access_point_arn")).alias("destination_region"),
        pl.when(pl.col("bucket").is_not_null()).then(aws).alias("destination_provider"),
    ]


def _data() -> list[pl.Expr]:
    moved = (
        pl.when(pl.col("action") == "data.read")
        .then("bytes_sent")
        .when(pl.col("action") == "data.copy")
        .then("object_size")
    )
    answered = pl.col("http").is_between(100, 399)
    return [
        pl.col("bucket").alias("dataset"),
        pl.when(pl.col("key").is_not_null())
        .then(pl.lit("object"))
        .when(pl.col("bucket").is_not_null())
        .then(pl.lit("bucket"))
        .alias("object_type"),
        place_of("s3", pl.col("bucket"), pl.col("name")).alias("object_place"),
        pl.when(answered).then(values.count_of(moved)).alias("bytes"),
        pl.when(pl.col("tls_version").is_not_null()).then(True).when("asked").then(False).alias("encrypted_in_transit"),
    ]


SHAPE: Final = Shape(
    FORMAT,
    (*_ATTRIBUTES.values(), *_DECODER_ONLY.values()),
    describe,
    resource_keys=tuple(_ON_RESOURCE.values()),
)
