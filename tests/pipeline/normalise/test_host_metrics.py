from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.pipeline.normalise.conftest import Batch

UTC = dt.UTC
HOST = {"host.id": "i-1", "host.name": "node-1", "cloud.region": "ap-northeast-1", "cloud.provider": "aws"}


def test_points_of_a_resource_and_minute_are_one_state(batch: Batch) -> None:
    batch.message(HOST).point("system.cpu.utilization", 0.25, at_s=60).point("system.memory.usage", 2**40, at_s=119)
    normalised = batch.normalised()
    (event,) = normalised.events.to_dicts()
    assert (event["domain"], event["action"], event["outcome"]) == ("infrastructure", "host.state", "success")
    assert (event["source_format"], event["item_count"]) == ("otlp.metric", 2)
    assert event["occurred_at"] == dt.datetime(1970, 1, 1, 0, 1, 59, tzinfo=UTC)
    assert (event["source_id"], event["source_host"]) == ("i-1", "node-1")
    assert (event["source_region"], event["source_provider"]) == ("ap-northeast-1", "aws")
    assert event["destination_region"] is None
    assert normalised.attributes.rows() == [
        (0, "system.cpu.utilization", "0.25"),
        (0, "system.memory.usage", "1099511627776.0"),
    ]
    assert normalised.points["row"].to_list() == [0, 0]
    assert normalised.record_counts == (1,)


def test_states_are_counted_by_first_appearance_in_the_message(batch: Batch) -> None:
    batch.message(HOST).point("b", 1, at_s=130).point("a", 1, at_s=61).point("c", 1, at_s=179)
    batch.resource({"host.name": "node-2"}).point("a", 1, at_s=61)
    batch.message(HOST).point("a", 1, at_s=61)
    normalised = batch.normalised()
    assert normalised.events.select("message", "record_index", "source_host").rows() == [
        (0, 0, "node-1"),
        (0, 1, "node-1"),
        (0, 2, "node-2"),
        (1, 0, "node-1"),
    ]
    assert normalised.points["row"].to_list() == [0, 1, 0, 2, 3]
    assert normalised.record_counts == (3, 1)


def test_the_last_value_is_shown_and_only_of_metrics_with_one_series(batch: Batch) -> None:
    batch.message().point("load", 3, at_s=20).point("load", 1e-7, at_s=59).point("load", 2, at_s=30)
    batch.point("disk", 1, attributes={"device": "sda"}).point("disk", 2, attributes={"device": "sdb"})
    batch.point("net", 7, attributes={"b": "2", "a": "1"}).point("net", 8, attributes={"a": "1", "b": "2"})
    batch.point("latency", None, sum=3.0, count=2, point_kind="histogram")
    assert batch.normalised().attributes.rows() == [(0, "load", "1e-07"), (0, "net", "8.0")]


@pytest.mark.parametrize("metric", ["hw.gpu.utilization", "DCGM_FI_DEV_GPU_TEMP"])
def test_a_minute_with_a_gpu_metric_is_a_gpu_state(batch: Batch, metric: str) -> None:
    batch.message().point("system.cpu.time", 1).point(metric, 1)
    assert batch.event()["action"] == "gpu.state"


def test_hardware_metrics_of_type_gpu_are_a_gpu_state(batch: Batch) -> None:
    event = batch.message().point("hw.temperature", 71, attributes={"hw.type": "gpu", "hw.id": "GPU-1"}).event()
    assert event["action"] == "gpu.state"
    assert batch.normalised().attributes.rows() == [(0, "hw.gpu.ids", '["GPU-1"]'), (0, "hw.temperature", "71.0")]


def test_hardware_metrics_of_other_types_are_a_host_state(batch: Batch) -> None:
    batch.message().point("hw.temperature", 40, attributes={"hw.type": "cpu", "hw.id": "CPU-1"})
    batch.point("app.load", 1, attributes={"hw.type": "gpu", "hw.id": "GPU-1"})
    assert batch.event()["action"] == "host.state"
    assert [key for _, key, _ in batch.normalised().attributes.rows()] == ["app.load", "hw.temperature"]


# A line of dcgm-exporter: DCGM_FI_DEV_SM_CLOCK{...} 210
DCGM = {
    "gpu": "0",
    "UUID": "GPU-a8affe7e-7930-ae20-3fc6-4b0edf3ebbf3",
    "pci_bus_id": "00000000:0D:00.0",
    "device": "nvidia0",
    "modelName": "NVIDIA L40S",
    "Hostname": "gpu-16",
    "DCGM_FI_DRIVER_VERSION": "580.126.09",
}
NODE = {key: text for key, text in DCGM.items() if key != "Hostname"}


@pytest.mark.parametrize(
    ("resource", "labels", "host"),
    [
        ({}, [DCGM], "gpu-16"),
        ({"host.name": "gpu-16.syd.example", "host.id": "h-16"}, [DCGM], "gpu-16"),
        ({"host.name": "collector-1", "host.id": "h-1"}, [DCGM], "gpu-16"),
        ({"host.name": "collector-1", "host.id": "h-1"}, [NODE], "collector-1"),
        ({}, [{**NODE, "node": "ip-10-0-1-9"}], "ip-10-0-1-9"),
        ({}, [{**DCGM, "node": "ip-10-0-1-9"}], "gpu-16"),
        ({}, [DCGM, {**DCGM, "gpu": "1"}], "gpu-16"),
        ({}, [DCGM, {**DCGM, "Hostname": "gpu-17"}], None),
        ({}, [{**DCGM, "Hostname": ""}], None),
    ],
)
def test_metrics_of_dcgm_are_of_the_host_that_they_name(
    batch: Batch, resource: dict[str, str], labels: list[dict[str, str]], host: str | None
) -> None:
    batch.log(body="before").message(resource)
    for each in labels:
        batch.point("DCGM_FI_DEV_SM_CLOCK", 210, attributes=each)
    _, event = batch.events()
    assert (event["action"], event["source_host"]) == ("gpu.state", host)
    is_its_own = resource.get("host.name", "").startswith(host or "")
    assert event["source_id"] == (resource.get("host.id") if is_its_own else None)


def test_a_host_label_of_other_metrics_is_no_host(batch: Batch) -> None:
    batch.message(HOST).point("up", 1, attributes={"node": "node-9", "Hostname": "x"})
    assert batch.event()["source_host"] == "node-1"


def test_a_gpu_state_names_every_gpu_once_whatever_metric_has_that_name(batch: Batch) -> None:
    batch.message().point("hw.gpu.ids", 1)
    for uuid in ("GPU-b", "GPU-a", "GPU-b"):
        batch.point("DCGM_FI_DEV_GPU_TEMP", 60, attributes={"UUID": uuid})
    assert batch.normalised().attributes.rows() == [(0, "hw.gpu.ids", '["GPU-a", "GPU-b"]')]


def test_points_without_time_are_a_state_without_time(batch: Batch) -> None:
    batch.message().point("a", 1, at_s=None).point("b", 1, at_s=None).point("a", 1, at_s=5)
    timeless, timed = batch.events()
    assert (timeless["occurred_at"], timeless["item_count"]) == (None, 2)
    assert timed["item_count"] == 1


def test_a_metric_cannot_pose_as_an_attribute(batch: Batch) -> None:
    event = batch.message().point("onshore.data.bytes", 5).point("onshore.action", 1).event()
    assert (event["action"], event["bytes"]) == ("host.state", None)


def test_records_and_states_of_a_batch_keep_their_messages_order(batch: Batch) -> None:
    batch.message(HOST).log({"k": "first"})
    batch.message(HOST, schema_url="s").point("m", 1, at_s=0, attributes={"p": "q"})
    batch.message(HOST).log({"k": "second"}).log({"k": "third"})
    normalised = batch.normalised()
    assert normalised.events.select("row", "message", "record_index", "source_format", "schema_url").rows() == [
        (0, 0, 0, "otlp.log", None),
        (1, 1, 0, "otlp.metric", "s"),
        (2, 2, 0, "otlp.log", None),
        (3, 2, 1, "otlp.log", None),
    ]
    assert normalised.attributes.rows() == [
        (0, "k", "first"),
        (1, "m", "1.0"),
        (2, "k", "second"),
        (3, "k", "third"),
    ]
    assert normalised.points["row"].to_list() == [1]
    assert normalised.point_attributes.rows() == [(0, "p", "q")]
    assert normalised.record_counts == (1, 1, 2)
