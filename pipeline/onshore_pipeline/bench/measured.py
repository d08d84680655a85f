"""CPU and wall time by name, and what several rounds come to."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(slots=True)
class Laps:
    """Seconds of this process's CPU (all threads) and of wall time between calls, by name."""

    cpu_s: dict[str, float] = field(default_factory=dict)
    wall_s: dict[str, float] = field(default_factory=dict)
    _cpu: float = field(default_factory=time.process_time)
    _wall: float = field(default_factory=time.perf_counter)

    def __call__(self, name: str) -> None:
        """Count the time since the last call for `name`."""
        cpu, wall = time.process_time(), time.perf_counter()
        self.cpu_s[name] = self.cpu_s.get(name, 0.0) + cpu - self._cpu
        self.wall_s[name] = self.wall_s.get(name, 0.0) + wall - self._wall
        self._cpu, self._wall = cpu, wall


def an_event(seconds: float, events: int) -> float:
    """µs an event."""
    return round(seconds * 1e6 / events, 2)


def middle(rounds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The median of every number in rounds of one shape: numbers, and dicts of them."""
    told: dict[str, Any] = {}
    for name, first in rounds[0].items():
        values = [each[name] for each in rounds]
        told[name] = middle(values) if isinstance(first, dict) else type(first)(round(median(values), 3))
    return told
