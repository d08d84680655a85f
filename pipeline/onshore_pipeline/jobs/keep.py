"""The loop beside the worker: sequence, roll up, measure coverage, sweep, see to it that what is due is deleted."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Self

import structlog

from onshore_pipeline.failpoints import nowhere
from onshore_pipeline.jobs.aggregate import attempts_behind, drop_old_generations, rebuild
from onshore_pipeline.jobs.sweep import Sweeper
from onshore_pipeline.sequencer_status import say

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from threading import Event
    from uuid import UUID

    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.head_keeper import HeadKeeper
    from onshore_pipeline.jobs.control_run_seals import RunSeals
    from onshore_pipeline.jobs.measure import Measurer
    from onshore_pipeline.jobs.retention import RetentionJob
    from onshore_pipeline.jobs.telling import Tells
    from onshore_pipeline.jobs.windowed import Windows
    from onshore_pipeline.sequencer import Sequencer

log = structlog.get_logger("keep")

_MAX_ENTRIES: Final = 20_000
_READ_TIMEOUT_S: Final = 0.5
_SWEEP_EVERY_S: Final = 60.0
_SAY_EVERY_S: Final = 1.0
_MEASURE_EVERY_S: Final = 60.0
# How often windows are looked for that are over, when nothing new arrives.
_CLOSE_EVERY_S: Final = 15.0
# Between rollups: ten times what one took, but what people look at is never much older than this. What windows came to
# may be older: a run costs the store a second for its statements, however few the events.
_SHARE: Final = 10
_SHORTEST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 3.0
_LONGEST_WINDOWS_PAUSE_S: Final = 30.0
_LONGEST_TELLING_PAUSE_S: Final = 30.0
_SEAL_RUNS_EVERY_S: Final = 30.0
_LONGEST_FLOW_S: Final = 5.0
# While many messages wait, what people look at is as old as those are: the store is left to the worker for so long.
_PAUSE_CATCHING_UP_S: Final = 30.0
_WINDOWS_PAUSE_CATCHING_UP_S: Final = 60.0


def keep(
    sequencer: Sequencer,
    client: Client,
    stop: Event,
    *,
    measurer: Measurer | None = None,
    windows: Windows | None = None,
    heads: HeadKeeper | None = None,
    states: Tells | None = None,
    runs: RunSeals | None = None,
    registries: Tells | None = None,
    retention: RetentionJob | None = None,
    status_file: Path | None = None,
    catching_up: Callable[[], bool] = lambda: False,
    at: Callable[[str], None] = nowhere,
) -> None:
    """Sequence and sign until `stop`; rebuild, judge and tell what became visible; measure, sweep; say how far it is.

    Hours of control runs that are complete are sealed; changes of the registries are recorded. While the worker is
    `catching_up`, rebuilding and telling wait longer.

    Raises:
        StoreUnavailable, BrokerUnavailable: start again with a new sequencer.
        EvidenceAltered: the log contradicts itself.
    """
    touched: set[UUID] = set(attempts_behind(client))
    sweeper = Sweeper(client, at, wait=False)
    sweep_due = say_due = measure_due = windows_due = windows_soon = runs_due = time.monotonic()
    rollup_turn = states_turn = registries_turn = _Turn()
    windows_late, flow = windows_due, Flow(windows_due)
    while not stop.is_set():
        sequenced = sequencer.step(max_entries=_MAX_ENTRIES, timeout_s=_READ_TIMEOUT_S)
        touched |= sequenced.attempts
        _look(heads, retention, sequenced.entries)
        now, busy = time.monotonic(), catching_up()
        has_time = flow.leaves_time(sequenced.entries, now)
        say_due = _reported(status_file, sequencer, say_due)
        if touched and rollup_turn.has_come(busy=busy):
            rebuilt = rebuild(client, touched, sequencer.position, sequencer.log_id, at)
            if not rebuilt.overtaken:
                touched.clear()
            rollup_turn = _Turn.after(rebuilt.took_s, _LONGEST_PAUSE_S)
        # Of what is rolled up, and only of that; while more waits to be copied, an hour that was busy would look empty.
        if measurer is not None and not touched and sequenced.entries < _MAX_ENTRIES and now >= measure_due:
            measurer.measure(sequencer.position, sequencer.log_id)
            measure_due = time.monotonic() + _MEASURE_EVERY_S
        if sequenced.attempts:
            windows_due = min(windows_due, windows_soon)
        if windows is not None and has_time and not touched and now >= (windows_late if busy else windows_due):
            windows.judge(sequencer.position, sequencer.log_id, caught_up=sequenced.entries < _MAX_ENTRIES)
            judged = time.monotonic()
            windows_soon = judged + _pause_s(judged - now, _LONGEST_WINDOWS_PAUSE_S)
            windows_due = max(windows_soon, judged + _CLOSE_EVERY_S)
            windows_late = judged + _WINDOWS_PAUSE_CATCHING_UP_S
        states_turn = _told(states if has_time else None, states_turn, busy=busy)
        registries_turn = _told(registries, registries_turn, busy=busy)
        if not touched and sequenced.entries < _MAX_ENTRIES:
            runs_due = _sealed(runs, sequencer, runs_due)
        if now >= sweep_due:
            _sweep(sequencer, sweeper, client, at)
            sweep_due = time.monotonic() + _SWEEP_EVERY_S


@dataclass(slots=True)
class Flow:
    """Whether entries keep coming. What takes seconds waits until none comes: what is committed meanwhile is seen late.

    Attributes:
        calm_at: when none came last (monotonic seconds).
    """

    calm_at: float

    def leaves_time(self, entries: int, now: float) -> bool:
        """Whether there is time for that, after a step that brought so many: none came, or they never cease."""
        if not entries:
            self.calm_at = now
        return not entries or now - self.calm_at >= _LONGEST_FLOW_S


@dataclass(frozen=True, slots=True)
class _Turn:
    """When something is due again: `soon`, and `late` while the worker catches up (monotonic seconds)."""

    soon: float = 0.0
    late: float = 0.0

    @classmethod
    def after(cls, took_s: float, longest_s: float) -> Self:
        """Now that it took so long."""
        now, pause_s = time.monotonic(), _pause_s(took_s, longest_s)
        return cls(now + pause_s, now + max(pause_s, _PAUSE_CATCHING_UP_S))

    def has_come(self, *, busy: bool) -> bool:
        """Whether it is due now."""
        return time.monotonic() >= (self.late if busy else self.soon)


def _reported(status_file: Path | None, sequencer: Sequencer, due: float) -> float:
    """Say how far the sequencer is, if it is time; when it is time again."""
    now = time.monotonic()
    if status_file is None or now < due:
        return due
    say(status_file, sequencer.position)
    return now + _SAY_EVERY_S


def _look(heads: HeadKeeper | None, retention: RetentionJob | None, copied: int) -> None:
    """Sign and delete, each if it is time."""
    if heads is not None:
        heads.look(copied=copied)
    if retention is not None:
        retention.look()


def _told(telling: Tells | None, turn: _Turn, *, busy: bool) -> _Turn:
    """Tell where findings stand or how registries changed, if it is time; when it is time again."""
    began = time.monotonic()
    if telling is None or not turn.has_come(busy=busy):
        return turn
    telling.look()
    return _Turn.after(time.monotonic() - began, _LONGEST_TELLING_PAUSE_S)


def _sealed(runs: RunSeals | None, sequencer: Sequencer, due: float) -> float:
    """Seal hours of control runs, if it is time to look for some; when it is time again."""
    if runs is None or time.monotonic() < due:
        return due
    runs.look(sequencer.position, sequencer.log_id)
    return time.monotonic() + _SEAL_RUNS_EVERY_S


def _sweep(sequencer: Sequencer, sweeper: Sweeper, client: Client, at: Callable[[str], None]) -> None:
    """Rows of dead attempts and of old rollups go, where the store still is the one that was copied into."""
    sequencer.check_store()
    swept = sweeper.sweep(datetime.now(UTC))
    at("8.old.before")
    drop_old_generations(client, wait=False)
    at("8.old.after")
    if swept.rows:
        log.info("swept", dead_attempts=swept.dead_attempts, rows=swept.rows)


def _pause_s(took_s: float, longest_s: float) -> float:
    """How long to leave the store alone after what took `took_s`."""
    return min(max(_SHORTEST_PAUSE_S, _SHARE * took_s), longest_s)
