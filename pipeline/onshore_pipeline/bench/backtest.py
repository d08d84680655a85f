"""`onshore bench backtest`: controls over a large embedded store, each alone and beside another text of it.

One looks at single events, the others at windows, at a sequence and at absences. Events hold what these read and
nothing else that matters; three months of them, all of one domain, so that none is left out by an index.
"""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid4

from onshore_pipeline.bench.machine import machine
from onshore_pipeline.bench.parts import Parts, open_store
from onshore_pipeline.controls.compiled import compile_control
from onshore_pipeline.controls.load import load_controls
from onshore_pipeline.embedded.credentials import USER_OF_ROLE, Role, load_or_create
from onshore_pipeline.jobs.backtest import Backtest
from onshore_pipeline.jobs.backtest_windowed import WindowedBacktest
from onshore_pipeline.settings import load_settings
from onshore_pipeline.stack import DataDir
from onshore_pipeline.store.reader import Reader

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.controls.compiled import Compiled
    from onshore_pipeline.controls.windowed import WindowedControl

CONTROL: Final = "AU-APP8-01"
WINDOWED: Final = ("SOV-19-01", "SOV-20-01", "SOV-22-01")
_FIRST: Final = datetime(2026, 9, 1, tzinfo=UTC)
_DAYS: Final = 90
_AT_ONCE: Final = 1_000_000
# Rows of nothing but this weigh little: what stands uncompressed in a real store is compressed here, and not read.
_LIGHTER: Final = ("leaf_hash FixedString(32)", "event_id UUID")
_FILL: Final = """
INSERT INTO events (attempt_id, event_id, tenant, domain, action, outcome, occurred_at, ingested_at, source_format,
    actor_id, bytes, dataset,
    destination_country, destination_country_basis, home_jurisdictions, categories, transfer_basis, contradictions)
SELECT '{attempt}', reinterpretAsUUID(toUInt128(number)), concat('tenant-', toString(number % 4)), 'data_movement',
    ['data.copy', 'data.export', 'data.read', 'backup.write',
        'data.copy', 'data.export', 'model.weights.read', 'model.weights.export'][1 + intHash32(number) % 8], 'success',
    fromUnixTimestamp64Nano({first} + toInt64(number) * {step}, 'UTC') AS at, at, 'otlp.log',
    if(intHash32(number + 1) % 5000 = 0, NULL, concat('user-', toString(intHash32(number + 1) % 1000))),
    1000000000 * (intHash32(number + 7) % 128), concat('set-', toString(intHash32(number + 8) % 100)),
    ['AU', 'AU', 'AU', 'JP', 'SG', 'US', NULL][1 + intHash32(number + 2) % 7], 'asserted',
    [['AU'], ['AU'], ['JP'], []][1 + intHash32(number + 3) % 4],
    [['personal'], ['health', 'personal'], ['telemetry'], []][1 + intHash32(number + 4) % 4],
    ['contract', 'consent', 'none', NULL][1 + intHash32(number + 5) % 4],
    if(intHash32(number + 6) % 50 = 0, ['destination:region=AU,geoip=US'], [])
FROM numbers({from}, {count}) SETTINGS max_threads = 1, max_insert_threads = 1,
    max_block_size = 65536, min_insert_block_size_rows = 131072, min_insert_block_size_bytes = 0
"""
_ENTRY: Final = """
INSERT INTO evidence_log (log_id, log_partition, log_position, appended_at, kind, topic, topic_id, log_index,
    attempt_id, entry)
VALUES ('{log_id}', 0, {position}, now64(9), 'message', 'otlp_logs', '{log_id}', {position}, '{attempt}', '')
"""
_LOG_ID: Final = UUID("5d0f6b0a-7c11-4d0e-9a37-0b5ef1f03c1a")


def bench_backtest(events: int, rounds: int = 3) -> dict[str, Any]:
    """Fill a store with `events`, then run controls over all of them, each alone and beside another text.

    Returns:
        Seconds of wall time (the median) and of the store's CPU, by control of more than one event, too, and the
        store's peak memory.
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
        told: dict[str, Any] = {
            "one text": _run(Backtest(reader, [old], None), parts, rounds),
            "two texts": _run(Backtest(reader, [old], new), parts, rounds),
        }
        for control in WINDOWED:
            before, after = _windowed_texts(control)
            told[control] = {
                "one text": _run(WindowedBacktest(reader, [before], None), parts, rounds),
                "two texts": _run(WindowedBacktest(reader, [before], after), parts, rounds),
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
    for position, first in enumerate(range(0, events, _AT_ONCE)):
        attempt = uuid4()
        client.command(_ENTRY.format(log_id=_LOG_ID, position=position, attempt=attempt))
        numbers = {"first": int(_FIRST.timestamp()) * 10**9, "step": step, "from": first}
        client.command(_FILL.format(attempt=attempt, **numbers, count=min(_AT_ONCE, events - first)))


def _texts() -> tuple[Compiled, Compiled]:
    controls = load_controls()
    [old] = [each for each in controls.executable if each.control.id == CONTROL]
    other = dataclasses.replace(old.control, version=99, violated="destination_country <> 'AU'")
    return old, compile_control(other, controls.lists)


def _windowed_texts(control: str) -> tuple[WindowedControl, WindowedControl]:
    """A control's text, and one that waits half as long or takes half as much."""
    [old] = [each for each in load_controls().windowed if each.control.id == control]
    windowed = dataclasses.replace(old.windowed, within_ns=tuple(each // 2 for each in old.windowed.within_ns))
    condition = old.condition and dataclasses.replace(
        old.condition,
        comparisons=tuple(dataclasses.replace(each, limit=each.limit // 2) for each in old.condition.comparisons),
    )
    other = dataclasses.replace(old.control, version=99, windowed=windowed)
    return old, dataclasses.replace(old, control=other, windowed=windowed, condition=condition)


def _run(test: Backtest | WindowedBacktest, parts: Parts, rounds: int) -> dict[str, Any]:
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
