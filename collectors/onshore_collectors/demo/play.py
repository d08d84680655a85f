"""The play as OTLP requests: events of one tenant and one signal, in the order in which they arrive, never mixed.

Most arrive as they happen. A few in a hundred come up to three hours late, as from a link that was down, so that hours
which seemed complete get more, and no stream is in the order of its times.
"""

from __future__ import annotations

import hashlib
import heapq
import random
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from onshore_collectors.demo.schedule import times_of
from onshore_collectors.demo.truth import Truth, violated_controls
from onshore_collectors.demo.variants import SCHEMA_URL, Variant, variants_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from onshore_collectors.demo.scenario.template import Signal
    from onshore_collectors.demo.schedule import Cell

EVENTS_A_REQUEST: Final = 500
_SCOPE: Final = "onshore.demo"
_SEEN_AFTER_NS: Final = 40_000_000  # a collector's delay
LATE_SHARE: Final = 0.03
_LATEST_NS: Final = 3 * 3_600_000_000_000
_MASK: Final = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Request:
    """One request of one tenant.

    Attributes:
        tenant: who sends it.
        signal: what it holds.
        payload: the serialised Export...ServiceRequest.
        events: how many events it becomes.
        first_ns: when its first event arrives, which for a late one is after it happened.
    """

    tenant: str
    signal: Signal
    payload: bytes
    events: int
    first_ns: int


@dataclass(frozen=True, slots=True)
class _Due:
    """An event that is to happen; `uid` is a log's `log.record.uid`, `span_id` a span's."""

    time_ns: int
    variant: Variant
    uid: str
    span_id: bytes


def requests_of(
    cells: Sequence[Cell],
    truth: Truth,
    *,
    seed: int,
    end_ns: int,
    stored_as: Callable[[str], str],
    events_a_request: int = EVENTS_A_REQUEST,
) -> Iterator[Request]:
    """The requests of a play, earliest first; `truth` is complete when all of them were taken.

    Args:
        cells: who has how many events of which template.
        truth: names the play; is told what every event must come to.
        seed: of what is drawn; equal arguments give equal requests.
        end_ns: where the played day ends.
        stored_as: a tenant's name → the one that the store will know it by.
        events_a_request: events in one request at most.
    """
    for cell in cells:
        truth.expect(cell, stored_as(cell.tenant.id))
    streams = []
    first = 0
    keyed = sorted(cells, key=_stream)
    for (tenant, signal), group in groupby(keyed, key=_stream):
        own = list(group)
        streams.append(_stream_of(own, tenant, signal, truth, seed, end_ns, first, events_a_request))
        first += sum(cell.events for cell in own)
    yield from heapq.merge(*streams, key=lambda request: request.first_ns)


def _stream(cell: Cell) -> tuple[str, Signal]:
    return cell.tenant.id, cell.template.shape.signal


def _stream_of(
    cells: Sequence[Cell],
    tenant: str,
    signal: Signal,
    truth: Truth,
    seed: int,
    end_ns: int,
    first: int,
    events_a_request: int,
) -> Iterator[Request]:
    """One tenant's requests of one signal; its events are numbered from `first` on."""
    planned: list[tuple[int, int, int, int]] = []
    lateness = random.Random(f"{seed}/{tenant}/{cells[0].template.shape.signal}/late")  # noqa: S311 - a play, not a secret
    ready = []
    for place, cell in enumerate(cells):
        rng = random.Random(f"{seed}/{tenant}/{cell.template.name}")  # noqa: S311 - a play, not a secret
        variants = variants_of(cell, rng, truth.run)
        ready.append((variants, violated_controls(cell)))
        picked = rng.choices(range(len(variants)), k=cell.events)
        times = times_of(cell, rng, end_ns)
        arrivals = [_arrival_of(time_ns, end_ns, lateness) for time_ns in times]
        planned += zip(arrivals, times, [place] * cell.events, picked, strict=True)
    planned.sort()
    build = _BUILDERS[signal]
    salt = int.from_bytes(hashlib.sha256(truth.run.encode()).digest()[:8], "big")
    for start in range(0, len(planned), events_a_request):
        part = planned[start : start + events_a_request]
        due = []
        for number, (_, time_ns, place, pick) in enumerate(part, first + start):
            variants, violated = ready[place]
            event = _Due(time_ns, variants[pick], f"{truth.run}/{number:07}", _mixed(salt + number))
            due.append(event)
            if violated:
                truth.violate(event.span_id.hex() if signal == "span" else event.uid, violated)
        yield Request(tenant, signal, build(due), len(part), part[0][0])


def _arrival_of(time_ns: int, end_ns: int, lateness: random.Random) -> int:
    """When an event arrives: nearly always when it happens, and never after the end of the play."""
    late_ns = int(lateness.random() * _LATEST_NS) if lateness.random() < LATE_SHARE else 0
    return min(time_ns + late_ns, end_ns - 1)


def _mixed(number: int) -> bytes:
    """Eight bytes that look random, different for every number below 2^64 (SplitMix64's finaliser is a bijection)."""
    mixed = (number * 0x9E3779B97F4A7C15) & _MASK
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
    return (mixed ^ (mixed >> 31)).to_bytes(8, "big")


def _logs(due: Sequence[_Due]) -> bytes:
    request = ExportLogsServiceRequest()
    records_of: dict[bytes, Any] = {}
    for event in due:
        records = records_of.get(event.variant.resource)
        if records is None:
            holder = _holder(request.resource_logs, event.variant.resource)
            scope = holder.scope_logs.add()
            scope.scope.name = _SCOPE
            records = records_of[event.variant.resource] = scope.log_records
        record = records.add()
        record.MergeFromString(event.variant.record)
        record.time_unix_nano = event.time_ns
        record.observed_time_unix_nano = event.time_ns + _SEEN_AFTER_NS
        attribute = record.attributes.add()
        attribute.key = "log.record.uid"
        attribute.value.string_value = event.uid
    return request.SerializeToString()


def _spans(due: Sequence[_Due]) -> bytes:
    request = ExportTraceServiceRequest()
    spans_of: dict[bytes, Any] = {}
    for event in due:
        spans = spans_of.get(event.variant.resource)
        if spans is None:
            holder = _holder(request.resource_spans, event.variant.resource)
            scope = holder.scope_spans.add()
            scope.scope.name = _SCOPE
            spans = spans_of[event.variant.resource] = scope.spans
        span = spans.add()
        span.MergeFromString(event.variant.record)
        span.trace_id = event.span_id + event.span_id[::-1]
        span.span_id = event.span_id
        span.start_time_unix_nano = event.time_ns
        span.end_time_unix_nano = event.time_ns + event.variant.duration_ns
    return request.SerializeToString()


def _metrics(due: Sequence[_Due]) -> bytes:
    """Every state is a resource of its own with points of one time, and so becomes one event."""
    request = ExportMetricsServiceRequest()
    for event in due:
        holder = _holder(request.resource_metrics, event.variant.resource)
        scope = holder.scope_metrics.add()
        scope.scope.name = _SCOPE
        for serialised in event.variant.record:
            metric = scope.metrics.add()
            metric.MergeFromString(serialised)
            metric.gauge.data_points[0].time_unix_nano = event.time_ns
    return request.SerializeToString()


def _holder(holders: Any, resource: bytes) -> Any:  # noqa: ANN401 - three message types with the same fields
    holder = holders.add()
    holder.resource.MergeFromString(resource)
    holder.schema_url = SCHEMA_URL
    return holder


_BUILDERS: Final = {"log": _logs, "span": _spans, "metric": _metrics}
