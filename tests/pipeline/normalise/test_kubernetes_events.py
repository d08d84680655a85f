"""Kubernetes events as the Collector's own receivers send them: a body that is a map, nothing that names the format."""

from __future__ import annotations

import json
from typing import Any

import pytest

from onshore_pipeline.normalise.normalise import normalise
from onshore_pipeline.wire.decode import decode

PULLED = 'Successfully pulled image "registry.example.au/llm:v3" in 1.5s (1.5s including waiting). Image size: 7 bytes.'
EVENT: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Event",
    "metadata": {"name": "llm-0.18", "namespace": "models", "uid": "e-9"},
    "involvedObject": {"kind": "Pod", "namespace": "models", "name": "llm-0"},
    "reason": "Pulled",
    "message": PULLED,
    "source": {"component": "kubelet", "host": "gpu-1"},
    "lastTimestamp": "2026-07-10T11:45:05Z",
    "eventTime": None,
    "count": 2,
    "type": "Normal",
}


def any_value(value: object) -> dict[str, Any]:
    """A value as OTLP's JSON writes it."""
    match value:
        case dict():
            return {"kvlistValue": {"values": [{"key": key, "value": any_value(item)} for key, item in value.items()]}}
        case int():
            return {"intValue": str(value)}
        case str():
            return {"stringValue": value}
        case _:
            return {}


def event_of(body: object, attributes: dict[str, str]) -> dict[str, Any]:
    """The event that becomes of one log record."""
    record = {
        "observedTimeUnixNano": "1790000000000000000",
        "body": any_value(body),
        "attributes": [{"key": key, "value": any_value(text)} for key, text in attributes.items()],
    }
    request = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}
    normalised = normalise(decode([("otlp_logs", json.dumps(request).encode(), None)]))
    assert not normalised.failures
    (event,) = normalised.events.to_dicts()
    return event


@pytest.mark.parametrize("body", [EVENT, {"type": "ADDED", "object": EVENT}], ids=["pulled", "watched"])
def test_the_k8sobjects_receivers_events_are_read(body: dict[str, Any]) -> None:
    event = event_of(body, {"k8s.resource.name": "events"})
    assert (event["source_format"], event["action"], event["outcome"]) == ("kubernetes.event", "image.pull", "success")
    assert (event["source_host"], event["destination_host"]) == ("gpu-1", "registry.example.au")
    assert event["item_count"] == EVENT["count"]


def test_other_objects_that_it_sends_are_no_events() -> None:
    event = event_of({"type": "ADDED", "object": {"kind": "Pod"}}, {"k8s.resource.name": "pods"})
    assert (event["source_format"], event["action"]) == ("otlp.log", "log.record")


def test_the_k8s_events_receivers_events_are_read() -> None:
    event = event_of(PULLED, {"k8s.event.reason": "Pulled", "k8s.event.uid": "e-9"})
    assert (event["source_format"], event["action"], event["dataset"]) == (
        "kubernetes.event",
        "image.pull",
        "registry.example.au/llm:v3",
    )
