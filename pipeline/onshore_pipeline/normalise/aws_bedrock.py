"""Amazon Bedrock model invocation logs: JSON records as they stand in S3 and CloudWatch Logs.

    column               from
    action               model.invoke; model.fallback where it ran in another region than it was called in
                         (inferenceRegion, region), or another model of Anthropic's answered than was called (modelId,
                         the answer's model; see `model_names`). A prompt router is asked to choose: its choice is none
    occurred_at          timestamp
    outcome, reason      errorCode: refusals are denied, others failure; else success
    actor_id, _type, _account   identity.arn; the type where the ARN says it
    destination_region   where the model ran: inferenceRegion, else region, where the call came in. A cross-region or
                         application inference profile or a prompt router may run elsewhere: without an inferenceRegion
                         the region is unknown
    destination_account  accountId
    model_requested      modelId, as it was called: an id, a profile or an ARN
    model_served         the model that a prompt router chose (trace.promptRouter.invokedModelId), else the one that an
                         answer in Anthropic's form names, also in a stream's first part
    model_provider       aws.bedrock
    input_, output_tokens   input.inputTokenCount, output.outputTokenCount

What was asked and answered stays in the record. Where the caller is and what endpoint it called is not in the log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.normalise import aws_envelopes, aws_names, values
from onshore_pipeline.normalise.described import KEPT
from onshore_pipeline.normalise.json_fields import ITEMS, read_fields
from onshore_pipeline.normalise.model_names import another_answered
from onshore_pipeline.normalise.oddities import oddities
from onshore_pipeline.normalise.shape import Shape
from onshore_pipeline.normalise.source_fields import ODDITIES, added, times

if TYPE_CHECKING:
    from onshore_pipeline.normalise.fields import Records

FORMAT: Final = "aws.bedrock"
_PATHS: Final = {
    "schemaVersion": ("schemaVersion",),
    "schema": ("schemaType",),
    "time": ("timestamp",),
    "account": ("accountId",),
    "identity": ("identity", "arn"),
    "region": ("region",),
    "ran_in": ("inferenceRegion",),
    "operation": ("operation",),
    "model": ("modelId",),
    "request_id": ("requestId",),
    "error": ("errorCode",),
    "status": ("status",),
    "input_tokens": ("input", "inputTokenCount"),
    "output_tokens": ("output", "outputTokenCount"),
    "cache_read": ("input", "cacheReadInputTokenCount"),
    "cache_write": ("input", "cacheWriteInputTokenCount"),
    "input_object": ("input", "inputBodyS3Path"),
    "output_object": ("output", "outputBodyS3Path"),
}
# Read apart: a stream's answer is a list, and would send its neighbours through the careful reader.
_CHOSEN: Final = {"routed": ("output", "outputBodyJson", "trace", "promptRouter", "invokedModelId")}
_ROUTER: Final = "invokedModelId"
_ANSWER: Final = ("output", "outputBodyJson")
_ANSWERED: Final = {"answered_by": (*_ANSWER, "model")}
_STREAMED: Final = {"answered_by": (*_ANSWER, ITEMS, "message", "model")}
_NAMES_MODEL: Final = r'"model"\s*:\s*"claude-'
_IS_STREAM: Final = r'"outputBodyJson"\s*:\s*\['
_ANTHROPIC: Final = r"(?:^|[/.])anthropic\.claude-"
_ATTRIBUTES: Final = {
    "oddities": ODDITIES,
    "operation": "rpc.method",
    "request_id": "aws.request_id",
    "error": "error.type",
    "region": "aws.bedrock.region",
    "ran_in": "aws.bedrock.inference_region",
    "cache_read": "gen_ai.usage.cache_read.input_tokens",
    "cache_write": "gen_ai.usage.cache_write.input_tokens",
    "input_object": "aws.bedrock.input.s3_path",
    "output_object": "aws.bedrock.output.s3_path",
}
# Names under which a model may run in another region than it was called in.
ELSEWHERE: Final = (
    r"(?:^|/)([a-z]{2}(?:-gov)?|apac|global)\.[a-z0-9-]+\.|"
    r"[:/](application-)?inference-profile/|[:/](default-)?prompt-router/"
)
_KNOWN_VERSION: Final = "1."
_NO_TEXTS: Final = ("inputTokenCount", "outputTokenCount")
_DENIED: Final = r"(?i)AccessDenied|Unauthorized|NotAuthorized|Forbidden"


def describe(records: Records) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The columns of invocations, row by row, and attributes to add where the sender set none of that name."""
    bodies = aws_envelopes.unwrapped(records.frame["body"])
    fields = read_fields(bodies, _PATHS).hstack([*_routed(bodies), _answered_by(bodies)])
    plain = fields.select(pl.when(pl.col(name) != "").then(pl.col(name)).alias(name) for name in fields.columns)
    odd = oddities(plain["schemaVersion"], _KNOWN_VERSION, bodies, _NO_TEXTS)
    calls = records.frame.select(*KEPT, "time_ns", "observed_ns").hstack([*plain.get_columns(), odd])
    of_anthropic = calls["model"].str.contains(_ANTHROPIC).fill_null(False)
    another = another_answered(calls["model"], calls["answered_by"]) & of_anthropic
    calls = calls.with_columns(
        known=pl.col("model").is_not_null() | pl.col("operation").is_not_null(),
        another=another & calls["routed"].is_null(),
    )
    return calls.select(*KEPT, *_what(), *_who(), *_where(), *_model()), added(calls, _ATTRIBUTES)


def _routed(bodies: pl.Series) -> pl.DataFrame:
    through = bodies.str.contains(_ROUTER, literal=True).fill_null(False)
    return read_fields(bodies.set(~through, None), _CHOSEN)


def _answered_by(bodies: pl.Series) -> pl.Series:
    """The model that an answer of Anthropic's names, of a stream the first part that names one."""
    named = bodies.str.contains(_NAMES_MODEL).fill_null(False)
    if not named.any():
        return pl.Series("answered_by", [None], dtype=pl.String).new_from_index(0, len(bodies))
    streams = named & bodies.str.contains(_IS_STREAM)
    whole = read_fields(bodies.set(~named | streams, None), _ANSWERED)["answered_by"]
    first = read_fields(bodies.set(~streams, None), _STREAMED)["answered_by"].list.first()
    return whole.zip_with(whole.is_not_null(), first)


def _what() -> list[pl.Expr]:
    return [
        pl.lit(FORMAT).alias("source_format"),
        *times(pl.col("time")),
        pl.when("known")
        .then(pl.when("another").then(pl.lit("model.fallback")).otherwise(invoked()))
        .otherwise(pl.lit("log.record"))
        .alias("action"),
        pl.when(~pl.col("known"))
        .then(pl.lit("unknown"))
        .when(pl.col("error").str.contains(_DENIED))
        .then(pl.lit("denied"))
        .when(pl.col("error").is_not_null())
        .then(pl.lit("failure"))
        .otherwise(pl.lit("success"))
        .alias("outcome"),
        pl.col("error").alias("reason"),
    ]


def invoked() -> pl.Expr:
    """The action of an invocation, by the columns `region`, where it was called, and `ran_in`; null where unknown."""
    elsewhere = pl.col("ran_in").str.to_lowercase() != pl.col("region").str.to_lowercase()
    return pl.when(elsewhere).then(pl.lit("model.fallback")).otherwise(pl.lit("model.invoke"))


def _who() -> list[pl.Expr]:
    return [
        pl.col("identity").alias("actor_id"),
        aws_names.actor_type_of(pl.col("identity")).alias("actor_type"),
        aws_names.account_of(pl.col("identity")).alias("actor_account"),
    ]


def _where() -> list[pl.Expr]:
    stays = ~pl.col("model").str.contains(ELSEWHERE).fill_null(True)
    return [
        pl.coalesce("ran_in", pl.when(stays).then("region")).alias("destination_region"),
        pl.when("known").then(pl.lit("aws")).alias("destination_provider"),
        pl.col("account").alias("destination_account"),
    ]


def _model() -> list[pl.Expr]:
    return [
        pl.when("known").then(pl.lit("aws.bedrock")).alias("model_provider"),
        pl.col("model").alias("model_requested"),
        pl.coalesce("routed", "answered_by").alias("model_served"),
        values.count_of(pl.col("input_tokens")).alias("input_tokens"),
        values.count_of(pl.col("output_tokens")).alias("output_tokens"),
    ]


SHAPE: Final = Shape(FORMAT, (), describe)
