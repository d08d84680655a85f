"""Plays the whole chaos suite: `python tests/support/chaos_lanes.py [pytest targets]`, as `make chaos` does.

Nearly everything in it waits for something, so its test files are played side by side, each by a pytest of its own with
its own brokers, stores and ports; as soon as one ends the next one begins. With targets, one pytest plays these. What
was found stands in docs/chaos.md. Exits 0 if all passed, 1 if something failed, 2 if it could not be played to its end.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

from chaos_report import BOOK, Book, Page, commit_now

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT: Final = Path(__file__).parents[2]
# The longest begin first, so that the lanes end at about the same time; the others follow by name.
_LONGEST_FIRST: Final = (
    "test_random_kills_kafka.py",
    "test_random_kills.py",
    "test_failpoints_kafka.py",
    "test_failpoints_tansu_sequencer.py",
    "test_old_store.py",
    "test_failpoints_tansu.py",
    "test_failpoints_local.py",
    "test_trouble.py",
    "test_trouble_kafka.py",
    "test_amending.py",
)
_LANES: Final = 4
_LEAVE_WITHIN_S: Final = 60.0
_NO_TESTS: Final = 5  # pytest's exit code where a file has nothing to play
_GOOD: Final = (0, _NO_TESTS)


@dataclass
class Run:
    """One run of all pieces.

    Attributes:
        page: what was found.
        pieces: what is still to be played: the targets of one pytest each.
        folder: for what they write meanwhile.
        codes: what each pytest that has ended ended with.
    """

    page: Page
    pieces: list[list[str]]
    folder: Path
    codes: list[int] = field(default_factory=list)
    _playing: dict[str, subprocess.Popen[str]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _began: float = field(default_factory=time.monotonic)
    _over: bool = False

    def play(self, lanes: int) -> int:
        """All of it, in so many lanes; gives the exit code."""
        wanted = len(self.pieces)
        everything = [threading.Thread(target=self._lane, daemon=True) for _ in range(min(lanes, wanted))]
        for lane in everything:
            lane.start()
        for lane in everything:
            while lane.is_alive():  # a join without an end would hold up Ctrl-C
                lane.join(0.5)
        self._say(f"{self.page.counts()}; what was found stands in {self.page.path}")
        if len(self.codes) < wanted or any(code not in (*_GOOD, 1) for code in self.codes):
            return 2
        return int(any(code not in _GOOD for code in self.codes))

    def end(self) -> None:
        """Begin nothing more; ask what plays to end, as Ctrl-C does, and where it does not end its whole tree."""
        with self._lock:
            self._over, playing = True, list(self._playing.values())
        for process in playing:
            process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + _LEAVE_WITHIN_S
        try:
            for process in playing:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.0, deadline - time.monotonic()))
        finally:
            for process in playing:
                if process.poll() is None:
                    _end_tree(process.pid)

    def _lane(self) -> None:
        while True:
            with self._lock:
                if self._over or not self.pieces:
                    return
                piece = self.pieces.pop(0)
                name = Path(piece[0].partition("::")[0]).stem.removeprefix("test_")
                book = self.folder / f"{name}.json"
                process = _pytest(piece, book)
                self._playing[name] = process
            began = time.monotonic()
            self._say("begins", name)
            assert process.stdout is not None
            for line in process.stdout:
                self._say(line.rstrip(), name)
            code = process.wait()
            with self._lock:
                del self._playing[name]
                self.codes.append(code)
                self.page.add(Book.load(book))
            self._say(f"ended with {code} after {time.monotonic() - began:.0f} s", name)

    def _say(self, text: str, name: str = "chaos") -> None:
        minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
        sys.stderr.write(f"{minutes:02d}:{seconds:02d} {name:19} | {text}\n")


def _pytest(targets: Sequence[str], book: Path) -> subprocess.Popen[str]:
    """A process group of its own, so that Ctrl-C reaches it once, through `Run.end`."""
    options = ["-c", str(ROOT / "pyproject.toml"), "-s", "-v", "--color=no", "-m", "not quick"]
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", *options, *targets],
        cwd=ROOT,
        env=os.environ | {BOOK: str(book), "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )


def _end_tree(pid: int) -> None:
    try:
        doomed = [*psutil.Process(pid).children(recursive=True), psutil.Process(pid)]
    except psutil.NoSuchProcess:
        return
    for process in doomed:
        if process.is_running():
            process.kill()


def whole(folder: Path) -> list[list[str]]:
    """Every test file of `folder` as a piece of its own, the longest first."""
    files = sorted(folder.glob("test_*.py"))
    files.sort(key=lambda file: _LONGEST_FIRST.index(file.name) if file.name in _LONGEST_FIRST else len(_LONGEST_FIRST))
    return [[str(file)] for file in files]


def main(arguments: Sequence[str] | None = None) -> int:
    """Play; gives the exit code."""
    parser = argparse.ArgumentParser(description="Plays the whole chaos suite in lanes, or the targets in one.")
    parser.add_argument("targets", nargs="*", help="pytest targets; all of tests/chaos where none is named")
    parser.add_argument("--folder", type=Path, default=ROOT / "tests" / "chaos", help="whose test files are the whole")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "chaos.md", help="where to write what was found")
    parser.add_argument("--lanes", type=int, default=_LANES, help="how many test files are played at once")
    options = parser.parse_args(arguments)
    pieces = [options.targets] if options.targets else whole(options.folder)
    page = Page(options.page, commit_now(), whole=not options.targets)
    with tempfile.TemporaryDirectory(prefix="onshore-chaos-") as folder:
        run = Run(page, pieces, Path(folder))
        # A shell that starts it in the background has it ignore SIGINT, and all that it starts.
        for told in (signal.SIGTERM, signal.SIGINT):
            signal.signal(told, signal.default_int_handler)
        try:
            return run.play(options.lanes)
        except KeyboardInterrupt:
            sys.stderr.write("ending what plays, which takes a moment; once more to end it at once\n")
            with suppress(KeyboardInterrupt):
                run.end()
            return 2


if __name__ == "__main__":
    sys.exit(main())
