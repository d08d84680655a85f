"""Model registries: notifications of OCI registries, MLflow's webhooks, and the plain form.

    column              from (plain form: see `plain_form`, and `"model": {"name": "...", "version": "..."}`)
    action              a pull of a layer whose media type is weights model.weights.read, any other pull model.pull;
                        push and mount model.register, delete model.delete. Plain events: read, pull, export,
                        register, delete.
                        MLflow: created model.register, all else config.change
    outcome             plain form. A notification is sent of what was done: success
    source_, destination_   the registry is the source of what is pulled, read or exported, and the client the
                        destination; the other way round of what is pushed. Registry: request.host, else source.addr;
                        client: request.addr, which is also actor_address. The plain form says both itself
    actor_id            actor.name
    model_requested     target.repository; data.name of MLflow; model.name
    object_type         weights where the media type says so, else the media type
    object_digest, bytes    target.digest; target.size, else target.length

An envelope (`{"events": [...]}`) holds several records: `onshore collect` takes it apart, a Collector must do so
itself. A layer of octets whose media type is of no model format may hold weights all the same: it stays a pull.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.normalise import plain_form
from onshore_pipeline.normalise.addresses import split_addresses
from onshore_pipeline.normalise.shape import Shape
from onshore_pipeline.normalise.source_fields import added, source_fields

if TYPE_CHECKING:
    from onshore_pipeline.normalise.fields import Records

FORMAT: Final = "model.registry"

_SPELLED: Final = plain_form.spelled(
    time="timestamp",
    event="action",
    actor="actor name",
    digest="target digest",
    moved="target size | target length",
    model="model name | target repository | data name",
    version="model version | target tag | data version",
    media="target mediaType",
    registry="request host | source addr",
    client="request addr",
    method="request method",
    agent="request useragent",
    node="source instanceID",
    entity="entity",
    origin="data source",
    run="data run_id",
)
_ATTRIBUTES: Final = {
    "event": "registry.event",
    "id": "registry.event_id",
    "version": "model.version",
    "media": "registry.media_type",
    "method": "http.request.method",
    "agent": "user_agent.original",
    "node": "registry.instance",
    "entity": "mlflow.entity",
    "origin": "mlflow.source",
    "run": "mlflow.run_id",
}
_ACTIONS: Final = {
    "read": "model.weights.read",
    "download": "model.weights.read",
    "export": "model.weights.export",
    "pull": "model.pull",
    "push": "model.register",
    "mount": "model.register",
    "register": "model.register",
    "delete": "model.delete",
}
_INWARD: Final = ("push", "mount")
# CNCF's model specification, Ollama, Docker, KitOps; and the file formats' own names.
_WEIGHTS: Final = r"(?i)model\.weight|ollama\.image\.(model|adapter)|docker\.ai\.|kitops\.model|gguf|safetensors|onnx"


def describe(records: Records) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The columns of registries' records, row by row, and their fields without a column as attributes."""
    fields = source_fields(records, _SPELLED, {})
    ends = {}
    inward = plain_form.word("event").is_in(_INWARD).fill_null(False)
    for end, outer, inner in (("source", "client", "registry"), ("destination", "registry", "client")):
        ends[f"{end}_at"] = pl.coalesce(f"{end}_at", pl.when(inward).then(outer).otherwise(inner))
    address, _ = split_addresses(fields["client"])
    told = fields.with_columns(**ends).with_columns(address.alias("client_address"))
    return plain_form.columns(told, FORMAT, _described()), added(told, _ATTRIBUTES)


def _described() -> list[pl.Expr]:
    event = plain_form.word("event")
    weights = pl.col("media").str.contains(_WEIGHTS).fill_null(False)
    notified = pl.col("media").is_not_null() | pl.col("registry").is_not_null() | pl.col("entity").is_not_null()
    return [
        pl.coalesce(
            pl.when((event == "pull") & weights).then(pl.lit("model.weights.read")),
            pl.when(pl.col("entity").is_not_null() & (event == "created")).then(pl.lit("model.register")),
            pl.when(pl.col("entity").is_not_null() & event.is_not_null()).then(pl.lit("config.change")),
            event.replace_strict(_ACTIONS, default=None, return_dtype=pl.String),
            pl.lit("log.record"),
        ).alias("action"),
        plain_form.outcome_of(pl.when(notified).then(pl.lit("success"))).alias("outcome"),
        pl.coalesce("actor_at_address", "client_address").alias("actor_address"),
        pl.col("model").alias("model_requested"),
        pl.coalesce("object_kind", pl.when(weights).then(pl.lit("weights")), "media").alias("object_type"),
    ]


SHAPE: Final = Shape(FORMAT, (), describe)
