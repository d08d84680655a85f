"""SDK exporters that put `otlp_proto` batches straight on the topics the worker reads.

    sink = KafkaSink(open_producer(kafka=settings, now_ns=time.time_ns), collector_id="billing-1", tenant="sydney")
    provider = open_logger_provider(
        CountedLogProcessor(KafkaLogExporter(sink).deliver), resource, heartbeat_every_s=60.0
    )

What `export` answers SUCCESS to is durable (acks=all). It never raises: what could not be sent is counted in
`sink.dropped` and leaves a hole in the `onshore-sequence` numbers of this start (`onshore-run`), so that the reading
side sees the loss, too.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from typing import TYPE_CHECKING, Final, TypeVar

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from onshore_collectors.batching import Delivery
from onshore_collectors.numbering import Numbering
from onshore_collectors.telemetry import LogRecordExporter, LogRecordExportResult, encode_logs
from onshore_pipeline.broker import (
    COLLECTOR_HEADER,
    ENCODING_HEADER,
    RUN_HEADER,
    SEQUENCE_HEADER,
    TENANT_HEADER,
    Outgoing,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.sdk.metrics.export import ResourceMetrics
    from opentelemetry.sdk.trace import ReadableSpan

    from onshore_collectors.telemetry import ReadableLogRecord
    from onshore_pipeline.broker import Producer

Item = TypeVar("Item")

# Kafka's own default for the largest message is 1,048,588 bytes, headers and framing included.
MAX_MESSAGE_BYTES: Final = 1_000_000

_log = logging.getLogger(__name__)


class KafkaSink:
    """One collector's place in the topics; shared by its exporters, used by any thread.

    Args:
        producer: where messages go.
        collector_id: who sends; with the sequence it shows which messages are missing.
        tenant: written into every message; it counts only on topics that Onshore alone may write.
        max_message_bytes: a batch above this is cut; a single record above it is lost and counted.
    """

    def __init__(
        self,
        producer: Producer,
        *,
        collector_id: str,
        tenant: str | None = None,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
    ) -> None:
        self._producer, self._max_message_bytes = producer, max_message_bytes
        self._numbering = Numbering()
        named = {ENCODING_HEADER: "otlp_proto", TENANT_HEADER: tenant, COLLECTOR_HEADER: collector_id}
        self._headers = tuple((name, value.encode()) for name, value in named.items() if value is not None)
        self._lock = threading.Lock()
        self._dropped: Counter[str] = Counter()

    @property
    def dropped(self) -> dict[str, int]:
        """Records, spans and data points lost so far, by topic."""
        with self._lock:
            return dict(self._dropped)

    def put(
        self,
        topic: str,
        batch: Sequence[Item],
        encode: Callable[[Sequence[Item]], bytes],
        count: Callable[[Sequence[Item]], int] = len,
    ) -> int:
        """Send a batch as one message, or as several when it is too large; returns how many items were lost.

        `encode` makes the serialised Export request of some items, `count` says how many are lost with them.
        """
        try:
            value = encode(batch)
        except Exception as error:  # noqa: BLE001 - an exporter never raises into the application that it watches
            _log.exception("a batch for %s could not be encoded", topic)
            return self._skip(topic, count(batch), type(error).__name__)
        if len(value) <= self._max_message_bytes:
            return self._send(topic, value, count(batch))
        if len(batch) == 1:
            return self._skip(topic, count(batch), f"larger than a message may be ({self._max_message_bytes} bytes)")
        middle = len(batch) // 2
        return sum(self.put(topic, half, encode, count) for half in (batch[:middle], batch[middle:]))

    def close(self) -> None:
        """Close the producer; what is exported afterwards is lost and counted."""
        self._producer.close()

    def _send(self, topic: str, value: bytes, items: int) -> int:
        sequence = str(self._numbering.next()).encode()
        headers = (*self._headers, (SEQUENCE_HEADER, sequence), (RUN_HEADER, self._numbering.run.encode()))
        try:
            self._producer.send(topic, [Outgoing(value, headers)])
        except Exception as error:  # noqa: BLE001 - as above
            return self._drop(topic, items, str(error))
        return 0

    def _skip(self, topic: str, items: int, why: str) -> int:
        self._numbering.next()  # the message that never was leaves a hole
        return self._drop(topic, items, why)

    def _drop(self, topic: str, items: int, why: str) -> int:
        with self._lock:
            self._dropped[topic] += items
        _log.warning("%d items for %s are lost: %s", items, topic, why)
        return items


class KafkaLogExporter(LogRecordExporter):
    """Log records → otlp_logs."""

    def __init__(self, sink: KafkaSink) -> None:
        self._sink = sink

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """SUCCESS when the whole batch is durable."""
        return LogRecordExportResult.FAILURE if self._put(batch) else LogRecordExportResult.SUCCESS

    def deliver(self, batch: Sequence[ReadableLogRecord]) -> Delivery:
        """The same for `CountedLogProcessor`, which then knows how many of the batch were lost."""
        lost = self._put(batch)
        return Delivery(len(batch) - lost, lost, "not taken by the broker" if lost else "")

    def shutdown(self) -> None:
        """Nothing to do: the sink is shared and closed by whoever made it."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """True: nothing is kept back."""
        del timeout_millis
        return True

    def _put(self, batch: Sequence[ReadableLogRecord]) -> int:
        return self._sink.put("otlp_logs", batch, lambda records: encode_logs(records).SerializeToString())


class KafkaSpanExporter(SpanExporter):
    """Spans → otlp_spans."""

    def __init__(self, sink: KafkaSink) -> None:
        self._sink = sink

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """SUCCESS when the whole batch is durable."""
        lost = self._sink.put("otlp_spans", spans, lambda part: encode_spans(part).SerializeToString())
        return SpanExportResult.FAILURE if lost else SpanExportResult.SUCCESS

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """True: nothing is kept back."""
        del timeout_millis
        return True


class KafkaMetricExporter(MetricExporter):
    """Metrics → otlp_metrics."""

    def __init__(self, sink: KafkaSink) -> None:
        super().__init__()
        self._sink = sink

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: object) -> MetricExportResult:
        """SUCCESS when all of it is durable."""
        del timeout_millis, kwargs
        lost = self._sink.put("otlp_metrics", metrics_data.resource_metrics, _encode_metrics, _count_points)
        return MetricExportResult.FAILURE if lost else MetricExportResult.SUCCESS

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: object) -> None:
        """Nothing to do: the sink is shared and closed by whoever made it."""

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """True: nothing is kept back."""
        del timeout_millis
        return True


def _encode_metrics(resources: Sequence[ResourceMetrics]) -> bytes:
    return encode_metrics(MetricsData(resources)).SerializeToString()


def _count_points(resources: Sequence[ResourceMetrics]) -> int:
    return sum(
        len(metric.data.data_points)
        for resource in resources
        for scope in resource.scope_metrics
        for metric in scope.metrics
    )
