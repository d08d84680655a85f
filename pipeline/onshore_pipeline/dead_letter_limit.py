"""How much may become dead letters before the worker stops: a fault on our side must not consume what was sent.

Pure: outcomes of attempts in, a refusal out. What counts are the newest `window_messages` messages of the last hour,
those that earlier workers committed included.
"""

from __future__ import annotations

import json
import time
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from onshore_pipeline.domain import unreadable
from onshore_pipeline.errors import TooManyDeadLetters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from onshore_pipeline.assess import Attempt
    from onshore_pipeline.broker import Outgoing

_REMEMBERED_S: Final = 3600.0
_MINUTE_S: Final = 60.0
_OWN: Final = "onshore-dead-letter-"
_REASON: Final = f"{_OWN}reason"
_PLACE: Final = ("topic_id", "partition", "offset")
_REASON_CHARACTERS: Final = 200


@dataclass(frozen=True, slots=True)
class DeadLetterLimit:
    """What is still taken for a fault of single messages.

    Attributes:
        max_share: largest share, 0 to 1, of records that were dead-lettered, and of messages of which nothing was left.
        max_per_minute: most messages a minute that had dead letters.
        floor_messages: while fewer messages than this in the window had dead letters, the share stops nobody.
        window_messages: how many of the newest messages the share looks at.
    """

    max_share: float = 0.05
    max_per_minute: int = 1_000
    floor_messages: int = 50
    window_messages: int = 2_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of some messages.

    Attributes:
        at_s: when, in seconds of a clock that never goes back.
        messages: how many there were.
        records: records in them; a message that nobody could read counts as one.
        dead_records: records that became dead letters.
        dead_messages: messages that had dead letters.
        unusable_messages: those of them of which no event was left.
    """

    at_s: float
    messages: int
    records: int
    dead_records: int = 0
    dead_messages: int = 0
    unusable_messages: int = 0


class DeadLetterWatch:
    """Counts what one worker commits, and refuses an attempt that would go beyond the limit."""

    def __init__(
        self,
        limit: DeadLetterLimit | None = None,
        seen: Iterable[Outcome] = (),
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin with what was `seen` before, oldest first, on the clock that `now_s` reads."""
        self._limit, self._now_s = limit or DeadLetterLimit(), now_s
        self._seen = deque(seen)

    def checked(self, attempt: Attempt) -> Outcome:
        """What comes of the attempt; `add` it once it is committed.

        Raises `TooManyDeadLetters` when its dead letters would go beyond the limit; an attempt without any never does.
        """
        outcome = outcome_of(attempt, self._now_s())
        why = self._beyond(outcome) if outcome.dead_messages else None
        if why is not None:
            raise TooManyDeadLetters(
                f"{why}: stopped before {outcome.dead_records:,} more records become dead letters; nothing of them is"
                f" lost, they wait where they were sent to. The first of them: {_first_reason(attempt)}. Repair the"
                " cause and start again; to let them become dead letters all the same, raise"
                " ONSHORE_MAX_DEAD_LETTER_SHARE and ONSHORE_MAX_DEAD_LETTERS_PER_MINUTE for one run"
            )
        return outcome

    def add(self, outcome: Outcome) -> None:
        """Count what was committed; forget what lies outside of the window."""
        self._seen.append(outcome)
        kept = sum(each.messages for each in self._seen)
        while len(self._seen) > 1 and (
            kept - self._seen[0].messages >= self._limit.window_messages
            or self._seen[0].at_s < outcome.at_s - _REMEMBERED_S
        ):
            kept -= self._seen.popleft().messages

    def _beyond(self, outcome: Outcome) -> str | None:
        """Which limit the outcome goes beyond, together with what was seen; None when none."""
        window = [each for each in (*self._seen, outcome) if each.at_s > outcome.at_s - _REMEMBERED_S]
        limit = self._limit
        a_minute = sum(each.dead_messages for each in window if each.at_s > outcome.at_s - _MINUTE_S)
        if a_minute > limit.max_per_minute:
            return f"{a_minute:,} messages within a minute had dead letters, more than {limit.max_per_minute:,}"
        if sum(each.dead_messages for each in window) < limit.floor_messages:
            return None
        for what, part, whole in (
            (
                "records could not be used",
                sum(each.dead_records for each in window),
                sum(each.records for each in window),
            ),
            (
                "messages could not be used at all",
                sum(each.unusable_messages for each in window),
                sum(each.messages for each in window),
            ),
        ):
            if part > limit.max_share * whole:
                return f"{part:,} of the newest {whole:,} {what}, more than {limit.max_share:.4g} of them"
        return None


def outcome_of(attempt: Attempt, at_s: float) -> Outcome:
    """Count an attempt; its entries are read only where it has dead letters.

    What a reader of files could not read says nothing about us and is not counted as dead.
    """
    told = _told_unreadable(attempt.dead_letters)
    entries = [json.loads(entry) for entry in attempt.entries] if attempt.dead_lettered else []
    dead = [
        (entry["dead_lettered"] - told[_place(*map(entry.get, _PLACE))], entry["events"])
        for entry in entries
        if entry.get("dead_lettered")
    ]
    counted = [(records, events) for records, events in dead if records > 0]
    return Outcome(
        at_s,
        len(attempt.entries),
        attempt.records,
        sum(records for records, _ in counted),
        len(counted),
        sum(not events for _, events in counted),
    )


def _told_unreadable(letters: Iterable[Outgoing]) -> Counter[str]:
    """How many records of each message are what a reader of files could not read."""
    told: Counter[str] = Counter()
    for letter in letters:
        about = {name: value.decode(errors="replace") for name, value in letter.headers if name.startswith(_OWN)}
        if about.get(f"{_OWN}stage") == unreadable.STAGE:
            place = _place(*(about[f"{_OWN}{name}"] for name in ("topic-id", "partition", "offset")))
            told[place] += about[f"{_OWN}records"].count(",") + 1
    return told


def _place(topic_id: object, partition: object, offset: object) -> str:
    return f"{topic_id}/{partition}/{offset}"


def _first_reason(attempt: Attempt) -> str:
    reasons = (value for name, value in attempt.dead_letters[0].headers if name == _REASON)
    text = " ".join(next(reasons, b"unknown").decode(errors="replace").split())
    return text if len(text) <= _REASON_CHARACTERS else f"{text[:_REASON_CHARACTERS]}..."
