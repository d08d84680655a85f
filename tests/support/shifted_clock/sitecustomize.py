"""A wall clock that a test can move: seconds in the file that SHIFTED_CLOCK names are added to this process's time."""

from __future__ import annotations

import datetime as dt
import os
import time
from pathlib import Path

_FILE = Path(os.environ["SHIFTED_CLOCK"])
_REAL_NS, _REAL_NOW = time.time_ns, dt.datetime


def _shift_s() -> float:
    try:
        return float(_FILE.read_text() or 0)
    except FileNotFoundError:
        return 0.0


class _AnyDatetime(type):
    """Times that compiled code makes are of the class that the standard library has: they are datetimes, too."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _REAL_NOW)


class _Datetime(dt.datetime, metaclass=_AnyDatetime):
    """The standard one, but for what time it is."""

    __slots__ = ()

    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> _Datetime:
        """Now, as far as this process knows."""
        return cls.fromtimestamp(time.time(), tz)


time.time_ns = lambda: _REAL_NS() + int(_shift_s() * 1e9)
time.time = lambda: _REAL_NS() / 1e9 + _shift_s()
dt.datetime = _Datetime  # type: ignore[misc]
