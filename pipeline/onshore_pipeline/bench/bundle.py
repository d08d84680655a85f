"""`onshore bench bundle`: export what was sealed, and check the bundle with both verifiers.

Each is the command that a person runs, a process of its own, so that its start counts and its memory is its own. Events
are those of `bench ingest`; what goes into the store before is not measured.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psutil

from onshore_pipeline.bench.ingest import OursAlone, Plan
from onshore_pipeline.bench.machine import machine
from onshore_pipeline.bench.measured import an_event, middle
from onshore_pipeline.bench.traffic import endless, log_messages
from onshore_pipeline.embedded.credentials import USER_OF_ROLE, Role, load_or_create
from onshore_pipeline.errors import OnshoreError
from onshore_pipeline.evidence import verify_standalone

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_MOST_DISTINCT: Final = 200_000
_LOOK_EVERY_S: Final = 0.02
_HEAD_WITHIN_S: Final = 300
_MIB: Final = 1 << 20
# The senders' words are about data of three countries; it goes nowhere else, and on a ground.
_ASKED: Final = (
    *("--from", "2000-01-01", "--to", "2100-01-01", "--recipient", "Benchmark", "--recipient-country", "AU"),
    *("--as", "bench", "--reason", "measured", "--basis", "consent", "--approval", "bench", "--json"),
)


def bench_bundle(events: int, rounds: int = 1) -> dict[str, Any]:
    """Fill a store, then export all of it and verify the bundle, `rounds` times.

    Returns:
        For `export`, `verify` and `verify_py`: seconds of wall time, events a second, µs of CPU an event of the command
        with its child processes (and of the store, for `export`), their peak memory together in MiB; and the bundle's
        size.

    Raises:
        OnshoreError: a command failed; what it said.
    """
    about = machine()
    plan = Plan(events, rounds=1)
    sent = plan.messages * plan.traffic.records
    messages = list(log_messages(min(plan.messages, _MOST_DISTINCT // plan.traffic.records), plan.traffic))
    told: list[dict[str, Any]] = []
    with contextlib.ExitStack() as stack:
        side = OursAlone(stack, plan)
        side.round(endless(messages), plan.messages)
        _wait_for_head(side)
        bundle, key = side.data.path / "bundle.zip", side.data.path / "keys.vkey"
        environment = _environment(side)
        key.write_text(_output(["keys", "show"], environment, side))
        for number in range(rounds):
            round_told = _round(side, environment, bundle, key)
            if round_told["events"] != sent:
                raise OnshoreError(f"{round_told['events']:,} events were exported, {sent:,} were sent")
            told.append(round_told)
            if number + 1 < rounds:
                bundle.unlink()
    return {"bench": "bundle", **middle(told), "machine": about}


def _round(side: OursAlone, environment: Mapping[str, str], bundle: Path, key: Path) -> dict[str, Any]:
    onshore = [sys.executable, "-m", "onshore_pipeline"]
    out = ["--out", str(bundle), "--data-dir", str(side.data.path)]
    before = side.parts.cpu_s()["store"]
    exported, said = _measured([*onshore, "export", *_ASKED, *out], environment)
    exported["store_cpu_s"] = side.parts.cpu_s()["store"] - before
    events = int(json.loads(said)["events"])
    about_bundle = [str(bundle), "--key", str(key)]
    verified, _ = _measured([*onshore, "verify", *about_bundle], environment)
    alone, _ = _measured([sys.executable, "-I", verify_standalone.__file__, *about_bundle], environment)
    size = bundle.stat().st_size
    by_command = {"export": exported, "verify": verified, "verify_py": alone}
    return {
        "events": events,
        "bundle_mib": round(size / _MIB, 1),
        "bytes_an_event": round(size / events),
        **{name: _told(each, events) for name, each in by_command.items()},
    }


def _told(measured: Mapping[str, float], events: int) -> dict[str, Any]:
    told: dict[str, Any] = {
        "seconds": round(measured["wall_s"], 3),
        "events_a_second": round(events / measured["wall_s"]),
        "cpu_us_an_event": an_event(measured["cpu_s"], events),
        "peak_memory_mib": round(measured["peak_mib"]),
    }
    if "store_cpu_s" in measured:
        told["store_cpu_us_an_event"] = an_event(measured["store_cpu_s"], events)
    return told


def _measured(command: Sequence[str], environment: Mapping[str, str]) -> tuple[dict[str, float], str]:
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


def _wait_for_head(side: OursAlone) -> None:
    """Until a head over the whole log is in the store."""
    entries = "SELECT uniqExact(log_position) FROM evidence_log"
    covered = "SELECT max(size) FROM checkpoints WHERE kind = 'deployment'"
    _wait(lambda: side.seen(covered) >= side.seen(entries), side)


def _wait(reached: Callable[[], bool], side: OursAlone) -> None:
    deadline = time.monotonic() + _HEAD_WITHIN_S
    while not reached():
        side.parts.check()
        if time.monotonic() > deadline:
            raise OnshoreError(f"no head over the whole log was signed within {_HEAD_WITHIN_S} s")
        time.sleep(1.0)


def _environment(side: OursAlone) -> dict[str, str]:
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


def _output(arguments: Sequence[str], environment: Mapping[str, str], side: OursAlone) -> str:
    command = [sys.executable, "-m", "onshore_pipeline", *arguments, "--data-dir", str(side.data.path)]
    return _measured(command, environment)[1]
