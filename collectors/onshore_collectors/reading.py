"""Reads log files record by record into a receiver, once, and accounts for every piece of them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from onshore_collectors.log_outbox import LogOutbox, Stopped
from onshore_collectors.positions import Position, go_on_from
from onshore_collectors.raw_records import Digest, Piece, RawRecord, Unreadable
from onshore_collectors.source_files import Stamp

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Iterator

    from onshore_collectors.positions import Positions
    from onshore_collectors.progress import ShowProgress
    from onshore_collectors.source_files import SourceFile

    ReadRecords = Callable[[Iterator[bytes]], Iterator[Piece]]

_UNSTAMPED: Final = Position(Stamp(0, 0, 0, 0), b"")
_LOOK_EVERY_PIECES: Final = 256
_MOST_PROBLEMS: Final = 1000


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that could not be read; `position` in bytes of the unpacked file, None for the file as such."""

    file: str
    position: int | None
    reason: str

    def __str__(self) -> str:
        """Where and why, one line."""
        where = self.file if self.position is None else f"{self.file}: byte {self.position:,}"
        return f"{where}: {self.reason}"


@dataclass(slots=True)
class ReadingReport:
    """What became of files and records.

    Attributes:
        files: files looked at.
        files_done_before: of these, the ones that earlier runs had finished.
        digests: files of hashes, which hold no records.
        records: records and unreadable stretches in the files, as far as they were read.
        sent: acknowledged by the receiver in this run.
        skipped: done with by earlier runs: sent, or told to be unreadable.
        unreadable: stretches that are no record.
        unsent: read, and not acknowledged when the run ended.
        problems: what could not be read, and why; the first thousand.
        unreadable_files: files that could not be opened or read on; the next run tries them again.
        stopped: the run was asked to end before it was through.
        seconds: how long it took.
    """

    files: int = 0
    files_done_before: int = 0
    digests: int = 0
    records: int = 0
    sent: int = 0
    skipped: int = 0
    unreadable: int = 0
    unsent: int = 0
    unreadable_files: int = 0
    problems: list[Problem] = field(default_factory=list)
    stopped: bool = False
    seconds: float = 0.0

    def add_problem(self, problem: Problem) -> None:
        """Keep a problem, as long as there is room for it."""
        if len(self.problems) < _MOST_PROBLEMS:
            self.problems.append(problem)


class FileReading:
    """One run over some files.

    Args:
        read_records: makes pieces of a file's bytes.
        outbox: takes the records.
        positions: how far earlier runs came; None reads everything again.
        stop: when set, the run ends at the next record.
        show: told how far the run is.
    """

    def __init__(
        self,
        read_records: ReadRecords,
        outbox: LogOutbox,
        positions: Positions | None,
        *,
        stop: threading.Event,
        show: ShowProgress,
    ) -> None:
        self._read_records, self._outbox, self._positions = read_records, outbox, positions
        self._stop, self._show = stop, show
        self._bytes = 0
        self._read = 0
        self.report = ReadingReport()

    def run(self, files: Iterable[SourceFile]) -> None:
        """Read all files; what cannot be read is reported, and the next one is read.

        Raises:
            BrokerUnavailable: the receiver did not take the records; `report` says how far it came.
        """
        began = time.monotonic()
        try:
            for file in files:
                self._read_file(file)
            self._outbox.flush()
        except Stopped:
            self.report.stopped = True
        finally:
            self._outbox.close()
            self.report.sent = self._outbox.sent
            self.report.unsent = self._read - self._outbox.sent
            self.report.seconds = time.monotonic() - began

    def _read_file(self, file: SourceFile) -> None:
        if self._stop.is_set():
            raise Stopped
        report = self.report
        report.files += 1
        try:
            at = self._begin(file)
            if at.finished:
                report.files_done_before += 1
                report.records += at.pieces
                report.skipped += at.pieces
                self._bytes += at.stamp.size
            else:
                self._read_from(file, at)
        except OSError as error:
            # Its position stays, so that the next run tries again.
            report.unreadable_files += 1
            report.add_problem(Problem(file.name, None, error.strerror or str(error)))
        self._show(self._bytes, report.files, self._outbox.sent)

    def _begin(self, file: SourceFile) -> Position:
        if file.is_stream:
            return _UNSTAMPED
        known = self._positions.find(file.name) if self._positions is not None else None
        return go_on_from(file, known)

    def _read_from(self, file: SourceFile, at: Position) -> None:
        skip, seen, report = at.pieces, 0, self.report
        for piece in self._read_records(file.chunks(self._count_bytes)):
            if isinstance(piece, Digest):
                report.digests += 1
                continue
            seen += 1
            report.records += 1
            if seen <= skip:
                report.skipped += 1
                continue
            at = self._take(file, piece, at)
            if not seen % _LOOK_EVERY_PIECES:
                self._look_up()
        if not file.is_stream:
            self._outbox.move(file.name, replace(at, finished=True))

    def _take(self, file: SourceFile, piece: RawRecord | Unreadable, at: Position) -> Position:
        """Send or report a piece; the position behind it."""
        if isinstance(piece, Unreadable):
            self.report.unreadable += 1
            self.report.add_problem(Problem(file.name, piece.position, piece.reason))
            behind = replace(at, pieces=at.pieces + 1, unreadable=at.unreadable + 1)
        else:
            sound = at.sound if at.unreadable else at.sound + 1
            behind = Position(at.stamp, at.prefix_digest, at.pieces + 1, sound, at.unreadable)
            self._read += 1
            self._outbox.put(piece, file.name, None if file.is_stream else behind)
        return behind

    def _look_up(self) -> None:
        if self._stop.is_set():
            raise Stopped
        self._show(self._bytes, self.report.files, self._outbox.sent)

    def _count_bytes(self, count: int) -> None:
        self._bytes += count
