"""One `onshore up` at a time in a data directory."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from typing import IO, TYPE_CHECKING, Final

from onshore_pipeline.errors import OnshoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from onshore_pipeline.stack import DataDir

_ORPHANS_LEAVE_S: Final = 15.0
_LOOK_EVERY_S: Final = 0.1


class StackRefused(OnshoreError):
    """The stack cannot start as asked; the text says why and what to do (exit 2)."""


@contextlib.contextmanager
def locked(data: DataDir, say: Callable[[str], None]) -> Iterator[int]:
    """Hold the data directory; gives the lock's descriptor.

    Parts that inherit it hold it too, so that it goes with the last of our processes, however they end.

    Raises:
        StackRefused: another `onshore up` holds it.
    """
    with data.lock.open("a+") as file:
        _lock(file, data, say)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield file.fileno()


def _lock(file: IO[str], data: DataDir, say: Callable[[str], None]) -> None:
    """Take the lock; parts whose supervisor was killed are given time to leave."""
    deadline: float | None = None
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            owner = file.read().strip()
        else:
            return
        if deadline is None and not _is_running(owner):
            say("waiting for what an `onshore up` that was killed left running")
            deadline = time.monotonic() + _ORPHANS_LEAVE_S
        if deadline is None or time.monotonic() > deadline:
            why = f"{data.path} is used by another `onshore up` (process {owner or 'unknown'})"
            raise StackRefused(f"{why}; stop it, or choose another --data-dir")
        time.sleep(_LOOK_EVERY_S)


def _is_running(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True
