"""What a worker waits for when store or broker do not keep up: whom, why, since when, how long until the next try."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal

from onshore_pipeline.errors import BrokerUnavailable, CommitFenced

if TYPE_CHECKING:
    from collections.abc import Callable

Party = Literal["store", "broker"]

_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 10.0
_SILENCE_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Wait:
    """One spell of waiting.

    Attributes:
        party: who does not keep up.
        reason: what was seen of it, one line.
        since: when the spell began.
    """

    party: Party
    reason: str
    since: datetime


class Waits:
    """The spells of one worker, and the pauses between its tries.

    Args:
        now: the time.
    """

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._pause_s = _FIRST_PAUSE_S
        self._silent_since: datetime | None = None
        self.current: Wait | None = None

    def begin(self, party: Party, reason: str) -> None:
        """Wait for `party`; a spell that lasts keeps its beginning."""
        since = self.current.since if self.current is not None and self.current.party == party else self._now()
        self.current = Wait(party, reason, since)

    def begin_after(self, error: Exception) -> None:
        """Wait for whoever raised `error`."""
        self.begin("broker" if isinstance(error, BrokerUnavailable | CommitFenced) else "store", str(error))

    def for_answer(self, party: Party, reason: str) -> None:
        """Nothing came back from `party` just now; a spell begins when that goes on for 5 s."""
        now = self._now()
        self._silent_since = self._silent_since or now
        if self.current is None and (now - self._silent_since).total_seconds() >= _SILENCE_S:
            self.current = Wait(party, reason, self._silent_since)

    def is_for(self, party: Party) -> bool:
        """Whether it is `party` that does not keep up."""
        return self.current is not None and self.current.party == party

    def end(self) -> None:
        """Work went through again."""
        self.current, self._pause_s, self._silent_since = None, _FIRST_PAUSE_S, None

    def next_pause_s(self) -> float:
        """How long to wait before the next try: twice as long each time, 10 s at most."""
        pause_s = self._pause_s
        self._pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        return pause_s

    def state(self) -> dict[str, str]:
        """For the status file: `working`, or `waiting` with whom, why and since when."""
        if self.current is None:
            return {"state": "working"}
        return {
            "state": "waiting",
            "waits_for": self.current.party,
            "waits_because": self.current.reason,
            "waits_since": self.current.since.isoformat(),
        }
