"""`onshore up`: start every part, say where they are, keep them running, stop them all."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import signal
import socket
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from onshore_pipeline.embedded.data_lock import StackRefused, locked
from onshore_pipeline.embedded.new_log import finish_new_log
from onshore_pipeline.embedded.parts import ALLOCATORS, Part
from onshore_pipeline.stack import DataDir, StoreAddress, write_private
from onshore_pipeline.store.connect import connect
from onshore_pipeline.store.migrate import migrate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_START_DEADLINE_S: Final = 60.0
_STOP_WITHIN_S: Final = 9.0
_STORE_STOP_S: Final = 4.0
_LOOK_EVERY_S: Final = 0.1
_ENVIRONMENT: Final = {"TZ": "UTC", "PYTHONUNBUFFERED": "1", **ALLOCATORS}
_NEEDED: Final = {
    "chdb": "chdb-core",
    "clickhouse_connect": "clickhouse-connect",
    "grpc": "grpcio",
    "polars": "polars",
    "polars_hash": "polars-hash",
    "ptars": "ptars",
    "uvicorn": "uvicorn",
}


@dataclass(frozen=True, slots=True)
class Ports:
    """Loopback ports; 0 picks a free one."""

    otlp_http: int
    otlp_grpc: int
    store: int
    dashboard: int


@dataclass(frozen=True, slots=True)
class UpOptions:
    """What `onshore up` was asked to do.

    With `kafka`, the Kafka that settings name replaces the local log; `failpoint` is for tests (see `failpoints`).
    """

    data_dir: Path
    ports: Ports
    ready_file: Path | None = None
    dashboard: bool = True
    demo: bool = False
    kafka: bool = False
    failpoint: str | None = None


class _PartRefused(StackRefused):
    """A part left on its own account while starting."""


def run_stack(options: UpOptions, say: Callable[[str], None]) -> None:
    """Run the embedded stack until SIGINT or SIGTERM.

    Raises:
        StackRefused: a port is busy, the data directory is in use, a package is missing, a part refused to start.
    """
    _check_packages(dashboard=options.dashboard)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    data = DataDir(options.data_dir.resolve())
    try:
        data.make()
    except OSError as error:
        raise StackRefused(f"{error.filename}: {error.strerror}; choose another --data-dir") from None
    with locked(data, say) as lock:
        finish_new_log(data.messages)
        data.messages.mkdir(mode=0o700, exist_ok=True)
        _withdraw(options, data)
        ports = _claim(options.ports, dashboard=options.dashboard)
        parts = _parts(data, ports, options, lock)
        try:
            _start(parts, data, ports, stop, say)
            if not stop.is_set():
                addresses = _announce(options, data, ports, say)
                _watch(parts, stop, say, demo=_demo(data, addresses) if options.demo else None)
        finally:
            _stop(parts, say)
            _withdraw(options, data)


def _check_packages(*, dashboard: bool) -> None:
    needed = {**_NEEDED, **({"streamlit": "streamlit", "altair": "altair"} if dashboard else {})}
    missing = sorted(package for module, package in needed.items() if importlib.util.find_spec(module) is None)
    if missing:
        extras = "pip install 'onshore[collectors,pipeline,dashboard,embedded]'"
        raise StackRefused(f"missing packages: {', '.join(missing)}; install them with {extras}")


def _withdraw(options: UpOptions, data: DataDir) -> None:
    """Remove the addresses of a stack that does not run (yet, or any more)."""
    data.stack.unlink(missing_ok=True)
    if options.ready_file is not None:
        options.ready_file.unlink(missing_ok=True)


def _claim(ports: Ports, *, dashboard: bool) -> Ports:
    """Check that the asked ports are free and pick those that are 0."""
    wanted = {"--otlp-http-port": ports.otlp_http, "--otlp-grpc-port": ports.otlp_grpc, "--store-port": ports.store}
    if dashboard:
        wanted["--dashboard-port"] = ports.dashboard
    claimed: dict[str, int] = {}
    with contextlib.ExitStack() as held:
        for flag, port in wanted.items():
            listener = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
                listener.listen(1)
            except OSError as error:
                why = f"port {port} on 127.0.0.1 cannot be used ({error.strerror})"
                raise StackRefused(f"{why}; choose another with {flag} (0 picks a free one)") from None
            claimed[flag] = int(listener.getsockname()[1])
    return Ports(
        claimed["--otlp-http-port"],
        claimed["--otlp-grpc-port"],
        claimed["--store-port"],
        claimed.get("--dashboard-port", 0),
    )


def _parts(data: DataDir, ports: Ports, options: UpOptions, lock: int) -> list[Part]:
    """Every part, in the order in which they start; the store comes first and stops last."""
    ready = data.path / "status"

    def part(name: str, *arguments: str) -> Part:
        file = ready / f"{name}.ready"
        argv = [sys.executable, "-m", *arguments, "--ready-file", str(file), "--with-parent"]
        return Part(name, argv, data.logs / f"{name}.log", file, _ENVIRONMENT, keeps_open=(lock,))

    broker = () if options.kafka else ("--local-log", str(data.messages))
    here = ("--data-dir", str(data.path))
    armed = ("--failpoint", options.failpoint) if options.failpoint else ()
    store_url = f"http://127.0.0.1:{ports.store}"
    parts = [
        part(
            "store",
            "onshore_pipeline.embedded.store_server",
            *("--data-dir", str(data.store), "--port", str(ports.store), "--credentials", str(data.credentials)),
        ),
        part(
            "receiver",
            "onshore_collectors.receiver",
            *("--http-port", str(ports.otlp_http), "--grpc-port", str(ports.otlp_grpc)),
            *("--tenants", str(data.tenants), *broker),
        ),
        part("worker", "onshore_pipeline", "worker", *here, *armed, "--store-url", store_url),
        part("sequencer", "onshore_pipeline", "sequencer", *here, *armed, "--store-url", store_url),
    ]
    if options.dashboard:
        parts.append(
            part(
                "dashboard",
                "onshore_dashboard",
                *("--port", str(ports.dashboard), "--store-url", store_url, "--credentials", str(data.credentials)),
                *("--status-file", str(data.worker_status)),
                *("--otlp-http", f"http://127.0.0.1:{ports.otlp_http}"),
                *("--otlp-grpc", f"http://127.0.0.1:{ports.otlp_grpc}"),
            )
        )
    return parts


def _start(parts: list[Part], data: DataDir, ports: Ports, stop: threading.Event, say: Callable[[str], None]) -> None:
    store, others = parts[0], parts[1:]
    began = time.monotonic()
    say("starting store")
    store.start()
    _await_ready([store], stop, say, began)
    if stop.is_set():
        return
    writer = json.loads(data.credentials.read_text())["writer"]
    address = StoreAddress(f"http://127.0.0.1:{ports.store}", writer["user"], writer["password"])
    client = connect(address.url, address.user, address.password)
    try:
        for migration in migrate(client):
            say(f"migrated store: {migration.name}")
    finally:
        client.close()
    say("starting " + ", ".join(part.name for part in others))
    for part in others:
        part.start()
    _await_ready(others, stop, say, began)


def _await_ready(parts: list[Part], stop: threading.Event, say: Callable[[str], None], began: float) -> None:
    """Wait until every part says it is ready; one that leaves instead ends the start."""
    waiting = list(parts)
    while waiting and not stop.is_set():
        for part in list(waiting):
            if part.is_ready():
                waiting.remove(part)
                say(f"{part.name} ready after {time.monotonic() - began:.1f} s")
            elif part.exit_code is not None:
                words = part.last_words() or f"exit code {part.exit_code}, see {part.log_file}"
                words = words.removeprefix("onshore: ")
                raise _PartRefused(f"{part.name} did not start: {words}")
        if time.monotonic() - began > _START_DEADLINE_S:
            names = ", ".join(part.name for part in waiting)
            raise _PartRefused(f"{names} not ready after {_START_DEADLINE_S:.0f} s; see {waiting[0].log_file}")
        stop.wait(_LOOK_EVERY_S)


def _announce(options: UpOptions, data: DataDir, ports: Ports, say: Callable[[str], None]) -> dict[str, str]:
    """Leave the addresses where other commands find them, and print them."""
    reader = json.loads(data.credentials.read_text())["reader"]
    addresses = {
        "otlp_http": f"http://127.0.0.1:{ports.otlp_http}",
        "otlp_grpc": f"http://127.0.0.1:{ports.otlp_grpc}",
        "store": f"http://127.0.0.1:{ports.store}",
        "store_user": reader["user"],
        "store_password": reader["password"],
        "dashboard": f"http://127.0.0.1:{ports.dashboard}" if options.dashboard else "",
        "data_dir": str(data.path),
    }
    write_private(data.stack, json.dumps(addresses))
    if options.ready_file is not None:
        write_private(options.ready_file, json.dumps(addresses))
    rows = [
        ("dashboard", addresses["dashboard"] or "not started"),
        ("OTLP over HTTP", addresses["otlp_http"]),
        ("OTLP over gRPC", addresses["otlp_grpc"]),
        ("store (ClickHouse HTTP)", f"{addresses['store']}  user {reader['user']}, password in {data.stack}"),
        ("data", str(data.path)),
    ]
    say("\nOnshore is running. Ctrl-C stops it.\n")
    for name, value in rows:
        say(f"  {name:<24} {value}")
    say("")
    return addresses


def _demo(data: DataDir, addresses: dict[str, str]) -> Part:
    argv = [sys.executable, "-m", "onshore_collectors", "demo", "--otlp", addresses["otlp_http"]]
    argv += ["--data-dir", str(data.path), "--with-parent"]
    return Part("demo", argv, data.logs / "demo.log")


def _watch(parts: list[Part], stop: threading.Event, say: Callable[[str], None], *, demo: Part | None) -> None:
    """Restart what dies, until told to stop."""
    if demo is not None:
        say("playing the demo factory")
        demo.start()
    while not stop.wait(_LOOK_EVERY_S):
        for part in parts:
            news = part.revive()
            if news:
                say(news)
        if demo is not None and demo.exit_code is not None:
            say("demo played" if demo.exit_code == 0 else f"demo failed: {demo.last_words()}")
            demo = None
    if demo is not None:
        demo.terminate()
        demo.wait(time.monotonic() + 1)


def _stop(parts: list[Part], say: Callable[[str], None]) -> None:
    """Senders first, the store last, all within ten seconds."""
    running = [part for part in parts if part.pid is not None]
    if not running:
        return
    say("stopping " + ", ".join(part.name for part in reversed(running)))
    began = time.monotonic()
    for part in parts[1:]:
        part.terminate()
    for part in parts[1:]:
        if not part.wait(began + _STOP_WITHIN_S - _STORE_STOP_S):
            say(f"{part.name} did not stop in time and was ended")
    parts[0].terminate()
    if not parts[0].wait(began + _STOP_WITHIN_S):
        say("store did not stop in time and was ended")
    say("stopped")
