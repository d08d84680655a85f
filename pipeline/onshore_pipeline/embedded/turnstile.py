"""A fair lock between processes."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from onshore_pipeline.errors import BrokerUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LOCK_POLL_S: Final = 0.0005


class Turnstile:
    """Lets processes and threads write in turn.

    SQLite's own lock is not fair: a busy receiver would starve the worker. Whoever waits for `write` holds `turn`, so
    the one who just wrote queues up behind. The kernel releases both when a process dies.
    """

    def __init__(self, folder: Path, timeout_s: float) -> None:
        """Open the lock files in `folder`; `held` gives up after `timeout_s` seconds."""
        self._timeout_s = timeout_s
        self._turn, self._write = (
            os.open(folder / f"log.{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            for name in ("turn", "write")
        )

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock. Raises `BrokerUnavailable` when others keep it too long."""
        deadline = time.monotonic() + self._timeout_s
        self._acquire(self._turn, deadline)
        try:
            self._acquire(self._write, deadline)
        finally:
            fcntl.flock(self._turn, fcntl.LOCK_UN)
        try:
            yield
        finally:
            fcntl.flock(self._write, fcntl.LOCK_UN)

    def _acquire(self, lock: int, deadline: float) -> None:
        while True:
            with suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            if time.monotonic() > deadline:
                raise BrokerUnavailable(f"local log: another process held the file for {self._timeout_s:g} s")
            time.sleep(_LOCK_POLL_S)

    def close(self) -> None:
        """Close the lock files."""
        os.close(self._turn)
        os.close(self._write)
