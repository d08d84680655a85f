"""Close dead letters: assess them again (replay), or give them up for good (discard), each exactly once.

The numbers are the steps of docs/dead-letters.md. A letter is closed by the one entry of the log that names it. `begin`
takes over from every other amender and reads what they closed; what was begun before it can never be committed. So "is
it closed" and "may I close it" are answered for one moment, whoever dies, stops or wakes up in between.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event
from typing import TYPE_CHECKING, Final, Literal
from uuid import UUID, uuid4

import structlog

from onshore_pipeline.amend import amend
from onshore_pipeline.errors import BrokerUnavailable, CommitFenced
from onshore_pipeline.evidence.entry import discards_entry
from onshore_pipeline.failed_records import FailedRecords, Refusal
from onshore_pipeline.failpoints import nowhere
from onshore_pipeline.jobs.amending import Closed, begin, note
from onshore_pipeline.jobs.letters import portions, sealed_entries, verified
from onshore_pipeline.registration import registration
from onshore_pipeline.store.connect import StoreRefused
from onshore_pipeline.store.writer import insert

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.assess import Judgement
    from onshore_pipeline.broker import Amender, Outgoing
    from onshore_pipeline.jobs.amending import Said
    from onshore_pipeline.jobs.letters import Letter
    from onshore_pipeline.store.reader import Reader

log = structlog.get_logger("dead-letters")

Action = Literal["replay", "discard"]
_DONE: Final[dict[Action, str]] = {"replay": "replayed", "discard": "discarded"}
_MOST_TRIES: Final = 6  # without any progress in between
_PAUSE_S: Final = 0.25


@dataclass(slots=True)
class Closing:
    """What came of closing letters.

    Attributes:
        of: letters that were meant.
        closed: letters that this run closed.
        events: events that became visible by it.
        dead_again: records of closed letters that failed again and are letters of their own now.
        already: how many letters somebody else had closed, by how.
        refused: letters that stay open, with the new reason.
        left: letters that were not looked at any more, because somebody wanted to stop.
    """

    of: int
    closed: list[UUID] = field(default_factory=list)
    events: int = 0
    dead_again: int = 0
    already: Counter[str] = field(default_factory=Counter)
    refused: dict[UUID, Refusal] = field(default_factory=dict)
    left: int = 0

    @property
    def done(self) -> int:
        """Letters that need nothing more."""
        return len(self.closed) + self.already.total() + len(self.refused)


@dataclass(frozen=True, slots=True)
class _Try:
    """What closes a letter, if it is committed: the attempt, its events, the records that failed again."""

    attempt_id: UUID
    events: int = 0
    dead_again: int = 0


class Closer:
    """Replays or discards letters, a portion at a time; made for one command."""

    def __init__(
        self,
        client: Client,
        reader: Reader,
        amender: Amender,
        judgement: Judgement,
        log_id: UUID,
        said: Said,
        *,
        at: Callable[[str], None] = nowhere,
        say: Callable[[int, int], None] = lambda done, of: None,  # noqa: ARG005
        stops: Callable[[], bool] = lambda: False,
    ) -> None:
        """Take ready parts; the caller closes them. `at` is told every step (see `failpoints`).

        `stops` is asked between portions: whether to leave the rest as it is.
        """
        self._client, self._reader, self._amender, self._judgement = client, reader, amender, judgement
        self._log_id, self._said, self._at, self._say = log_id, said, at, say
        self._stops = stops
        self._tries: dict[UUID, _Try] = {}
        self._pending: dict[UUID, None] = {}
        self._action_id = uuid4()

    def close(self, action: Action, ids: Sequence[str]) -> Closing:
        """Close every letter that is open; those that fail stay open with their new reason.

        Raises:
            StoreUnavailable, StoreRefused, BrokerUnavailable, CommitFenced: run again; what was closed is closed.
        """
        done = Closing(len(ids))
        self._pending = dict.fromkeys(map(UUID, ids))
        tries = 0
        while self._pending and not self._stops():
            before = len(self._pending)
            try:
                self._close(action, done)
            except (CommitFenced, BrokerUnavailable) as error:
                tries = 1 if len(self._pending) < before else tries + 1
                if tries > _MOST_TRIES:
                    raise
                log.warning("taking over again", reason=str(error), left=len(self._pending))
                Event().wait(random.uniform(_PAUSE_S, 2**tries * _PAUSE_S))  # noqa: S311 - no secret
        done.left = len(self._pending)
        return done

    def _close(self, action: Action, done: Closing) -> None:
        """Everything that is pending, under one take-over."""
        self._at("10.before")
        closed = begin(self._amender, self._client, self._log_id)  # 1 take over
        self._at("10.begun")
        for named in [each for each in self._pending if each in closed]:
            self._found_closed(action, named, closed[named], done)
        for some in portions(self._reader, [str(each) for each in self._pending]):  # read after 1: closed ones show
            for letter in some:
                if letter.state != "open":
                    self._found_closed(action, letter.letter_id, Closed(letter.state, letter.closed_by_attempt), done)
            left = [letter for letter in some if letter.letter_id in self._pending]
            if left and action == "discard":
                self._discard(left, done)
            elif left:
                self._replay(self._verified(left, done), done)
            self._say(done.done, done.of)
            if self._stops():
                return
        done.already["gone"] += len(self._pending)  # the store was put back to before they were
        self._pending.clear()

    def _found_closed(self, action: Action, letter: UUID, closed: Closed, done: Closing) -> None:
        """The log has closed it: we did where the answer to a commit was lost, or somebody else."""
        ours = self._tries.get(letter)
        if ours is not None and ours.attempt_id == closed.attempt_id:
            self._count(action, [letter], done)
        else:
            del self._pending[letter]
            done.already[closed.state] += 1

    def _verified(self, some: Sequence[Letter], done: Closing) -> list[FailedRecords]:
        """The letters whose bytes and headers are those that the log has sealed."""
        sealed = sealed_entries(self._reader, some)
        checked = {letter.letter_id: verified(letter, sealed) for letter in some}
        self._refuse({letter: found for letter, found in checked.items() if isinstance(found, Refusal)}, done)
        return [found for found in checked.values() if isinstance(found, FailedRecords)]

    def _replay(self, some: Sequence[FailedRecords], done: Closing) -> None:
        """Steps 2 to 6 for letters of different messages."""
        if not some:
            return
        amendment = amend(some, self._judgement, uuid4(), who=self._said.who, why=self._said.why)  # 2 compute
        self._at("10.computed")
        self._refuse(amendment.refused, done)
        if not amendment.amended:
            return
        attempt = amendment.attempt
        try:
            now = datetime.now(UTC)
            insert(self._client, "attempts", registration(attempt, self._said.who, self._judgement, now))  # 3 register
            self._at("10.registered")
            for name, table in attempt.tables.items():  # 4 write, unseen until 5
                insert(self._client, name, table)
                self._at(f"10.{name}")
        except StoreRefused as error:
            self._write_apart(amendment.amended, error, done)
            return
        told = [json.loads(entry) for entry in attempt.entries]
        tries = {
            letter.letter_id: _Try(attempt.attempt_id, entry["events"], entry["dead_lettered"])
            for letter, entry in zip(amendment.amended, told, strict=True)
        }
        self._commit("replay", tries, attempt.entries, attempt.dead_letters, done)

    def _write_apart(self, some: Sequence[FailedRecords], error: StoreRefused, done: Closing) -> None:
        """Find by halving which letter the store refuses."""
        if len(some) == 1:
            self._refuse({some[0].letter_id: Refusal("write", str(error))}, done)
            return
        half = len(some) // 2
        self._replay(some[:half], done)
        self._replay(some[half:], done)

    def _discard(self, some: Sequence[Letter], done: Closing) -> None:
        attempt = uuid4()
        entries = [
            discards_entry(
                letter.message,
                dead_letter=letter.letter_id,
                indexes=letter.indexes,
                discarded=letter.records,
                who=self._said.who,
                why=self._said.why,
                pipeline=self._judgement.pipeline,
                attempt=attempt,
            )
            for letter in some
        ]
        self._commit("discard", {letter.letter_id: _Try(attempt) for letter in some}, entries, (), done)

    def _commit(
        self,
        action: Action,
        tries: Mapping[UUID, _Try],
        entries: Sequence[bytes],
        dead_letters: Sequence[Outgoing],
        done: Closing,
    ) -> None:
        self._tries.update(tries)
        self._note(action, dict.fromkeys(tries, ("begun", "")))
        self._at("10.noted")
        self._amender.commit(entries, dead_letters)  # 5 commit, fenced and atomic
        self._at("10.committed")
        self._count(action, list(tries), done)
        self._at("10.after")

    def _count(self, action: Action, closed: Sequence[UUID], done: Closing) -> None:
        """Step 6: what this run closed."""
        for letter in closed:
            del self._pending[letter]
            done.closed.append(letter)
            done.events += self._tries[letter].events
            done.dead_again += self._tries[letter].dead_again
        self._note(action, dict.fromkeys(closed, (_DONE[action], "")))

    def _refuse(self, refused: Mapping[UUID, Refusal], done: Closing) -> None:
        for letter in refused:
            del self._pending[letter]
        done.refused |= refused
        self._note("replay", {letter: ("failed", f"{why.stage}: {why.reason}") for letter, why in refused.items()})

    def _note(self, action: Action, outcomes: Mapping[UUID, tuple[str, str]]) -> None:
        attempts = {letter: self._tries[letter].attempt_id for letter in outcomes if letter in self._tries}
        note(self._client, action, outcomes, self._said, action_id=self._action_id, attempts=attempts)
