"""How far streams of numbered messages are (`numbered.Numbered`), as far as one process that sends to Kafka knows."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from onshore_pipeline.errors import BrokerUnavailable
from onshore_pipeline.numbered import is_new_after

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from onshore_pipeline.broker import Outgoing
    from onshore_pipeline.numbered import Numbered

_REMEMBERED: Final = 100_000


class Remembered:
    """The last number of each stream; for many threads."""

    def __init__(self) -> None:
        """Nothing is known."""
        self._turn = threading.Lock()
        self._last: dict[str, Numbered] = {}
        self._under_way: set[str] = set()

    @contextmanager
    def sending(self, messages: Sequence[Outgoing]) -> Iterator[Sequence[Outgoing]]:
        """Those that were not appended; at the end of the block they are.

        Raises `OutOfSequence`, and `BrokerUnavailable` while another message of the same stream is under way.
        """
        numbers = [each.numbered for each in messages if each.numbered is not None]
        if not numbers:
            yield messages
            return
        streams = {each.stream for each in numbers}
        with self._turn:
            if streams & self._under_way:
                raise BrokerUnavailable("another message of the same stream is under way")
            new = [each for each in messages if each.numbered is None or self._is_new(each.numbered)]
            self._under_way |= streams
        try:
            yield new
            self._add(numbers)
        finally:
            with self._turn:
                self._under_way -= streams

    def _add(self, numbers: Sequence[Numbered]) -> None:
        with self._turn:
            for numbered in numbers:
                self._last.pop(numbered.stream, None)  # to the end: the first is the one that was silent for longest
                self._last[numbered.stream] = numbered
            while len(self._last) > _REMEMBERED:
                del self._last[next(iter(self._last))]

    def _is_new(self, numbered: Numbered) -> bool:
        last = self._last.get(numbered.stream)
        return last is None or is_new_after(numbered, last.number, last.digest)
