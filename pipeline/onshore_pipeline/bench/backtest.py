"""`onshore bench backtest`: one control over a large embedded store, and two texts of it.

Events hold what the control reads and nothing else that matters; three months of them, all of its domain, so that none
is left out by an index.
"""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from onshore_pipeline.bench.machine import machine
from onshore_pipeline.bench.parts import Parts, open_store
from onshore_pipeline.controls.compiled import compile_control
from onshore_pipeline.controls.load import load_controls
from onshore_pipeline.embedded.credentials import USER_OF_ROLE, Role, load_or_create
from onshore_pipeline.jobs.backtest import Backtest
from onshore_pipeline.settings import load_settings
from onshore_pipeline.stack import DataDir
from onshore_pipeline.store.reader import Reader

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.controls.compiled import Compiled

CONTROL: Final = "AU-APP8-01"
_FIRST: Final = datetime(2026, 9, 1, tzinfo=UTC)
_DAYS: Final = 90
_AT_ONCE: Final = 1_000_000
# Rows of nothing but this weigh little: what stands uncompressed in a real store is compressed here, and not read.
_LIGHTER: Final = ("leaf_hash FixedString(32)", "event_id UUID")
_FILL: Final = """
INSERT INTO events (event_id, tenant, domain, action, outcome, occurred_at, ingested_at, source_format, actor_id,
    destination_country, destination_country_basis, home_jurisdictions, categories, transfer_basis, contradictions)
SELECT reinterpretAsUUID(toUInt128(number)), concat('tenant-', toString(number % 4)), 'data_movement',
    ['data.copy', 'data.copy', 'data.read', 'backup.write'][1 + intHash32(number) % 4], 'success',
    fromUnixTimestamp64Nano({first} + toInt64(number) * {step}, 'UTC') AS at, at, 'otlp.log',
    concat('user-', toString(intHash32(number + 1) % 1000)),
    ['AU', 'AU', 'AU', 'JP', 'SG', 'US', NULL][1 + intHash32(number + 2) % 7], 'asserted',
    [['AU'], ['AU'], ['JP'], []][1 + intHash32(number + 3) % 4],
    [['personal'], ['health', 'personal'], ['telemetry'], []][1 + intHash32(number + 4) % 4],
    ['contract', 'consent', 'none', NULL][1 + intHash32(number + 5) % 4],
    if(intHash32(number + 6) % 50 = 0, ['destination:region=AU,geoip=US'], [])
FROM numbers({from}, {count}) SETTINGS max_threads = 1, max_insert_threads = 1,
    max_block_size = 65536, min_insert_block_size_rows = 131072, min_insert_block_size_bytes = 0
"""


def bench_backtest(events: int, rounds: int = 3) -> dict[str, Any]:
    """Fill a store with `events`, then run one control over all of them, alone and beside another text.

    Returns:
        Seconds of wall time (the median) and of the store's CPU, and the store's peak memory.
    """
    about = machine()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="onshore-bench-")))
        settings, data = load_settings({"data_dir": folder}), DataDir(folder)
        data.make()
        parts = stack.enter_context(Parts(data))
        url, client = open_store(parts, settings)
        began = time.perf_counter()
        _fill(client, events)
        filled_s = time.perf_counter() - began
        reader = Reader(url, USER_OF_ROLE[Role.READER], load_or_create(data.credentials).passwords[Role.READER])
        old, new = _texts()
        told = {
            "one text": _run(Backtest(reader, [old], None), parts, rounds),
            "two texts": _run(Backtest(reader, [old], new), parts, rounds),
        }
        peak = parts.peak_mib()["store"]
    return {
        "bench": "backtest",
        "control": CONTROL,
        "events": events,
        "days": _DAYS,
        "filled_s": round(filled_s, 1),
        **told,
        "peak_memory_mib": {"store": peak},
        "machine": about,
    }


def _fill(client: Client, events: int) -> None:
    for column in _LIGHTER:
        client.command(f"ALTER TABLE events MODIFY COLUMN {column} CODEC(ZSTD(1))")
    step = int(timedelta(days=_DAYS) / timedelta(microseconds=1)) * 1000 // events
    for first in range(0, events, _AT_ONCE):
        numbers = {"first": int(_FIRST.timestamp()) * 10**9, "step": step, "from": first}
        client.command(_FILL.format(**numbers, count=min(_AT_ONCE, events - first)))


def _texts() -> tuple[Compiled, Compiled]:
    controls = load_controls()
    [old] = [each for each in controls.executable if each.control.id == CONTROL]
    other = dataclasses.replace(old.control, version=99, violated="destination_country <> 'AU'")
    return old, compile_control(other, controls.lists)


def _run(test: Backtest, parts: Parts, rounds: int) -> dict[str, Any]:
    told = []
    for _ in range(rounds):
        cpu, began = parts.cpu_s()["store"], time.perf_counter()
        days = list(test.days(_FIRST, _FIRST + timedelta(days=_DAYS)))
        told.append((time.perf_counter() - began, parts.cpu_s()["store"] - cpu))
    wall_s, cpu_s = sorted(told)[len(told) // 2]
    rows = sum(day.rows for day in days)
    return {
        "rows": rows,
        "wall_s": round(wall_s, 2),
        "cpu_s": round(cpu_s, 2),
        "events_a_second": round(rows / max(wall_s, 1e-9)),
        "violated": sum(day.old["violated"] for day in days),
        "changed": sum(day.changed for day in days),
    }
