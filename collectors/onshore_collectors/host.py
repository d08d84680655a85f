"""`onshore collect host`: this machine's metrics, and its accelerators', round by round.

A round is one OTLP request: the host is one resource, every accelerator another. A round that the receiver does not
take is kept and tried again; one that is lost in the end is counted and reported as a `telemetry.gap` event.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from google.protobuf.message import DecodeError
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource

from onshore_collectors.batching import GAP_ACTION, BatchLimits, BatchQueue, Delivery, Gap
from onshore_collectors.gap_file import GapFile
from onshore_collectors.host_metrics import register_gpu, register_host
from onshore_collectors.numbering import Numbering
from onshore_collectors.otlp_sender import OtlpSender, Refused
from onshore_collectors.telemetry import open_telemetry
from onshore_pipeline.errors import BrokerUnavailable, OnshoreError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from onshore_collectors.gpu import Accelerators
    from onshore_collectors.stack_address import ReceiverAddress

SCOPE: Final = "onshore.collectors.host"

_KEPT_ROUNDS: Final = 960  # four hours at the default interval
_FIRST_LOOK_S: Final = 0.5  # utilization needs two looks
_ONCE_GIVE_UP_S: Final = 15.0
_ONCE_TIMEOUT_S: Final = 20.0


class HostMeters:
    """The instruments of this machine and of its accelerators; made once, read every round.

    Args:
        resource: resource attributes of the machine.
        accelerators: every one becomes a resource of its own, with the machine's attributes and its `hw.*`.
        machine: measure the machine itself, too.
    """

    def __init__(self, resource: Mapping[str, str], accelerators: Accelerators, *, machine: bool = True) -> None:
        self._providers: list[MeterProvider] = []
        self._readers: list[InMemoryMetricReader] = []
        if machine:
            register_host(self._open(resource).get_meter(SCOPE))
        for gpu in accelerators.gpus:
            register_gpu(self._open({**resource, **gpu.attributes()}).get_meter(SCOPE), gpu)

    def read(self) -> ExportMetricsServiceRequest:
        """Measure everything now."""
        request = ExportMetricsServiceRequest()
        for reader in self._readers:
            data = reader.get_metrics_data()
            if data is not None:
                request.MergeFrom(encode_metrics(data))
        return request

    def close(self) -> None:
        """End the SDK's part."""
        for provider in self._providers:
            provider.shutdown()

    def _open(self, resource: Mapping[str, str]) -> MeterProvider:
        reader = InMemoryMetricReader()
        provider = MeterProvider([reader], Resource(dict(resource)), shutdown_on_exit=False)
        self._readers.append(reader)
        self._providers.append(provider)
        return provider


@dataclass(frozen=True, slots=True)
class HostReport:
    """What a run did.

    Attributes:
        rounds: rounds measured.
        points: data points in them.
        sent: rounds that the receiver took.
        dropped: rounds that were lost.
    """

    rounds: int
    points: int
    sent: int
    dropped: int


def count_points(request: ExportMetricsServiceRequest) -> int:
    """How many data points a request holds."""
    metrics = (
        metric for resource in request.resource_metrics for scope in resource.scope_metrics for metric in scope.metrics
    )
    return sum(len(getattr(metric, metric.WhichOneof("data") or "gauge").data_points) for metric in metrics)


def collect_host(
    receiver: ReceiverAddress,
    meters: HostMeters,
    resource: Mapping[str, str],
    *,
    interval_s: float,
    once: bool,
    stop: threading.Event,
    gap_folder: Path | None = None,
    name: str = "host",
) -> HostReport:
    """Measure and send a round every `interval_s` seconds until `stop`, or a single one.

    What could not be reported before the end is kept in `gap_folder`, in files that begin with `name`.

    Raises:
        BrokerUnavailable: `once`, and the round was not taken.
        OnshoreError: nothing can be measured here.
    """
    give_up_after_s = _ONCE_GIVE_UP_S if once else interval_s * _KEPT_ROUNDS
    sender = OtlpSender(receiver.endpoint, "/v1/metrics", receiver.headers, give_up_after_s=give_up_after_s)
    gap_files = (
        [gap_folder / f"{name}-{what}.gaps" for what in ("events", "rounds")] if gap_folder is not None else None
    )
    lost = GapFile(gap_files[1]) if gap_files else None
    with open_telemetry(
        endpoint=receiver.endpoint,
        headers=receiver.headers,
        resource=resource,
        scope=SCOPE,
        gap_file=gap_files[0] if gap_files else None,
    ) as events:
        queue = BatchQueue(
            _deliver_with(sender),
            lambda gaps: _report_gaps(gaps, events.emit) and events.flush(_ONCE_TIMEOUT_S),
            limits=BatchLimits(_KEPT_ROUNDS, max_batch=1, max_delay_s=0),
            block=once,
            name="metrics",
            keep_gaps=lost.keep if lost else lambda _: None,
            unreported=lost.load() if lost else (),
        )
        try:
            rounds, points = _measure(meters, queue, interval_s=interval_s, once=once, stop=stop)
        finally:
            if not queue.close(_ONCE_TIMEOUT_S if once else 5.0):
                sender.abandon()
                queue.close(1.0)
            sender.close()
    return HostReport(rounds, points, queue.sent, queue.dropped)


def _measure(
    meters: HostMeters, queue: BatchQueue[bytes], *, interval_s: float, once: bool, stop: threading.Event
) -> tuple[int, int]:
    """Queue rounds; how many, and how many points they hold."""
    rounds, points, numbering = 0, 0, Numbering()
    stop.wait(min(_FIRST_LOOK_S, interval_s))
    while not stop.is_set():
        request = meters.read()
        found = count_points(request)
        if not found:
            raise OnshoreError("nothing can be measured here; is OTEL_SDK_DISABLED set?")
        numbered = numbering.attributes()
        for each in request.resource_metrics:
            each.resource.attributes.extend(numbered)
        queue.put(request.SerializeToString())
        rounds, points = rounds + 1, points + found
        if once:
            if not queue.flush(_ONCE_TIMEOUT_S):
                raise BrokerUnavailable(f"the metrics were not acknowledged within {_ONCE_TIMEOUT_S:g} s")
            break
        stop.wait(interval_s)
    return rounds, points


def _deliver_with(sender: OtlpSender) -> Callable[[list[bytes]], Delivery]:
    def deliver(rounds: list[bytes]) -> Delivery:
        (payload,) = rounds
        try:
            partial = ExportMetricsServiceResponse.FromString(sender.send(payload)).partial_success
        except (Refused, DecodeError) as answer:
            return Delivery(0, 1, str(answer))
        if partial.rejected_data_points:
            return Delivery(0, 1, f"{partial.rejected_data_points} points rejected: {partial.error_message}")
        return Delivery(1)

    return deliver


def _report_gaps(gaps: Sequence[Gap], emit: Callable[..., None]) -> bool:
    for gap in gaps:
        try:
            emit(GAP_ACTION, gap.attributes("metrics"), time_ns=gap.since_ns)
        except BrokerUnavailable:
            return False
    return True
