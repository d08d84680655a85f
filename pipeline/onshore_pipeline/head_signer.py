"""Signs heads of the evidence log (protocol step 13), and never one that contradicts a head that was signed before.

Size and root follow from the log alone, so that two processes that sign for a moment sign the same. What can contradict
is a log that was put back to an older state or rewritten: before anything is signed, the tree must have the root of the
last head at that head's size.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import structlog

from onshore_pipeline.errors import OnshoreError
from onshore_pipeline.evidence.checkpoint import deployment_origin, parse_checkpoint
from onshore_pipeline.evidence.signed_note import NoteRefused, parse_note
from onshore_pipeline.failpoints import nowhere
from onshore_pipeline.log_trees import LogTrees
from onshore_pipeline.store.connect import store_errors

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.evidence.checkpoint import Checkpoint
    from onshore_pipeline.evidence.keyring import Keyring
    from onshore_pipeline.evidence.signed_note import Note
    from onshore_pipeline.head_journal import HeadJournal

log = structlog.get_logger("heads")

SIGN_EVERY_S: Final = 30.0
_LOOK_AGAIN_S: Final = 1.0
SILENT_EVERY_S: Final = 3_300.0  # within the hour, also when the machine is slow
_SILENT_S: Final = 3_000.0  # by the wall clock, which may be off a little
_COLUMNS: Final = ("origin", "size", "root", "kind", "log_id", "log_size", "signed_at", "note")
_NEWEST: Final = """
SELECT note FROM checkpoints WHERE origin = {origin:String} ORDER BY size DESC, signed_at DESC LIMIT 1
"""


class HeadRefused(OnshoreError):
    """The log contradicts a head that was signed before: nothing may be signed."""


@dataclass(frozen=True, slots=True)
class SignedHead:
    """A deployment's head: what it says, when it was signed, and the note."""

    head: Checkpoint
    at: datetime
    note: Note


class HeadSigner:
    """Signs what the store has copied of one evidence log.

    Args:
        client: a writing connection.
        log_id: the evidence log.
        keys: reads the deployment's keys.
        journal: what was signed before.
        at: see `failpoints`.
        now: the clock.
        elapsed: seconds on a clock that nobody sets.
    """

    def __init__(
        self,
        client: Client,
        log_id: UUID,
        keys: Callable[[], Keyring],
        journal: HeadJournal,
        at: Callable[[str], None] = nowhere,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client, self._log_id, self._keys, self._journal = client, log_id, keys, journal
        self._at, self._now, self._elapsed = at, now, elapsed
        self._trees = LogTrees(log_id)
        self._last: SignedHead | None = None
        self._begun = False
        self._logs: dict[str, int] = {}
        self._waiting, self._due, self._silent_until = True, elapsed(), elapsed() + SILENT_EVERY_S

    def sign_when_due(self, *, copied: int) -> SignedHead | None:
        """`sign`, twice a minute at most, when entries were copied or an hour has gone by; the head, if one was signed.

        Args:
            copied: how many entries were copied just now; 0 = the log has no more.
        """
        now = self._elapsed()
        self._waiting = self._waiting or copied > 0 or now >= self._silent_until
        if not self._waiting or now < self._due:
            return None
        self._due = now + SIGN_EVERY_S
        try:
            signed = self.sign(caught_up=copied == 0)
        except OnshoreError:
            self._begun = False
            raise
        self._waiting = not self._begun
        self._due = now + (SIGN_EVERY_S if signed else _LOOK_AGAIN_S)
        # Counted from the newest head, whoever signed it: no hour is left without one because of a restart.
        self._silent_until = now + SILENT_EVERY_S - self._age_s()
        return signed

    def sign(self, *, caught_up: bool) -> SignedHead | None:
        """Sign the heads of what the store has now, if it has grown or an hour went by; None where there is no need.

        Args:
            caught_up: the store has all of the log, so that what it lacks is not in the log either.

        Raises:
            HeadRefused: the log contradicts what was signed; it does so until a person has looked.
            EvidenceAltered: the store's copy of the log contradicts itself.
            SettingsError: the key cannot be used.
            StoreUnavailable: try again later.
        """
        keyring = self._keys()
        if not self._agrees_with_last(keyring, caught_up=caught_up):
            return None
        self._trees.grow(self._client)
        head, logs = self._trees.heads(keyring.name)
        now = self._now()
        if self._last is not None and self._last.head == head and _seconds(now, self._last.at) < _SILENT_S:
            return None
        signed = SignedHead(head, now, keyring.signed(str(head), now, timed=True))
        self._at("13.before")
        self._journal.append(signed.note)
        self._at("13.kept")
        moved = [each for each in logs if self._logs.get(each.origin) != each.size]
        self._publish([signed], [(each, keyring.signed(str(each), now, timed=False)) for each in moved], head)
        self._at("13.after")
        self._last, self._logs = signed, {each.origin: each.size for each in logs}
        return signed

    def _age_s(self) -> float:
        """How old the newest head is, by a clock that may be off: so old at most that the next one is not yet due."""
        return min(_seconds(self._now(), self._last.at), _SILENT_S) if self._last is not None else 0.0

    @property
    def last(self) -> SignedHead | None:
        """The newest head of this log that is known."""
        return self._last

    def _agrees_with_last(self, keyring: Keyring, *, caught_up: bool) -> bool:
        """Whether the tree goes on from the newest head; False while the store has not copied so far.

        Raises `HeadRefused`.
        """
        newest = self._newest(keyring)
        if self._begun and (newest.head if newest else None) == (self._last.head if self._last else None):
            return True
        self._begun = False
        if newest is not None:
            trees = LogTrees(self._log_id)
            trees.grow(self._client, largest=newest.head.size)
            if trees.whole.size < newest.head.size:
                if caught_up:
                    raise HeadRefused(_shorter(newest, trees.whole.size))
                return False
            if trees.whole.root() != newest.head.root:
                raise HeadRefused(_rewritten(newest))
            self._trees = trees
        self._last, self._begun = newest, True
        return True

    def _newest(self, keyring: Keyring) -> SignedHead | None:
        """The largest head of this log that the journal or the store has; the store takes back what it lacks."""
        origin = deployment_origin(keyring.name, self._log_id)
        kept = _signed(self._journal.newest(), origin)
        with store_errors():
            rows = self._client.query(_NEWEST, parameters={"origin": origin}).result_rows
        copied = None
        if rows:
            try:
                note = parse_note(rows[0][0].encode())
                note.verified(keyring.verifier_keys())
                copied = _signed(note, origin)
            except NoteRefused as error:  # `onshore audit` names it
                log.warning("the store has a head that this deployment did not sign", origin=origin, why=str(error))
        if kept is not None and (copied is None or copied.at < kept.at):
            self._refill(origin, copied.at if copied else None)
        found = [each for each in (kept, copied) if each is not None]
        return max(found, key=lambda each: (each.head.size, each.at), default=None)

    def _refill(self, origin: str, after: datetime | None) -> None:
        """Heads that the journal has and the store lacks."""
        some: list[SignedHead] = []
        for note in self._journal:
            signed = _signed(note, origin)
            if signed is not None and (after is None or signed.at > after):
                some.append(signed)
        self._publish(some, [], None)

    def _publish(self, heads: list[SignedHead], logs: list[tuple[Checkpoint, Note]], of: Checkpoint | None) -> None:
        rows = [_row(each.head, "deployment", self._log_id, each.head.size, each.at, each.note) for each in heads]
        if of is not None and heads:
            rows += [_row(head, "log", self._log_id, of.size, heads[0].at, note) for head, note in logs]
        if rows:
            with store_errors():
                self._client.insert("checkpoints", rows, column_names=list(_COLUMNS))


def _seconds(now: datetime, before: datetime) -> float:
    return abs((now - before).total_seconds())


def _row(head: Checkpoint, kind: str, log_id: UUID, log_size: int, at: datetime, note: Note) -> list[object]:
    return [head.origin, head.size, head.root, kind, log_id, log_size, at, str(note)]


def _signed(note: Note | None, origin: str) -> SignedHead | None:
    """A note of ours as a head of this log; None where it is another log's. Raises `NoteRefused`: it is no head."""
    if note is None:
        return None
    head = parse_checkpoint(note.text)
    if head.origin != origin:
        return None
    ours = origin.rpartition("/")[0]
    times = [each.cosigned_at for each in note.signatures if each.name == ours and each.cosigned_at is not None]
    return SignedHead(head, datetime.fromtimestamp(max(times, default=0), UTC), note)


def _shorter(newest: SignedHead, size: int) -> str:
    return (
        f"the evidence log has {size:,} entries, but a head over {newest.head.size:,} was signed at"
        f" {newest.at:%Y-%m-%d %H:%M:%S} UTC: an older copy of the log was put back. Nothing is signed until it has"
        " them again; put the newest copy of the log back, or begin a new one (`onshore new-log`)"
    )


def _rewritten(newest: SignedHead) -> str:
    return (
        f"the first {newest.head.size:,} entries of the evidence log are not those that were signed at"
        f" {newest.at:%Y-%m-%d %H:%M:%S} UTC: they were altered, or an older copy of the log was put back and went on."
        " Nothing is signed; `onshore audit` says what differs"
    )
