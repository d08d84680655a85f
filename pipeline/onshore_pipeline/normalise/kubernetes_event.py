"""Kubernetes Event objects, core/v1 and events.k8s.io/v1: what a cluster's components say happened.

    column              from
    action              by reason (`_ACTIONS`): image pulls image.pull, evictions and preemption workload.evict, changes
                        of a node node.change, starts and ends of containers workload.change; every other reason
                        kubernetes.event, and so is an event that only expired (a watch's DELETED). Pulled is also the
                        reason when the image was there already and nothing was fetched: workload.change
    outcome             what the reason says (Pulled, Failed, ...), else unknown: a Warning is no failure of one thing
    reason              message, else note
    occurred_at         series.lastObservedTime, lastTimestamp, deprecatedLastTimestamp, else eventTime, firstTimestamp,
                        metadata.creationTimestamp
    actor_id, _type     reportingComponent, reportingController, source.component, deprecatedSource.component; service
    source_host         the node: source.host, deprecatedSource.host, or what it is about; the cluster is the resource's
    destination_host    of an image pull the registry that the image's name begins with
    object_type         kind of involvedObject, else regarding
    dataset             of an image pull the image
    item_count          count, series.count, deprecatedCount: how often it was seen

An image's name without a registry is Docker Hub's only where the runtime's mirrors do not say otherwise: unknown.

The Collector's k8sobjects receiver puts the object beside the watch's verb (`{"type": "ADDED", "object": {...}}`), or
alone when it only pulls; its k8s_events receiver makes attributes of it and keeps the message as body. Records of both
are recognised: by the resource `events` that was watched, by an event's reason and uid.

Checked against kubernetes/api v0.36.3 (core/v1 and events/v1 types.go, testdata/HEAD), kubernetes/kubernetes
(pkg/kubelet/events/event.go, pkg/kubelet/images/image_manager.go, pkg/controller/util/node) and
opentelemetry-collector-contrib (receiver/k8sobjectsreceiver, receiver/k8seventsreceiver).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.normalise import plain_form, values
from onshore_pipeline.normalise.addresses import split_addresses
from onshore_pipeline.normalise.described import begun
from onshore_pipeline.normalise.shape import Shape
from onshore_pipeline.normalise.source_fields import added, first_time, source_fields

if TYPE_CHECKING:
    from onshore_pipeline.normalise.fields import Records

FORMAT: Final = "kubernetes.event"

_TIMES: Final = ("last", "at", "first", "created")
_OBJECT: Final = {
    "at": "eventTime",
    "last": "series lastObservedTime | lastTimestamp | deprecatedLastTimestamp",
    "first": "firstTimestamp | deprecatedFirstTimestamp",
    "created": "metadata creationTimestamp",
    "why": "reason",
    "text": "message | note",
    "severity": "type",
    "component": "reportingComponent | reportingController | source component | deprecatedSource component",
    "instance": "reportingInstance",
    "node": "source host | deprecatedSource host",
    "did": "action",
    "kind": "involvedObject kind | regarding kind",
    "namespace": "involvedObject namespace | regarding namespace",
    "name": "involvedObject name | regarding name",
    "uid": "involvedObject uid | regarding uid",
    "part": "involvedObject fieldPath | regarding fieldPath",
    "related": "related name",
    "count": "series count | count | deprecatedCount",
    "event": "metadata uid",
}
# A watch's record holds the object below `object`, and its verb as `type`.
_SPELLED: Final = {
    name: " | ".join([*(f"object {place}" for place in places.split(" | ")), places])
    for name, places in _OBJECT.items()
} | {"verb": "type"}
_REASON: Final = "k8s.event.reason"
_UID: Final = "k8s.event.uid"
_SENT: Final = {
    "why": _REASON,
    "did": "k8s.event.action",
    "event": _UID,
    "count": "k8s.event.count",
    "namespace": "k8s.namespace.name",
}
_SENT_BY_RESOURCE: Final = {
    "kind": "k8s.object.kind",
    "name": "k8s.object.name",
    "uid": "k8s.object.uid",
    "part": "k8s.object.fieldpath",
    "node": "k8s.node.name",
}
_WATCHED, _EVENTS = "k8s.resource.name", "events"
_VERBS: Final = ("ADDED", "MODIFIED", "DELETED")
_LOST: Final = "reportingComponent,reportingInstance,related"
_ATTRIBUTES: Final = {
    "why": _REASON,
    "severity": "k8s.event.type",
    "did": "k8s.event.action",
    "instance": "k8s.event.reporting_instance",
    "event": _UID,
    "namespace": "k8s.namespace.name",
    "name": "k8s.object.name",
    "uid": "k8s.object.uid",
    "part": "k8s.object.fieldpath",
    "related": "k8s.event.related",
    "watched": "k8s.event.watch",
    "image_size": "k8s.event.image_size",
}
_ACTIONS: Final = {
    **dict.fromkeys(("Pulling", "Pulled"), "image.pull"),
    **dict.fromkeys(("ErrImageNeverPull", "ErrImageNotEnsured", "InspectFailed"), "workload.change"),
    **dict.fromkeys(
        ("Evicted", "EvictionThresholdMet", "Preempted", "Preempting", "TaintManagerEviction"), "workload.evict"
    ),
    **dict.fromkeys(("NodeControllerEviction", "DeletingAllPods"), "workload.evict"),
    **dict.fromkeys(("NodeReady", "NodeNotReady", "NodeSchedulable", "NodeNotSchedulable", "Rebooted"), "node.change"),
    **dict.fromkeys(("RegisteredNode", "RemovingNode", "DeletingNode", "Starting", "Shutdown"), "node.change"),
    **dict.fromkeys(
        (f"NodeHas{what}" for what in ("DiskPressure", "NoDiskPressure", "InsufficientMemory", "SufficientMemory")),
        "node.change",
    ),
    **dict.fromkeys(("NodeHasInsufficientPID", "NodeHasSufficientPID"), "node.change"),
    **dict.fromkeys(("Scheduled", "Created", "Started", "Killing", "BackOff", "OOMKilling"), "workload.change"),
    **dict.fromkeys(
        ("FailedScheduling", "SuccessfulCreate", "SuccessfulDelete", "ScalingReplicaSet"), "workload.change"
    ),
}
_OUTCOMES: Final = {
    **dict.fromkeys(("Pulled", "Created", "Started", "Scheduled", "SuccessfulCreate", "SuccessfulDelete"), "success"),
    **dict.fromkeys(("Failed", "FailedScheduling", "BackOff"), "failure"),
    **dict.fromkeys(("ErrImageNeverPull", "ErrImageNotEnsured", "InspectFailed"), "failure"),
}
_OF_IMAGES: Final = r"^(?:Failed to pull image|Back-off pulling image|Error: ErrImagePull|Error: ImagePullBackOff)"
_THERE: Final = "already present on machine"
_TAKEN_BACK: Final = "Cancelling deletion of Pod"
_SIZE: Final = r"Image size: (\d+) bytes"
_IMAGE: Final = r'image "([^"\s]+)"'
_REGISTRY: Final = r"^([^/]*[.:][^/]*|localhost)/"


def describe(records: Records) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The columns of Kubernetes events, row by row, and their fields without a column as attributes."""
    fields = source_fields(records, _SPELLED, _sent(records))
    fields = fields.with_columns(watched=pl.when(pl.col("verb").is_in(_VERBS)).then("verb"))
    fields = fields.with_columns(action=_action())
    pulled = pl.col("action") == "image.pull"
    fields = fields.with_columns(
        image=pl.when(pulled).then(pl.col("text").str.extract(_IMAGE)),
        image_size=pl.when(pulled).then(pl.col("text").str.extract(_SIZE)),
    )
    address, host = split_addresses(fields.select(pl.col("image").str.extract(_REGISTRY).alias("registry"))["registry"])
    told = fields.with_columns(address.alias("registry_address"), host.alias("registry_host"))
    return told.select(*begun(FORMAT, first_time(*_TIMES)), *_described()), added(told, _ATTRIBUTES, _LOST)


def _sent(records: Records) -> dict[str, pl.Expr]:
    """What the Collector's k8s_events receiver makes of an event; its time is the record's."""
    return {
        **{name: records.text(key) for name, key in _SENT.items()},
        **{name: records.resource(key) for name, key in _SENT_BY_RESOURCE.items()},
        "text": pl.when(records.text(_REASON).is_not_null()).then("body"),
    }


def _recognised(records: Records) -> pl.Expr:
    watched = (records.text(_WATCHED) == _EVENTS) & pl.col("body").str.starts_with("{")
    told = records.text(_REASON).is_not_null() & records.text(_UID).is_not_null()
    return watched | told


def _action() -> pl.Expr:
    text = pl.col("text")
    passed = (pl.col("watched") == "DELETED") | text.str.starts_with(_TAKEN_BACK)
    there = (pl.col("why") == "Pulled") & text.str.contains(_THERE, literal=True)
    return pl.coalesce(
        pl.when(passed).then(pl.lit("kubernetes.event")),
        pl.when(there).then(pl.lit("workload.change")),
        pl.when(text.str.contains(_OF_IMAGES)).then(pl.lit("image.pull")),
        pl.col("why").replace_strict(_ACTIONS, default=None, return_dtype=pl.String),
        pl.when(pl.col("why").is_not_null()).then(pl.lit("kubernetes.event")),
        pl.lit("log.record"),
    )


def _described() -> list[pl.Expr]:
    outcome = pl.col("why").replace_strict(_OUTCOMES, default=None, return_dtype=pl.String)
    component = pl.col("component")
    return [
        pl.col("action"),
        pl.coalesce(outcome, pl.lit("unknown")).alias("outcome"),
        pl.col("text").alias("reason"),
        component.alias("actor_id"),
        pl.when(component.is_not_null()).then(pl.lit("service")).alias("actor_type"),
        pl.coalesce("node", pl.when(pl.col("kind") == "Node").then("name")).alias("source_host"),
        pl.col("registry_address").alias("destination_address"),
        pl.col("registry_host").alias("destination_host"),
        plain_form.word("kind").alias("object_type"),
        pl.col("image").alias("dataset"),
        values.count_of(pl.col("count")).alias("item_count"),
    ]


SHAPE: Final = Shape(
    FORMAT, (*_SENT.values(), _WATCHED), describe, _recognised, resource_keys=tuple(_SENT_BY_RESOURCE.values())
)
