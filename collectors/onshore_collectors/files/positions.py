"""How far each file was read, so that a second run sends nothing again and a killed one goes on where it was.

A position counts pieces (`pieces`), not bytes: it holds for packed files too. It moves only when the receiver has
acknowledged everything before it (`spool`). One SQLite file in the data directory; a reader holds it alone.
"""

from __future__ import annotations

import fcntl
import hashlib
import sqlite3
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from onshore_collectors.files.source_files import Stamp, rotated_from
from onshore_pipeline.errors import OnshoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from onshore_collectors.files.source_files import SourceFile

_TABLES: Final = (
    """CREATE TABLE IF NOT EXISTS positions (
        receiver TEXT NOT NULL, file TEXT NOT NULL,
        device INTEGER NOT NULL, inode INTEGER NOT NULL, size INTEGER NOT NULL, modified_ns INTEGER NOT NULL,
        prefix_digest BLOB NOT NULL,
        pieces INTEGER NOT NULL, sound INTEGER NOT NULL, unreadable INTEGER NOT NULL, finished INTEGER NOT NULL,
        PRIMARY KEY (receiver, file)
    ) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS positions_by_inode ON positions (receiver, device, inode)",
    "CREATE TABLE IF NOT EXISTS streams (receiver TEXT PRIMARY KEY, stream TEXT NOT NULL, next INTEGER NOT NULL)",
    """CREATE TABLE IF NOT EXISTS outgoing (
        receiver TEXT NOT NULL, sequence INTEGER NOT NULL, records INTEGER NOT NULL, unreadable INTEGER NOT NULL,
        coding TEXT NOT NULL, positions TEXT NOT NULL, payload BLOB NOT NULL, PRIMARY KEY (receiver, sequence))""",
)
_COLUMNS: Final = "device, inode, size, modified_ns, prefix_digest, pieces, sound, unreadable, finished, tail"
_FIND: Final = f"SELECT {_COLUMNS} FROM positions WHERE receiver = ? AND file = ?"  # noqa: S608 - our own names
_FIND_MOVED: Final = f"SELECT {_COLUMNS} FROM positions WHERE receiver = ? AND device = ? AND inode = ?"  # noqa: S608
_FIND_CALLED: Final = f"SELECT file, {_COLUMNS} FROM positions WHERE receiver = ? AND file >= ? AND file < ?"  # noqa: S608
_KEEP: Final = f"INSERT OR REPLACE INTO positions (receiver, file, {_COLUMNS}) VALUES ({', '.join('?' * 12)})"  # noqa: S608


@dataclass(frozen=True, slots=True)
class Position:
    """How far a file was read.

    Attributes:
        stamp: what the file system said of the file when it was opened.
        prefix_digest: `SourceFile.prefix_digest` at that size.
        pieces: pieces that are done with: sent, as records or as what could not be read.
        sound: how many of them came before the first of those that the end of the file cut short.
        unreadable: how many of them were unreadable.
        finished: the end of the file was reached.
        tail: `digest_of` the first piece that the end of the file cut short; b'' where there is none.
    """

    stamp: Stamp
    prefix_digest: bytes
    pieces: int = 0
    sound: int = 0
    unreadable: int = 0
    finished: bool = False
    tail: bytes = b""

    def row(self) -> tuple[int | bytes, ...]:
        """Its values in the order of the table's columns."""
        at = self.stamp
        counts = (self.pieces, self.sound, self.unreadable, int(self.finished))
        return (at.device, at.inode, at.size, at.modified_ns, self.prefix_digest, *counts, self.tail)

    @classmethod
    def of_row(cls, row: tuple[int | bytes, ...]) -> Self:
        """The inverse of `row`."""
        *stamp, prefix_digest, pieces, sound, unreadable, finished, tail = row
        return cls(Stamp(*stamp), prefix_digest, pieces, sound, unreadable, bool(finished), tail)  # type: ignore[arg-type]


def go_on_from(file: SourceFile, known: Position | None) -> Position:
    """Where to go on in a file: behind what was done when it is still the same file, else at its beginning.

    The same size with the same beginning is the same file, copied or touched. A file that has grown goes on behind its
    last piece; where its end had cut that short, before it, for it may have been mended or gone on.

    Raises:
        OSError: the file cannot be looked at.
    """
    stamp = file.stamp()
    if known is not None and stamp == known.stamp:
        return known
    fresh = Position(stamp, file.prefix_digest(stamp.size))
    if known is None or stamp.size < known.stamp.size or file.prefix_digest(known.stamp.size) != known.prefix_digest:
        return fresh
    if stamp.size == known.stamp.size:
        return replace(known, stamp=stamp)
    return Position(stamp, fresh.prefix_digest, known.sound, known.sound, tail=known.tail)


def go_on_from_rotated(fresh: Position, known: Position | None) -> Position:
    """Where to go on in a file that was read under another name, of which `fresh` is the beginning."""
    return fresh if known is None else replace(fresh, pieces=known.sound, sound=known.sound, tail=known.tail)


class Positions:
    """The positions of one reader towards one receiver; used as a context manager.

    Args:
        folder: where they are kept.
        reader: the reader's name, which is the file's.
        receiver: `ReceiverAddress.name`; what was sent to one receiver was not sent to another.

    Raises:
        OnshoreError: another reader of that name is at work here, or the file is unusable.
    """

    def __init__(self, folder: Path, reader: str, receiver: str) -> None:
        self.receiver = receiver
        self.path = folder / f"{reader}.sqlite"
        self._turn = threading.Lock()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = (folder / f"{reader}.lock").open("a")
        except OSError as error:
            raise OnshoreError(f"{folder}: positions cannot be kept here ({error.strerror})") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._store = self._open(self.path)
        except BlockingIOError:
            self._lock.close()
            raise OnshoreError(f"another `onshore collect {reader}` is at work with {folder.parent}") from None
        except sqlite3.Error as error:
            self._lock.close()
            raise OnshoreError(f"{self.path} cannot be used ({error}); remove it to read every file again") from None

    def find(self, file: str) -> Position | None:
        """How far a file was read; None when it never was."""
        with self.changing() as store:
            row = store.execute(_FIND, (self.receiver, file)).fetchone()
        return Position.of_row(row) if row is not None else None

    def find_moved(self, stamp: Stamp) -> Position | None:
        """How far a file was read that had another name then, as log files do that are rotated."""
        with self.changing() as store:
            rows = store.execute(_FIND_MOVED, (self.receiver, stamp.device, stamp.inode)).fetchall()
        return max(map(Position.of_row, rows), key=lambda at: at.stamp.modified_ns, default=None)

    def find_rotated(self, file: SourceFile) -> Position | None:
        """How far a file was read before it was packed or copied away from the name that it had.

        One that begins with the same bytes, all of them where they were less than 64 KiB, is the same file.

        Raises:
            OSError: the file cannot be looked at.
        """
        name, _ = rotated_from(file.name)
        if name == file.name:
            return None
        with self.changing() as store:
            rows = store.execute(_FIND_CALLED, (self.receiver, name, f"{name}\U0010ffff")).fetchall()
        known = [Position.of_row(row) for other, *row in rows if other != file.name and rotated_from(other)[0] == name]
        if not known:
            return None
        beginning = file.beginning()
        same = [at for at in known if hashlib.sha256(beginning[: at.stamp.size]).digest() == at.prefix_digest]
        return max(same, key=lambda at: at.sound, default=None)

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """The file, for one thread at a time, in one durable transaction. Raises `OnshoreError`."""
        with self._turn:
            try:
                with self._store:
                    yield self._store
            except sqlite3.Error as error:
                raise OnshoreError(f"{self.path} cannot be written ({error}); free some space and go on") from None

    def move(self, store: sqlite3.Connection, positions: Mapping[str, Position]) -> None:
        """Move to these positions, within a transaction of `changing`."""
        store.executemany(_KEEP, [(self.receiver, file, *at.row()) for file, at in positions.items()])

    def close(self) -> None:
        """Let another reader in."""
        self._store.close()
        self._lock.close()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    @staticmethod
    def _open(path: Path) -> sqlite3.Connection:
        store = sqlite3.connect(path, check_same_thread=False)
        try:
            path.chmod(0o600)
            # What is about to be sent must outlive a power cut, or it would be sent again under another number.
            store.execute("PRAGMA journal_mode = WAL")
            store.execute("PRAGMA synchronous = FULL")
            for table in _TABLES:
                store.execute(table)
            with suppress(sqlite3.OperationalError):  # it has the column
                store.execute("ALTER TABLE positions ADD COLUMN tail BLOB NOT NULL DEFAULT x''")
        except sqlite3.Error:
            store.close()
            raise
        return store
