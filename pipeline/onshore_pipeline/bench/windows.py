"""`onshore bench windows`: what it costs to judge windows, sequences and absences, while there are ever more events.

The store is real; events are written by its engine as an attempt writes them, with their entries in the log. All that
ships is judged. Exports of yesterday fall into the windows of two controls, which both are open: it is always noon of
that day, so that as many windows have passed at whatever hour this runs.
"""

from __future__ import annotations

import contextlib
import resource
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self
from uuid import UUID, uuid4

from onshore_pipeline.bench.machine import machine
from onshore_pipeline.bench.measured import an_event, middle
from onshore_pipeline.bench.parts import Parts, open_store
from onshore_pipeline.controls.load import load_controls
from onshore_pipeline.jobs.windowed import Windows
from onshore_pipeline.settings import load_settings
from onshore_pipeline.stack import DataDir

if TYPE_CHECKING:
    from collections.abc import Mapping

MEMORY_BUDGET_MIB: Final = 1024
_TENANTS: Final = 4
_NEW: Final = 10_000
_TIMES: Final = 10
_LOG_ID: Final = UUID("5d0f6b0a-7c11-4d0e-9a37-0b5ef1f03c1a")
_AT_ONCE: Final = 500_000
# Runs look for what is over every 15 seconds: each does here, which is the dearest case.
_PASSES_NS: Final = 16_000_000_000
_NS: Final = 1_000_000_000
_HOUR_NS: Final = 3600 * _NS
_EVENTS: Final = """
INSERT INTO events (attempt_id, event_id, tenant, domain, action, outcome, occurred_at, ingested_at, source_format,
    actor_id, bytes, destination_country, destination_country_basis, home_jurisdictions)
SELECT {attempt}, reinterpretAsUUID(toUInt128(number)), concat('tenant-', toString(number % {tenants})),
    'data_movement', 'data.export', 'success', fromUnixTimestamp64Nano({at} + number * 1000, 'UTC'),
    fromUnixTimestamp64Nano({arrival} + number * 1000, 'UTC'), 'otlp.log', concat('user-', toString(number % {keys})),
    1000, 'JP', 'asserted', ['AU']
FROM numbers({first}, {count}) SETTINGS max_threads = 1, max_insert_threads = 1,
    max_block_size = 65536, min_insert_block_size_rows = 131072, min_insert_block_size_bytes = 0
"""
_ENTRY: Final = """
INSERT INTO evidence_log (log_id, log_partition, log_position, appended_at, kind, topic, topic_id, log_index,
    attempt_id, entry)
VALUES ('{log_id}', 0, {position}, now64(9), 'message', 'otlp_logs', '{log_id}', {position}, {attempt},
    '{{"timestamp": {arrival}, "clock": "broker"}}')
"""


def bench_windows(keys: int, rounds: int = 3) -> dict[str, Any]:
    """Judge `keys` keys with an event each, then a tenth as many events, again and again; then windows with content.

    Returns:
        `live_keys`: µs of CPU an event of the first run and of the later ones (medians), and peak memory; `content`:
        the cost of some new events in windows that hold `keys`/10 events, and in such that hold ten times as many.
    """
    about = machine()
    held = max(_TENANTS, keys // _TIMES)
    rows = [_with_content(count, min(_NEW, held), rounds) for count in (held, held * _TIMES)]
    live = _with_keys(keys, max(1, keys // _TIMES), rounds)
    return {
        "bench": "windows",
        "controls": [each.control.id for each in load_controls().windowed],
        "live_keys": live,
        "content": {"rows": rows, "cost_relative_to_first": _relative(rows)},
        "machine": about,
    }


def _with_keys(keys: int, new: int, rounds: int) -> dict[str, Any]:
    with _Judged(keys) as judged:
        judged.add(keys)
        first = judged.run(keys)
        peaks = judged.peak_mib()
        told = []
        for _ in range(rounds):
            judged.add(new)
            told.append(judged.run(new))
        later = judged.peak_mib()
    return {
        "keys": keys,
        "first": first,
        "new_events": new,
        "later": middle(told),
        "peak_memory_mib": {"first": peaks, "later": later},
        "memory_budget_mib": MEMORY_BUDGET_MIB,
        "within_budget": max(peaks["job"], later["job"]) <= MEMORY_BUDGET_MIB,
    }


def _with_content(held: int, new: int, rounds: int) -> dict[str, Any]:
    with _Judged(keys=max(_TENANTS, held // 100) if held < _NEW else 1_000) as judged:
        judged.add(held)
        judged.run(held)
        judged.add(new)
        judged.run(new)  # the first that has something to go on from
        told = []
        for _ in range(rounds):
            judged.add(new)
            told.append(judged.run(new))
        return {"held": held, "keys": judged.keys, "new_events": new, **middle(told)}


def _relative(rows: list[dict[str, Any]]) -> float:
    first, last = (float(row["cpu_us_an_event"]) for row in rows)
    return round(last / max(first, 0.01), 2)


class _Judged:
    """A store and the windows' job in this process."""

    def __init__(self, keys: int) -> None:
        self.keys = keys
        self._stack = contextlib.ExitStack()
        self._events = 0
        self._position = 0
        self._passed_ns = 0

    def __enter__(self) -> Self:
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="onshore-bench-")))
        settings, data = load_settings({"data_dir": folder}), DataDir(folder)
        data.make()
        self._parts = self._stack.enter_context(Parts(data))
        _, self._client = open_store(self._parts, settings)
        self._stack.callback(self._client.close)
        controls = load_controls().windowed
        self._windows = Windows(self._client, lambda: controls, clock=self._now)
        midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        self._day_ns = int(midnight.timestamp()) * _NS - 24 * _HOUR_NS
        self._noon_ns = self._day_ns + 12 * _HOUR_NS
        self._arrival_ns = self._noon_ns - 600 * _NS
        _forget_peak()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def add(self, count: int) -> None:
        """Some events more, committed."""
        for first in range(self._events, self._events + count, _AT_ONCE):
            some = min(_AT_ONCE, self._events + count - first)
            attempt = f"toUUID('{uuid4()}')"
            self._client.command(
                _EVENTS.format(
                    attempt=attempt, tenants=_TENANTS, at=self._day_ns, arrival=self._arrival_ns, keys=self.keys,
                    first=first, count=some,
                )
            )  # fmt: skip
            arrival = self._arrival_ns + (first + some) * 1000
            entry = {"log_id": _LOG_ID, "position": self._position, "attempt": attempt, "arrival": arrival}
            self._client.command(_ENTRY.format(**entry))
            self._position += 1
        self._events += count

    def run(self, events: int) -> dict[str, Any]:
        """Judge once; what it cost for each of the new events."""
        store, job, began = self._parts.cpu_s()["store"], time.process_time(), time.perf_counter()
        units = self._windows.judge({0: self._position - 1}, _LOG_ID)
        wall_s = time.perf_counter() - began
        cpu = {"job": time.process_time() - job, "store": self._parts.cpu_s()["store"] - store}
        return {
            "events": events,
            "units": units,
            "wall_s": round(wall_s, 2),
            "cpu_us_an_event": an_event(sum(cpu.values()), events),
            "cpu_us_an_event_by_process": {name: an_event(seconds, events) for name, seconds in cpu.items()},
        }

    def peak_mib(self) -> Mapping[str, int]:
        """Peak memory so far of the job, this process, and of the store."""
        return {"job": _peak_mib(), "store": self._parts.peak_mib().get("store", 0)}

    def _now(self) -> int:
        self._passed_ns += _PASSES_NS
        return self._noon_ns + self._passed_ns


def _forget_peak() -> None:
    """Measure this process's peak from here on, where the kernel lets us."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _peak_mib() -> int:
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    [line] = [line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) // 1024
