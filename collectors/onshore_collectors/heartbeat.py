"""Heartbeats: a sender that has nothing to say says so, once a minute, so that silence means something."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Final
from weakref import WeakMethod

from onshore_pipeline.errors import OnshoreError

if TYPE_CHECKING:
    from collections.abc import Callable

EVERY_S: Final = 60.0
ACTION: Final = "telemetry.heartbeat"
ATTRIBUTES: Final = {"onshore.domain": "infrastructure", "onshore.action": ACTION, "onshore.outcome": "success"}


class Heartbeat:
    """Calls `beat` now and every `every_s` seconds on a thread of its own, until `stop` or until it raises.

    A forked child beats by itself.
    """

    def __init__(self, beat: Callable[[], None], every_s: float = EVERY_S) -> None:
        """Begin."""
        self._beat, self._every_s = beat, every_s
        self._stopped = threading.Event()
        self._begin()
        again = WeakMethod(self._begin_in_child)
        os.register_at_fork(after_in_child=lambda: (begin := again()) and begin())

    def _begin(self) -> None:
        threading.Thread(target=self._run, name="onshore-heartbeat", daemon=True).start()

    def _begin_in_child(self) -> None:
        if not self._stopped.is_set():
            self._stopped = threading.Event()  # its lock may be held by a thread that the child does not have
            self._begin()

    def stop(self) -> None:
        """Beat no more. Safe to call twice."""
        self._stopped.set()

    def _run(self) -> None:
        stopped = self._stopped
        while not stopped.is_set():
            try:
                self._beat()
            except OnshoreError:
                return  # a reader of files that lost a batch ends; whoever waits for it is told there
            stopped.wait(self._every_s)
