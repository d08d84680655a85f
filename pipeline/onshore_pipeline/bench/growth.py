"""`onshore bench growth`: how the cost of an event and the memory grow with what there is more of.

Each row is a whole run of `bench ingest` without the per-record program, on a data directory of its own.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from onshore_pipeline.bench.ingest import Plan, bench_ingest
from onshore_pipeline.bench.machine import machine
from onshore_pipeline.bench.traffic import Traffic
from onshore_pipeline.bench.variants import TEN, retire_all_but_ten, shipped, write_variants

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

AXES: Final = ("controls", "attributes", "tenants", "addresses", "backlog")
_SMALL_MESSAGE: Final = 20
_LARGE_EVENT: Final = 50


@dataclass(frozen=True, slots=True)
class _Row:
    """One run: what there is, of the axis, and the plan."""

    axis: str
    value: int
    plan: Plan


def bench_growth(
    events: int,
    axes: Iterable[str] = AXES,
    *,
    most_backlog: int = 3_000_000,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Measure along each axis.

    Args:
        events: in each run; fewer where an event is large.
        axes: some of `AXES`.
        most_backlog: the largest backlog.
        say: told before each run.

    Returns:
        `rows`: axis, value, events, bytes an event, distinct client addresses that were sent (those asked for are more
        where there are fewer events), events a second, µs of CPU an event of all processes, peak memory of worker and
        store in MiB, and the cost relative to the axis' first row.
    """
    about = machine()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="onshore-bench-controls-") as folder:
        for axis in axes:
            first: float | None = None
            for row in _rows(axis, events, most_backlog, Path(folder)):
                say(f"{axis} {row.value:,}")
                told = bench_ingest(row.plan)
                first = first or told["cpu_us_an_event"]
                rows.append(_told(row, told, first))
    return {"bench": "growth", "rows": rows, "machine": about}


def _told(row: _Row, told: dict[str, Any], first: float) -> dict[str, Any]:
    return {
        "axis": row.axis,
        "value": row.value,
        "events": told["events"],
        "bytes_an_event": told["bytes_an_event"],
        "distinct_addresses": told["distinct_addresses"],
        "records_a_message": row.plan.traffic.records,
        "events_a_second": told["events_a_second"],
        "cpu_us_an_event": told["cpu_us_an_event"],
        "cpu_us_an_event_by_process": told["cpu_us_an_event_by_process"],
        "judge_us_an_event": told["cpu_us_an_event_by_stage"]["judge"],
        "worker_peak_mib": told["peak_memory_mib"]["worker"],
        "store_peak_mib": told["peak_memory_mib"]["store"],
        "cost_relative_to_first": round(told["cpu_us_an_event"] / first, 2),
    }


def _rows(axis: str, events: int, most_backlog: int, folder: Path) -> list[_Row]:
    def row(value: int, *, of: int = events, tenants: int = 1, controls: Path | None = None, **traffic: int) -> _Row:
        like: dict[str, Any] = dict(traffic)
        plan = Plan(of, rounds=1, traffic=Traffic(**like), tenants=tenants, controls_dir=controls)
        return _Row(axis, value, plan)

    match axis:
        case "controls":
            return [row(value, controls=_controls(folder, value)) for value in (len(TEN), shipped(), 100, 500)]
        case "attributes":
            return [
                row(5, attributes=5),
                row(50, of=max(_LARGE_EVENT, events // 2), attributes=50, records=100),
                row(500, of=max(_LARGE_EVENT, events // 20), attributes=500, records=_LARGE_EVENT),
            ]
        case "tenants":  # small messages, so that ten thousand tenants need no more events; the first row has them too
            of = max(events, 10_000 * _SMALL_MESSAGE) if events > _SMALL_MESSAGE * 1000 else events
            return [row(value, of=of, tenants=value, records=_SMALL_MESSAGE) for value in (1, 10_000)]
        case "addresses":
            return [row(value, addresses=value) for value in (10, 10_000, 10_000_000)]
        case "backlog":
            sizes = [size for size in (300_000, 1_000_000, 3_000_000, 10_000_000) if size <= most_backlog]
            return [row(size, of=size) for size in sizes or [most_backlog]]
        case _:
            raise ValueError(f"{axis} is no axis of growth: {', '.join(AXES)}")


def _controls(folder: Path, count: int) -> Path | None:
    """A folder that leaves so many controls in force, of those that ship and their variants; None: just those."""
    target = folder / str(count)
    if count == shipped():
        return None
    if count == len(TEN):
        retire_all_but_ten(target)
    else:
        write_variants(target, count - shipped())
    return target
