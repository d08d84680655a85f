"""Model registries: notifications of OCI registries, Harbor's and MLflow's webhooks, and the plain form.

    column              from (plain form: see `plain_form`, and `"model": {"name": "...", "version": "..."}`)
    action              a pull of a layer whose media type is weights, or of a manifest whose references name such
                        layers, model.weights.read; any other pull model.pull; a pull by HEAD fetches nothing:
                        config.read. push and mount model.register, delete model.delete. Plain events: read, pull,
                        export, register, delete. Harbor: by type (`_HARBOR`); a replication is data.replicate.
                        MLflow: registered_model and model_version created are model.register, all else of models,
                        aliases, tags and prompts config.change
    outcome             plain form; job_status of a replication. A notification is sent of what was done: success
    source_, destination_   the registry is the source of what is pulled, read or exported, and the client the
                        destination; the other way round of what is pushed. Registry: request.host, else source.addr,
                        the host of Harbor's resource_url; client: request.addr, which is also actor_address. A
                        replication goes from src_resource's endpoint to dest_resource's. The plain form says both
                        itself
    actor_id            actor.name; operator (Harbor), whose robots are services
    model_requested     target.repository; repo_full_name (Harbor); data.name (MLflow, but of prompts); model.name
    object_type         weights where a media type says so, else the media type
    object_digest, bytes    target.digest, the first resource's digest; target.size, else target.length; nothing by HEAD
    item_count          how many artifacts a replication copied

An envelope (`{"events": [...]}`) holds several records: `onshore collect` takes it apart, a Collector must do so
itself. CNCF Distribution tells every layer as application/octet-stream: that one holds weights shows only in the
manifest's notification, and only with `includereferences: true`; without it a pull stays a pull.

Checked against distribution main of 2026-08 (notifications/event.go, bridge.go, listener.go,
registry/storage/blobstore.go), harbor v2.15.2 (src/pkg/notifier/model/event.go, formats/,
src/controller/event/topic.go, model/event.go), mlflow (mlflow/webhooks/types.py, delivery.py,
mlflow/entities/webhook.py) and the media types of CNCF's model specification, Docker Model Runner, Ollama and KitOps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.normalise import plain_form, values
from onshore_pipeline.normalise.addresses import split_addresses
from onshore_pipeline.normalise.shape import Shape
from onshore_pipeline.normalise.source_fields import added, source_fields

if TYPE_CHECKING:
    from onshore_pipeline.normalise.fields import Records

FORMAT: Final = "model.registry"


def _harbor(place: str) -> str:
    """Where Harbor puts it: in its own form, and in CloudEvents."""
    return f"event_data {place} | data {place}"


_COPY: Final = "replication"
_SPELLED: Final = plain_form.spelled(
    time="timestamp",
    event="action",
    actor="actor name | operator",
    digest="target digest",
    moved="target size | target length",
    model=f"model name | target repository | {_harbor('repository repo_full_name')}",
    named="data name",
    version="model version | target tag | data version",
    media="target mediaType",
    references="target references [] mediaType",
    mounted="target fromRepository",
    registry="request host | source addr",
    client="request addr",
    method="request method",
    agent="request useragent",
    node="source instanceID",
    entity="entity",
    origin="data source",
    run="data run_id",
    alias="data alias",
    type="type",
    occurred="occur_at",
    operator="operator",
    digests=_harbor("resources [] digest"),
    tags=_harbor("resources [] tag"),
    urls=_harbor("resources [] resource_url"),
    visibility=_harbor("repository repo_type"),
    copied_from=_harbor(f"{_COPY} src_resource endpoint"),
    copied_to=_harbor(f"{_COPY} dest_resource endpoint"),
    copied_from_kind=_harbor(f"{_COPY} src_resource registry_type"),
    copied_to_kind=_harbor(f"{_COPY} dest_resource registry_type"),
    copied=_harbor(f"{_COPY} successful_artifact [] name_tag"),
    uncopied=_harbor(f"{_COPY} failed_artifact [] name_tag"),
    copying=_harbor(f"{_COPY} job_status"),
    copier=_harbor(f"{_COPY} policy_creator"),
)
_ATTRIBUTES: Final = {
    "event": "registry.event",
    "type": "registry.event_type",
    "id": "registry.event_id",
    "version": "model.version",
    "media": "registry.media_type",
    "references": "registry.references",
    "mounted": "registry.mounted_from",
    "visibility": "registry.visibility",
    "method": "http.request.method",
    "agent": "user_agent.original",
    "node": "registry.instance",
    "entity": "mlflow.entity",
    "origin": "mlflow.source",
    "run": "mlflow.run_id",
    "alias": "mlflow.alias",
    "prompt": "mlflow.prompt",
    "copied": "registry.artifacts",
    "uncopied": "registry.artifacts_failed",
    "copying": "registry.job_status",
    "copier": "registry.policy_creator",
    "copied_from_kind": "registry.source_type",
    "copied_to_kind": "registry.destination_type",
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
    "replicate": "data.replicate",
}
_INWARD: Final = ("push", "mount")
_HARBOR: Final = {
    **dict.fromkeys(("PULL_ARTIFACT", "harbor.artifact.pulled"), "pull"),
    **dict.fromkeys(("PUSH_ARTIFACT", "harbor.artifact.pushed"), "push"),
    **dict.fromkeys(("DELETE_ARTIFACT", "harbor.artifact.deleted", "DELETE_REPOSITORY", "DELETE_TAG"), "delete"),
    **dict.fromkeys(("REPLICATION", "harbor.replication.status.changed"), "replicate"),
}
_JOBS: Final = {"success": "success", "error": "failure", "failed": "failure", "stopped": "failure"}
_REGISTERED: Final = ("registered_model", "model_version")
_OF_MODELS: Final = r"^(registered_model|model_version|prompt)"
# CNCF's model specification, Ollama, Docker, KitOps; and the file formats' own names. Not their config, docs, licences.
_WEIGHTS: Final = (
    r"(?i)model\.weight\.v\d|ollama\.image\.(model|adapter|projector)|docker\.ai\.mmproj|"
    r"kitops\.modelkit\.model(part)?\.v|gguf|safetensors|onnx"
)
_DIGEST: Final = "sha256:"
_ROBOT: Final = "robot$"


def describe(records: Records) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The columns of registries' records, row by row, and their fields without a column as attributes."""
    fields = _read(records)
    ends = {}
    inward = pl.col("what").is_in(_INWARD).fill_null(False)
    for end, outer, inner, copied in (
        ("source", "client", "registry", "copied_from"),
        ("destination", "registry", "client", "copied_to"),
    ):
        ends[f"{end}_at"] = pl.coalesce(f"{end}_at", copied, pl.when(inward).then(outer).otherwise(inner))
    address, _ = split_addresses(fields["client"])
    told = fields.with_columns(**ends).with_columns(address.alias("client_address"))
    return plain_form.columns(told, FORMAT, _described()), added(told, _ATTRIBUTES)


def _read(records: Records) -> pl.DataFrame:
    fields = source_fields(records, _SPELLED, {})
    what = pl.col("type").replace_strict(_HARBOR, default=None, return_dtype=pl.String)
    tag = pl.col("tags").list.first()
    prompt = pl.col("entity").str.starts_with("prompt").fill_null(False)
    seconds = values.seconds_of(pl.col("occurred")).dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    return fields.with_columns(
        what=pl.coalesce(what, plain_form.word("event")),
        harbor=what.is_not_null(),
        weights=(
            pl.col("media").str.contains(_WEIGHTS).fill_null(False)
            | pl.col("references").list.eval(pl.element().str.contains(_WEIGHTS)).list.any().fill_null(False)
        ),
        looked=(pl.col("method").str.to_uppercase() == "HEAD").fill_null(False),
        time=pl.coalesce("time", seconds),
        digest=pl.coalesce("digest", pl.col("digests").list.first()),
        version=pl.coalesce("version", pl.when(~tag.str.starts_with(_DIGEST)).then(tag)),
        registry=pl.coalesce("registry", pl.col("urls").list.first().str.extract(r"^([^/]+)/")),
        items=pl.coalesce("items", pl.col("copied").list.len().cast(pl.String)),
        model=pl.coalesce("model", pl.when(~prompt).then("named")),
        prompt=pl.when(prompt).then("named"),
        actor_kind=pl.coalesce(
            "actor_kind", pl.when(pl.col("operator").str.starts_with(_ROBOT)).then(pl.lit("service"))
        ),
    )


def _described() -> list[pl.Expr]:
    return [
        _action().alias("action"),
        plain_form.outcome_of(
            plain_form.word("copying").replace_strict(_JOBS, default=None, return_dtype=pl.String),
            pl.when(pl.col("what") == "replicate").then(pl.lit("unknown")),
            pl.when(_notified()).then(pl.lit("success")),
        ).alias("outcome"),
        pl.coalesce("actor_at_address", "client_address").alias("actor_address"),
        pl.col("model").alias("model_requested"),
        pl.coalesce("object_kind", pl.when("weights").then(pl.lit("weights")), "media").alias("object_type"),
        pl.when(~pl.col("looked")).then(values.count_of(pl.col("moved"))).alias("bytes"),
    ]


def _notified() -> pl.Expr:
    known = pl.col("media").is_not_null() | pl.col("registry").is_not_null() | pl.col("harbor")
    return known | pl.col("entity").str.contains(_OF_MODELS).fill_null(False)


def _action() -> pl.Expr:
    what, entity = pl.col("what"), pl.col("entity")
    return pl.coalesce(
        pl.when((what == "pull") & pl.col("looked")).then(pl.lit("config.read")),
        pl.when((what == "pull") & pl.col("weights")).then(pl.lit("model.weights.read")),
        pl.when(entity.is_in(_REGISTERED) & (what == "created")).then(pl.lit("model.register")),
        pl.when(entity.str.contains(_OF_MODELS) & what.is_not_null()).then(pl.lit("config.change")),
        pl.when(entity.is_null()).then(what.replace_strict(_ACTIONS, default=None, return_dtype=pl.String)),
        pl.lit("log.record"),
    )


SHAPE: Final = Shape(FORMAT, (), describe)
