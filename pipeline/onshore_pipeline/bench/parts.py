"""The processes under measurement, started as the supervisor starts them, and what they used."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import psutil

from onshore_pipeline import assembly
from onshore_pipeline.embedded.parts import ALLOCATORS
from onshore_pipeline.errors import OnshoreError
from onshore_pipeline.store.migrate import migrate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.settings import Settings
    from onshore_pipeline.stack import DataDir

_READY_WITHIN_S: Final = 180.0
_STOP_WITHIN_S: Final = 20.0
LOOK_EVERY_S: Final = 0.05


class Parts:
    """Processes about one data directory; all are ended on leaving."""

    def __init__(self, data: DataDir, **environment: str) -> None:
        """`environment` is added to theirs."""
        self._data = data
        self._environment = {**os.environ, "TZ": "UTC", **ALLOCATORS, **environment}
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        """Nothing runs yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """End all, the last started first."""
        for name in reversed(list(self._running)):
            self.stop(name)

    def start_store(self) -> str:
        """Start the embedded store on a free port; returns its address."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        arguments = ("--data-dir", str(self._data.store), "--port", str(port))
        self.start(
            "store",
            *("-m", "onshore_pipeline.embedded.store_server", *arguments),
            *("--credentials", str(self._data.credentials), "--with-parent"),
        )
        return f"http://127.0.0.1:{port}"

    def start_part(self, name: str, kind: str, url: str) -> None:
        """Start a worker or the sequencer on the store at `url`."""
        self.start_parts([name], kind, url)

    def start_parts(self, names: Sequence[str], kind: str, url: str) -> None:
        """Start several of a kind together, and wait until all are ready."""
        for name in names:
            arguments = ("-m", "onshore_pipeline", kind, "--store-url", url, "--data-dir", str(self._data.path))
            self._launch(name, *arguments, "--with-parent")
        for name in names:
            self._wait_until_ready(name)

    def pid(self, name: str) -> int:
        """The process id of one that runs."""
        return self._running[name].pid

    def start(self, name: str, *arguments: str) -> None:
        """Start a Python program that writes its `--ready-file`, and wait until it did."""
        self._launch(name, *arguments)
        self._wait_until_ready(name)

    def _launch(self, name: str, *arguments: str) -> None:
        ready = self._ready_file(name)
        ready.unlink(missing_ok=True)
        with (self._data.logs / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                [sys.executable, *arguments, "--ready-file", str(ready)],
                stdin=subprocess.PIPE,  # ends with us, and then they leave
                stdout=log,
                stderr=log,
                env=self._environment,
            )

    def _wait_until_ready(self, name: str) -> None:
        deadline = time.monotonic() + _READY_WITHIN_S
        while not self._ready_file(name).exists():
            self.check()
            if time.monotonic() > deadline:
                raise OnshoreError(f"{name} was not ready within {_READY_WITHIN_S:.0f} s: {self._last_words(name)}")
            time.sleep(LOOK_EVERY_S)

    def _ready_file(self, name: str) -> Path:
        return self._data.path / f"{name}.ready"

    def check(self) -> None:
        """Raises `OnshoreError` when one of them has ended: nothing can be measured then."""
        for name, process in self._running.items():
            if (code := process.poll()) is not None:
                raise OnshoreError(f"{name} ended (exit code {code}): {self._last_words(name)}")

    def stop(self, name: str) -> None:
        """Ask one to leave; end it when it does not."""
        process = self._running.pop(name)
        process.terminate()
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(_STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds used by each so far."""
        used = {name: psutil.Process(process.pid).cpu_times() for name, process in self._running.items()}
        return {name: times.user + times.system for name, times in used.items()}

    def peak_mib(self) -> dict[str, int]:
        """Peak resident memory of each since it started (VmHWM), where the kernel tells."""
        peaks = {}
        for name, process in self._running.items():
            status = Path(f"/proc/{process.pid}/status")
            if status.exists():
                line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
                peaks[name] = int(line.split()[1]) // 1024
        return peaks

    def _last_words(self, name: str) -> str:
        said = (self._data.logs / f"{name}.log").read_text(errors="replace").strip().splitlines()
        return said[-1] if said else "no message"


def open_store(parts: Parts, settings: Settings) -> tuple[str, Client]:
    """Start the store and bring its tables up to date; returns its address and a writing client."""
    url = parts.start_store()
    client = assembly.store_client(settings, url)
    migrate(client)
    return url, client
