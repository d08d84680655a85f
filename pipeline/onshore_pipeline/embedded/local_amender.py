"""Amending on the local log: entries about messages that have entries already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from onshore_pipeline.broker import DEAD_LETTER_TOPIC, EVIDENCE_LOG_TOPIC, LoggedEntry, Outgoing, names_dead_letter
from onshore_pipeline.embedded.log_records import Appender, message_key
from onshore_pipeline.errors import CommitFenced
from onshore_pipeline.failpoints import nowhere

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from onshore_pipeline.embedded.log_file import LogFile

_AT_ONCE: Final = 20_000
_PARTITIONS: Final = (
    "SELECT slot, partition, end_offset FROM partitions JOIN topics USING (topic) WHERE name = ? ORDER BY slot"
)


class LocalAmender:
    """The `Amender` of the local log; for one thread."""

    def __init__(self, file: LogFile, now_ns: Callable[[], int], at: Callable[[str], None] = nowhere) -> None:
        """Take over `file`; nothing is begun yet."""
        self._file, self._now_ns, self._at = file, now_ns, at
        self._epoch: int | None = None

    def begin(self, after: dict[int, int]) -> tuple[LoggedEntry, ...]:
        """Take over, then read: what an earlier amender has committed is there, and it can commit nothing more."""
        with self._file.writing("take over amending") as connection:
            connection.execute("UPDATE amender SET epoch = epoch + 1")
            self._epoch = _epoch(connection)
        with self._file.reading("look for the evidence log's end") as connection:
            partitions = connection.execute(_PARTITIONS, (EVIDENCE_LOG_TOPIC,)).fetchall()
        found: list[LoggedEntry] = []
        for slot, partition, end in partitions:
            for first in range(after.get(partition, -1) + 1, end, _AT_ONCE):
                found += self._read(slot, partition, first, min(first + _AT_ONCE, end))
        return tuple(found)

    def commit(self, entries: Sequence[bytes], dead_letters: Sequence[Outgoing] = ()) -> None:
        """Append in one transaction that first checks that nobody began since. Raises as the protocol says."""
        with self._file.writing("amend") as connection:
            if self._epoch is None or _epoch(connection) != self._epoch:
                self._epoch = None
                raise CommitFenced(f"local log {self._file.path}: another replay or discard took over")
            appender = Appender(connection, self._now_ns())
            appender.append(EVIDENCE_LOG_TOPIC, [Outgoing(entry) for entry in entries])
            appender.append(DEAD_LETTER_TOPIC, dead_letters)
            appender.finish()
            self._at("5.entries")
        self._at("5.committed")

    def close(self) -> None:
        """Release the file; safe to call twice."""
        self._file.close()

    def _read(self, slot: int, partition: int, first: int, end: int) -> list[LoggedEntry]:
        with self._file.reading("read the evidence log") as connection:
            rows = connection.execute(
                "SELECT id, timestamp_ns, value FROM messages WHERE id >= ? AND id < ? ORDER BY id",
                (message_key(slot, first), message_key(slot, end)),
            )
            return [
                LoggedEntry(partition, key - message_key(slot, 0), timestamp_ns, value)
                for key, timestamp_ns, value in rows
                if names_dead_letter(value)
            ]


def _epoch(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT epoch FROM amender").fetchone()[0])
