"""Sends raw records in batches, in order, and moves positions when a batch is acknowledged."""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from onshore_collectors.batching import Delivery
from onshore_collectors.otlp_sender import OtlpDelivery, OtlpSender
from onshore_pipeline.errors import BrokerUnavailable

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping, Sequence
    from typing import Protocol

    from onshore_collectors.positions import Position
    from onshore_collectors.raw_records import RawRecord
    from onshore_collectors.stack_address import ReceiverAddress

    class KeepPositions(Protocol):
        """Where positions go."""

        def keep(self, positions: Mapping[str, Position]) -> None:
            """Move to these positions."""


_MOST_RECORDS: Final = 512
_MOST_BYTES: Final = 900_000  # about; Kafka's default limit is 1 MiB a message
_MOST_POSITIONS: Final = 1000
_OVERHEAD_BYTES: Final = 160  # of a record's times, id and file name
_UNDER_WAY: Final = 2
_LOOK_EVERY_S: Final = 0.2
_LAST_ANSWER_S: Final = 12.0  # an answer takes 10 s at most


class Stopped(Exception):
    """The run was asked to end."""


@dataclass(slots=True)
class _Batch:
    records: list[LogRecord] = field(default_factory=list)
    weight: int = 0
    positions: dict[str, Position] = field(default_factory=dict)


class LogOutbox:
    """Takes records one by one; at most two batches are under way, then `put` waits. For one thread.

    Args:
        receiver: where to.
        resource: resource attributes.
        scope: the instrumentation scope's name.
        encoding_format: the scope's `encoding.format`: what the bodies are.
        positions: moved when everything before them was acknowledged.
        stop: when set, waiting ends with `Stopped`.
        rate: most records a second; None is as fast as the receiver takes them.
        give_up_after_s: how long a batch is tried.
    """

    def __init__(
        self,
        receiver: ReceiverAddress,
        resource: Mapping[str, str],
        *,
        scope: str,
        encoding_format: str,
        positions: KeepPositions,
        stop: threading.Event,
        rate: float | None = None,
        give_up_after_s: float = 600.0,
    ) -> None:
        self._resource = Resource(attributes=_attributes(resource))
        self._scope = InstrumentationScope(name=scope, attributes=_attributes({"encoding.format": encoding_format}))
        self._sender = OtlpSender(receiver.endpoint, "/v1/logs", receiver.headers, give_up_after_s=give_up_after_s)
        self._delivery = OtlpDelivery(self._sender, self._encode, _weigh, max_request_bytes=2 * _MOST_BYTES)
        self._positions, self._stop, self._rate = positions, stop, rate
        self._most_records = _MOST_RECORDS if rate is None else max(1, min(_MOST_RECORDS, int(rate)))
        self._began = time.monotonic()
        self._submitted = 0
        self._thread = ThreadPoolExecutor(1, "onshore-outbox")
        self._under_way: deque[tuple[Future[Delivery], _Batch]] = deque()
        self._batch = _Batch()
        self.sent = 0

    def put(self, record: RawRecord, file: str, position: Position | None) -> None:
        """Queue a record of a file; `position` is the one behind it, None where there is no coming back.

        Raises:
            BrokerUnavailable: an earlier batch was not taken; nothing more will be sent.
            Stopped: `stop` was set while waiting.
        """
        body = record.text
        weight = (len(body) if body.isascii() else len(body.encode())) + _OVERHEAD_BYTES
        batch = self._batch
        if batch.records and (batch.weight + weight > _MOST_BYTES or len(batch.records) >= self._most_records):
            self._submit()
            batch = self._batch
        batch.records.append(_log_record(record, file))
        batch.weight += weight
        if position is not None:
            batch.positions[file] = position

    def move(self, file: str, position: Position) -> None:
        """Move a file's position once everything put so far was acknowledged. Raises like `put`."""
        self._batch.positions[file] = position
        if len(self._batch.positions) >= _MOST_POSITIONS:
            self._submit()

    def flush(self) -> None:
        """Send everything put so far. Raises like `put`."""
        self._submit()
        while self._under_way:
            self._settle()

    def close(self) -> None:
        """End; what is under way is still waited for, a batch that was not begun is not sent. Never raises."""
        self._sender.abandon()
        for future, _ in self._under_way:
            future.cancel()
        while self._under_way:
            future, batch = self._under_way.popleft()
            try:
                self._accept(future.result(_LAST_ANSWER_S), batch)
            except BaseException:  # noqa: BLE001 - not acknowledged: later ones may not move positions either
                self._under_way.clear()
        self._thread.shutdown(wait=True)
        self._sender.close()

    def _submit(self) -> None:
        batch, self._batch = self._batch, _Batch()
        if not batch.records and not batch.positions:
            return
        while len(self._under_way) >= _UNDER_WAY:
            self._settle()
        self._keep_pace()
        while self._under_way and self._under_way[0][0].done():
            self._settle()
        self._submitted += len(batch.records)
        self._under_way.append((self._thread.submit(self._deliver, batch.records), batch))

    def _keep_pace(self) -> None:
        if self._rate is not None:
            due = self._began + self._submitted / self._rate
            if self._stop.wait(max(0.0, due - time.monotonic())):
                raise Stopped

    def _settle(self) -> None:
        future, batch = self._under_way[0]
        while not future.done():
            if self._stop.is_set():
                raise Stopped
            try:
                future.result(_LOOK_EVERY_S)
            except TimeoutError:
                continue
        self._under_way.popleft()
        self._accept(future.result(), batch)

    def _accept(self, delivery: Delivery, batch: _Batch) -> None:
        if delivery.refused:
            raise BrokerUnavailable(f"{delivery.refused} records were refused: {delivery.reason}")
        self.sent += delivery.accepted
        self._positions.keep(batch.positions)

    def _deliver(self, records: list[LogRecord]) -> Delivery:
        return self._delivery.deliver(records) if records else Delivery(0)

    def _encode(self, records: Sequence[LogRecord]) -> bytes:
        request = ExportLogsServiceRequest()
        resource = request.resource_logs.add(resource=self._resource)
        resource.scope_logs.add(scope=self._scope, log_records=records)
        return request.SerializeToString()


def _log_record(record: RawRecord, file: str) -> LogRecord:
    attributes = {"log.file.name": file.rpartition("/")[2]}
    if record.uid is not None:
        attributes["log.record.uid"] = record.uid
    return LogRecord(
        time_unix_nano=record.time_ns if record.time_ns is not None and record.time_ns > 0 else 0,
        observed_time_unix_nano=time.time_ns(),
        body=AnyValue(string_value=record.text),
        attributes=_attributes(attributes),
    )


def _attributes(named: Mapping[str, str]) -> list[KeyValue]:
    return [KeyValue(key=key, value=AnyValue(string_value=value)) for key, value in named.items()]


def _weigh(record: LogRecord) -> int:
    return len(record.body.string_value) + _OVERHEAD_BYTES
