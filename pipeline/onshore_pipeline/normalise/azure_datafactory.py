"""Azure Data Factory runs (activity, pipeline, trigger): diagnostic records, and as the decoder spells them.

    column                 from
    occurred_at            start, else time
    action                 activityType: Copy and ExecuteDataFlow are data.copy, Delete data.delete, Lookup and
                           GetMetadata data.read; a run without a type whose input names source and sink is a copy;
                           every other run is job.run
    outcome, reason        status: Succeeded, Failed and Cancelled; runs under way are unknown.
                           properties.Error.message, else its errorCode
    actor_id, actor_type   the factory (resourceId), 'service'; actor_account its subscription, actor_region location
    source_*               of copies: region and provider by Output.executionDetails[].source (region, type)
    destination_*          of copies: the same of sink. Of all others: the factory's id, region and subscription
    dataset                UserProperties.Source: what the copy wizard calls the source
    object_type            the type of the source
    bytes                  Output.dataWritten, else dataRead
    item_count             Output.rowsCopied, else filesWritten

Added attributes: the decoder's names; azure.datafactory.source.type and .sink.type; azure.datafactory.destination
(UserProperties.Destination); azure.datafactory.integration_runtime, whose place (in brackets) is where the data passed
through. A copy that has not ended, or whose output names no region, has no place. The decoder drops an activity's
status and type: the outcome of such a run is unknown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.normalise import azure_names, values
from onshore_pipeline.normalise.described import begun
from onshore_pipeline.normalise.json_fields import read_fields
from onshore_pipeline.normalise.shape import Shape
from onshore_pipeline.normalise.source_fields import added, first_time, source_fields

if TYPE_CHECKING:
    from onshore_pipeline.normalise.fields import Records

FORMAT: Final = "azure.datafactory"
_DECODED: Final = "azure.datafactory_"
_LOSSES: Final = "activityRetryCount,activityType,recoveryStatus,status"
_INPUT, _OUTPUT = "azure.datafactory.input", "azure.datafactory.output"
_ENDS: Final = {
    "source_region": "executionDetails [] source region",
    "sink_region": "executionDetails [] sink region",
    "ran_source": "executionDetails [] source type",
    "ran_sink": "executionDetails [] sink type",
    "runtime": "effectiveIntegrationRuntime",
    "written": "dataWritten",
    "read": "dataRead",
    "rows": "rowsCopied",
    "files": "filesWritten",
}
_TYPES: Final = {"source_type": "source type", "sink_type": "sink type"}
_SPELLED: Final = {
    "time": "time",
    "start": "start",
    "category": "category",
    "status": "status",
    "activity_type": "activityType",
    "activity": "activityName",
    "activity_run": "activityRunId",
    "pipeline": "pipelineName",
    "pipeline_run": "pipelineRunId | runId",
    "trigger": "triggerName",
    "trigger_type": "triggerType",
    "resource_id": "resourceId",
    "region": "location",
    "error": "properties Error message",
    "error_code": "properties Error errorCode",
    "wizard_source": "properties UserProperties Source",
    "wizard_destination": "properties UserProperties Destination",
    **{name: f"properties Input {path}" for name, path in _TYPES.items()},
    **{name: f"properties Output {path}" for name, path in _ENDS.items()},
}
# Field → the attribute that the Collector's decoder writes, and that a raw record's field becomes.
_ATTRIBUTES: Final = {
    "category": "azure.category",
    "activity": "azure.datafactory.activity.name",
    "activity_run": "azure.datafactory.activity.run_id",
    "pipeline": "azure.datafactory.pipeline.name",
    "pipeline_run": "azure.datafactory.pipeline.run_id",
    "trigger": "azure.datafactory.trigger.name",
    "trigger_type": "azure.datafactory.trigger.type",
}
_OURS: Final = {
    "activity_type": "azure.datafactory.activity.type",
    "source_kind": "azure.datafactory.source.type",
    "sink_kind": "azure.datafactory.sink.type",
    "wizard_destination": "azure.datafactory.destination",
    "runtime": "azure.datafactory.integration_runtime",
}
_STARTS: Final = tuple(f"azure.datafactory.{what}.start_time" for what in ("activity", "pipeline", "trigger"))
_DECODER_ONLY: Final = {
    "status": "azure.datafactory.pipeline.state",
    "error": "error.message",
    "error_code": "error.code",
}
_ON_RESOURCE: Final = {"resource_id": "cloud.resource_id", "region": "cloud.region"}
KEYS: Final = (*_ATTRIBUTES.values(), *_DECODER_ONLY.values(), *_STARTS, _INPUT, _OUTPUT)
RESOURCE_KEYS: Final = tuple(_ON_RESOURCE.values())

_ACTIONS: Final = {
    "copy": "data.copy",
    "executedataflow": "data.copy",
    "delete": "data.delete",
    "getmetadata": "data.read",
    "lookup": "data.read",
}
_OUTCOMES: Final = {"succeeded": "success", "failed": "failure", "cancelled": "failure", "canceled": "failure"}
_CLOUDS: Final = {"azure": "azure", "amazon": "aws", "google": "gcp"}  # the beginning of a connector's type


def describe(records: Records) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The columns of runs, row by row, and attributes to add where the sender set none of that name."""
    fields = _fields(records)
    runs = fields.with_columns(
        source_kind=pl.coalesce(pl.col("ran_source").list.first(), "source_type"),
        sink_kind=pl.coalesce(pl.col("ran_sink").list.first(), "sink_type"),
        action=_action(),
    )
    columns = runs.select(*begun(FORMAT, first_time("start", "time")), *_what(), *_who(), *_where(), *_data())
    return columns, added(runs, _ATTRIBUTES | _OURS, _LOSSES)


def _fields(records: Records) -> pl.DataFrame:
    sent = {name: records.text(key) for name, key in (_ATTRIBUTES | _DECODER_ONLY).items()}
    sent |= {name: records.resource(key) for name, key in _ON_RESOURCE.items()}
    sent["start"] = records.first(*_STARTS)
    plain = {name: path for name, path in _ENDS.items() if "[]" not in path}
    for key, wanted in ((_INPUT, _TYPES), (_OUTPUT, plain)):
        if records.has(key):
            paths = {name: tuple(path.split()) for name, path in wanted.items()}
            found = read_fields(records.select(records.text(key).alias("text")).to_series(), paths)
            sent |= {name: pl.lit(found[name]) for name in wanted}
    return source_fields(records, _SPELLED, sent)


def _action() -> pl.Expr:
    kind = pl.col("activity_type").str.to_lowercase()
    copies = kind.is_null() & pl.col("source_type").is_not_null() & pl.col("sink_type").is_not_null()
    return (
        pl.when(pl.coalesce("category", "activity", "pipeline", "trigger").is_null())
        .then(pl.lit("log.record"))
        .when(copies)
        .then(pl.lit("data.copy"))
        .otherwise(kind.replace_strict(_ACTIONS, default="job.run", return_dtype=pl.String).fill_null("job.run"))
    )


def _what() -> list[pl.Expr]:
    return [
        pl.col("action"),
        pl.col("status")
        .str.to_lowercase()
        .replace_strict(_OUTCOMES, default="unknown", return_dtype=pl.String)
        .fill_null("unknown")
        .alias("outcome"),
        pl.coalesce("error", "error_code").alias("reason"),
    ]


def _who() -> list[pl.Expr]:
    return [
        pl.col("resource_id").alias("actor_id"),
        pl.when(pl.col("resource_id").is_not_null()).then(pl.lit("service")).alias("actor_type"),
        azure_names.subscription_of(pl.col("resource_id")).alias("actor_account"),
        pl.col("region").alias("actor_region"),
        pl.when(pl.col("region").is_not_null()).then(pl.lit("azure")).alias("actor_provider"),
    ]


def _where() -> list[pl.Expr]:
    """Where a copy read and wrote, if its execution took place in one region a side; else the factory."""
    copies = pl.col("action") == "data.copy"
    read_in, wrote_in = (
        pl.when(copies & (pl.col(name).list.n_unique() == 1)).then(pl.col(name).list.first())
        for name in ("source_region", "sink_region")
    )
    factory = ~copies & pl.col("resource_id").is_not_null()
    return [
        read_in.alias("source_region"),
        pl.when(copies).then(_cloud_of("source_kind")).alias("source_provider"),
        pl.when(factory).then("resource_id").alias("destination_id"),
        pl.when(factory).then("region").otherwise(wrote_in).alias("destination_region"),
        pl.when(factory)
        .then(pl.lit("azure"))
        .otherwise(pl.when(copies).then(_cloud_of("sink_kind")))
        .alias("destination_provider"),
        pl.when(factory).then(azure_names.subscription_of(pl.col("resource_id"))).alias("destination_account"),
    ]


def _cloud_of(kind: str) -> pl.Expr:
    """The cloud that a connector's type belongs to: AzureBlobStorage, AmazonS3, GoogleCloudStorage."""
    beginning = pl.col(kind).str.to_lowercase().str.extract(r"^(azure|amazon|google)")
    return beginning.replace_strict(_CLOUDS, default=None, return_dtype=pl.String)


def _data() -> list[pl.Expr]:
    touches_data = pl.col("action").str.starts_with("data.")
    return [
        pl.when(touches_data).then("wizard_source").alias("dataset"),
        pl.when(touches_data).then("source_kind").alias("object_type"),
        values.count_of(pl.coalesce("written", "read")).alias("bytes"),
        values.count_of(pl.coalesce("rows", "files")).alias("item_count"),
    ]


SHAPE: Final = Shape(
    FORMAT,
    KEYS,
    describe,
    lambda records: (
        pl.col("encoding_format").str.starts_with(_DECODED)
        | records.any_of("azure.datafactory.pipeline.name", "azure.datafactory.trigger.name")
    ),
    RESOURCE_KEYS,
)
