"""A receiver in this process, on free ports, in front of a real local log."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import httpx
import pytest

from onshore_collectors.receiver.intake import Intake, IntakeLimits
from onshore_collectors.receiver.serving import Listening, listen
from onshore_collectors.receiver.tenants import TenantRegistry
from onshore_pipeline.broker import Advance
from onshore_pipeline.embedded.local_log import LocalLog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from onshore_pipeline.broker import Consumer, Message, Producer
    from onshore_pipeline.embedded.log_file import LogLimits


@dataclass(frozen=True)
class Receiver:
    """What a test needs of a running receiver."""

    http: str
    grpc: str
    consumer: Consumer

    def work_off(self) -> tuple[Message, ...]:
        """Take what arrived, and commit it as a worker would."""
        messages = self.messages()
        if messages:
            last = messages[-1]
            advance = Advance(last.topic, last.topic_id, last.partition, messages[0].offset, last.offset + 1)
            self.consumer.commit([], [advance])
        return messages

    def messages(self) -> tuple[Message, ...]:
        """What arrived since the last call."""
        return self.consumer.poll(max_messages=10_000, max_bytes=1 << 30, timeout_s=0).messages

    def post(self, path: str, content: bytes | Iterator[bytes], **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.post(self.http + path, content=content, headers=named, timeout=30)


class Start(Protocol):
    """Starts a receiver that is stopped at the end of the test."""

    def __call__(
        self,
        *,
        producer: Producer | None = None,
        tenants: TenantRegistry | None = None,
        limits: IntakeLimits = IntakeLimits(),  # noqa: B008 - frozen
        log: LogLimits | None = None,
    ) -> Receiver: ...


@contextmanager
def _running(intake: Intake, consumer: Consumer) -> Iterator[Receiver]:
    started: Future[tuple[Listening, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def main() -> None:
        stop = asyncio.Event()
        async with listen(intake, http_port=0, grpc_port=0) as listening:
            started.set_result((listening, asyncio.get_running_loop(), stop))
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    listening, loop, stop = started.result(10)
    yield Receiver(listening.otlp_http, listening.otlp_grpc.removeprefix("http://"), consumer)
    loop.call_soon_threadsafe(stop.set)
    thread.join(60)
    assert not thread.is_alive()


@contextmanager
def _starting(folder: Path) -> Iterator[Start]:
    with ExitStack() as running:

        def start(
            *,
            producer: Producer | None = None,
            tenants: TenantRegistry | None = None,
            limits: IntakeLimits = IntakeLimits(),  # noqa: B008 - frozen
            log: LogLimits | None = None,
        ) -> Receiver:
            opened = LocalLog(folder, now_ns=time.time_ns, limits=log)
            consumer = opened.consumer()
            running.callback(consumer.close)
            if producer is None:
                producer = opened.producer()
                running.callback(producer.close)
            intake = Intake(producer, tenants or TenantRegistry(None), "receiver-1", limits)
            return running.enter_context(_running(intake, consumer))

        yield start


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with _starting(tmp_path / "log") as start:
        yield start


@pytest.fixture(scope="session")
def shared_receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with _starting(tmp_path_factory.mktemp("log")) as start:
        yield start()


@pytest.fixture
def receiver(shared_receiver: Receiver) -> Receiver:
    """One for tests that only send; earlier tests' messages are out of sight."""
    shared_receiver.messages()
    return shared_receiver
