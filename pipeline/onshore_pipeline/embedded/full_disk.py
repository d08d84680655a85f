"""What the embedded store does where its disk is full.

The engine (chDB 26.9) takes no notice of a write that fails: an INSERT or a merge that meets a full disk shows a part
whose files are cut short, and every query that reads one of them fails. So the engine leaves `KEEP_FREE_BYTES` of the
disk alone and refuses what needs them. Others may fill the disk all the same, while it writes. Then nothing that was
written meanwhile is answered for, the parts that were being written are looked at, and where one is cut short the
process ends: at its next start the engine sets such parts aside, and takes what a merge was made of in its place.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NoReturn

from onshore_pipeline.embedded.engine_session import EngineError
from onshore_pipeline.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from onshore_pipeline.embedded.part_checks import PartChecks

_MIB: Final = 1 << 20
FULL_BYTES: Final = 8 * _MIB
_LOOK_EVERY_S: Final = 0.05
_CHECK_EVERY_S: Final = 0.5
# A part is as old as the second in which it was done, by the wall clock.
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

    def __init__(self, folder: Path, checks: PartChecks) -> None:
        """Nothing is watched yet; `checks` is used on a thread of ours."""
        self._folder, self._checks = folder, checks
        self._lock = threading.Lock()
        self._full_at: float | None = None  # monotonic: when it was seen full last
        self._doubted_from: float | None = None  # wall clock: parts done from then on may be cut short
        self._whole: set[tuple[str, str]] = set()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=each, name=name, daemon=True)
            for name, each in (("full-disk", self._watch), ("part-checks", self._check_again))
        ]

    def start(self) -> None:
        """Begin to watch."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ask nothing more of the engine; a question under way goes on, see `is_done`."""
        self._stop.set()

    def is_done(self, within_s: float) -> bool:
        """Whether nothing is asked any more, after `stop`."""
        deadline = time.monotonic() + within_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def was_full_since(self, moment: float) -> bool:
        """Whether the disk was seen full at or behind `moment` (monotonic seconds), or is."""
        self._look()
        with self._lock:
            return self._full_at is not None and self._full_at >= moment

    def _look(self) -> None:
        if _free_bytes(self._folder) >= FULL_BYTES:
            return
        with self._lock:
            if self._doubted_from is None:
                self._doubted_from = time.time() - _BEFORE_S
            self._full_at = time.monotonic()

    def _watch(self) -> None:
        while not self._stop.wait(_LOOK_EVERY_S):
            with suppress(OSError):
                self._look()

    def _check_again(self) -> None:
        while not self._stop.wait(_CHECK_EVERY_S):
            with suppress(EngineError):  # no memory, or told to stop: asked again
                self._check()
        self._checks.close()

    def _check(self) -> None:
        """Look at what was being written while the disk was full; end the process where it is cut short."""
        with self._lock:
            full_at, since = self._full_at, self._doubted_from
        if full_at is None or since is None:
            return
        full_for = time.monotonic() - full_at
        # Asked first: what ends behind this question is among the parts.
        is_over = full_for > _SETTLED_S and not self._checks.is_writing_for(full_for)
        broken = []
        for part in self._checks.written_since(since):
            if self._stop.is_set():
                return
            if part in self._whole:
                continue
            if self._checks.is_whole(*part):
                self._whole.add(part)
            else:
                broken.append("/".join(part))
        if broken:
            _leave(broken)
        with self._lock:
            if is_over and self._full_at == full_at:
                self._doubted_from = None
                self._whole.clear()


def _free_bytes(folder: Path) -> int:
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def _leave(broken: Sequence[str]) -> NoReturn:
    sys.stderr.write(
        f"onshore store: the disk was full and cut {', '.join(broken)} short: stopped, so that the next start sets that"
        " aside. No INSERT of it was answered as stored; what a merge was made of comes back\n"
    )
    sys.stderr.flush()
    os._exit(_EXIT_FULL)
