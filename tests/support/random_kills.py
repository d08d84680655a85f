"""Kills drawn by a seed, while senders go on and a play with its truth is sent in between."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from chaos_load import SMALL, Play, load
from chaos_senders import Sender, compare
from chaos_stack import ASK_EVERY_S, ChaosStack
from running_stack import measured

if TYPE_CHECKING:
    from collections.abc import Callable


TREE: Final = "everything"
_SAY_EVERY_S: Final = 15.0
_LONGEST_PAUSE_S: Final = 0.8
# Of the kills, those that wait until work goes on; the others come at any moment, while parts start too.
_IN_WORK: Final = 0.6
_REVIVE_AFTER_S: Final = 0.5
_KILLS_A_ROUND: Final = 10
_DEAD_WITHIN_S: Final = 30.0


@dataclass
class RandomKills:
    """A deployment under load whose parts are killed one after the other.

    Attributes:
        stack: its store runs.
        seed: of which part dies when; printed, and the same seed draws the same again.
        parts: what runs beside the store, each a victim; a second sequencer takes over when the first one dies.
        more: further victims: a name, and what kills it and starts it again.
        weights: how often each victim is drawn, relative to the others; 1 where not named.
        killed: how often each was drawn; one that had ended by itself is started first.
    """

    stack: ChaosStack
    seed: int
    parts: tuple[str, ...] = ("worker", "sequencer", "sequencer-2", "receiver")
    more: dict[str, Callable[[], None]] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=lambda: {"sequencer": 0.5, "sequencer-2": 0.5})
    killed: Counter[str] = field(default_factory=Counter)
    revived: Counter[str] = field(default_factory=Counter)
    senders: list[Sender] = field(default_factory=list)
    _ended_at: dict[str, float] = field(default_factory=dict)
    _in_work: int = 0
    _play: Play | None = None

    def run(self, kills: int, within_s: float) -> None:
        """Kill so many times; fails when that takes longer than `within_s`."""
        measured(f"random kills: seed {self.seed}, {kills} kills")
        draw = random.Random(self.seed)
        victims = [*self.parts, "store", TREE, *self.more]
        began = said = time.monotonic()
        rounds = kills // _KILLS_A_ROUND + 1
        self._play = Play(self.stack.producer, load(rounds, events=SMALL + 50 * rounds))
        for part in self.parts:
            self.stack.start(part, wait=False)
        self._all_ready()
        self.senders = [Sender(f"sender-{number}", self.stack.otlp, number) for number in range(2)]
        for sender in self.senders:
            sender.start()
        pause = threading.Event()
        for number in range(kills):
            assert time.monotonic() - began < within_s, f"{number} of {kills} kills in {within_s:g} s"
            if number % _KILLS_A_ROUND == 0:
                self._play.send()
            in_work, delay_s = draw.random() < _IN_WORK, draw.uniform(0.02, _LONGEST_PAUSE_S)
            victim = draw.choices(victims, [self.weights.get(each, 1.0) for each in victims])[0]
            if in_work:
                self._wait_for_progress(began + within_s)
                self._in_work += 1
            until = time.monotonic() + delay_s
            while time.monotonic() < until:
                self.revive()
                pause.wait(0.05)
            self._kill(victim)
            if time.monotonic() - said > _SAY_EVERY_S:
                said = time.monotonic()
                measured(f"  {number + 1} of {kills} kills, {self.acknowledged} messages acknowledged")
        measured(f"killed in {time.monotonic() - began:.0f} s; ended by themselves: {dict(self.revived)}")

    def _wait_for_progress(self, deadline: float) -> None:
        """Until more was acknowledged and more is in the log: the next kill hits work, not starts."""
        acknowledged, logged, pause = self.acknowledged, self.stack.logged(), threading.Event()
        while self.acknowledged == acknowledged or self.stack.logged() <= max(logged, 0):
            assert time.monotonic() < deadline, "nothing went on"
            self.revive()
            pause.wait(ASK_EVERY_S)

    @property
    def acknowledged(self) -> int:
        return sum(len(sender.acknowledged) for sender in self.senders)

    def stop(self) -> None:
        """Stop the senders."""
        for sender in self.senders:
            sender.stop()

    def finish(self) -> str:
        """Stop the senders, work everything off, check everything; gives what was found, in a line."""
        assert self._play is not None
        began = time.monotonic()
        self.stop()
        self._all_ready()
        self._play.send_rest()
        ready_s = time.monotonic() - began
        messages = self.stack.contents().count
        settled_s = self.stack.settle(messages, within_s=180, look=self.revive)
        began = time.monotonic()
        contents = self.stack.check()
        self.stack.check_truth(self._play.load.truth)
        checked_s = time.monotonic() - began
        measured(f"ready after {ready_s:.1f} s, worked off in {settled_s:.1f} s, checked in {checked_s:.1f} s")
        assert contents.count == messages
        assert len(contents.dead_letters) == self._play.dead_letters
        found = compare(self.stack.client, self.senders)
        names = ", ".join(f"{name} {count}" for name, count in sorted(self.killed.items()))
        kills = f"{sum(self.killed.values())} kills, {self._in_work} of them once work went on again ({names})"
        return f"{kills}; {messages:,} messages, {self.acknowledged:,} acknowledged to senders; {found}; {self._play}"

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
        """What is killed lives, and dies of it; all of it dies before the first of it starts again."""
        self.killed[victim] += 1
        parts = ["store", *self.parts] if victim == TREE else [victim] if victim not in self.more else []
        for part in parts:
            if not self.stack.is_alive(part):
                self.stack.start(part, wait=False)
        for part in parts:
            self.stack.parts[part].kill()
        for part in parts:
            self.stack.parts[part].wait(_DEAD_WITHIN_S)
            died_of = self.stack.parts[part].returncode
            assert died_of == -signal.SIGKILL, f"{part} was to be killed and ended with {died_of}"
        for name, kill in self.more.items():
            if victim in {name, TREE}:
                kill()
        for part in parts:
            self.stack.start(part, wait=False)

    def _all_ready(self) -> None:
        """One of each kind at least: who stands by is not ready."""
        kinds = {part.partition("-")[0] for part in self.stack.parts}
        deadline, pause = time.monotonic() + 120, threading.Event()
        while waiting := kinds - {part.partition("-")[0] for part in self.stack.parts if self.stack.is_ready(part)}:
            assert time.monotonic() < deadline, f"not ready: {waiting}"
            self.revive()
            pause.wait(0.1)
