"""What the embedded store does where its disk is full.

The engine (chDB 26.9) takes no notice of a write that fails: an INSERT or a merge that meets a full disk shows a part
whose files are cut short, and every query that reads one of them fails. So the engine leaves `KEEP_FREE_BYTES` of the
disk alone and refuses what needs them. Others may fill the disk all the same, while it writes. Then nothing that was
written meanwhile is answered for, the parts of that time are looked at, and where one is cut short the process ends: at
its next start the engine sets such parts aside, and takes what a merge was made of in its place.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Final, NoReturn

from onshore_pipeline.embedded.engine_session import EngineError
from onshore_pipeline.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_MIB: Final = 1 << 20
FULL_BYTES: Final = 8 * _MIB
_LOOK_EVERY_S: Final = 0.05
_CHECK_EVERY_S: Final = 0.5
# A part is as old as the second in which it was done; what was begun before may have been cut short.
_BEFORE_S: Final = 5.0
_SETTLED_S: Final = 5.0
_EXIT_FULL: Final = 1


def refuse_full(folder: Path) -> None:
    """Do not begin where the engine would write in vain. Raises `SettingsError`."""
    free = _free_bytes(folder)
    if free < FULL_BYTES:
        needs = f"the store needs {FULL_BYTES // _MIB} to start: free some space"
        raise SettingsError("--data-dir", f"{folder}: the disk is full: {free // _MIB} MiB are free, and {needs}")


class Disk:
    """Watches the disk under the store; its methods may be called on any thread."""

    def __init__(
        self,
        folder: Path,
        cut_short: Callable[[float], Sequence[str]],
        end: Callable[[Sequence[str]], None] | None = None,
    ) -> None:
        """Nothing is watched yet.

        Args:
            folder: on the disk.
            cut_short: gives the parts written since a time (seconds since 1970) whose files are not whole. May raise
                `EngineError`.
            end: called with them when there are some; it does not return.
        """
        self._folder, self._cut_short, self._end = folder, cut_short, end or _leave
        self._full_at: float | None = None
        self._doubted_from: float | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="full-disk", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Watch no more, and ask nothing of the engine any more."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def was_full_since(self, moment: float) -> bool:
        """Whether the disk was seen full at or behind `moment` (monotonic seconds), or is."""
        self._look()
        return self._full_at is not None and self._full_at >= moment

    def _look(self) -> None:
        if _free_bytes(self._folder) >= FULL_BYTES:
            return
        if self._doubted_from is None:
            self._doubted_from = time.time() - _BEFORE_S
        self._full_at = time.monotonic()

    def _watch(self) -> None:
        check_due = 0.0
        while not self._stop.wait(_LOOK_EVERY_S):
            self._look()
            if self._doubted_from is None or time.monotonic() < check_due:
                continue
            check_due = time.monotonic() + _CHECK_EVERY_S
            is_over = self._full_at is not None and time.monotonic() - self._full_at > _SETTLED_S
            try:
                broken = self._cut_short(self._doubted_from)
            except EngineError:  # no memory, or no room to answer: asked again
                continue
            if broken:
                self._end(broken)
            if is_over:
                self._doubted_from = None


def _free_bytes(folder: Path) -> int:
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def _leave(broken: Sequence[str]) -> NoReturn:
    sys.stderr.write(
        f"onshore store: the disk was full and {', '.join(broken)} cut short: stopped, so that the next start sets them"
        " aside; nobody was told that they are stored\n"
    )
    sys.stderr.flush()
    os._exit(_EXIT_FULL)
