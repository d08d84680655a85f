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
from onshore_pipeline.worker_reports import FRESH_S, NEVER, known_at, last_report, report

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
    last = last_report(path, name)
    known = {"lag": last["lag"], "lag_at": known_at(last).isoformat()}
    _report(path, name, last | known | {"at": _now(), "state": "stopped", "stopped_because": why})


def _report(path: Path, name: str, said: dict[str, Any]) -> None:
    """Report, or log why not: a full disk, or what lies there, must not stop a worker or hide why it stops."""
    try:
        report(path, name, said)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("status not published", reason=repr(error))


def _now() -> str:
    return datetime.now(UTC).isoformat()


def is_behind(path: Path) -> bool:
    """Whether messages wait for the worker that reports here, or it has fallen silent; False where none ever did."""
    waiting, known_s, said_s = _waiting(path)
    return (waiting > 0 or known_s > FRESH_S) and said_s < _FORGOTTEN_S


def catches_up(path: Path, records: int) -> bool:
    """Whether the worker that reports here is at work, and more than about so many records wait for it.

    What waits is counted in messages; they are taken to hold as many records as those that it has read, and to be many
    while it has read none.
    """
    waiting, known_s, _ = _waiting(path)
    if known_s > FRESH_S:
        return False
    try:
        done = json.loads(path.read_text())["progress"]
        return bool(waiting * done["records"] > records * done["messages"]) if done["messages"] else waiting > 0
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _waiting(path: Path) -> tuple[int, float, float]:
    """Messages that wait for the worker, seconds since it knew, and since it said so; no end of them where none did."""
    try:
        said = json.loads(path.read_text())
        now = datetime.now(UTC)
        known_s, said_s = ((now - at).total_seconds() for at in (known_at(said), datetime.fromisoformat(said["at"])))
        return sum(part["end_offset"] - part["next_offset"] for part in said["lag"]), known_s, said_s
    except (OSError, ValueError, KeyError, TypeError):
        return 0, math.inf, math.inf


class StatusFile:
    """The file for `onshore status` and the dashboard, replaced at most once a second; nothing without a path."""

    def __init__(self, path: Path | None = None, name: str = "worker") -> None:
        """Nothing is written yet; `name` is this worker's among those that report there, and was its predecessor's."""
        self._path, self._name = path, name
        self._due = 0.0
        last = last_report(path, name) if path is not None else {"at": NEVER, "lag": []}
        self._known = {"lag": last["lag"], "lag_at": known_at(last).isoformat()}

    def publish(self, consumer: Consumer, progress: Progress, state: Mapping[str, str]) -> None:
        """Replace lag, counts and what the worker waits for, if it is time to; the lag is the last known one."""
        now = time.monotonic()
        if self._path is None or now < self._due:
            return
        self._due = now + _STATUS_EVERY_S
        asked_at = _now()
        with suppress(BrokerUnavailable):
            self._known = {"lag": [asdict(partition) for partition in consumer.lag()], "lag_at": asked_at}
        _report(self._path, self._name, {"at": _now(), **self._known, "progress": asdict(progress), **state})
