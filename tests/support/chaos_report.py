"""docs/chaos.md, written by the runs that it tells of."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

REPORT: Final = "CHAOS_REPORT"
_HEAD: Final = """# What was broken on purpose, and what came of it

Written by `make chaos`, whole or in pieces (`make chaos TESTS=...`); only the last sections are written by hand. After
each scenario one checker (`tests/support/invariants.py`) holds what broker and store have to the invariants of
[the commit protocol](commit-protocol.md): every message has one entry, records in = events + dead letters, nothing is
there twice, every sum adds up, every id, leaf and root derives again from the store's rows. "Precision and recall 1.0"
is what `onshore check-truth` said of the play that was sent meanwhile. Each scenario fails where its trouble did not
happen: what was to be killed lived and died of SIGKILL, what was to sleep slept. A commit with a `+` had changes that
were not committed.
"""
_BY_HAND: Final = "\n## What it found so far\n"
_FAILED: Final = "**failed**"
_LONGEST: Final = 300


@dataclass
class Ended:
    """How a test ended, and the last line of why where it did not pass."""

    outcome: str
    seconds: float
    why: str = ""


@dataclass
class Book:
    """What the scenarios of one run found.

    Attributes:
        rows: scenario and what was found, by test.
        ended: how each test ended.
        commit: that the run began with.
    """

    rows: dict[str, tuple[str, str]] = field(default_factory=dict)
    ended: dict[str, Ended] = field(default_factory=dict)
    commit: str = ""

    def write(self, path: Path) -> None:
        """Replace the page; tests that this run did not play keep what an earlier run found."""
        when, commit = f"{datetime.now(UTC):%Y-%m-%d %H:%M}", self.commit
        rows = _rows_of(path)
        for test, ended in self.ended.items():
            name = test.removeprefix("tests/chaos/")
            before = rows.pop(name, None)
            scenario, found = self.rows.get(test, (before[0] if before else name.partition("::")[2], ""))
            if ended.outcome == "passed" and found:
                rows[name] = (scenario, found, f"{ended.seconds:.0f}", when, commit)
            elif ended.outcome != "passed":
                told = f"{_FAILED if ended.outcome == 'failed' else ended.outcome}: {ended.why}"
                rows[name] = (scenario, _in_a_cell(told), f"{ended.seconds:.0f}", when, commit)
        path.write_text("\n".join([_HEAD, *self._about(when), *_table(rows)]) + "\n" + _by_hand(path))

    def _about(self, when: str) -> list[str]:
        words = ("passed", "failed", "skipped")
        counts = ", ".join(f"{sum(each.outcome == word for each in self.ended.values())} {word}" for word in words)
        minutes = sum(each.seconds for each in self.ended.values()) / 60
        machine = f"{os.cpu_count()} cores, {_memory_gib()} GiB, {platform.system()} {platform.machine()}"
        return [
            f"Last run: {when} UTC, {machine}, Python {platform.python_version()}, load {os.getloadavg()[2]:.0f};",
            f"{counts} in {minutes:.0f} minutes.",
            "",
        ]


@dataclass
class Report:
    """Where one test says what it found."""

    book: Book
    test: str

    def add(self, scenario: str, found: str) -> None:
        """A scenario that held, and its counts."""
        self.book.rows[self.test] = (scenario, _in_a_cell(found))


def _table(rows: dict[str, tuple[str, ...]]) -> list[str]:
    head = ["| Scenario | Found | s | When (UTC) | Commit | Test |", "|---|---|---|---|---|---|"]
    return head + [f"| {' | '.join(told)} | `{test}` |" for test, told in rows.items()]


def _rows_of(path: Path) -> dict[str, tuple[str, ...]]:
    """The table of earlier runs, by test."""
    if not path.exists():
        return {}
    table = path.read_text().partition(_BY_HAND)[0]
    cells = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")]
    return {test.strip("`"): tuple(told) for *told, test in cells[1:]}


def _by_hand(path: Path) -> str:
    """What people wrote behind the table."""
    _, heading, text = path.read_text().partition(_BY_HAND) if path.exists() else ("", "", "")
    return heading + text


def _in_a_cell(text: str) -> str:
    return " ".join(text.replace("|", "/").split())[:_LONGEST]


def commit_now() -> str:
    """The commit that is checked out."""
    named = _git("rev-parse", "--short", "HEAD") or "unknown"
    changed = _git("status", "--porcelain", "--", ".", ":!docs")
    return named + ("+" if changed else "")


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=False).stdout.strip()


def _memory_gib() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
