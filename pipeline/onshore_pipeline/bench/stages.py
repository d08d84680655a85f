"""`onshore bench decode|locate|judge|seal|insert`: one stage at a time, beside the per-record program's same stage.

Both run on the same messages in this process, in turn, round after round; the medians are told. Insert runs against a
real store process, whose CPU is told apart.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid4

from onshore_pipeline import assembly
from onshore_pipeline.assess import assess
from onshore_pipeline.bench.baseline import Program, load_baseline
from onshore_pipeline.bench.machine import machine
from onshore_pipeline.bench.measured import Laps, an_event, middle
from onshore_pipeline.bench.mixed_addresses import mixed_addresses
from onshore_pipeline.bench.parts import Parts, open_store
from onshore_pipeline.bench.traffic import RECORDS_A_MESSAGE, Traffic, log_messages
from onshore_pipeline.broker import TENANT_HEADER, Message, Polled
from onshore_pipeline.settings import load_settings
from onshore_pipeline.stack import DataDir
from onshore_pipeline.store.writer import insert

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.assess import Attempt, Judgement
    from onshore_pipeline.settings import Settings

# What stands against one step of the per-record program, in laps of `assess` and `insert`.
STAGES: Final = {
    "decode": ("decode", "normalise"),
    "locate": ("locate",),
    "judge": ("judge",),
    "seal": ("seal", "entries"),
    "insert": ("tables", "insert"),
}
_BATCH: Final = 100
_TOPIC_ID: Final = UUID("0b5ef1f0-3c1a-4d0e-9a37-5d0f6b0a7c11")


def messages_of(values: Sequence[bytes], tenants: int = 1) -> Polled:
    """Values as a poll returns them, the tenants' in turn."""
    now = time.time_ns()
    return Polled(
        tuple(
            Message(
                "otlp_logs", _TOPIC_ID, 0, offset, now, "broker",
                ((TENANT_HEADER, f"tenant-{offset % tenants}".encode()),), value,
            )
            for offset, value in enumerate(values)
        )
    )  # fmt: skip


def profile(values: Sequence[bytes], settings: Settings, rounds: int = 3) -> dict[str, float]:
    """µs of CPU an event for each stage of the computation, in this process with nothing beside it."""
    judgement = assembly.judgement(settings)
    polled = messages_of(values[:_BATCH])
    return middle(_rounds_of(polled, judgement, rounds))


def _rounds_of(polled: Polled, judgement: Judgement, rounds: int) -> list[dict[str, float]]:
    assess(polled, judgement, uuid4())  # warm: first use of each library
    told = []
    for _ in range(rounds):
        laps = Laps()
        attempt = assess(polled, judgement, uuid4(), laps)
        told.append({stage: an_event(seconds, attempt.events) for stage, seconds in laps.cpu_s.items()})
    return told


def bench_stage(stage: str, events: int, *, baseline: Path | None, rounds: int = 5) -> dict[str, Any]:
    """Measure one stage, ours and the per-record program's in turn.

    Args:
        stage: one of `STAGES`.
        events: in ours' batch; the other program takes a fifth of them.
        baseline: its file; None = ours alone.
        rounds: how often.
    """
    about = machine()
    values = list(log_messages(max(1, events // RECORDS_A_MESSAGE)))
    fewer = values[: max(1, len(values) // 5)]
    program = load_baseline(baseline) if baseline is not None else None
    ours: list[dict[str, Any]] = []
    theirs: list[dict[str, Any]] = []
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="onshore-bench-")))
        settings = load_settings({"data_dir": folder})
        DataDir(folder).make()
        judgement, polled = assembly.judgement(settings), messages_of(values)
        assess(polled, judgement, uuid4())  # warm: first use of each library
        store = _Store(stack, settings, program) if stage == "insert" else None
        more: dict[str, Any] = {}
        if stage == "locate":
            more["mixed_addresses"] = mixed_addresses(len(values), judgement.context, rounds)
        if stage == "judge":
            more["unregistered"] = _of(Traffic(registered=False), len(values), judgement, rounds)
            more["disputed"] = _of(Traffic(scattered=True), len(values), judgement, rounds)
        for _ in range(rounds):
            ours.append(_ours(stage, polled, judgement, store))
            if program is not None:
                theirs.append(_theirs(stage, fewer, program, store))
    told = middle(ours)
    return {
        "bench": stage,
        "events": len(values) * RECORDS_A_MESSAGE,
        "bytes_an_event": round(sum(map(len, values)) / (len(values) * RECORDS_A_MESSAGE)),
        **told,
        **more,
        "baseline": middle(theirs) if theirs else None,
        "ratio": _ratio(told, middle(theirs)) if theirs else None,
        "rounds": {"onshore": ours, "baseline": theirs},
        "machine": about,
    }


def _of(traffic: Traffic, messages: int, judgement: Judgement, rounds: int) -> dict[str, Any]:
    """Judge as many events of other traffic: the first batch, and later ones.

    With parties that no registry knows, much is unknown; with disputed claims, nearly every event is a violation.
    """
    polled = messages_of(list(log_messages(messages, traffic)))
    first = _ours("judge", polled, judgement, None)
    return {"first": first, **middle([_ours("judge", polled, judgement, None) for _ in range(rounds)])}


def _ratio(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, float]:
    names = {"wall": "wall_us_an_event", "cpu": "cpu_us_an_event"}
    return {name: round(theirs[key] / max(ours[key], 0.01), 2) for name, key in names.items()}


class _Store:
    """A store to insert into; tells its own CPU."""

    def __init__(self, stack: contextlib.ExitStack, settings: Settings, program: Program | None) -> None:
        self._parts = stack.enter_context(Parts(DataDir(settings.data_dir)))
        _, self.client = open_store(self._parts, settings)
        if program is not None:
            self.client.command(program.CREATE)

    def cpu_s(self) -> float:
        """CPU seconds so far."""
        return self._parts.cpu_s()["store"]


def _ours(stage: str, polled: Polled, judgement: Judgement, store: _Store | None) -> dict[str, Any]:
    laps = Laps()
    attempt = assess(polled, judgement, uuid4(), laps)
    before = store.cpu_s() if store else 0.0
    if store is not None:
        _insert_all(store.client, attempt)
        laps("insert")
    return _told(stage, laps, attempt.events, store.cpu_s() - before if store else 0.0)


def _insert_all(client: Client, attempt: Attempt) -> None:
    for name, table in attempt.tables.items():
        insert(client, name, table)


def _theirs(stage: str, values: Sequence[bytes], program: Program, store: _Store | None) -> dict[str, Any]:
    laps = Laps()
    events = [event for value in values for event in program.decode(value)]
    laps("decode")
    for name in ("locate", "judge", "seal"):
        step = getattr(program, name)
        for event in events:
            step(event)
        laps(name)
    before = store.cpu_s() if store else 0.0
    if store is not None:
        program.insert(store.client, events)
        laps("insert")
    return _told(stage, laps, len(events), store.cpu_s() - before if store else 0.0)


def _told(stage: str, laps: Laps, events: int, store_cpu_s: float) -> dict[str, Any]:
    wall = sum(laps.wall_s.get(name, 0.0) for name in STAGES[stage])
    cpu = sum(laps.cpu_s.get(name, 0.0) for name in STAGES[stage]) + store_cpu_s
    return {
        "events_a_second": round(events / max(wall, 1e-9)),
        "wall_us_an_event": an_event(wall, events),
        "cpu_us_an_event": an_event(cpu, events),
        "cpu_us_an_event_by_process": {
            "this": an_event(cpu - store_cpu_s, events),
            **({"store": an_event(store_cpu_s, events)} if stage == "insert" else {}),
        },
    }
