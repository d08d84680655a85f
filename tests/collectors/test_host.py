"""This machine's metrics, its accelerators, and what it says of itself."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from onshore_collectors.gpu import Accelerators, GpuState, find_accelerators
from onshore_collectors.host import HostMeters, HostReport, collect_host, count_points
from onshore_collectors.machine import describe_machine
from onshore_collectors.stack_address import ReceiverAddress
from onshore_pipeline.errors import BrokerUnavailable, SettingsError
from onshore_pipeline.normalise.normalise import normalise
from onshore_pipeline.wire.decode import decode

if TYPE_CHECKING:
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
    from tests.collectors.conftest import Inbox

RESOURCE = {"service.name": "onshore-collector", "onshore.collector.id": "host-17/host", "host.id": "machine-17"}
NONE = Accelerators((), "none found")
NOT_SUPPORTED = 3


class StandInNvml:
    """A driver with two GPUs, the second of which is partitioned and does not say how busy it is."""

    def nvmlInit_v2(self) -> int:  # noqa: N802 - NVML's own names, here and below
        return 0

    def nvmlDeviceGetCount_v2(self, count: Any) -> int:  # noqa: N802
        count._obj.value = 2
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, index: Any, device: Any) -> int:  # noqa: N802
        device._obj.value = index.value + 1
        return 0

    def nvmlDeviceGetUUID(self, device: Any, buffer: Any, _: Any) -> int:  # noqa: N802
        buffer.value = f"GPU-{device.value}".encode()
        return 0

    def nvmlDeviceGetName(self, _device: Any, buffer: Any, _: Any) -> int:  # noqa: N802
        buffer.value = b"NVIDIA H200"
        return 0

    def nvmlSystemGetDriverVersion(self, buffer: Any, _: Any) -> int:  # noqa: N802
        buffer.value = b"580.82"
        return 0

    def nvmlDeviceGetMemoryInfo(self, _device: Any, memory: Any) -> int:  # noqa: N802
        memory._obj.total, memory._obj.used = 1000, 250
        return 0

    def nvmlDeviceGetUtilizationRates(self, device: Any, rates: Any) -> int:  # noqa: N802
        rates._obj.gpu = 40
        return NOT_SUPPORTED if device.value == 2 else 0

    def nvmlDeviceGetPowerUsage(self, _device: Any, milliwatts: Any) -> int:  # noqa: N802
        milliwatts._obj.value = 312_500
        return 0

    def nvmlDeviceGetTemperature(self, _device: Any, _sensor: Any, degrees: Any) -> int:  # noqa: N802
        degrees._obj.value = 61
        return 0


def values(request: ExportMetricsServiceRequest) -> dict[str, list[float]]:
    """The points of every metric, by name."""
    found: dict[str, list[float]] = {}
    for resource in request.resource_metrics:
        for metric in resource.scope_metrics[0].metrics:
            points = getattr(metric, metric.WhichOneof("data") or "").data_points
            found.setdefault(metric.name, []).extend(
                each.as_double if each.HasField("as_double") else float(each.as_int) for each in points
            )
    return found


def read_once(accelerators: Accelerators = NONE) -> ExportMetricsServiceRequest:
    with contextlib.closing(HostMeters(RESOURCE, accelerators)) as meters:
        psutil.cpu_percent(0.05)  # utilization needs some time to pass
        return meters.read()


def test_metrics_have_the_conventions_names_and_believable_values() -> None:
    found = values(read_once())
    assert {
        "system.cpu.time",
        "system.cpu.utilization",
        "system.memory.usage",
        "system.memory.utilization",
        "system.filesystem.usage",
        "system.filesystem.utilization",
        "system.network.io",
        "system.uptime",
    } <= found.keys()
    for name in ("system.cpu.utilization", "system.memory.utilization"):
        (share,) = found[name]
        assert 0 <= share <= 1
    assert found["system.memory.limit"] == [psutil.virtual_memory().total]
    assert found["system.cpu.logical.count"] == [psutil.cpu_count()]


def test_a_machine_without_accelerators_says_so() -> None:
    assert find_accelerators(driver=Path("/nowhere")).gpus == () or find_accelerators().gpus
    assert not any(name.startswith("hw.") for name in values(read_once()))


def test_accelerators_that_cannot_be_measured_are_named(tmp_path: Path) -> None:
    (tmp_path / "gpus" / "0000:3b:00.0").mkdir(parents=True)
    (tmp_path / "gpus" / "0000:3b:00.0" / "information").touch()
    found = find_accelerators(driver=tmp_path)
    assert "1 found (0000:3b:00.0), not measured" in found.explanation or found.gpus


def test_gpus_say_what_they_know() -> None:
    found = find_accelerators(StandInNvml())
    assert found.explanation == "2 found (NVIDIA H200, NVIDIA H200)"
    first, second = found.gpus
    assert first.attributes() == {
        "hw.id": "GPU-1",
        "hw.name": "NVIDIA H200",
        "hw.vendor": "NVIDIA",
        "hw.driver_version": "580.82",
    }
    assert first.read() == GpuState(0.4, 250, 1000, 312.5, 61)
    assert second.read().utilization is None


def collect(inbox: Inbox, accelerators: Accelerators = NONE) -> HostReport:
    with contextlib.closing(HostMeters(RESOURCE, accelerators)) as meters:
        return collect_host(inbox.address, meters, RESOURCE, interval_s=0.01, once=True, stop=threading.Event())


def test_a_round_arrives_and_becomes_a_state_of_the_host_and_of_each_gpu(inbox: Inbox) -> None:
    report = collect(inbox, find_accelerators(StandInNvml()))
    assert (report.rounds, report.sent, report.dropped) == (1, 1, 0)
    messages = [(each.topic, each.value, "otlp_proto") for each in inbox.messages()]
    normalised = normalise(decode(messages))
    assert normalised.points.height == report.points
    events = normalised.events
    assert sorted(events["action"].to_list()) == ["gpu.state", "gpu.state", "host.state"]
    assert events["source_id"].to_list() == ["machine-17"] * 3
    assert events["collector_id"].to_list() == ["host-17/host"] * 3
    shown = dict(
        normalised.attributes.join(events.select("row", "action"), on="row")
        .filter(action="gpu.state", key="hw.gpu.memory.utilization")
        .select("key", "text")
        .iter_rows()
    )
    assert shown == {"hw.gpu.memory.utilization": "0.25"}
    host = normalised.attributes.join(events.select("row", "action"), on="row").filter(action="host.state")
    assert {"system.cpu.utilization", "system.memory.utilization"} <= set(host["key"].to_list())


def test_accelerators_alone_come_without_the_host(inbox: Inbox) -> None:
    with contextlib.closing(HostMeters(RESOURCE, find_accelerators(StandInNvml()), machine=False)) as meters:
        collect_host(inbox.address, meters, RESOURCE, interval_s=0.01, once=True, stop=threading.Event())
    events = normalise(decode([(each.topic, each.value, "otlp_proto") for each in inbox.messages()])).events
    assert events["action"].to_list() == ["gpu.state", "gpu.state"]


def test_rounds_are_repeated_until_it_is_told_to_stop(inbox: Inbox) -> None:
    stop = threading.Event()
    requests: list[ExportMetricsServiceRequest] = []

    def end_after_two() -> None:
        while len(requests) < 2:
            requests.extend(inbox.metric_requests(timeout_s=0.05))
        stop.set()

    watching = threading.Thread(target=end_after_two)
    watching.start()
    with contextlib.closing(HostMeters(RESOURCE, NONE)) as meters:
        report = collect_host(inbox.address, meters, RESOURCE, interval_s=0.02, once=False, stop=stop)
    watching.join()
    requests.extend(inbox.metric_requests())
    assert report.sent == report.rounds == len(requests) >= 2
    assert sum(map(count_points, requests)) == report.points


def test_a_single_round_that_is_refused_is_an_error(inbox: Inbox) -> None:
    stranger = ReceiverAddress(inbox.endpoint, {"authorization": "Bearer unknown"}, "stranger")
    with (
        contextlib.closing(HostMeters(RESOURCE, NONE)) as meters,
        pytest.raises(BrokerUnavailable, match=r"answered HTTP 401: .*the token is not known here"),
    ):
        collect_host(stranger, meters, RESOURCE, interval_s=0.01, once=True, stop=threading.Event())


# --- what the machine says of itself ---


def test_the_machine_names_itself_and_no_place(tmp_path: Path) -> None:
    machine = describe_machine({"AWS_REGION": "us-east-1"}, firmware=tmp_path)
    assert machine["host.name"] == socket.gethostname()
    assert {"os.type", "os.name", "os.version", "os.description", "host.arch"} <= machine.keys()
    assert not any(key.startswith("cloud.") for key in machine)


@pytest.mark.parametrize(
    ("field", "text", "provider"),
    [
        ("sys_vendor", "Amazon EC2\n", "aws"),
        ("product_name", "Google Compute Engine\n", "gcp"),
        ("chassis_asset_tag", "7783-7084-3265-9085-8269-3286-77\n", "azure"),
        ("sys_vendor", "Microsoft Corporation\n", None),
        ("sys_vendor", "Amazon EC2 lookalike\n", None),
    ],
)
def test_a_cloud_is_named_only_where_the_firmware_names_it(
    tmp_path: Path, field: str, text: str, provider: str | None
) -> None:
    (tmp_path / field).write_text(text)
    machine = describe_machine({}, firmware=tmp_path)
    assert machine.get("cloud.provider") == provider
    assert "cloud.region" not in machine


def test_what_the_operator_states_wins(tmp_path: Path) -> None:
    stated = {"OTEL_RESOURCE_ATTRIBUTES": "cloud.region=ap-southeast-2,host.name=a%2Cb,onshore.source.facility=syd-1"}
    machine = describe_machine(stated, ["onshore.source.facility=syd-2"], firmware=tmp_path)
    assert (machine["cloud.region"], machine["host.name"]) == ("ap-southeast-2", "a,b")
    assert machine["onshore.source.facility"] == "syd-2"


@pytest.mark.parametrize("text", ["syd-1", "=syd-1"])
def test_a_malformed_fact_is_an_error_that_names_it(text: str) -> None:
    with pytest.raises(SettingsError, match=f"--resource: '{text}' is not like"):
        describe_machine({}, [text])
    with pytest.raises(SettingsError, match=f"OTEL_RESOURCE_ATTRIBUTES: '{text}' is not like"):
        describe_machine({"OTEL_RESOURCE_ATTRIBUTES": text})
