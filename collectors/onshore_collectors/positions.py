"""How far each file was read, so that a second run sends nothing again and a killed one goes on where it was.

A position counts pieces (`raw_records`), not bytes: it holds for packed files too. It moves only when the receiver has
acknowledged everything before it. One SQLite file in the data directory; a reader holds it alone.
"""

from __future__ import annotations

import fcntl
import sqlite3
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Final

from onshore_collectors.source_files import Stamp
from onshore_pipeline.errors import OnshoreError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from onshore_collectors.source_files import SourceFile

_TABLE: Final = """
CREATE TABLE IF NOT EXISTS positions (
    receiver TEXT NOT NULL, file TEXT NOT NULL,
    device INTEGER NOT NULL, inode INTEGER NOT NULL, size INTEGER NOT NULL, modified_ns INTEGER NOT NULL,
    prefix_digest BLOB NOT NULL,
    pieces INTEGER NOT NULL, sound INTEGER NOT NULL, unreadable INTEGER NOT NULL, finished INTEGER NOT NULL,
    PRIMARY KEY (receiver, file)
) WITHOUT ROWID
"""
_FIND: Final = """
SELECT device, inode, size, modified_ns, prefix_digest, pieces, sound, unreadable, finished
FROM positions WHERE receiver = ? AND file = ?
"""
_KEEP: Final = "INSERT OR REPLACE INTO positions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Position:
    """How far a file was read.

    Attributes:
        stamp: what the file system said of the file when it was opened.
        prefix_digest: `SourceFile.prefix_digest` at that size.
        pieces: pieces that are done with: sent, or told to be unreadable.
        sound: how many of them came before the first unreadable one.
        unreadable: how many of them were unreadable.
        finished: the end of the file was reached.
    """

    stamp: Stamp
    prefix_digest: bytes
    pieces: int = 0
    sound: int = 0
    unreadable: int = 0
    finished: bool = False


def go_on_from(file: SourceFile, known: Position | None) -> Position:
    """Where to go on in a file: behind what was done when it is still the same file, else at its beginning.

    The same size with the same beginning is the same file, copied or touched. A file that has grown goes on behind its
    last piece; where something in it was unreadable, behind the last one before that, for it may have been mended.

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
        return Position(stamp, known.prefix_digest, known.pieces, known.sound, known.unreadable, known.finished)
    return Position(stamp, fresh.prefix_digest, known.sound, known.sound)


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
        self._receiver = receiver
        path = folder / f"{reader}.sqlite"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = (folder / f"{reader}.lock").open("a")
        except OSError as error:
            raise OnshoreError(f"{folder}: positions cannot be kept here ({error.strerror})") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._store = self._open(path)
        except BlockingIOError:
            self._lock.close()
            raise OnshoreError(f"another `onshore collect {reader}` is at work with {folder.parent}") from None
        except sqlite3.Error as error:
            self._lock.close()
            raise OnshoreError(f"{path} cannot be used ({error}); remove it to read every file again") from None

    def find(self, file: str) -> Position | None:
        """How far a file was read; None when it never was."""
        row = self._store.execute(_FIND, (self._receiver, file)).fetchone()
        if row is None:
            return None
        *stamp, prefix_digest, pieces, sound, unreadable, finished = row
        return Position(Stamp(*stamp), prefix_digest, pieces, sound, unreadable, bool(finished))

    def keep(self, positions: Mapping[str, Position]) -> None:
        """Move to these positions, all of them or none. Raises `OnshoreError` when they cannot be written."""
        rows = [
            (
                self._receiver,
                file,
                *astuple(at.stamp),
                at.prefix_digest,
                at.pieces,
                at.sound,
                at.unreadable,
                at.finished,
            )
            for file, at in positions.items()
        ]
        try:
            with self._store:
                self._store.executemany(_KEEP, rows)
        except sqlite3.Error as error:
            raise OnshoreError(f"positions cannot be kept ({error}); some records will be sent again") from None

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
        store = sqlite3.connect(path)
        try:
            path.chmod(0o600)
            # A power cut may lose the last positions; what is sent again then carries the same log.record.uid.
            store.execute("PRAGMA journal_mode = WAL")
            store.execute("PRAGMA synchronous = NORMAL")
            store.execute(_TABLE)
        except sqlite3.Error:
            store.close()
            raise
        return store
