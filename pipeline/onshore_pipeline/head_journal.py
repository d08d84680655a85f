"""Which heads this deployment has signed: a file beside its key that only grows.

It is written, with fsync, before anybody sees a head, so that a log that was put back to an older state, store and all,
is noticed before it is signed. The table `checkpoints` is its copy for readers.
"""

from __future__ import annotations

import fcntl
import json
import os
from typing import TYPE_CHECKING, Final

from onshore_pipeline.errors import OnshoreError
from onshore_pipeline.evidence.signed_note import NoteRefused, parse_note

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from onshore_pipeline.evidence.signed_note import Note

_TAIL: Final = 1 << 18  # bytes: longer than any line of ours


class JournalDamaged(OnshoreError):
    """A line of the journal is none: nobody can say what was signed."""


class HeadJournal:
    """Appends heads to a file, and reads them back; a line that a crash has cut never counted."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, note: Note) -> None:
        """Keep a head; return when it is durable. Raises `OSError`."""
        line = json.dumps({"note": str(note)}, ensure_ascii=False).encode() + b"\n"
        with self._path.open("ab+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL))
            tail = file.read()
            if tail and not tail.endswith(b"\n"):
                file.truncate(size - len(tail) + tail.rfind(b"\n") + 1)
            os.chmod(file.fileno(), 0o600)  # noqa: PTH101 - the open file
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def newest(self) -> Note | None:
        """The head that was kept last; None where none ever was.

        Raises:
            JournalDamaged: the last line is none.
        """
        try:
            with self._path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - _TAIL))
                lines = file.read().split(b"\n")[:-1]
        except FileNotFoundError:
            return None
        return self._note(lines[-1]) if lines else None

    def __iter__(self) -> Iterator[Note]:
        """Every head, in the order in which they were signed.

        Raises:
            JournalDamaged: a line is none.
        """
        try:
            with self._path.open("rb") as file:
                for line in file:
                    if line.endswith(b"\n"):
                        yield self._note(line)
        except FileNotFoundError:
            return

    def _note(self, line: bytes) -> Note:
        try:
            return parse_note(json.loads(line)["note"].encode())
        except (ValueError, KeyError, TypeError, AttributeError, NoteRefused) as error:
            raise JournalDamaged(f"{self._path} has a line that is no head ({error}): put a copy of it back") from None
