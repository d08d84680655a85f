"""How fast a log is worked off, from the reader's positions as they are seen now and then."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_LOOK_EVERY_S: Final = 1.0
_LOOKS: Final = 30


class Drain:
    """Looks at most once a second and remembers half a minute; for one thread.

    Args:
        worked_off: bytes worked off since the log began.
        now: monotonic seconds.
    """

    def __init__(self, worked_off: Callable[[], int], now: Callable[[], float] = time.monotonic) -> None:
        self._worked_off, self._now = worked_off, now
        self._seen: deque[tuple[float, int]] = deque(maxlen=_LOOKS)

    def look(self) -> None:
        """Look again, if it is time to."""
        now = self._now()
        if not self._seen or now - self._seen[-1][0] >= _LOOK_EVERY_S:
            self._seen.append((now, self._worked_off()))

    def seconds_for(self, size: int) -> float | None:
        """How long `size` bytes take at the pace that was seen; None when nothing moved."""
        if not self._seen:
            return None
        (began, first), (ended, last) = self._seen[0], self._seen[-1]
        return size * (ended - began) / (last - first) if last > first else None
