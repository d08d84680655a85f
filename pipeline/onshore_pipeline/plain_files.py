"""Reading files that people put there: only what is a file, so that nobody waits for a pipe that no one writes to."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

NO_FILE: Final = "is a pipe or a device, not a file: take it away"


def read_plain(path: Path, most: int = -1) -> bytes:
    """A regular file's bytes, the first `most` of them; `OSError` says in `strerror` what is wrong with another."""
    with open(path, "rb", opener=_without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, NO_FILE, str(path))
        return file.read(most)


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)
