"""One part of the embedded stack: a child process that is started, watched, restarted and stopped."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Final

from onshore_pipeline.errors import STAYS_DOWN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# How the allocators of a process that works in batches should behave: few arenas, because threads that each keep one
# hold memory that no batch needs; and what a batch freed is kept for the next one, by Polars' own (jemalloc) and by the
# store's (another jemalloc) for seconds, by the C library, which Arrow uses too, until there is nothing to do
# (`give_back_unused`). Page faults were a seventh of the worker's CPU without the first, and another twentieth without
# the second; half of the store's were for pages that it had just given back.
ALLOCATORS: Final = {
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 31),
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "_RJEM_MALLOC_CONF": "dirty_decay_ms:3000,muzzy_decay_ms:3000",
    "JE_MALLOC_CONF": "dirty_decay_ms:30000",
}

_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 30.0
_SETTLED_S: Final = 60.0
_LOG_LIMIT_BYTES: Final = 16 * 1024 * 1024


@dataclass(slots=True)
class Part:
    """A child process.

    Attributes:
        name: as shown to people.
        argv: how it is started; it must take `--with-parent` and leave when its standard input ends.
        ready_file: the part writes it when it can be used; None for a part that is ready when it runs.
        log_file: what it prints.
        environment: added to ours.
        keeps_open: file descriptors of ours that it holds for as long as it lives.
    """

    name: str
    argv: Sequence[str]
    log_file: Path
    ready_file: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    keeps_open: tuple[int, ...] = ()
    restarts: int = 0
    _process: subprocess.Popen[bytes] | None = None
    _started: float = 0.0
    _pause_s: float = _FIRST_PAUSE_S
    _restart_at: float | None = None
    _stays_down: bool = False

    def start(self) -> None:
        """Start the process in a session of its own, so that the terminal's Ctrl-C reaches only the supervisor."""
        if self.ready_file is not None:
            self.ready_file.unlink(missing_ok=True)
        with self._log() as log:
            self._process = subprocess.Popen(
                self.argv,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environment},
                start_new_session=True,
                pass_fds=self.keeps_open,
            )
        self._started, self._restart_at = time.monotonic(), None

    def _log(self) -> IO[bytes]:
        return self.log_file.open("ab")

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def exit_code(self) -> int | None:
        """How the last process ended; None while it runs."""
        return self._process.poll() if self._process is not None else None

    def is_ready(self) -> bool:
        """Whether it has said that it can be used, and runs or stopped for a person to look."""
        said = self.ready_file is None or self.ready_file.exists()
        return said and (self.pid is not None or self.exit_code == STAYS_DOWN)

    def last_words(self) -> str:
        """The last line it printed."""
        try:
            lines = self.log_file.read_bytes()[-4096:].decode(errors="replace").strip().splitlines()
        except OSError:
            return ""
        return lines[-1] if lines else ""

    def revive(self) -> str | None:
        """Restart it if it died and its pause is over; returns what to tell people, if anything happened.

        One that stopped for a person to look stays down.
        """
        self._bound_log()
        if self.pid is not None or self._process is None or self._stays_down:
            return None
        if self.exit_code == STAYS_DOWN:
            self._stays_down = True
            return f"{self.name} stopped and stays down: {self.last_words().removeprefix('onshore: ')}"
        now = time.monotonic()
        if self._restart_at is None:
            if now - self._started > _SETTLED_S:
                self._pause_s = _FIRST_PAUSE_S
            self._restart_at = now + self._pause_s
            words, pause = self.last_words(), self._pause_s
            self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
            return (
                f"{self.name} stopped ({_ending(self.exit_code)}): {words or 'no message'}; restarting in {pause:g} s"
            )
        if now < self._restart_at:
            return None
        self.restarts += 1
        self.start()
        return f"{self.name} restarted"

    def terminate(self) -> None:
        """Ask it to finish what it has in hand and leave."""
        if self.pid is not None and self._process is not None:
            self._process.terminate()
            if self._process.stdin is not None:
                with contextlib.suppress(OSError):
                    self._process.stdin.close()

    def wait(self, deadline: float) -> bool:
        """Wait for it until `deadline` (monotonic seconds), then end it; returns whether it left by itself."""
        if self._process is None:
            return True
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            return False
        return True

    def _bound_log(self) -> None:
        """Keep at most two files of 16 MiB; the child appends, so truncating under it is safe."""
        with contextlib.suppress(OSError):
            if self.log_file.stat().st_size > _LOG_LIMIT_BYTES:
                shutil.copyfile(self.log_file, self.log_file.with_suffix(".log.1"))
                os.truncate(self.log_file, 0)


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        return signal.Signals(-code).name
    return f"exit code {code}"
