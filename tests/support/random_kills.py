"""Kills drawn by a seed, while senders go on."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from chaos_senders import Sender, compare
from running_stack import measured

if TYPE_CHECKING:
    from collections.abc import Callable

    from chaos_stack import ChaosStack

TREE: Final = "everything"
_PARTS: Final = ("worker", "sequencer", "receiver")
_SAY_EVERY_S: Final = 15.0
_LONGEST_PAUSE_S: Final = 1.2
# Of the kills, those that wait until work goes on; the others come at any moment, while parts start too.
_IN_WORK: Final = 0.6
_REVIVE_AFTER_S: Final = 0.5


@dataclass
class RandomKills:
    """A deployment under load whose parts are killed one after the other.

    Attributes:
        stack: its store runs.
        seed: of which part dies when; printed, and the same seed draws the same again.
        more: further victims: a name, and what kills it and starts it again.
        weights: how often each victim is drawn, relative to the others; 1 where not named.
    """

    stack: ChaosStack
    seed: int
    more: dict[str, Callable[[], None]] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)
    killed: Counter[str] = field(default_factory=Counter)
    revived: Counter[str] = field(default_factory=Counter)
    senders: list[Sender] = field(default_factory=list)
    _ended_at: dict[str, float] = field(default_factory=dict)

    def run(self, kills: int, within_s: float) -> None:
        """Kill so many times; fails when that takes longer than `within_s`."""
        measured(f"random kills: seed {self.seed}, {kills} kills")
        draw = random.Random(self.seed)
        victims = [*_PARTS, "store", TREE, *self.more]
        began = said = time.monotonic()
        for part in _PARTS:
            self.stack.start(part)
        self.senders = [Sender(f"sender-{number}", self.stack.otlp, number) for number in range(2)]
        for sender in self.senders:
            sender.start()
        pause = threading.Event()
        for number in range(kills):
            assert time.monotonic() - began < within_s, f"{number} of {kills} kills in {within_s:g} s"
            in_work, delay_s = draw.random() < _IN_WORK, draw.uniform(0.02, _LONGEST_PAUSE_S)
            victim = draw.choices(victims, [self.weights.get(each, 1.0) for each in victims])[0]
            if in_work:
                self._wait_for_progress(began + within_s)
            until = time.monotonic() + delay_s
            while time.monotonic() < until:
                self.revive()
                pause.wait(0.05)
            self._kill(victim)
            if time.monotonic() - said > _SAY_EVERY_S:
                said = time.monotonic()
                measured(f"  {number + 1} of {kills} kills, {self.acknowledged} messages acknowledged")

    def _wait_for_progress(self, deadline: float) -> None:
        """Until more was acknowledged and more is in the log: the next kill hits work, not starts."""
        acknowledged, logged, pause = self.acknowledged, self.stack.logged(), threading.Event()
        while self.acknowledged == acknowledged or self.stack.logged() <= max(logged, 0):
            assert time.monotonic() < deadline, "nothing went on"
            self.revive()
            pause.wait(0.05)

    @property
    def acknowledged(self) -> int:
        return sum(len(sender.acknowledged) for sender in self.senders)

    def stop(self) -> None:
        """Stop the senders."""
        for sender in self.senders:
            sender.stop()

    def finish(self) -> str:
        """Stop the senders, work everything off, check everything; gives what was found, in a line."""
        began = time.monotonic()
        self.stop()
        self._all_ready()
        ready_s = time.monotonic() - began
        messages = self.stack.contents().count
        settled_s = self.stack.settle(messages, within_s=180, look=self.revive)
        began = time.monotonic()
        contents = self.stack.check()
        checked_s = time.monotonic() - began
        measured(f"ready after {ready_s:.1f} s, worked off in {settled_s:.1f} s, checked in {checked_s:.1f} s")
        assert contents.count == messages
        found = compare(self.stack.client, self.senders)
        names = ", ".join(f"{name} {count}" for name, count in sorted(self.killed.items()))
        kills = f"{sum(self.killed.values())} kills ({names})"
        return f"{kills}; {messages:,} messages, {self.acknowledged:,} acknowledged; {found}"

    def revive(self) -> None:
        """Start what ended by itself again after a moment, as a supervisor does: a worker that found no store."""
        for part, process in list(self.stack.parts.items()):
            if process.poll() is None:
                self._ended_at.pop(part, None)
            elif time.monotonic() - self._ended_at.setdefault(part, time.monotonic()) > _REVIVE_AFTER_S:
                self.revived[part] += 1
                self._ended_at.pop(part)
                self.stack.start(part, wait=False)

    def _kill(self, victim: str) -> None:
        self.killed[victim] += 1
        if victim in self.more:
            self.more[victim]()
            return
        parts = ["store", *_PARTS] if victim == TREE else [victim]
        for part in parts:
            self.stack.parts[part].kill()
        for part in parts:
            self.stack.kill(part)
            self.stack.start(part, wait=False)

    def _all_ready(self) -> None:
        deadline, pause = time.monotonic() + 120, threading.Event()
        while waiting := [part for part in self.stack.parts if not self.stack.is_ready(part)]:
            assert time.monotonic() < deadline, f"not ready: {waiting}"
            self.revive()
            pause.wait(0.1)
