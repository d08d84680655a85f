"""How an application or a collector of ours sends telemetry: resource identity, SDK providers, counted batching.

The SDK's logs API is still underscored; `counted_logs` alone imports it, so that its changes end there.
"""

from __future__ import annotations

import atexit
from typing import TYPE_CHECKING, Final

from onshore_collectors.batching import BatchLimits
from onshore_collectors.counted_logs import (
    CLOSE_TIMEOUT_S,
    NO_CONTEXT,
    CountedLogProcessor,
    LogRecordExporter,
    LogRecordExportResult,
    NoOpLogger,
    ReadableLogRecord,
    encode_logs,
    open_logger_provider,
)
from onshore_collectors.gap_file import GapFile
from onshore_collectors.identity import build_resource, read_host_id
from onshore_collectors.numbering import Numbering
from onshore_collectors.otlp_sender import OtlpDelivery, OtlpSender
from onshore_collectors.providers import CountedSpanProcessor, open_meter_provider, open_tracer_provider
from onshore_collectors.sendable import sendable, sendable_text
from onshore_pipeline.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
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
        heartbeat_every_s: float | None,
    ) -> None:
        self._sender = sender
        numbering = Numbering()
        delivery = OtlpDelivery(
            sender, lambda batch: _encode(batch, numbering), _weigh, max_request_bytes=max_request_bytes
        )
        self._processor = CountedLogProcessor(delivery.deliver, limits=limits, block=block, gap_file=gap_file)
        self._queue = self._processor.queue
        provider = open_logger_provider(
            self._processor, resource, shutdown_on_exit=False, heartbeat_every_s=heartbeat_every_s
        )
        self._logger = provider.get_logger(scope, attributes=dict(scope_attributes))
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
            context=NO_CONTEXT,
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

    def close(self, timeout_s: float = CLOSE_TIMEOUT_S) -> bool:
        """Send what is queued and end; True when nothing is left unsent. Safe to call twice; called at exit, too.

        What is left then is counted as lost, said on standard error, and kept where there is a gap file.
        """
        atexit.unregister(self.close)
        self._processor.stop_heartbeat()
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
    heartbeat_every_s: float | None = None,
) -> Telemetry:
    """Send events as OTLP/HTTP protobuf, gzipped, in batches, in order, each retried until it is acknowledged.

    Requests are numbered on their resource (`onshore.collector.run`, `onshore.collector.sequence`).

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
        heartbeat_every_s: how often to say that it is alive; None is never.
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
        heartbeat_every_s=heartbeat_every_s,
    )


def _encode(batch: Sequence[ReadableLogRecord], numbering: Numbering) -> bytes:
    request = encode_logs(batch)
    numbered = numbering.attributes(batch[0])
    for resource in request.resource_logs:
        resource.resource.attributes.extend(numbered)
    return request.SerializeToString()


def _weigh(record: ReadableLogRecord) -> int:
    # Close enough to cut batches: raw text dominates where records are large.
    body, attributes = record.log_record.body, record.log_record.attributes or {}
    return (len(body) if isinstance(body, str) else 0) + 64 * len(attributes)
