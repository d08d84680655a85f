"""`onshore bench collect`: large packed files through real processes, one of which is killed; what arrived is counted.

The collector and the receiver are the ones that users run. What arrives is taken out of the log as it comes, as a
worker would, and every record is told by its number.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import psutil
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from onshore_collectors.bench.trails import number_of, write_files
from onshore_collectors.heartbeat import ACTION as HEARTBEAT
from onshore_pipeline.bench.machine import machine
from onshore_pipeline.bench.measured import an_event
from onshore_pipeline.broker import Advance
from onshore_pipeline.embedded.local_log import LocalLog
from onshore_pipeline.errors import OnshoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onshore_pipeline.broker import Consumer

_FILE_BYTES: Final = 64 << 20  # about, unpacked
_FEWEST_FILES: Final = 4
_KILLED_AT: Final = 0.4  # of the records
_START_WITHIN_S: Final = 30.0
_END_WITHIN_S: Final = 15.0
_LEAST_WITHIN_S: Final = 3600.0
_WITHIN_S_A_MIB: Final = 1.0
_LOOK_EVERY_S: Final = 0.05
_UID: Final = "log.record.uid"


def bench_collect(unpacked_bytes: int) -> dict[str, Any]:
    """Write files, collect them with a kill in the middle, and count.

    Raises:
        OnshoreError: a process did not start, failed, or is not through within an hour, of large files a second a MiB.
    """
    about = machine()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="onshore-bench-")))
        written = write_files(folder / "logs", unpacked_bytes, max(_FEWEST_FILES, unpacked_bytes // _FILE_BYTES))
        consumer = stack.enter_context(contextlib.closing(LocalLog(folder / "log", now_ns=time.time_ns).consumer()))
        endpoint = stack.enter_context(_receiver(folder))
        within_s = max(_LEAST_WITHIN_S, _WITHIN_S_A_MIB * (unpacked_bytes >> 20))
        arrived = _Arrived(consumer, written.records, within_s)
        told = _run_twice(folder, endpoint, arrived, written.records)
    return {
        "bench": "collect",
        "records": written.records,
        "unpacked_mib": round(written.unpacked_bytes / 2**20),
        "packed_mib": round(written.packed_bytes / 2**20, 1),
        **told,
        "lost": arrived.lost,
        "double": arrived.double,
        "unknown": arrived.unknown,
        "machine": about,
    }


def _run_twice(folder: Path, endpoint: str, arrived: _Arrived, records: int) -> dict[str, Any]:
    """A collector that is killed, and one that goes on; until nothing more arrives."""
    began = time.monotonic()
    with _Collector(folder, endpoint) as first:
        while arrived.records < _KILLED_AT * records:
            if not first.is_running():
                raise OnshoreError(f"the collector ended before it could be killed: {first.said()}")
            arrived.take(began)
        first.kill()
    killed_at = arrived.records
    with _Collector(folder, endpoint) as second:
        while second.is_running():
            arrived.take(began)
        report = second.report()
    seconds = time.monotonic() - began
    while arrived.take(began):
        pass
    peaks = [each.peak_bytes for each in (first, second) if each.peak_bytes is not None]
    return {
        "arrived_when_killed": killed_at,
        "resent": report["resent"],
        "skipped": report["skipped"],
        "seconds": round(seconds, 1),
        "records_a_second": round(records / seconds),
        "cpu_us_a_record": an_event(first.cpu_s + second.cpu_s, records),
        "peak_mib": round(max(peaks) / 2**20, 1) if peaks else None,
    }


class _Arrived:
    """Takes what lies in the log and counts each record."""

    def __init__(self, consumer: Consumer, expected: int, within_s: float) -> None:
        self._consumer, self._counts, self._within_s = consumer, bytearray(expected), within_s
        self.records = self.unknown = 0

    @property
    def lost(self) -> int:
        """Records that did not arrive."""
        return self._counts.count(0)

    @property
    def double(self) -> int:
        """Records too many."""
        return self.records - (len(self._counts) - self.lost)

    def take(self, began: float) -> int:
        """Take what is there, or wait a moment for it; how many messages. Raises `OnshoreError` after too long."""
        if time.monotonic() - began > self._within_s:
            raise OnshoreError(f"not through within {self._within_s:,.0f} s: {self.records:,} records arrived")
        messages = self._consumer.poll(max_messages=100, max_bytes=64 << 20, timeout_s=_LOOK_EVERY_S).messages
        advances: dict[tuple[str, int], Advance] = {}
        for message in messages:
            self._count(message.value)
            key = (message.topic, message.partition)
            first = advances[key].first if key in advances else message.offset
            advances[key] = Advance(message.topic, message.topic_id, message.partition, first, message.offset + 1)
        if messages:
            self._consumer.commit([], list(advances.values()))  # the log keeps the last GiB, not all
        return len(messages)

    def _count(self, value: bytes) -> None:
        for resource in ExportLogsServiceRequest.FromString(value).resource_logs:
            for scope in resource.scope_logs:
                for record in scope.log_records:
                    if record.event_name == HEARTBEAT:
                        continue
                    uid = next((each.value.string_value for each in record.attributes if each.key == _UID), "")
                    try:
                        number = number_of(uid)
                        self._counts[number] = min(self._counts[number] + 1, 255)
                        self.records += 1
                    except (ValueError, IndexError):
                        self.unknown += 1


class _Collector:
    """`onshore collect cloudtrail` as a process; used as a context manager that leaves none behind.

    Attributes:
        peak_bytes: the most memory it had resident, as far as this system tells.
        cpu_s: its CPU time, as last looked at.
    """

    def __init__(self, folder: Path, endpoint: str) -> None:
        self._said = folder / "collector.txt"
        command = [sys.executable, "-m", "onshore_collectors", "collect", "cloudtrail", str(folder / "logs")]
        command += ["--otlp", endpoint, "--data-dir", str(folder / "data"), "--json"]
        with self._said.open("wb") as said:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said)
        self.peak_bytes: int | None = None
        self.cpu_s = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def is_running(self) -> bool:
        """Whether it has not ended; looks at what it uses."""
        if self._process.poll() is not None:
            return False
        with contextlib.suppress(psutil.Error):
            spent = psutil.Process(self._process.pid).cpu_times()
            self.cpu_s = max(self.cpu_s, spent.user + spent.system)
            self.peak_bytes = _peak_bytes(self._process.pid) or self.peak_bytes
        return True

    def kill(self) -> None:
        """End it by -9."""
        self._process.kill()
        self._process.wait(_END_WITHIN_S)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def report(self) -> dict[str, int]:
        """What it printed in the end. Raises `OnshoreError` where it failed."""
        out, _ = self._process.communicate(timeout=_END_WITHIN_S)
        if self._process.returncode:
            raise OnshoreError(f"the collector ended with {self._process.returncode}: {self.said()}")
        report: dict[str, int] = json.loads(out)
        return report

    def said(self) -> str:
        """The last line that it wrote to standard error."""
        lines = self._said.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"


def _peak_bytes(pid: int) -> int | None:
    """The most memory that a process had resident since it was started; None where the system does not say."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return None
    found = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
    return int(found[0]) << 10 if found else None


@contextlib.contextmanager
def _receiver(folder: Path) -> Iterator[str]:
    """A receiver as a process in front of the log in `folder`; gives its address."""
    ready, said = folder / "ready.json", folder / "receiver.txt"
    command = [sys.executable, "-m", "onshore_collectors.receiver", "--http-port", "0", "--grpc-port", "0"]
    command += ["--local-log", str(folder / "log"), "--ready-file", str(ready), "--with-parent"]
    with said.open("wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=out)
    try:
        end = time.monotonic() + _START_WITHIN_S
        while not ready.exists():
            if process.poll() is not None or time.monotonic() > end:
                raise OnshoreError(f"the receiver did not start: {said.read_text(errors='replace').strip()}")
            time.sleep(_LOOK_EVERY_S)
        yield str(json.loads(ready.read_text())["otlp_http"])
    finally:
        process.terminate()
        try:
            process.wait(_END_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdin is not None
        process.stdin.close()
