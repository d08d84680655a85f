"""`onshore bench end-to-end`: from an application's OTLP exporter to what the dashboard reads, on an idle stack.

One event at a time, each a breach of its own: it is visible when the read-only user sees it among the committed events,
and again when its finding stands in the list. Then the same events go, by the same receiver and log, to the afternoon's
per-record program on a store of its own.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import psutil
from clickhouse_connect import get_client

from onshore_pipeline.bench.machine import machine
from onshore_pipeline.bench.parts import Parts, open_store
from onshore_pipeline.embedded.credentials import USER_OF_ROLE, Role, load_or_create
from onshore_pipeline.errors import OnshoreError
from onshore_pipeline.settings import load_settings
from onshore_pipeline.stack import DataDir

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from clickhouse_connect.driver.client import Client

_READY_WITHIN_S: Final = 90.0
_VISIBLE_WITHIN_S: Final = 60.0
_LOOK_EVERY_S: Final = 0.02
_QUIET_S: Final = 1.0
_SETTLED_S: Final = 5.0
_ASK: Final = {
    "event": "SELECT count() FROM events_current WHERE dataset = {dataset:String}",
    "finding": "SELECT count() FROM findings WHERE fingerprint['dataset'] = {dataset:String}",
}
# Its verdict stands in the event's row; of findings it knows nothing.
_ASK_THEIRS: Final = {"event": "SELECT count() FROM baseline_events WHERE dataset = {dataset:String}"}


def bench_end_to_end(events: int, baseline: Path | None = None) -> dict[str, Any]:
    """Send `events` events, each when the one before has been seen and the stack has been idle for a second.

    Args:
        events: how many, to each.
        baseline: file of the per-record program; None = ours alone.

    Returns:
        Seconds from the call of the exporter to each sight: p50, p95, largest; MiB of all processes together before the
        first event (PSS where the kernel tells, so that what they share counts once); peak memory of each process; the
        seconds of the per-record program, and its median as a multiple of ours.
    """
    about = machine()
    with tempfile.TemporaryDirectory(prefix="onshore-bench-") as folder, _stack(Path(folder)) as (stack, supervisor):
        host, _, port = stack["store"].removeprefix("http://").rpartition(":")
        client = get_client(
            host=host, port=int(port), username=stack["store_user"], password=stack["store_password"],
            autogenerate_session_id=False,
        )  # fmt: skip
        time.sleep(_SETTLED_S)
        idle = _resident_mib(supervisor)
        send = _Sender(stack["otlp_http"])
        taken = _taken(client, send, events, _ASK)
        client.close()
        peak = _peaks(supervisor)
    theirs = _theirs(baseline, events) if baseline else None
    return {
        "bench": "end-to-end",
        "events": events,
        "seconds_until_visible": taken,
        "idle_memory_mib": idle,
        "peak_memory_mib": peak,
        "baseline": theirs and {"seconds_until_visible": theirs},
        "ratio": theirs and {"event": round(theirs["event"]["p50"] / taken["event"]["p50"], 2)},
        "machine": about,
    }


def _theirs(file: Path, events: int) -> dict[str, dict[str, float]]:
    """The same of the per-record program."""
    with tempfile.TemporaryDirectory(prefix="onshore-bench-") as folder:
        settings, data = load_settings({"data_dir": Path(folder)}), DataDir(Path(folder))
        data.make()
        with Parts(data) as parts:
            url, client = open_store(parts, settings)
            ports = ("--http-port=0", "--grpc-port=0")
            parts.start("receiver", "-m", "onshore_collectors.receiver", *ports, "--local-log", str(data.messages))
            receiver = json.loads((data.path / "receiver.ready").read_text())
            password = load_or_create(data.credentials).passwords[Role.WRITER]
            store = url.replace("http://", f"http://{USER_OF_ROLE[Role.WRITER]}:{password}@")
            parts.start("baseline", str(file), "--store", store, "--data-dir", str(data.path))
            time.sleep(_SETTLED_S)
            taken = _taken(client, _Sender(receiver["otlp_http"]), events, _ASK_THEIRS)
            client.close()
            return taken


def _taken(client: Client, send: _Sender, events: int, ask: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """Seconds until each question of `ask` is answered, one event at a time; one goes ahead that is not counted."""
    _seen(client, send, "warm", ask)
    taken: dict[str, list[float]] = {name: [] for name in ask}
    for number in range(events):
        time.sleep(_QUIET_S)
        for name, seconds in _seen(client, send, f"dataset-{number}", ask).items():
            taken[name].append(seconds)
    return {name: _spread(seconds) for name, seconds in taken.items()}


def _spread(seconds: list[float]) -> dict[str, float]:
    found = {f"p{share}": round(float(np.percentile(seconds, share)), 3) for share in (50, 95)}
    return {**found, "largest": round(max(seconds), 3)}


def _seen(client: Client, send: _Sender, dataset: str, ask: Mapping[str, str]) -> dict[str, float]:
    began = time.perf_counter()
    send(dataset)
    seen: dict[str, float] = {}
    while len(seen) < len(ask):
        for name, question in ask.items():
            if name not in seen and client.query(question, parameters={"dataset": dataset}).result_rows[0][0]:
                seen[name] = time.perf_counter() - began
        if time.perf_counter() - began > _VISIBLE_WITHIN_S:
            raise OnshoreError(f"an event was not visible after {_VISIBLE_WITHIN_S:.0f} s: {seen}")
        time.sleep(_LOOK_EVERY_S)
    return seen


class _Sender:
    """OpenTelemetry's own SDK and OTLP/HTTP exporter; a call returns when the receiver has acknowledged."""

    def __init__(self, url: str) -> None:
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
        from opentelemetry.sdk._logs import LoggerProvider
        from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor

        provider = LoggerProvider(shutdown_on_exit=False)
        provider.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter(endpoint=f"{url}/v1/logs")))
        self._logger = provider.get_logger("onshore.bench")

    def __call__(self, dataset: str) -> None:
        """One copy of Australian personal data to the United States without a basis."""
        from opentelemetry._logs import LogRecord

        attributes: Mapping[str, str] = {
            "onshore.domain": "data_movement", "onshore.action": "data.copy", "onshore.outcome": "success",
            "onshore.data.set": dataset, "onshore.data.home": "AU", "onshore.data.categories": "personal",
            "onshore.destination.country": "US", "onshore.transfer.basis": "none", "onshore.actor.id": "bench",
        }  # fmt: skip
        now = time.time_ns()
        self._logger.emit(LogRecord(timestamp=now, observed_timestamp=now, body="copied", attributes=attributes))


@contextmanager
def _stack(folder: Path) -> Iterator[tuple[dict[str, str], int]]:
    """`onshore up`, with the dashboard where it is installed; gives its addresses, and the supervisor's process id."""
    ready = folder / "ready.json"
    has_dashboard = importlib.util.find_spec("onshore_dashboard") is not None
    ports = [f"--{name}-port=0" for name in ("otlp-http", "otlp-grpc", "store", "dashboard")]
    command = [
        sys.executable,
        "-m",
        "onshore_pipeline",
        "up",
        "--data-dir",
        str(folder / "data"),
        *([] if has_dashboard else ["--no-dashboard"]),
    ]
    with (folder / "terminal.txt").open("wb") as terminal:
        process = subprocess.Popen(
            [*command, *ports, "--ready-file", str(ready)], stdout=terminal, stderr=terminal, env=dict(os.environ)
        )
    try:
        deadline = time.monotonic() + _READY_WITHIN_S
        while not ready.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise OnshoreError(f"the stack did not start: {(folder / 'terminal.txt').read_text()[-500:]}")
            time.sleep(_LOOK_EVERY_S)
        yield json.loads(ready.read_text()), process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _resident_mib(supervisor: int) -> int:
    parent = psutil.Process(supervisor)
    taken = [process.memory_full_info() for process in (parent, *parent.children(recursive=True))]
    return sum(getattr(each, "pss", each.rss) for each in taken) // 2**20


def _peaks(supervisor: int) -> dict[str, int]:
    """Peak resident memory by process, named by what its command line says."""
    peaks = {}
    for process in psutil.Process(supervisor).children():
        words = process.cmdline()
        name = next((word for word in words[2:5] if word.isidentifier() or word.startswith("onshore_")), "part")
        if name == "onshore_pipeline":
            name = words[3]
        status = Path(f"/proc/{process.pid}/status")
        if status.exists():
            line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
            peaks[name.rpartition(".")[2]] = int(line.split()[1]) // 1024
    return peaks
