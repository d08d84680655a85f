"""`onshore bench ingest`: broker → queryable, judged and sealed, with real processes on this machine."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self
from uuid import uuid4

import psutil

from onshore_pipeline import assembly
from onshore_pipeline.assess import assess
from onshore_pipeline.bench.traffic import RECORDS_A_MESSAGE, log_messages
from onshore_pipeline.broker import Outgoing
from onshore_pipeline.embedded.parts import ALLOCATORS
from onshore_pipeline.errors import OnshoreError
from onshore_pipeline.settings import load_settings
from onshore_pipeline.stack import DataDir
from onshore_pipeline.store.migrate import migrate

if TYPE_CHECKING:
    from collections.abc import Callable

    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.settings import Settings

_READY_WITHIN_S: Final = 60.0
_LOOK_EVERY_S: Final = 0.05
_PROFILED_MESSAGES: Final = 200
_TOPIC: Final = "otlp_logs"


def bench_ingest(events: int, *, timeout_s: float = 600.0) -> dict[str, Any]:
    """Fill a local log, then start worker and sequencer on it and wait until every event is visible.

    Returns:
        Events a second of the whole path; µs of CPU an event by process over that run; µs of CPU an event by stage of
        the computation, measured apart in this process with nothing beside it; peak memory of each process in MiB.
    """
    count = max(1, events // RECORDS_A_MESSAGE)
    with tempfile.TemporaryDirectory(prefix="onshore-bench-") as folder:
        settings = load_settings({"data_dir": Path(folder)})
        data = DataDir(settings.data_dir)
        data.make()
        payload = _fill(settings, count)
        stages = _stage_profile(settings)
        with _Processes(data) as processes:
            url = processes.start_store()
            client = assembly.store_client(settings, url)
            migrate(client)
            return {
                "bench": "ingest",
                "events": count * RECORDS_A_MESSAGE,
                "bytes_an_event": round(payload / (count * RECORDS_A_MESSAGE)),
                **_run(processes, client, url, count * RECORDS_A_MESSAGE, timeout_s),
                "cpu_us_an_event_by_stage": stages,
                "machine": {"cpus": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()},
            }


def _fill(settings: Settings, count: int) -> int:
    producer = assembly.local_log(settings).producer()
    size = 0
    try:
        for value in log_messages(count):
            producer.send(_TOPIC, [Outgoing(value)])
            size += len(value)
    finally:
        producer.close()
    return size


def _stage_profile(settings: Settings) -> dict[str, float]:
    """µs of CPU an event for each stage of the computation."""
    judgement = assembly.judgement(settings)
    consumer = assembly.consumer(settings)
    try:
        polled = consumer.poll(max_messages=_PROFILED_MESSAGES, max_bytes=1 << 30, timeout_s=5.0)
    finally:
        consumer.close()
    taken: dict[str, float] = {}
    assess(polled, judgement, uuid4())  # warm: first use of each library
    assess(polled, judgement, uuid4(), _cpu_laps(taken))
    events = len(polled.messages) * RECORDS_A_MESSAGE
    return {stage: round(seconds * 1e6 / events, 2) for stage, seconds in taken.items()}


def _cpu_laps(taken: dict[str, float]) -> Callable[[str], None]:
    since = time.process_time()

    def lap(stage: str) -> None:
        nonlocal since
        now = time.process_time()
        taken[stage] = taken.get(stage, 0.0) + now - since
        since = now

    return lap


def _run(processes: _Processes, client: Client, url: str, events: int, timeout_s: float) -> dict[str, Any]:
    processes.start("sequencer", "onshore_pipeline", "sequencer", "--store-url", url)
    before = processes.cpu_s()
    worker_cpu = processes.start("worker", "onshore_pipeline", "worker", "--store-url", url)
    began = time.perf_counter()
    deadline = began + timeout_s
    visible = 0
    while visible < events:
        if time.perf_counter() > deadline:
            raise OnshoreError(f"only {visible:,} of {events:,} events were visible after {timeout_s:.0f} s")
        time.sleep(_LOOK_EVERY_S)
        visible = int(client.query("SELECT sum(events) FROM evidence_log").result_rows[0][0])
    took = time.perf_counter() - began
    used = {name: cpu - before.get(name, worker_cpu) for name, cpu in processes.cpu_s().items()}
    stored = int(client.query("SELECT count() FROM events_current").result_rows[0][0])
    if stored != events:
        raise OnshoreError(f"{stored:,} events are visible, {events:,} were sent")
    return {
        "seconds": round(took, 3),
        "events_a_second": round(events / took),
        "cpu_us_an_event_by_process": {name: round(cpu * 1e6 / events, 2) for name, cpu in used.items()},
        "peak_memory_mib": processes.peak_mib(),
    }


class _Processes:
    """The parts under measurement; all are ended on leaving."""

    def __init__(self, data: DataDir) -> None:
        self._data = data
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._running.values()):
            process.terminate()
        for process in reversed(self._running.values()):
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def start_store(self) -> str:
        """Start the embedded store on a free port; returns its address."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        arguments = ("--data-dir", str(self._data.store), "--port", str(port))
        self._spawn(
            "store", "onshore_pipeline.embedded.store_server", *arguments, "--credentials", str(self._data.credentials)
        )
        return f"http://127.0.0.1:{port}"

    def start(self, name: str, module: str, *arguments: str) -> float:
        """Start a part; returns the CPU seconds it had used when it was ready."""
        self._spawn(name, module, *arguments, "--data-dir", str(self._data.path))
        return self.cpu_s()[name]

    def _spawn(self, name: str, module: str, *arguments: str) -> None:
        ready = self._data.path / f"{name}.ready"
        log = (self._data.logs / f"{name}.log").open("ab")
        with log:
            self._running[name] = subprocess.Popen(
                [sys.executable, "-m", module, *arguments, "--ready-file", str(ready)],
                stdout=log,
                stderr=log,
                env={**os.environ, "TZ": "UTC", **ALLOCATORS},
            )
        deadline = time.monotonic() + _READY_WITHIN_S
        while not ready.exists():
            if self._running[name].poll() is not None or time.monotonic() > deadline:
                said = (self._data.logs / f"{name}.log").read_text(errors="replace").strip().splitlines()
                raise OnshoreError(f"{name} did not start: {said[-1] if said else 'no message'}")
            time.sleep(_LOOK_EVERY_S)

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds used by each part so far."""
        used = {name: psutil.Process(process.pid).cpu_times() for name, process in self._running.items()}
        return {name: times.user + times.system for name, times in used.items()}

    def peak_mib(self) -> dict[str, int]:
        """Peak resident memory of each part, where the kernel tells."""
        peaks = {}
        for name, process in self._running.items():
            status = Path(f"/proc/{process.pid}/status")
            if status.exists():
                line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
                peaks[name] = int(line.split()[1]) // 1024
        return peaks
