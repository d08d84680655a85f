"""A receiver and collectors of files as processes that may be killed, and what lies in the log in the end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from onshore_collectors.heartbeat import ACTION as HEARTBEAT
from onshore_pipeline.embedded.local_log import LocalLog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START_S = 20.0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@dataclass
class Collecting:
    """One receiver's address and log, one collector's positions, both in a folder."""

    folder: Path
    port: int = field(default_factory=free_port)
    _receiver: subprocess.Popen[bytes] | None = None

    def start_receiver(self, *more: str) -> None:
        """Start it, and wait until it takes requests."""
        ready = self.folder / "ready"
        ready.unlink(missing_ok=True)
        named = ["--http-port", str(self.port), "--grpc-port", "0", "--local-log", str(self.folder / "log")]
        self._receiver = subprocess.Popen(
            [sys.executable, "-m", "onshore_collectors.receiver", *named, "--ready-file", str(ready), *more],
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + START_S
        while not ready.exists():
            assert time.monotonic() < end, "the receiver did not start"
            assert self._receiver.poll() is None, "the receiver ended at once"
            time.sleep(0.02)

    def kill_receiver(self) -> None:
        """End it by -9, if it has not ended."""
        if self._receiver is not None:
            self._receiver.kill()
            self._receiver.wait(10)
            self._receiver = None

    def wait_for_receivers_end(self) -> int:
        """How it ended by itself."""
        assert self._receiver is not None
        return self._receiver.wait(START_S)

    def collect(self, kind: str, path: Path, *more: str) -> subprocess.Popen[bytes]:
        """Start a collector."""
        named = ["--otlp", f"http://127.0.0.1:{self.port}", "--data-dir", str(self.folder / "data"), "--json"]
        here = [sys.executable, "-m", "onshore_collectors", "collect", kind, str(path), *named, *more]
        return subprocess.Popen(here, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def finish(self, kind: str, path: Path, *more: str) -> dict[str, int]:
        """Run a collector to its end."""
        out, errors = self.collect(kind, path, *more).communicate(timeout=120)
        assert out, errors
        report: dict[str, int] = json.loads(out)
        return report

    def bodies(self) -> list[str]:
        """Every record that lies in the log, in order; heartbeats aside, which come by a way of their own."""
        consumer = LocalLog(self.folder / "log", now_ns=time.time_ns).consumer()
        found: list[str] = []
        try:
            while polled := consumer.poll(max_messages=1000, max_bytes=1 << 26, timeout_s=0).messages:
                for message in polled:
                    request = ExportLogsServiceRequest.FromString(message.value)
                    scopes = (scope for resource in request.resource_logs for scope in resource.scope_logs)
                    records = (record for scope in scopes for record in scope.log_records)
                    found += [each.body.string_value for each in records if each.event_name != HEARTBEAT]
        finally:
            consumer.close()
        return found


@contextmanager
def collecting(folder: Path) -> Iterator[Collecting]:
    """Ends the receiver in the end."""
    both = Collecting(folder)
    try:
        yield both
    finally:
        both.kill_receiver()


def killed(process: subprocess.Popen[bytes]) -> bool:
    """Kill it by -9; whether it was still at work."""
    was_running = process.poll() is None
    if was_running:
        os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=20)
    return was_running
