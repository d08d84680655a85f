"""How an application or a collector of ours sends telemetry: resource identity, SDK providers, counted batching.

The SDK's logs API is still underscored; this is the only module that imports it, so that its changes end here.
"""

from __future__ import annotations

import atexit
import copy
import time
from typing import TYPE_CHECKING, Final

from opentelemetry._logs import LogRecord, NoOpLogger, SeverityNumber
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
from onshore_collectors.gap_file import GapFile
from onshore_collectors.identity import build_resource, read_host_id
from onshore_collectors.otlp_sender import OtlpDelivery, OtlpSender
from onshore_collectors.providers import CountedSpanProcessor, open_meter_provider, open_tracer_provider
from onshore_collectors.sendable import sendable, sendable_text
from onshore_pipeline.errors import BrokerUnavailable, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from opentelemetry.util.types import AttributeValue

__all__ = [
    "CountedLogProcessor",
    "CountedSpanProcessor",
    "LogRecordExportResult",
    "LogRecordExporter",
    "ReadableLogRecord",
    "Telemetry",
    "build_resource",
    "encode_logs",
    "open_logger_provider",
    "open_meter_provider",
    "open_telemetry",
    "open_tracer_provider",
    "read_host_id",
]

DEFAULT_ENDPOINT: Final = "http://127.0.0.1:4318"

_MOST_TIME_NS: Final = 2**64 - 1
_CLOSE_TIMEOUT_S: Final = 10.0
_NO_CONTEXT: Final = Context({"onshore": True})  # an empty one would make the SDK look for the thread's


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
        record.context = _NO_CONTEXT
        resource = log_record.resource or Resource.get_empty()
        readable = ReadableLogRecord(record, resource, log_record.instrumentation_scope, log_record.limits)
        self._like = readable
        self.queue.put(readable)

    def shutdown(self) -> None:
        """Deliver what is queued within 10 s, then take nothing more; what is left is counted, said and kept."""
        self.queue.close(_CLOSE_TIMEOUT_S)

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
    processor: LogRecordProcessor, resource: Mapping[str, AttributeValue], *, shutdown_on_exit: bool = True
) -> LoggerProvider:
    """A logger provider without the SDK's limit of 128 attributes, which cuts records short."""
    unset = LogRecordLimits.UNSET
    limits = LogRecordLimits(unset, unset, unset, unset)
    provider = LoggerProvider(Resource(dict(resource)), shutdown_on_exit, log_record_limits=limits)
    provider.add_log_record_processor(processor)
    return provider


class Telemetry:
    """One collector's way to send events; made by `open_telemetry`, closed by `close` or as a context manager."""

    def __init__(
        self,
        sender: OtlpSender,
        resource: Mapping[str, str],
        scope: str,
        scope_attributes: Mapping[str, str],
        *,
        limits: BatchLimits,
        max_request_bytes: int,
        block: bool,
        gap_file: GapFile | None,
    ) -> None:
        self._sender = sender
        delivery = OtlpDelivery(sender, _encode, _weigh, max_request_bytes=max_request_bytes)
        processor = CountedLogProcessor(delivery.deliver, limits=limits, block=block, gap_file=gap_file)
        self._queue = processor.queue
        self._logger = open_logger_provider(processor, resource, shutdown_on_exit=False).get_logger(
            scope, attributes=dict(scope_attributes)
        )
        if isinstance(self._logger, NoOpLogger):
            raise SettingsError("OTEL_SDK_DISABLED", "is true, so that no event would ever be sent; unset it")
        atexit.register(self.close)

    @property
    def sent(self) -> int:
        """Events acknowledged so far."""
        return self._queue.sent

    @property
    def dropped(self) -> int:
        """Events lost so far; each loss is also sent as a `telemetry.gap` event once something goes through again."""
        return self._queue.dropped

    def emit(
        self,
        event_name: str,
        attributes: Mapping[str, AttributeValue],
        *,
        body: str | None = None,
        time_ns: int | None = None,
        observed_ns: int | None = None,
    ) -> None:
        """Queue one event; times are nanoseconds since the epoch, one the wire cannot carry is sent as unknown.

        Raises:
            BrokerUnavailable: with `block`, an earlier batch was lost; nothing more will be sent.
        """
        self._logger.emit(
            timestamp=time_ns if time_ns is not None and 0 <= time_ns <= _MOST_TIME_NS else None,
            observed_timestamp=observed_ns,
            context=_NO_CONTEXT,
            body=None if body is None else sendable_text(body),
            attributes={key: sendable(value) for key, value in attributes.items()},
            event_name=event_name,
        )

    def flush(self, timeout_s: float) -> bool:
        """Send everything emitted so far; True when all of it was acknowledged within `timeout_s`.

        Raises:
            BrokerUnavailable: with `block`, a batch was lost.
        """
        return self._queue.flush(timeout_s)

    def close(self, timeout_s: float = _CLOSE_TIMEOUT_S) -> bool:
        """Send what is queued and end; True when nothing is left unsent. Safe to call twice; called at exit, too.

        What is left then is counted as lost, said on standard error, and kept where there is a gap file.
        """
        atexit.unregister(self.close)
        finished = self._queue.close(timeout_s)
        self._sender.abandon()
        self._sender.close()
        return finished

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()


def open_telemetry(
    *,
    endpoint: str | None,
    headers: Mapping[str, str],
    resource: Mapping[str, str],
    scope: str,
    scope_attributes: Mapping[str, str] | None = None,
    block: bool = False,
    limits: BatchLimits | None = None,
    give_up_after_s: float = 60.0,
    max_request_bytes: int = 900_000,
    gap_file: Path | None = None,
) -> Telemetry:
    """Send events as OTLP/HTTP protobuf, gzipped, in batches, in order, each retried until it is acknowledged.

    Args:
        endpoint: base address of an OTLP/HTTP receiver; None is this machine's, http://127.0.0.1:4318.
        headers: sent with every request, such as `{"authorization": "Bearer ..."}`.
        resource: resource attributes (`build_resource`).
        scope: the instrumentation scope's name, such as `onshore.collectors.host`.
        scope_attributes: the scope's attributes, such as `{"encoding.format": "aws.cloudtrail"}`.
        block: wait for room instead of dropping, and raise when a batch is lost: for readers of files, who can go back.
        limits: size of queue and batches.
        give_up_after_s: how long a batch is retried before it is lost.
        gap_file: where losses are kept that could not be reported before the end; the next start reports them.
        max_request_bytes: where a batch is cut into several requests (about; Kafka's default limit is 1 MiB a message).

    Raises:
        SettingsError: the endpoint is no address, or the SDK is switched off by its environment variable.
    """
    sender = OtlpSender(endpoint or DEFAULT_ENDPOINT, "/v1/logs", headers, give_up_after_s=give_up_after_s)
    return Telemetry(
        sender,
        resource,
        scope,
        scope_attributes or {},
        limits=limits or BatchLimits(),
        max_request_bytes=max_request_bytes,
        block=block,
        gap_file=GapFile(gap_file) if gap_file is not None else None,
    )


def _encode(batch: Sequence[ReadableLogRecord]) -> bytes:
    return encode_logs(batch).SerializeToString()


def _weigh(record: ReadableLogRecord) -> int:
    # Close enough to cut batches: raw text dominates where records are large.
    body, attributes = record.log_record.body, record.log_record.attributes or {}
    return (len(body) if isinstance(body, str) else 0) + 64 * len(attributes)
