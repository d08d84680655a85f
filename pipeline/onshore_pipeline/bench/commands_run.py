"""Commands as a person runs them, measured beside a store that was filled before: each a process of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psutil

from onshore_pipeline.bench.measured import an_event
from onshore_pipeline.embedded.credentials import USER_OF_ROLE, Role, load_or_create
from onshore_pipeline.errors import OnshoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from onshore_pipeline.bench.ingest import OursAlone

_LOOK_EVERY_S: Final = 0.02
_HEAD_WITHIN_S: Final = 300
_REST_WITHIN_S: Final = 300
_MANY: Final = 100_000
# What windows come to is looked for after so long at the latest.
_REST_S: Final = 32
_RESTING: Final = 0.2  # CPU seconds a second, of store and sequencer together; half of it at rest on a slow machine


def told_of(took: Mapping[str, float], events: int) -> dict[str, Any]:
    """Seconds, events a second, µs of CPU an event (of the store, too, where that was measured), peak memory in MiB."""
    said: dict[str, Any] = {
        "seconds": round(took["wall_s"], 3),
        "events_a_second": round(events / took["wall_s"]),
        "cpu_us_an_event": an_event(took["cpu_s"], events),
        "peak_memory_mib": round(took["peak_mib"]),
    }
    if "store_cpu_s" in took:
        said["store_cpu_us_an_event"] = an_event(took["store_cpu_s"], events)
    return said


def measured(command: Sequence[str], environment: Mapping[str, str]) -> tuple[dict[str, float], str]:
    """Run a command; wall time, CPU and peak memory of it and its children, and what it printed."""
    began, peak = time.perf_counter(), 0.0
    with subprocess.Popen(command, env=dict(environment), stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        while True:
            done, status, used = os.wait4(process.pid, os.WNOHANG)
            if done:
                break
            peak = max(peak, _peak_mib(process.pid))
            time.sleep(_LOOK_EVERY_S)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        said = process.stdout.read().decode() if process.stdout else ""
    if process.returncode:
        raise OnshoreError(f"{' '.join(command[1:4])} ended with {process.returncode}: {said.strip()[-500:]}")
    return {"wall_s": wall, "cpu_s": used.ru_utime + used.ru_stime, "peak_mib": peak}, said


def _peak_mib(pid: int) -> float:
    """What it and its children have of memory now, at their largest each; 0 where the kernel does not tell."""
    total = 0
    with contextlib.suppress(psutil.Error, OSError):
        for each in (pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))):
            for line in Path(f"/proc/{each}/status").read_text().splitlines():
                if line.startswith("VmHWM"):
                    total += int(line.split()[1])
    return total / 1024


def wait_until_done(side: OursAlone) -> None:
    """Until a head over the whole log is in the store, and nothing that follows from many events is still made."""
    entries = "SELECT uniqExact(log_position) FROM evidence_log"
    covered = "SELECT max(size) FROM checkpoints WHERE kind = 'deployment'"
    _wait(lambda: side.seen(covered) >= side.seen(entries), side, _HEAD_WITHIN_S, "no head over the whole log")
    if side.plan.events < _MANY:
        return
    used: deque[float] = deque(maxlen=_REST_S)

    def rests() -> bool:
        used.append(sum(side.parts.cpu_s().values()))
        return len(used) == _REST_S and used[-1] - used[0] < _RESTING * _REST_S

    _wait(rests, side, _REST_WITHIN_S, "no rest")


def _wait(reached: Callable[[], bool], side: OursAlone, within_s: float, what: str) -> None:
    deadline = time.monotonic() + within_s
    while not reached():
        side.parts.check()
        if time.monotonic() > deadline:
            raise OnshoreError(f"{what} within {within_s} s")
        time.sleep(1.0)


def environment_of(side: OursAlone) -> dict[str, str]:
    """Where the commands find the store."""
    password = side.data.path / "writer.password"
    password.write_text(load_or_create(side.data.credentials).passwords[Role.WRITER])
    password.chmod(0o600)
    return {
        **os.environ,
        "ONSHORE_CLICKHOUSE_URL": side.url,
        "ONSHORE_CLICKHOUSE_USER": USER_OF_ROLE[Role.WRITER],
        "ONSHORE_CLICKHOUSE_PASSWORD_FILE": str(password),
    }


def output_of(arguments: Sequence[str], environment: Mapping[str, str], side: OursAlone) -> str:
    """What a command about the data directory prints."""
    command = [sys.executable, "-m", "onshore_pipeline", *arguments, "--data-dir", str(side.data.path)]
    return measured(command, environment)[1]
