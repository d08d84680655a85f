"""Processes held to a share of a core, each as if it had a small machine of its own: by a control group of the kernel.

On a few cores, shared with store and broker, more workers cannot be seen to take in more: one takes all there is.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from onshore_pipeline.errors import OnshoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

_PERIOD_US: Final = 20_000  # short, so that a worker that used up its share is not still for long
_FOLDERS: Final = (Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup"))  # version 1, version 2
_EMPTY_WITHIN_S: Final = 5.0


class CoreShare:
    """A control group of one process."""

    def __init__(self, folder: Path) -> None:
        """Take a group that was made."""
        self._folder = folder

    def hold(self, pid: int) -> None:
        """Hold a process, and every thread of it, from now on. Raises `OnshoreError` where the kernel refuses."""
        try:
            (self._folder / "cgroup.procs").write_text(str(pid), encoding="ascii")
        except OSError as error:
            raise OnshoreError(f"a worker cannot be held to a share of a core: {error}") from error


@contextlib.contextmanager
def core_share(name: str, share: float) -> Iterator[CoreShare]:
    """A group whose processes get `share` cores together, until it is removed afterwards.

    Raises:
        OnshoreError: this machine lets us make none.
    """
    try:
        folder = _made(f"onshore-bench-{os.getpid()}-{name}", share)
    except OSError as error:
        why = f"no control group for processors can be made here ({error}): needs root on Linux"
        raise OnshoreError(f"a worker cannot be held to a share of a core: {why}") from error
    try:
        yield CoreShare(folder)
    finally:
        _remove(folder)


def _made(name: str, share: float) -> Path:
    """The group, in whichever version of control groups the kernel has for processors."""
    quota = round(share * _PERIOD_US)
    parent = next((each for each in _FOLDERS if each.is_dir()), _FOLDERS[-1])  # where there is none, making one fails
    folder = parent / name
    folder.mkdir()
    try:
        if (folder / "cpu.cfs_quota_us").exists():
            (folder / "cpu.cfs_period_us").write_text(f"{_PERIOD_US}", encoding="ascii")
            (folder / "cpu.cfs_quota_us").write_text(f"{quota}", encoding="ascii")
        else:
            (folder / "cpu.max").write_text(f"{quota} {_PERIOD_US}", encoding="ascii")
    except OSError:
        folder.rmdir()
        raise
    return folder


def _remove(folder: Path) -> None:
    """Let go of what is still in it, and take it away."""
    for pid in (folder / "cgroup.procs").read_text(encoding="ascii").split():
        with contextlib.suppress(ProcessLookupError):
            (folder.parent / "cgroup.procs").write_text(pid, encoding="ascii")
    deadline = time.monotonic() + _EMPTY_WITHIN_S
    while True:
        try:
            folder.rmdir()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)  # a process that has ended stays for a moment
        else:
            return
