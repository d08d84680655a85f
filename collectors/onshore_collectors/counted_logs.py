"""Log records through the SDK, batched and counted: a record that is lost is told of.

The SDK's logs API is still underscored; this is the only module that imports it, so that its changes end here.
"""

from __future__ import annotations

import copy
import time
from typing import TYPE_CHECKING, Final

from opentelemetry._logs import Logger, LogRecord, NoOpLogger, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.sdk._logs import (
    LoggerProvider,
    LogRecordLimits,
    LogRecordProcessor,
    ReadableLogRecord,
    ReadWriteLogRecord,
)
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.resources import Resource

from onshore_collectors.batching import GAP_ACTION, BatchLimits, BatchQueue, Delivery, Gap
from onshore_collectors.heartbeat import ACTION as HEARTBEAT_ACTION
from onshore_collectors.heartbeat import ATTRIBUTES as HEARTBEAT_ATTRIBUTES
from onshore_collectors.heartbeat import Heartbeat
from onshore_pipeline.errors import BrokerUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from opentelemetry.util.types import AttributeValue

    from onshore_collectors.gap_file import GapFile

__all__ = [
    "CLOSE_TIMEOUT_S",
    "NO_CONTEXT",
    "CountedLogProcessor",
    "LogRecordExportResult",
    "LogRecordExporter",
    "NoOpLogger",
    "ReadableLogRecord",
    "encode_logs",
    "open_logger_provider",
]

CLOSE_TIMEOUT_S: Final = 10.0
NO_CONTEXT: Final = Context({"onshore": True})  # an empty one would make the SDK look for the thread's


class CountedLogProcessor(LogRecordProcessor):
    """Batches log records for `deliver`; every lost record is counted and reported as a `telemetry.gap` event.

    `deliver(batch)` returns what became of the batch or raises `BrokerUnavailable`; it runs on one thread.
    """

    def __init__(
        self,
        deliver: Callable[[Sequence[ReadableLogRecord]], Delivery],
        *,
        limits: BatchLimits | None = None,
        block: bool = False,
        gap_file: GapFile | None = None,
    ) -> None:
        self._deliver = deliver
        self._like: ReadableLogRecord | None = None
        self._heartbeat: Heartbeat | None = None
        self.queue = BatchQueue(
            deliver,
            self._report_gaps,
            limits=limits or BatchLimits(),
            block=block,
            name="logs",
            keep_gaps=gap_file.keep if gap_file else lambda _: None,
            unreported=gap_file.load() if gap_file else (),
        )

    @classmethod
    def exporting_to(
        cls, exporter: LogRecordExporter, *, limits: BatchLimits | None = None, gap_file: GapFile | None = None
    ) -> CountedLogProcessor:
        """Batch for an SDK exporter; what it answers with FAILURE is lost and counted."""

        def deliver(batch: Sequence[ReadableLogRecord]) -> Delivery:
            if exporter.export(batch) is LogRecordExportResult.SUCCESS:
                return Delivery(len(batch))
            return Delivery(0, len(batch), "export failed")

        return cls(deliver, limits=limits, gap_file=gap_file)

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Queue the record as it is now; later processors may change their own copy."""
        record = copy.copy(log_record.log_record)
        record.context = NO_CONTEXT
        resource = log_record.resource or Resource.get_empty()
        readable = ReadableLogRecord(record, resource, log_record.instrumentation_scope, log_record.limits)
        self._like = readable
        self.queue.put(readable)

    def start_heartbeat(self, beat: Callable[[], None], every_s: float) -> None:
        """Let `beat` emit an event at once and every `every_s` seconds, until `shutdown`."""
        self._heartbeat = Heartbeat(beat, every_s)

    def stop_heartbeat(self) -> None:
        """What is emitted after the queue was closed would count as lost."""
        if self._heartbeat is not None:
            self._heartbeat.stop()

    def shutdown(self) -> None:
        """Deliver what is queued within 10 s, then take nothing more; what is left is counted, said and kept."""
        self.stop_heartbeat()
        self.queue.close(CLOSE_TIMEOUT_S)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """True when everything emitted so far was taken by the other side in time."""
        return self.queue.flush(timeout_millis / 1000)

    def _report_gaps(self, gaps: Sequence[Gap]) -> bool:
        if self._like is None:
            return False
        records = [_gap_record(gap, self._like) for gap in gaps]
        try:
            return self._deliver(records).accepted == len(records)
        except BrokerUnavailable:
            return False


def _gap_record(gap: Gap, like: ReadableLogRecord) -> ReadableLogRecord:
    record = LogRecord(
        timestamp=gap.since_ns,
        observed_timestamp=time.time_ns(),
        severity_number=SeverityNumber.WARN,
        event_name=GAP_ACTION,
        attributes=gap.attributes(),
    )
    return ReadableLogRecord(record, like.resource, like.instrumentation_scope)


def open_logger_provider(
    processor: LogRecordProcessor,
    resource: Mapping[str, AttributeValue],
    *,
    shutdown_on_exit: bool = True,
    heartbeat_every_s: float | None = None,
) -> LoggerProvider:
    """A logger provider without the SDK's limit of 128 attributes, which cuts records short.

    With `heartbeat_every_s` and a `CountedLogProcessor` it says so often that it is alive (`telemetry.heartbeat`).
    """
    unset = LogRecordLimits.UNSET
    limits = LogRecordLimits(unset, unset, unset, unset)
    provider = LoggerProvider(Resource(dict(resource)), shutdown_on_exit, log_record_limits=limits)
    provider.add_log_record_processor(processor)
    if heartbeat_every_s is not None and isinstance(processor, CountedLogProcessor):
        logger = provider.get_logger("onshore.heartbeat")
        processor.start_heartbeat(lambda: _beat(logger), heartbeat_every_s)
    return provider


def _beat(logger: Logger) -> None:
    now_ns = time.time_ns()
    logger.emit(
        timestamp=now_ns,
        observed_timestamp=now_ns,
        context=NO_CONTEXT,
        attributes=dict(HEARTBEAT_ATTRIBUTES),
        event_name=HEARTBEAT_ACTION,
    )
