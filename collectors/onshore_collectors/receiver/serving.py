"""Both listeners in one process, from binding to the last answer."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import uvicorn

from onshore_collectors.receiver.grpc_service import open_grpc_server
from onshore_collectors.receiver.http_app import OtlpHttp
from onshore_collectors.receiver.request_head import guarded_protocol
from onshore_pipeline.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from onshore_collectors.receiver.intake import Intake, IntakeLimits

# Together they stay below the 3 s within which the receiver must be gone.
_LAST_REQUESTS_S: Final = 2.0
_BACKLOG: Final = 512
_OTHER_FILES: Final = 256
_MOST_CONNECTIONS: Final = 4096
# Longer than senders pause between batches (the SDK's metrics: 60 s), so that none finds its connection closed.
_IDLE_S: Final = 75


class _HttpServer(uvicorn.Server):
    """Leaves signals to us: the gRPC side must end with it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take none."""
        yield


def bind(port: int, flag: str) -> socket.socket:
    """A listener on 127.0.0.1; 0 picks a free port. Raises `SettingsError`, naming `flag`, when it is taken."""
    # asyncio sends answers without delay (TCP_NODELAY) only on sockets that name their protocol; else each waits 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise SettingsError(flag, f"127.0.0.1:{port}: {error.strerror}; choose another or 0") from error
    return listener


@dataclass(frozen=True, slots=True)
class Listening:
    """Both listeners at work.

    Attributes:
        otlp_http: address of OTLP over HTTP, such as `http://127.0.0.1:4318`.
        otlp_grpc: address of OTLP over gRPC.
        ended: done when the HTTP side ended, for whatever reason.
    """

    otlp_http: str
    otlp_grpc: str
    ended: asyncio.Task[None]


@asynccontextmanager
async def listen(intake: Intake, *, http_port: int, grpc_port: int) -> AsyncIterator[Listening]:
    """Take requests inside the block; at its end take no more and give those under way 2 s to finish.

    Raises:
        SettingsError: a port is taken.
    """
    with bind(http_port, "--http-port") as listener:
        bind(grpc_port, "--grpc-port").close()  # gRPC itself reports a busy port in three lines
        grpc_server, grpc_port = open_grpc_server(intake, grpc_port)
        threads = ThreadPoolExecutor(intake.limits.threads, thread_name_prefix="otlp-http")
        http_server = _HttpServer(_http_config(OtlpHttp(intake, threads), intake.limits))
        http = asyncio.create_task(http_server.serve([listener]))
        http_port = listener.getsockname()[1]
        try:
            yield Listening(f"http://127.0.0.1:{http_port}", f"http://127.0.0.1:{grpc_port}", http)
        finally:
            grpc_stopped = grpc_server.stop(_LAST_REQUESTS_S)
            http_server.should_exit = True
            await http
            await asyncio.to_thread(grpc_stopped.wait)
            threads.shutdown(wait=False, cancel_futures=True)


async def serve(intake: Intake, *, http_port: int, grpc_port: int, ready_file: Path | None) -> None:
    """Serve until SIGTERM or SIGINT; `ready_file` gets both addresses once requests are taken.

    Raises:
        SettingsError: a port is taken.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with listen(intake, http_port=http_port, grpc_port=grpc_port) as listening:
        if ready_file is not None:
            _write_ready(ready_file, {"otlp_http": listening.otlp_http, "otlp_grpc": listening.otlp_grpc})
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait((stopped, listening.ended), return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()


def _http_config(app: OtlpHttp, limits: IntakeLimits) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=guarded_protocol(limits.max_head_bytes, limits.head_timeout_s),
        limit_concurrency=_most_connections(),
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_IDLE_S,
        timeout_graceful_shutdown=int(_LAST_REQUESTS_S),
    )


def _most_connections() -> int:
    """As many as leave some file descriptors to the log and to gRPC; those beyond are answered 503."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(16, min(soft - _OTHER_FILES, _MOST_CONNECTIONS))


def _write_ready(path: Path, addresses: dict[str, str]) -> None:
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(addresses, file)
    draft.replace(path)
