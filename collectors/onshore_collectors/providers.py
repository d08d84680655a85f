"""SDK providers for spans and metrics; those for logs are in `telemetry`, with the rest of the underscored API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from onshore_collectors.batching import BatchLimits, BatchQueue, Delivery, Gap

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from opentelemetry.util.types import AttributeValue

_CLOSE_TIMEOUT_S: Final = 10.0


class CountedSpanProcessor(SpanProcessor):
    """Batches ended spans for an SDK exporter; every lost span is counted and given to `report_gaps`.

    `report_gaps(gaps)` returns True once the report was taken: a span is no place for it, so a log record carries it.
    """

    def __init__(
        self,
        exporter: SpanExporter,
        report_gaps: Callable[[Sequence[Gap]], bool],
        *,
        limits: BatchLimits | None = None,
    ) -> None:
        def deliver(batch: list[ReadableSpan]) -> Delivery:
            if exporter.export(batch) is SpanExportResult.SUCCESS:
                return Delivery(len(batch))
            return Delivery(0, len(batch), "export failed")

        self.queue = BatchQueue(deliver, report_gaps, limits=limits or BatchLimits(), block=False, name="spans")

    def on_end(self, span: ReadableSpan) -> None:
        """Queue the span."""
        self.queue.put(span)

    def shutdown(self) -> None:
        """Deliver what is queued within 10 s, then take nothing more; what is left is counted and said."""
        self.queue.close(_CLOSE_TIMEOUT_S)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """True when every span ended so far was taken by the other side in time."""
        return self.queue.flush(timeout_millis / 1000)


def open_tracer_provider(processor: SpanProcessor, resource: Mapping[str, AttributeValue]) -> TracerProvider:
    """A tracer provider that samples every span: a fact that was not sampled cannot be judged."""
    provider = TracerProvider(sampler=ALWAYS_ON, resource=Resource(dict(resource)))
    provider.add_span_processor(processor)
    return provider


def open_meter_provider(
    exporter: MetricExporter, resource: Mapping[str, AttributeValue], *, every_s: float = 60.0
) -> MeterProvider:
    """A meter provider that exports every `every_s` seconds."""
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=every_s * 1000)
    return MeterProvider([reader], Resource(dict(resource)))
