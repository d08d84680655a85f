"""Reads log files record by record into a receiver, once, and accounts for every piece of them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from onshore_collectors.files.log_outbox import LogOutbox, Stopped
from onshore_collectors.files.pieces import Digest, Piece, RawRecord, Unreadable, digest_of
from onshore_collectors.files.positions import Position, go_on_from, go_on_from_rotated
from onshore_collectors.files.source_files import PARQUET, Stamp, first_chunk

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Iterator

    from onshore_collectors.files.batch import Origin
    from onshore_collectors.files.positions import Positions
    from onshore_collectors.files.progress import ShowProgress
    from onshore_collectors.files.source_files import SourceFile

    ReadPieces = Callable[[Iterator[bytes]], Iterator[Piece]]
    ReadParquet = Callable[[str, Callable[[int], None]], Iterator[Piece]]

ENCODING: Final = "onshore.source.encoding"

_UNSTAMPED: Final = Position(Stamp(0, 0, 0, 0), b"")
_LOOK_EVERY_PIECES: Final = 256
_MOST_PROBLEMS: Final = 1000
_NO_PARQUET: Final = "is Parquet, which only flow logs are read from (`onshore collect flow-logs`)"
_PARQUET_STREAM: Final = (
    "is Parquet in a stream or packed once more; name the unpacked file, for it is read from its end"
)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that could not be read; line from 1 and position in bytes of the unpacked file, None for all of it."""

    file: str
    line: int | None
    position: int | None
    reason: str

    def __str__(self) -> str:
        """Where and why, one line."""
        where = self.file if self.position is None else f"{self.file}: line {self.line:,}, byte {self.position:,}"
        return f"{where}: {self.reason}"


@dataclass(slots=True)
class ReadingReport:
    """What became of files and records.

    Attributes:
        files: files looked at.
        files_done_before: of these, the ones that earlier runs had finished.
        digests: files of hashes, which hold no records.
        records: records and unreadable stretches in the files, as far as they were read.
        sent: of these, acknowledged by the receiver in this run.
        resent: read by an earlier run, which could not finish with them, and acknowledged in this run.
        rejected: records that a receiver took the request of, and not them.
        skipped: done with by earlier runs.
        unreadable: stretches that are no record; they are sent to become dead letters.
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
    resent: int = 0
    rejected: int = 0
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


class OpenFile:
    """How far a file is read in this run."""

    def __init__(self, file: SourceFile, begin: Position, attributes: Origin) -> None:
        """Go on from `begin`; `attributes` go with every record of the file."""
        self.name, self.begin, self.attributes = file.name, begin, attributes
        self._pieces, self._sound, self._unreadable = begin.pieces, begin.sound, begin.unreadable
        self._tail = begin.tail if begin.pieces > begin.sound else b""
        self._finished = False

    def note_encoding(self, encoding: str) -> None:
        """The file was written in another encoding than its records are sent in."""
        self.attributes += ((ENCODING, encoding),)

    def count(self, piece: RawRecord | Unreadable) -> None:
        """A piece is done with."""
        if not piece.open_end:
            self._sound, self._tail = self._pieces + 1, b""
        elif not self._tail:
            self._sound, self._tail = self._pieces, digest_of(piece)
        self._pieces += 1
        self._unreadable += isinstance(piece, Unreadable)

    def finish(self) -> None:
        """The end of the file was reached."""
        self._finished = True

    def position(self) -> Position:
        """The place behind everything that was counted."""
        at = self.begin
        counts = (self._pieces, self._sound, self._unreadable, self._finished)
        return Position(at.stamp, at.prefix_digest, *counts, self._tail)


class FileReading:
    """One run over some files.

    Args:
        read_pieces: makes pieces of a file's bytes.
        outbox: takes the records.
        positions: how far earlier runs came; None reads everything again.
        stop: when set, the run ends at the next record.
        show: told how far the run is.
        read_parquet: makes pieces of a Parquet file by its path; None where such files are no logs of this kind.
    """

    def __init__(
        self,
        read_pieces: ReadPieces,
        outbox: LogOutbox,
        positions: Positions | None,
        *,
        stop: threading.Event,
        show: ShowProgress,
        read_parquet: ReadParquet | None = None,
    ) -> None:
        self._read_pieces, self._outbox, self._positions = read_pieces, outbox, positions
        self._stop, self._show, self._read_parquet = stop, show, read_parquet
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
            self._outbox.finish_earlier()
            for file in files:
                self._read_file(file)
            self._outbox.flush()
        except Stopped:
            self.report.stopped = True
        finally:
            self._outbox.close()
            report, outbox = self.report, self._outbox
            report.sent, report.resent, report.rejected = outbox.sent, outbox.resent, outbox.rejected
            report.unsent = self._read - outbox.sent
            report.seconds = time.monotonic() - began

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
            report.add_problem(Problem(file.name, None, None, error.strerror or str(error)))
        self._show(self._bytes, report.files, self._outbox.sent)

    def _begin(self, file: SourceFile) -> Position:
        if file.is_stream:
            return _UNSTAMPED
        positions = self._positions
        at = go_on_from(file, positions.find(file.name) if positions is not None else None)
        if positions is None or at.pieces or at.finished:
            return at
        at = go_on_from(file, positions.find_moved(at.stamp))
        return at if at.pieces or at.finished else go_on_from_rotated(at, positions.find_rotated(file))

    def _read_from(self, file: SourceFile, at: Position) -> None:
        skip, seen, report = at.pieces, 0, self.report
        tail = at.tail if at.pieces == at.sound else b""
        open_file = OpenFile(file, at, (("log.file.name", file.name.rpartition("/")[2]),))
        for piece in self._pieces(file, open_file):
            if isinstance(piece, Digest):
                report.digests += 1
                continue
            seen += 1
            report.records += 1
            if seen <= skip:
                report.skipped += 1
                continue
            if tail and seen == skip + 1 and digest_of(piece) == tail:
                report.skipped += 1  # the file has grown behind it, and it was whole after all
            else:
                self._take(piece, open_file, None if file.is_stream else open_file.position)
            open_file.count(piece)
            if not seen % _LOOK_EVERY_PIECES:
                self._look_up()
        if not file.is_stream:
            open_file.finish()
            self._outbox.move(file.name, open_file.position)

    def _pieces(self, file: SourceFile, open_file: OpenFile) -> Iterator[Piece]:
        if self._read_parquet is not None and file.is_parquet():
            open_file.note_encoding("parquet")
            return self._read_parquet(file.name, self._count_bytes)
        first, chunks = first_chunk(file.chunks(self._count_bytes, open_file.note_encoding))
        if first.startswith(PARQUET):
            # Its bytes would be taken for broken records, one by one.
            return iter((Unreadable(0, 1, _NO_PARQUET if self._read_parquet is None else _PARQUET_STREAM),))
        return self._read_pieces(chunks)

    def _take(self, piece: RawRecord | Unreadable, file: OpenFile, position: Callable[[], Position] | None) -> None:
        if isinstance(piece, Unreadable):
            self.report.unreadable += 1
            self.report.add_problem(Problem(file.name, piece.line, piece.position, piece.reason))
            self._outbox.put_unreadable(piece, file.attributes, file.name, position)
        else:
            self._read += 1
            self._outbox.put(piece, file.attributes, file.name, position)

    def _look_up(self) -> None:
        if self._stop.is_set():
            raise Stopped
        self._show(self._bytes, self.report.files, self._outbox.sent)

    def _count_bytes(self, count: int) -> None:
        self._bytes += count
