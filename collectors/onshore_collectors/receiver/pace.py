"""How long a refused sender is asked to wait: as long as what is in front of it takes, in a sender's patience."""

from __future__ import annotations

import math
import random
import threading
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_MEMORY_S: Final = 10.0  # what happened longer ago counts for less than a third
# The SDKs' exporters give up at once when they are asked to wait beyond their time limit, which is 10 s unless set.
LONGEST_WAIT_S: Final = 8
_SPREAD: Final = 0.5  # senders refused together come back spread over half as long again


class Pace:
    """Bytes a second that got through lately; used by many threads.

    Args:
        now: monotonic seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._began = self._at = now()
        self._bytes = 0.0

    def add(self, size: int) -> None:
        """Count `size` bytes that got through."""
        with self._lock:
            self._bytes = self._faded() + size

    def seconds_for(self, size: int) -> float | None:
        """How long `size` bytes take at the pace of late; a moment at first; None when nothing gets through."""
        with self._lock:
            self._bytes = self._faded()
            age_s = max(self._at - self._began, 0.1)
            rate = self._bytes / (_MEMORY_S * (1 - math.exp(-age_s / _MEMORY_S)))
            if rate >= 1:
                return size / rate
            return None if age_s > _MEMORY_S else 1.0

    def _faded(self) -> float:
        now = self._now()
        passed_s, self._at = now - self._at, now
        return self._bytes * math.exp(-passed_s / _MEMORY_S)


def wait_s(expected_s: float | None, *, chance: Callable[[], float] = random.random) -> int:
    """What to answer a sender for whom there may be room in `expected_s` (None: nobody knows): 1 to 8 whole seconds.

    Args:
        expected_s: seconds.
        chance: a number from 0 to 1, so that senders refused together do not come back together.
    """
    likely = LONGEST_WAIT_S / (1 + _SPREAD) if expected_s is None else expected_s
    return max(1, min(LONGEST_WAIT_S, round(likely * (1 + _SPREAD * chance()))))
