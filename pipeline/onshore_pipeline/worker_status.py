"""What a worker says of itself: counts and times of what it committed, and its lag, in a file that others read."""

from __future__ import annotations

import json
import math
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import structlog

from onshore_pipeline.errors import BrokerUnavailable
from onshore_pipeline.worker_reports import FRESH_S, known_at, last_report, report

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from onshore_pipeline.assess import Attempt
    from onshore_pipeline.broker import Consumer

log = structlog.get_logger("worker")

_STATUS_EVERY_S: Final = 1.0
_FORGOTTEN_S: Final = 86_400.0


@dataclass(slots=True)
class StageClock:
    """Wall time of one attempt by stage."""

    stage_us: dict[str, int] = field(default_factory=dict)
    _since: int = field(default_factory=time.perf_counter_ns)

    def restart(self) -> None:
        """Leave out the time spent waiting."""
        self._since = time.perf_counter_ns()

    def lap(self, stage: str) -> None:
        """Count the time since the last lap for `stage`."""
        now = time.perf_counter_ns()
        self.stage_us[stage] = self.stage_us.get(stage, 0) + (now - self._since) // 1000
        self._since = now


@dataclass(slots=True)
class Progress:
    """What this worker has committed since it started, and µs of wall time by stage."""

    messages: int = 0
    records: int = 0
    events: int = 0
    dead_lettered: int = 0
    attempts: int = 0
    failed_attempts: int = 0
    stage_us: dict[str, int] = field(default_factory=dict)

    def add(self, attempt: Attempt, clock: StageClock) -> None:
        """Count a committed attempt."""
        for stage, taken in clock.stage_us.items():
            self.stage_us[stage] = self.stage_us.get(stage, 0) + taken
        self.messages += len(attempt.entries)
        self.records += attempt.records
        self.events += attempt.events
        self.dead_lettered += attempt.dead_lettered
        self.attempts += 1


def say_stopped(path: Path, name: str, why: str) -> None:
    """Say that worker `name` stopped and stays down until a person looked; the rest stays as it said it."""
    told = {"at": datetime.now(UTC).isoformat(), "state": "stopped", "stopped_because": why}
    try:
        report(path, name, last_report(path, name) | told)
    except OSError as error:  # a full disk must not hide why
        log.warning("status not published", reason=str(error))


def is_behind(path: Path) -> bool:
    """Whether messages wait for the worker that reports here, or it has fallen silent; False where none ever did."""
    waiting, silent_s = _waiting(path)
    return (waiting > 0 or silent_s > FRESH_S) and silent_s < _FORGOTTEN_S


def catches_up(path: Path, records: int) -> bool:
    """Whether the worker that reports here is at work, and more than about so many records wait for it.

    What waits is counted in messages; they are taken to hold as many records as those that it has read, and to be many
    while it has read none.
    """
    waiting, silent_s = _waiting(path)
    if silent_s > FRESH_S:
        return False
    try:
        done = json.loads(path.read_text())["progress"]
        return bool(waiting * done["records"] > records * done["messages"]) if done["messages"] else waiting > 0
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _waiting(path: Path) -> tuple[int, float]:
    """Messages that wait for the worker, and seconds since it knew; infinitely many where none ever did."""
    try:
        said = json.loads(path.read_text())
        silent_s = (datetime.now(UTC) - known_at(said)).total_seconds()
        return sum(part["end_offset"] - part["next_offset"] for part in said["lag"]), silent_s
    except (OSError, ValueError, KeyError, TypeError):
        return 0, math.inf


class StatusFile:
    """The file for `onshore status` and the dashboard, replaced at most once a second; nothing without a path."""

    def __init__(self, path: Path | None = None, name: str = "worker") -> None:
        """Nothing is written yet; `name` is this worker's among those that report there."""
        self._path, self._name = path, name
        self._due = 0.0
        self._lag: list[dict[str, Any]] = []
        self._lag_at = ""

    def publish(self, consumer: Consumer, progress: Progress, state: Mapping[str, str]) -> None:
        """Replace lag, counts and what the worker waits for, if it is time to; the lag is the last known one."""
        now = time.monotonic()
        if self._path is None or now < self._due:
            return
        self._due = now + _STATUS_EVERY_S
        with suppress(BrokerUnavailable):
            self._lag = [asdict(partition) for partition in consumer.lag()]
            self._lag_at = datetime.now(UTC).isoformat()
        known = {"lag": self._lag, "lag_at": self._lag_at}
        status = {"at": datetime.now(UTC).isoformat(), **known, "progress": asdict(progress), **state}
        try:
            report(self._path, self._name, status)
        except OSError as error:  # a full disk must not stop what could still be committed
            log.warning("status not published", reason=str(error))
