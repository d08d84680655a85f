"""`onshore bench query`: what the dashboard asks, over a large store, beside the per-record program's own table.

The dashboard's own functions ask, as its read-only user; every question goes to the store, none is remembered.
"""

# ruff: noqa: S608 - what is put into the text are names and numbers of ours

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import numpy as np

from onshore_pipeline import assembly
from onshore_pipeline.bench.baseline import load_baseline
from onshore_pipeline.bench.history import SMALL_BLOCKS, multiply
from onshore_pipeline.bench.ingest import OursAlone, Plan
from onshore_pipeline.bench.machine import machine
from onshore_pipeline.bench.traffic import log_messages
from onshore_pipeline.embedded.credentials import USER_OF_ROLE, Role, load_or_create
from onshore_pipeline.errors import OnshoreError
from onshore_pipeline.store.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from clickhouse_connect.driver.client import Client

_BASE_EVENTS: Final = 50_000
_TENANTS: Final = 4
_THEIRS_EVERY: Final = 5  # rounds: the per-record program's table takes seconds to answer
_ON_DISK: Final = "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND table NOT LIKE 'baseline%'"
# The same questions put to the per-record program's table, which has nothing but its rows.
_THEIRS: Final = {
    "compliance": (
        (
            "SELECT verdict.1 AS control, verdict.2 AS word, count() FROM baseline_events"
            " ARRAY JOIN arrayZip(mapKeys(verdicts), mapValues(verdicts)) AS verdict GROUP BY control, word"
        ),
        "SELECT source_country, destination_country, count(), sum(bytes) FROM baseline_events GROUP BY ALL",
    ),
    "findings": (
        (
            "SELECT verdict.1 AS control, dataset, actor, destination_country, count(), max(occurred_at) AS last"
            " FROM baseline_events ARRAY JOIN arrayZip(mapKeys(verdicts), mapValues(verdicts)) AS verdict"
            " WHERE verdict.2 = 'violated' GROUP BY ALL ORDER BY last DESC LIMIT 50"
        ),
    ),
    "event": ("SELECT * FROM baseline_events WHERE span_id = {span:String} LIMIT 1",),
}


def bench_query(
    events: int, *, baseline: Path | None, rounds: int = 20, base_events: int = _BASE_EVENTS
) -> dict[str, Any]:
    """Fill a store, then ask what each page of the dashboard asks, page after page, round after round.

    Args:
        events: in the store.
        baseline: file of the per-record program; None = ours alone.
        rounds: how often each page is asked for; the per-record program's table every fifth time.
        base_events: that go the real way; the rest is copied from them.

    Returns:
        p50 and p95 in ms of wall time of all questions of a page, one after the other, by page, and of each question;
        `filled_s` of both stores, and `on_disk_mib` of ours.
    """
    about = machine()
    if importlib.util.find_spec("onshore_dashboard") is None:
        raise OnshoreError("the dashboard is not installed; pip install 'onshore[dashboard]'")
    with contextlib.ExitStack() as stack:
        # Half of them at most: what is asked for lies in the last month, where copies are put.
        plan = Plan(min(events // 2, base_events), rounds=1, tenants=_TENANTS)
        side = OursAlone(stack, plan)
        side.round(log_messages(plan.messages, plan.traffic), plan.messages)
        side.parts.stop("sequencer")
        filled = {}
        began = time.perf_counter()
        with contextlib.closing(assembly.entry_reader(side.settings)) as reader:
            multiply(side.client, reader, max(1, events // plan.events) - 1)
        filled["onshore"] = round(time.perf_counter() - began, 1)
        held = side.seen("SELECT count() FROM events_current")
        if baseline is not None:
            began = time.perf_counter()
            _fill_theirs(side.client, baseline, plan, max(1, events // plan.events))
            filled["baseline"] = round(time.perf_counter() - began, 1)
        password = load_or_create(side.data.credentials).passwords[Role.READER]
        store = Reader(side.url, USER_OF_ROLE[Role.READER], password)
        pages = _pages(store)
        theirs = _their_pages(side.client) if baseline is not None else {}
        asked = _Asked()
        for number in range(rounds):
            for page, questions in pages.items():
                asked.ask(page, questions)
            for page, questions in theirs.items() if number % _THEIRS_EVERY == 0 else ():
                asked.ask(f"baseline {page}", questions)
        peak = side.parts.peak_mib()["store"]
        disk = side.seen(_ON_DISK) >> 20
    told = asked.told()
    return {
        "bench": "query",
        "events": held,
        "filled_s": filled,
        "on_disk_mib": disk,
        "pages_ms": {page: told[page] for page in pages},
        "questions_ms": {name: figures for name, figures in told.items() if "." in name},
        "baseline": {page: told[f"baseline {page}"] for page in theirs} or None,
        "ratio": {page: round(told[f"baseline {page}"]["p50"] / max(told[page]["p50"], 0.01), 1) for page in theirs}
        or None,
        "peak_memory_mib": {"store": peak},
        "machine": about,
    }


class _Asked:
    """Milliseconds of each question, and of each page's questions together."""

    def __init__(self) -> None:
        self._taken: dict[str, list[float]] = {}

    def ask(self, page: str, questions: Mapping[str, Callable[[], object]]) -> None:
        """Ask one after the other."""
        whole = 0.0
        for name, question in questions.items():
            began = time.perf_counter()
            question()
            taken = (time.perf_counter() - began) * 1000
            whole += taken
            self._taken.setdefault(f"{page}.{name}", []).append(taken)
        self._taken.setdefault(page, []).append(whole)

    def told(self) -> dict[str, dict[str, float]]:
        """p50 and p95 by name."""
        return {
            name: {"p50": round(float(np.percentile(all_, 50)), 1), "p95": round(float(np.percentile(all_, 95)), 1)}
            for name, all_ in self._taken.items()
        }


def _pages(store: Reader) -> dict[str, dict[str, Callable[[], object]]]:
    """What each page asks, with the dashboard's own functions."""
    ask: Any = importlib.import_module("onshore_dashboard.queries")
    of: Any = importlib.import_module("onshore_dashboard.finding_queries")
    now = datetime.now(UTC)
    month, ago = now - timedelta(days=30), now - timedelta(minutes=20)
    scope, narrow = ask.Scope(since=month), ask.Scope(tenant="tenant-1", since=month)
    wanted = of.FindingFilter(scope)
    listed = of.findings(store, wanted, now)
    finding = UUID(listed["finding"][0])
    shown = of.finding_events(store, finding).row(0, named=True)
    event = (UUID(shown["event"]), listed["tenant"][0], shown["occurred_ns"])
    return {
        "operations": {
            "rate": lambda: ask.rate(store, now),
            "collectors": lambda: ask.collectors(store, month, now),
            "collectors_live": lambda: ask.collectors(store, ago, now),
            "dead_letter_counts": lambda: ask.dead_letter_counts(store, now),
            "dead_letters": lambda: ask.dead_letters(store),
            "newest_rollup": lambda: ask.newest_rollup(store),
            "latest_entries": lambda: ask.latest_entries(store, now),
            "gaps": lambda: ask.gaps(store, scope),
        },
        "compliance": {
            "verdicts": lambda: ask.verdicts(store, scope),
            "controls": lambda: ask.controls(store),
            "flows": lambda: ask.flows(store, scope),
            "flagged_destinations": lambda: ask.flagged_destinations(store, scope),
            "worst": lambda: of.findings(store, wanted, now, 5),
        },
        "compliance of one tenant": {
            "verdicts": lambda: ask.verdicts(store, narrow),
            "flows": lambda: ask.flows(store, narrow),
            "flagged_destinations": lambda: ask.flagged_destinations(store, narrow),
        },
        "findings": {
            "finding_counts": lambda: of.finding_counts(store, wanted),
            "findings": lambda: of.findings(store, wanted, now),
        },
        "finding": {
            "finding": lambda: of.finding(store, finding),
            "finding_events": lambda: of.finding_events(store, finding),
        },
        "event": {"event": lambda: of.event(store, *event)},
    }


def _fill_theirs(client: Client, baseline: Path, plan: Plan, copies: int) -> None:
    """The same events as the per-record program stores them."""
    program = load_baseline(baseline)
    client.command(program.CREATE.replace("baseline_events", "baseline_one"))
    client.command(program.CREATE)
    for value in log_messages(plan.messages, plan.traffic):
        events = program.decode(value)
        for event in events:
            program.locate(event)
            program.judge(event)
            program.seal(event)
        program.insert(client, events)
    client.command("INSERT INTO baseline_one SELECT * FROM baseline_events")
    at_once = max(1, 1_000_000 // plan.events)
    for first in range(1, copies, at_once):
        client.command(
            "INSERT INTO baseline_events SELECT one.* REPLACE"
            " (occurred_at - copy * 3600000000000 AS occurred_at)"
            f" FROM baseline_one AS one ARRAY JOIN range({first}, {min(copies, first + at_once)}) AS copy"
            f" {SMALL_BLOCKS}"
        )


def _their_pages(client: Client) -> dict[str, dict[str, Callable[[], object]]]:
    span = client.query("SELECT span_id FROM baseline_events LIMIT 1").result_rows[0][0]

    def asking(texts: Sequence[str]) -> dict[str, Callable[[], object]]:
        return {
            str(number): lambda text=text: client.query(text, parameters={"span": span})  # type: ignore[misc]
            for number, text in enumerate(texts)
        }

    return {page: asking(texts) for page, texts in _THEIRS.items()}
