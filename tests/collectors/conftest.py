"""A real receiver in front of a real local log, for collectors to send to."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from onshore_collectors.heartbeat import ACTION as HEARTBEAT
from onshore_collectors.receiver.intake import Intake, IntakeLimits
from onshore_collectors.receiver.serving import Listening, listen
from onshore_collectors.receiver.tenants import TenantRegistry
from onshore_collectors.stack_address import ReceiverAddress
from onshore_pipeline.domain import unreadable
from onshore_pipeline.embedded.local_log import LocalLog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

    from onshore_pipeline.broker import Consumer, Message


@dataclass
class Inbox:
    """What a running receiver has made durable."""

    endpoint: str
    consumer: Consumer

    @property
    def address(self) -> ReceiverAddress:
        return ReceiverAddress(self.endpoint, {}, self.endpoint)

    def messages(self, timeout_s: float = 0) -> tuple[Message, ...]:
        """What arrived since the last call; waits for something until the time is over."""
        return self.consumer.poll(max_messages=10_000, max_bytes=1 << 30, timeout_s=timeout_s).messages

    def log_requests(self, timeout_s: float = 0) -> list[ExportLogsServiceRequest]:
        values = [each.value for each in self.messages(timeout_s) if each.topic == "otlp_logs"]
        return [ExportLogsServiceRequest.FromString(value) for value in values]

    def metric_requests(self, timeout_s: float = 0) -> list[ExportMetricsServiceRequest]:
        values = [each.value for each in self.messages(timeout_s) if each.topic == "otlp_metrics"]
        return [ExportMetricsServiceRequest.FromString(value) for value in values]

    def log_records(self, timeout_s: float = 0) -> list[LogRecord]:
        """Without those that hold what a reader could not read."""
        return self.told_apart(timeout_s)[0]

    def told_apart(self, timeout_s: float = 0) -> tuple[list[LogRecord], list[LogRecord]]:
        """Records, and what a reader could not read."""
        records: tuple[list[LogRecord], list[LogRecord]] = ([], [])
        for record in self.all_log_records(timeout_s):
            records[unreadable.REASON in self.attributes(record)].append(record)
        return records

    def all_log_records(self, timeout_s: float = 0) -> list[LogRecord]:
        """What arrived, heartbeats aside."""
        return [
            record
            for request in self.log_requests(timeout_s)
            for resource in request.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
            if record.event_name != HEARTBEAT
        ]

    @staticmethod
    def attributes(record: LogRecord) -> dict[str, str | int]:
        """Texts and whole numbers by key."""
        return {
            each.key: each.value.string_value if each.value.HasField("string_value") else each.value.int_value
            for each in record.attributes
        }


@pytest.fixture(scope="session")
def shared_inbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inbox]:
    folder = tmp_path_factory.mktemp("inbox")
    log = LocalLog(folder / "log", now_ns=time.time_ns)
    producer, consumer = log.producer(), log.consumer()
    intake = Intake(producer, TenantRegistry(folder / "tenants.json"), "receiver-1", IntakeLimits())
    started: Future[tuple[Listening, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def main() -> None:
        stop = asyncio.Event()
        async with listen(intake, http_port=0, grpc_port=0) as listening:
            started.set_result((listening, asyncio.get_running_loop(), stop))
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    listening, loop, stop = started.result(60)
    yield Inbox(listening.otlp_http, consumer)
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)
    consumer.close()
    producer.close()


@pytest.fixture
def inbox(shared_inbox: Inbox) -> Inbox:
    """A receiver; what earlier tests sent is out of sight."""
    shared_inbox.messages()
    return shared_inbox
