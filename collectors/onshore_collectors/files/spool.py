"""What is about to be sent, kept until it is acknowledged: each request's very bytes under its number.

A request is written here, durably, before it is sent for the first time. Whoever is killed sends the same bytes under
the same number again, so that a receiver that remembers the last number of each stream (`numbered.Numbered`) can tell
that it has them. Numbers of a stream rise by one and never stand for two requests.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from onshore_collectors.files.positions import Position

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from onshore_collectors.files.positions import Positions

_FIRST: Final = """
SELECT sequence, records, unreadable, coding, positions, payload FROM outgoing
WHERE receiver = ? AND sequence > ? ORDER BY sequence LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Payload:
    """One request.

    Attributes:
        body: as it travels.
        coding: its content coding.
        records: records in it.
        unreadable: stretches in it that are no record.
    """

    body: bytes
    coding: str
    records: int
    unreadable: int = 0


@dataclass(frozen=True, slots=True)
class Stored:
    """A request that is kept.

    Attributes:
        sequence: its number.
        payload: what is sent.
        positions: what files move to once it is acknowledged.
    """

    sequence: int
    payload: Payload
    positions: Mapping[str, Position] = field(default_factory=dict)


class Spool:
    """The requests of one reader to one receiver, in order; for two threads, one that adds and one that sends.

    Attributes:
        stream: names the numbers: random, made with the file.
        path: the file.
    """

    def __init__(self, positions: Positions) -> None:
        """Keep them beside the positions that they move."""
        self._file, self._receiver, self.path = positions, positions.receiver, positions.path
        self._done: list[Stored] = []
        self._passed = -1
        with self._file.changing() as store:
            store.execute("INSERT OR IGNORE INTO streams VALUES (?, ?, 0)", (self._receiver, uuid4().hex))
            found = store.execute("SELECT stream FROM streams WHERE receiver = ?", (self._receiver,)).fetchone()
        self.stream = str(found[0])

    def waiting(self) -> int:
        """How many requests have not been acknowledged."""
        count = "SELECT count(*) FROM outgoing WHERE receiver = ? AND sequence > ?"
        with self._file.changing() as store:
            return int(store.execute(count, (self._receiver, self._passed)).fetchone()[0])

    def add(self, payloads: Sequence[Payload], positions: Mapping[str, Position]) -> None:
        """Keep requests; files move to `positions` when the last of them is acknowledged, at once when there are none.

        Durable when it returns. Raises `OnshoreError`.
        """
        with self._file.changing() as store:
            self._write_done(store)
            if not payloads:
                self._file.move(store, positions)
                return
            take = "UPDATE streams SET next = next + ? WHERE receiver = ? RETURNING next"
            ((end,),) = store.execute(take, (len(payloads), self._receiver)).fetchall()
            first = int(end) - len(payloads)
            numbered = [Stored(first + at, payload) for at, payload in enumerate(payloads)]
            numbered[-1] = Stored(numbered[-1].sequence, numbered[-1].payload, positions)
            self._insert(store, numbered)

    def first(self) -> Stored | None:
        """The next request to send. What was acknowledged in front of it is written first.

        A kill may make the last one acknowledged be sent again, never the one before it: the receiver takes no lower
        number than its last.
        """
        with self._file.changing() as store:
            self._write_done(store)
            row = store.execute(_FIRST, (self._receiver, self._passed)).fetchone()
        if row is None:
            return None
        sequence, records, unreadable, coding, positions, body = row
        return Stored(sequence, Payload(body, coding, records, unreadable), _positions(positions))

    def done(self, stored: Stored) -> None:
        """It was acknowledged; the next `add`, `first` or `settle` writes it. Before that a kill makes it go again."""
        self._done.append(stored)
        self._passed = stored.sequence

    def settle(self) -> None:
        """Write what is done. Raises `OnshoreError`."""
        with self._file.changing() as store:
            self._write_done(store)

    def replace(self, stored: Stored, parts: Sequence[Payload]) -> None:
        """Keep parts instead of a request that the receiver does not take; what follows gets other numbers.

        Nothing that follows may have been sent.
        """
        with self._file.changing() as store:
            more, behind = len(parts) - 1, (self._receiver, stored.sequence)
            store.execute("DELETE FROM outgoing WHERE receiver = ? AND sequence = ?", behind)
            shift = "UPDATE outgoing SET sequence = -sequence - ? WHERE receiver = ? AND sequence > ?"
            store.execute(shift, (more, *behind))
            store.execute("UPDATE outgoing SET sequence = -sequence WHERE receiver = ? AND sequence < 0", behind[:1])
            store.execute("UPDATE streams SET next = next + ? WHERE receiver = ?", (more, self._receiver))
            numbered = [Stored(stored.sequence + at, part) for at, part in enumerate(parts)]
            numbered[-1] = Stored(numbered[-1].sequence, numbered[-1].payload, stored.positions)
            self._insert(store, numbered)

    def _insert(self, store: sqlite3.Connection, numbered: Sequence[Stored]) -> None:
        store.executemany(
            "INSERT INTO outgoing VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    self._receiver,
                    each.sequence,
                    each.payload.records,
                    each.payload.unreadable,
                    each.payload.coding,
                    json.dumps({file: _shown(at) for file, at in each.positions.items()}),
                    each.payload.body,
                )
                for each in numbered
            ],
        )

    def _write_done(self, store: sqlite3.Connection) -> None:
        done = tuple(self._done)  # the sending thread may add to it meanwhile
        for each in done:
            self._file.move(store, each.positions)
        if done:
            passed = (self._receiver, done[-1].sequence)
            store.execute("DELETE FROM outgoing WHERE receiver = ? AND sequence <= ?", passed)
            del self._done[: len(done)]


def _shown(at: Position) -> list[Any]:
    return [value.hex() if isinstance(value, bytes) else value for value in at.row()]


def _positions(text: str) -> dict[str, Position]:
    """The inverse of `_shown`, by file; digests are the values that are text."""
    rows = json.loads(text)
    return {
        file: Position.of_row(tuple(bytes.fromhex(value) if isinstance(value, str) else value for value in row))
        for file, row in rows.items()
    }
