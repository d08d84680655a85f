"""Leave when the process that started us is gone."""

from __future__ import annotations

import os
import signal
import sys
import threading


def follow_parent() -> None:
    """Ask ourselves to stop (SIGTERM) when standard input ends: the parent holds its other end open while it lives."""

    def watch() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()
