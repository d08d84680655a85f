"""Reading the files that controls are made of: a bound before anything is read, and only what is a file."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

from onshore_pipeline.errors import ControlError
from onshore_pipeline.plain_files import NO_FILE, read_plain

if TYPE_CHECKING:
    from pathlib import Path

MAX_FILE_BYTES: Final = 1_000_000


def read_file(path: Path) -> bytes:
    """A file's bytes. Raises `ControlError` where it is no regular file, too large, or cannot be read."""
    try:
        content = read_plain(path, MAX_FILE_BYTES + 1)
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise ControlError(path, None, NO_FILE) from error
        why = f"cannot be read: {error.strerror}; take it away, or put a file there that the worker may read"
        raise ControlError(path, None, why) from error
    if len(content) > MAX_FILE_BYTES:
        raise ControlError(path, None, f"larger than {MAX_FILE_BYTES} bytes: neither a control nor a list")
    return content
