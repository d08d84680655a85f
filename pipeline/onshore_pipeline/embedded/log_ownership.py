"""One process at a time works on the messages of a local log."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from onshore_pipeline.errors import LogInUse

if TYPE_CHECKING:
    from pathlib import Path

_THIS_PROCESS: Final = uuid4().hex  # a process id alone means little between containers


class Ownership:
    """The right to work on a log's messages; it belongs to a process and goes with it, however that ends."""

    def __init__(self, folder: Path) -> None:
        """Open the lock file in `folder`; nothing is claimed yet. Raises `OSError`."""
        self._folder = folder
        self._lock = os.open(folder / "log.owner.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._held = False

    def claim(self) -> None:
        """Make this process the owner, or see that it is; quick when it is already.

        Raises `LogInUse` when another process is, `OSError` when the file system has no locks.
        """
        if self._held:
            return
        ours = f"{os.getpid()} {_THIS_PROCESS}"
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._lock, 64, 0).decode(errors="replace")
            if holder == ours:
                return  # another consumer of this process holds it; the log's epoch decides between the two
            raise LogInUse(
                f"local log {self._folder}: another worker reads it (process {holder.split(' ')[0] or 'unknown'}):"
                " stop that one first"
            ) from None
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, ours.encode(), 0)
        self._held = True

    def close(self) -> None:
        """Give the right back."""
        os.close(self._lock)
