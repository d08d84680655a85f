"""What every record gives, whatever its shape: provenance, time, outcome, action and data by best rule.

column          from
occurred_at     time_ns, else observed_ns
observed_at     observed_ns
source_format   otlp.log, otlp.span, otlp.metric
action          a log's event name where it is a dotted verb, else log.record; span.<kind>; host.state, gpu.state
outcome         the last name of error.type, then http.response.status_code, then the span's status; a span that ended
                without an error succeeded, a state that was measured is a success, anything else is unknown
reason          the span's status message, else exception.message, else error.type
dataset         aws.s3.bucket, db.namespace, messaging.destination.name, gen_ai.data_source.id,
                gen_ai.memory.store.id, mcp.resource.uri
object_type     object (aws.s3.key), table (db.collection.name), file (file.path)
object_place    aws.s3.bucket and aws.s3.key; an absolute file.path
bytes           file.size, messaging.message.body.size
body            a log's body; a span's name, which no other column holds
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.normalise import values
from onshore_pipeline.normalise.objects import place_of
from onshore_pipeline.normalise.parties import CLIENT, CONSUMER, PRODUCER, SERVER

if TYPE_CHECKING:
    from onshore_pipeline.normalise.fields import Records

_EVENT_NAME: Final = "event.name"  # deprecated attribute of the days before LogRecord.event_name
_STATUS: Final = ("http.response.status_code", "http.status_code")
_REASON: Final = ("exception.message", "error.message", "error.type")
_DATASET: Final = (
    *("aws.s3.bucket", "db.namespace", "db.name", "messaging.destination.name", "gen_ai.data_source.id"),
    *("gen_ai.memory.store.id", "mcp.resource.uri"),
)
_SIZE: Final = ("file.size", "messaging.message.body.size")
_PLACED: Final = ("aws.s3.bucket", "file.path")
_OBJECT: Final = {
    "aws.s3.key": "object",
    "db.collection.name": "table",
    "db.sql.table": "table",
    "file.path": "file",
}

KEYS: Final = (_EVENT_NAME, *_STATUS, *_REASON, *_DATASET, *_SIZE, *_OBJECT)

DOTTED_VERB: Final = r"^[a-z][a-z0-9_]*(\.[a-z0-9_]+)+$"
_SPAN_ACTIONS: Final = {
    SERVER: "span.server",
    CLIENT: "span.client",
    PRODUCER: "span.producer",
    CONSUMER: "span.consumer",
}
_FAILED_STATUS: Final = 2  # STATUS_CODE_ERROR
# How clients and servers name a refusal, in lower case and without punctuation.
_REFUSALS: Final = (
    *("401", "403", "permissiondenied", "permissiondeniederror", "unauthenticated", "authenticationerror"),
    *("accessdenied", "accessdeniedexception", "unauthorized", "unauthorizedexception", "forbidden"),
)
_TIME: Final = pl.Datetime("ns", "UTC")


def describe(records: Records) -> pl.DataFrame:
    """The columns that any record gives, row by row, see the module's table."""
    return records.frame.select(
        *("row", "message", "resource", "record_index", "schema_url", "trace_id", "span_id", "item_count"),
        occurred_at=pl.coalesce("time_ns", "observed_ns").cast(_TIME),
        observed_at=pl.col("observed_ns").cast(_TIME),
        source_format=pl.lit("otlp.") + pl.col("signal"),
        action=_action(records),
        outcome=_outcome(records),
        reason=pl.coalesce("status_message", records.first(*_REASON)),
        dataset=records.first(*_DATASET),
        object_type=pl.coalesce([pl.when(records.any_of(key)).then(pl.lit(what)) for key, what in _OBJECT.items()]),
        object_place=_place(records),
        bytes=values.count_of(records.first(*_SIZE)),
        body=pl.when(pl.col("signal") == "span").then("name").otherwise("body"),
    )


def _action(records: Records) -> pl.Expr:
    named = values.word_of(pl.coalesce("event_name", records.text(_EVENT_NAME)))
    return (
        pl.when(pl.col("signal") == "span")
        .then(pl.col("span_kind").replace_strict(_SPAN_ACTIONS, default="span.internal", return_dtype=pl.String))
        .when(named.str.contains(DOTTED_VERB))
        .then(named)
        .otherwise(pl.lit("log.record"))
    )


def _place(records: Records) -> pl.Expr:
    if not records.has(*_PLACED):
        return pl.lit(None, pl.String)
    path = records.text("file.path")
    return pl.coalesce(
        place_of("s3", records.text("aws.s3.bucket"), records.text("aws.s3.key")),
        pl.when(path.str.starts_with("/")).then(pl.lit("file://") + path),
    )


def _outcome(records: Records) -> pl.Expr:
    # Some send a class with its module, some its repr: `openai.PermissionDeniedError`, `<class '...'>`.
    named = records.text("error.type").str.to_lowercase().str.extract(r"([^.:#/]*)$")
    error = named.str.replace_all(r"[^a-z0-9]", "")
    status = records.first(*_STATUS).cast(pl.Int32, strict=False)
    return (
        pl.when(error.is_in(_REFUSALS) | status.is_in([401, 403]))
        .then(pl.lit("denied"))
        .when(error.is_not_null() | (pl.col("status_code") == _FAILED_STATUS) | status.is_between(400, 599))
        .then(pl.lit("failure"))
        .when((pl.col("signal") != "log") | status.is_between(100, 399))
        .then(pl.lit("success"))
        .otherwise(pl.lit("unknown"))
    )
