"""Reading the files that controls are made of: a bound before anything is read, and only what is a file."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final

from onshore_pipeline.errors import ControlError

if TYPE_CHECKING:
    from pathlib import Path

MAX_FILE_BYTES: Final = 1_000_000


def read_file(path: Path) -> bytes:
    """A file's bytes. Raises `ControlError` where it is no regular file, too large, or cannot be read."""
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ControlError(path, None, "is a pipe or a device, not a file: take it away")
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        why = f"cannot be read: {error.strerror}; take it away, or put a file there that the worker may read"
        raise ControlError(path, None, why) from error
    if len(content) > MAX_FILE_BYTES:
        raise ControlError(path, None, f"larger than {MAX_FILE_BYTES} bytes: neither a control nor a list")
    return content


def _without_waiting(path: str, flags: int) -> int:
    """A pipe that nobody writes to would be waited for."""
    return os.open(path, flags | os.O_NONBLOCK)
