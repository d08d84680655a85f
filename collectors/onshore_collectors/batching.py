"""A bounded queue with one sending thread that counts everything it could not deliver.

The SDK's own batch processor drops the oldest record when its queue is full and says so to nobody. Here every lost item
is counted by reason, and once items go through again the owner is told, so that it can send the gap as a fact.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Generic, TypeVar
from weakref import WeakMethod

from onshore_pipeline.errors import BrokerUnavailable, OnshoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Item = TypeVar("Item")

GAP_ACTION: Final = "telemetry.gap"

QUEUE_FULL: Final = "queue full"
CLOSED: Final = "closed"
NOT_SENT: Final = "not sent before the end"
NO_ANSWER: Final = "no answer before the end"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a batch that was answered.

    Attributes:
        accepted: items the receiving side has durably taken.
        refused: items it will never take; they are lost.
        reason: why, when any was refused.
    """

    accepted: int
    refused: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Gap:
    """Items that were lost and not yet reported.

    Attributes:
        reason: why they were lost.
        count: how many.
        since_ns: when the first of them was lost, nanoseconds since the epoch.
        until_ns: when the last of them was lost.
    """

    reason: str
    count: int
    since_ns: int
    until_ns: int

    def attributes(self, of: str = "") -> dict[str, str | int]:
        """What a `telemetry.gap` event says besides its time, which is `since_ns`; `of` says what kind of items."""
        return {
            "onshore.domain": "infrastructure",
            "onshore.action": GAP_ACTION,
            "onshore.data.count": self.count,
            "onshore.reason": f"{of}: {self.reason}" if of else self.reason,
            "onshore.gap.until": datetime.fromtimestamp(self.until_ns / 1e9, UTC).isoformat(),
        }


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How a queue batches.

    Attributes:
        capacity: most items waiting.
        max_batch: most items delivered at once.
        max_delay_s: longest an item waits for a batch to fill.
    """

    capacity: int = 4096
    max_batch: int = 512
    max_delay_s: float = 1.0


class BatchQueue(Generic[Item]):
    """Hands items to `deliver` in order, in batches, on a thread of its own.

    `deliver(batch)` returns a `Delivery`, or raises `BrokerUnavailable` when it gave up retrying: the batch is lost.
    `report_gaps(gaps)` is called on the sending thread once a delivery succeeded after losses; it returns True when the
    report itself was taken, else it is asked again later.

    `keep_gaps(gaps)` is told what is still unreported whenever that shrinks, and in the end: to be remembered until the
    next start, which hands it over as `unreported`.

    A forked child starts with an empty queue and a thread of its own: what was queued is the parent's to send.

    With `block`, `put` waits for room instead of losing the item, and the first lost batch stops everything: `put` and
    `flush` raise its error, so that a file reader knows not to move its position.
    """

    def __init__(
        self,
        deliver: Callable[[list[Item]], Delivery],
        report_gaps: Callable[[Sequence[Gap]], bool],
        *,
        limits: BatchLimits,
        block: bool,
        name: str,
        keep_gaps: Callable[[Sequence[Gap]], None] = lambda _: None,
        unreported: Sequence[Gap] = (),
    ) -> None:
        self._deliver, self._report, self._keep = deliver, report_gaps, keep_gaps
        self._limits, self._block, self._name = limits, block, name
        self._begin(unreported)
        again = WeakMethod(self._begin_in_child)
        os.register_at_fork(after_in_child=lambda: (begin := again()) and begin())

    def _begin(self, unreported: Sequence[Gap]) -> None:
        self._changed = threading.Condition()
        self._items: deque[Item] = deque()
        self._in_flight = 0
        self._flushing = 0
        self._closing = self._given_up = self._said = False
        self._lost = {gap.reason: gap for gap in unreported}
        self._failure: OnshoreError | None = None
        self.sent = 0
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name=f"onshore-{self._name}", daemon=True)
        self._thread.start()

    def _begin_in_child(self) -> None:
        if not self._closing:
            self._keep = lambda _: None  # the file is the parent's
            self._begin(())

    def put(self, item: Item) -> bool:
        """Queue an item; False when it was lost (and counted). Raises the delivery's error when blocking."""
        with self._changed:
            if not self._has_room():
                return False
            self._items.append(item)
            # The sender sleeps until there is a first item, then until a batch is full.
            if len(self._items) == 1 or len(self._items) == self._limits.max_batch:
                self._changed.notify_all()
            return True

    def flush(self, timeout_s: float) -> bool:
        """Deliver everything queued so far; True when all of it was taken within `timeout_s`.

        Raises the delivery's error when blocking.
        """
        with self._changed:
            lost_before = self.dropped
            self._flushing += 1
            self._changed.notify_all()
            emptied = self._changed.wait_for(self._is_idle, timeout_s)
            self._flushing -= 1
            if self._failure is not None:
                raise self._failure
            return emptied and self.dropped == lost_before

    def close(self, timeout_s: float) -> bool:
        """Take nothing more, deliver what is queued, end the thread; False when that takes longer than `timeout_s`.

        What is left then is counted as lost. Losses that could not be reported are kept for the next start and said on
        standard error.
        """
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout_s)
        finished = not self._thread.is_alive()
        if not finished:
            self._count_rest()
        with self._changed:
            gaps, said, self._said = tuple(self._lost.values()), self._said, True
        if gaps and not said:
            self._keep(gaps)
            reasons = ", ".join(f"{gap.count} {gap.reason}" for gap in gaps)
            sys.stderr.write(f"onshore: {self._name}: lost at the end of the process: {reasons}\n")
        return finished

    def _count_rest(self) -> None:
        with self._changed:
            for count, reason in ((len(self._items), NOT_SENT), (self._in_flight, NO_ANSWER)):
                if count:
                    self._lose(count, reason)
            self._items.clear()
            self._in_flight, self._given_up = 0, True

    def _has_room(self) -> bool:
        while True:
            if self._failure is not None:
                raise self._failure
            if self._closing:
                self._lose(1, CLOSED)
                return False
            if len(self._items) < self._limits.capacity:
                return True
            if not self._block:
                self._lose(1, QUEUE_FULL)
                return False
            self._changed.wait()

    def _is_idle(self) -> bool:
        return (not self._items and not self._in_flight) or self._failure is not None

    def _is_due(self) -> bool:
        return len(self._items) >= self._limits.max_batch or bool(self._flushing) or self._closing

    def _lose(self, count: int, reason: str) -> None:
        now_ns = time.time_ns()
        earlier = self._lost.get(reason, Gap(reason, 0, now_ns, now_ns))
        self._lost[reason] = replace(earlier, count=earlier.count + count, until_ns=now_ns)
        self.dropped += count

    def _run(self) -> None:
        while batch := self._next_batch():
            self._send(batch)
        self._report_losses()

    def _next_batch(self) -> list[Item]:
        """Wait for a batch; empty when the queue was closed and nothing is left."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closing)
            self._changed.wait_for(self._is_due, self._limits.max_delay_s)
            batch = [self._items.popleft() for _ in range(min(len(self._items), self._limits.max_batch))]
            self._in_flight = len(batch)
            self._changed.notify_all()
            return batch

    def _send(self, batch: list[Item]) -> None:
        delivery, failure = self._try(batch)
        if delivery.accepted:
            self._report_losses()
        with self._changed:
            if self._given_up:
                return  # counted as lost already; better one too many than one that nobody hears of
            self.sent += delivery.accepted
            self._in_flight = 0
            if failure is not None:
                self._lose(delivery.refused, delivery.reason)
                self._give_up(failure)
            self._changed.notify_all()

    def _try(self, batch: list[Item]) -> tuple[Delivery, OnshoreError | None]:
        try:
            delivery = self._deliver(batch)
        except BrokerUnavailable as error:
            return Delivery(0, len(batch), "not acknowledged in time"), error
        except Exception as error:  # noqa: BLE001 - see below
            # The thread must outlive an exporter's bug: the batch is lost, and counted like any other.
            _log.exception("%s: a batch of %d could not be delivered", self._name, len(batch))
            delivery = Delivery(0, len(batch), type(error).__name__)
        failure = BrokerUnavailable(f"{self._name}: {delivery.refused} refused: {delivery.reason}")
        return delivery, failure if delivery.refused else None

    def _give_up(self, failure: OnshoreError) -> None:
        _log.warning("%s", failure)
        if self._block:
            # Later items must not overtake the lost batch: the reader starts again from its last position.
            self._failure = failure
            if self._items:
                self._lose(len(self._items), "an earlier batch was lost")
            self._items.clear()

    def _report_losses(self) -> None:
        with self._changed:
            gaps = tuple(self._lost.values())
        if not gaps or self._given_up or not self._is_reported(gaps):  # given up: the next start reports them
            return
        with self._changed:
            for gap in gaps:
                # More may have been lost while the report was under way: that is the next report's.
                now = self._lost.pop(gap.reason)
                if now.count > gap.count:
                    self._lost[gap.reason] = replace(now, count=now.count - gap.count, since_ns=gap.until_ns)
            left = tuple(self._lost.values())
        self._keep(left)

    def _is_reported(self, gaps: Sequence[Gap]) -> bool:
        try:
            return self._report(gaps)
        except Exception:  # noqa: BLE001 - as above
            _log.exception("%s: a gap could not be reported", self._name)
            return False
