"""docs/chaos.md, written by the runs that it tells of."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

BOOK: Final = "CHAOS_BOOK"
_HEAD: Final = """# What was broken on purpose, and what came of it

Written by `make chaos`, whole or in pieces (`make chaos TESTS=...`); only the last sections are written by hand. The
whole is played in lanes, four test files side by side on one machine, so the seconds are not those of a machine that
does one thing. After each scenario one checker (`tests/support/invariants.py`) holds what broker and store have to the
invariants of [the commit protocol](commit-protocol.md): every message has one entry, records in = events + dead
letters, nothing is there twice, every sum adds up, every id, leaf and root derives again from the store's rows.
"Precision and recall 1.0" is what `onshore check-truth` said of the play that was sent meanwhile. Each scenario fails
where its trouble did not happen: what was to be killed lived and died of SIGKILL, what was to sleep slept. A commit
with a `+` had changes that were not committed.
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
    """What the scenarios of one process found.

    Attributes:
        rows: scenario and what was found, by test.
        ended: how each test ended.
    """

    rows: dict[str, tuple[str, str]] = field(default_factory=dict)
    ended: dict[str, Ended] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write it down for `Page`."""
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> Book:
        """What was saved; an empty one where nothing was."""
        if not path.exists():
            return cls()
        told = json.loads(path.read_text())
        ended = {test: Ended(**each) for test, each in told["ended"].items()}
        return cls({test: tuple(row) for test, row in told["rows"].items()}, ended)


@dataclass
class Page:
    """docs/chaos.md, written over and over while a run goes on, by one process.

    Attributes:
        path: of the page.
        commit: that the run began with.
        whole: the page shows this run only; else tests that it did not play keep what an earlier run found.
    """

    path: Path
    commit: str
    whole: bool
    _began: float = field(default_factory=time.monotonic)
    _book: Book = field(default_factory=Book)

    def __post_init__(self) -> None:
        """Take over what the page says so far."""
        self._rows = {} if self.whole else _rows_of(self.path)

    def add(self, book: Book) -> None:
        """Write what another process found."""
        self._book.rows |= book.rows
        self._book.ended |= book.ended
        when = f"{datetime.now(UTC):%Y-%m-%d %H:%M}"
        for test, ended in book.ended.items():
            name = test.removeprefix("tests/chaos/")
            before = self._rows.pop(name, None)
            scenario, found = book.rows.get(test, (before[0] if before else name.partition("::")[2], ""))
            if ended.outcome == "passed" and found:
                self._rows[name] = (scenario, found, f"{ended.seconds:.0f}", when, self.commit)
            elif ended.outcome != "passed":
                told = f"{_FAILED if ended.outcome == 'failed' else ended.outcome}: {ended.why}"
                self._rows[name] = (scenario, _in_a_cell(told), f"{ended.seconds:.0f}", when, self.commit)
        text = "\n".join([_HEAD, *self._about(when), *_table(self._rows)]) + "\n" + _by_hand(self.path)
        self.path.write_text(text)

    def counts(self) -> str:
        """How many tests passed, failed and were skipped."""
        outcomes = Counter(each.outcome for each in self._book.ended.values())
        return ", ".join(f"{outcomes[word]} {word}" for word in ("passed", "failed", "skipped"))

    def _about(self, when: str) -> list[str]:
        minutes = (time.monotonic() - self._began) / 60
        machine = f"{os.cpu_count()} cores, {_memory_gib()} GiB, {platform.system()} {platform.machine()}"
        run = "whole run" if self.whole else "run, of a piece"
        return [
            f"Last {run}: {when} UTC, {machine}, Python {platform.python_version()}, load {os.getloadavg()[2]:.0f};",
            f"{self.counts()} in {minutes:.0f} minutes from beginning to end.",
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
    return head + [f"| {' | '.join(told)} | `{test}` |" for test, told in sorted(rows.items())]


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
