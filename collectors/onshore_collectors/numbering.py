"""Numbers what one start of a sender hands over, from 0, so that the other side sees what is missing."""

from __future__ import annotations

import os
import secrets
import threading
from typing import Final
from weakref import WeakMethod

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

RUN: Final = "onshore.collector.run"
SEQUENCE: Final = "onshore.collector.sequence"


class Numbering:
    """Used by any thread. A forked child is another start, with a name and numbers of its own.

    Attributes:
        run: names this start.
    """

    def __init__(self) -> None:
        """Begin at 0."""
        self._begin()
        again = WeakMethod(self._begin)
        os.register_at_fork(after_in_child=lambda: (begin := again()) and begin())

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self.run = secrets.token_hex(8)
        self._next = 0
        self._first: object = None

    def next(self, first: object = None) -> int:
        """The next number, for what begins with `first`.

        What begins like the one before is its first half, cut because the whole was too large: it takes its number.
        """
        with self._lock:
            if first is None or first is not self._first:
                self._next += 1
            self._first = first
            return self._next - 1

    def attributes(self, first: object = None) -> list[KeyValue]:
        """`next` as attributes of a resource."""
        number = self.next(first)
        return [
            KeyValue(key=RUN, value=AnyValue(string_value=self.run)),
            KeyValue(key=SEQUENCE, value=AnyValue(int_value=number)),
        ]
