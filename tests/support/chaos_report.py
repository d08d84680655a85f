"""docs/chaos.md, written by the run that it tells of."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

REPORT = "CHAOS_REPORT"
_HEAD = """# What was broken on purpose, and what came of it

Written by `make chaos`, whole or in pieces (`make chaos TESTS=...`); do not edit. After each scenario one checker
(`tests/support/invariants.py`) holds what broker and store have to the invariants of
[the commit protocol](commit-protocol.md): every message has one entry, records in = events + dead letters, nothing is
there twice, every sum adds up, every id, leaf and root derives again from the store's rows.
"""


@dataclass
class Report:
    """What the scenarios found, in order."""

    rows: list[tuple[str, str]] = field(default_factory=list)
    ended: list[tuple[str, str, float]] = field(default_factory=list)

    def add(self, scenario: str, found: str) -> None:
        """A scenario that held, and its counts."""
        self.rows.append((scenario, found))

    def write(self, path: Path) -> None:
        """Replace the page; scenarios that this run did not play keep what an earlier one found."""
        when = f"{datetime.now(UTC):%Y-%m-%d %H:%M}"
        rows = _rows_of(path) | {scenario: (found, when, _commit()) for scenario, found in self.rows}
        counts = [
            f"{sum(outcome == word for _, outcome, _ in self.ended)} {word}" for word in ("passed", "failed", "skipped")
        ]
        minutes = sum(seconds for _, _, seconds in self.ended) / 60
        machine = f"{os.cpu_count()} cores, {_memory_gib()} GiB, {platform.system()} {platform.machine()}"
        lines = [
            _HEAD,
            f"Last run: {when} UTC, {machine}, Python {platform.python_version()}, load {os.getloadavg()[1]:.0f};",
            f"{', '.join(counts)} in {minutes:.0f} minutes.",
            "",
            "| Scenario | Found | When (UTC) | Commit |",
            "|---|---|---|---|",
            *(f"| {scenario} | {' | '.join(told)} |" for scenario, told in rows.items()),
        ]
        bad = [(name, outcome) for name, outcome, _ in self.ended if outcome != "passed"]
        if bad:
            lines += ["", "Not passed in the last run:", "", *(f"* {name}: {outcome}" for name, outcome in bad)]
        path.write_text("\n".join(lines) + "\n")


def _rows_of(path: Path) -> dict[str, tuple[str, ...]]:
    """The table of an earlier run."""
    if not path.exists():
        return {}
    cells = [line.strip("| ").split(" | ") for line in path.read_text().splitlines() if line.startswith("| ")]
    return {scenario: tuple(told) for scenario, *told in cells[1:]}


def _commit() -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _memory_gib() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
