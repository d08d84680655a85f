"""The file behind the local log: schema, write lock, appending, trimming, bounds.

SQLite in WAL mode with `synchronous=FULL`: a committed transaction is on disk. Several processes share the file.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from onshore_pipeline.broker import DEAD_LETTER_TOPIC, EVENT_TOPICS
from onshore_pipeline.embedded.log_records import ADDED, EVENT_PARTITIONS, SCHEMA, add_topic, message_key
from onshore_pipeline.embedded.log_window import Window, outside_window
from onshore_pipeline.embedded.turnstile import Turnstile
from onshore_pipeline.errors import BrokerFull, BrokerUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

FILE_NAME: Final = "log.sqlite3"
MIB: Final = 1 << 20
GIB: Final = 1 << 30

_VERSION: Final = 1
_APPLICATION_ID: Final = 0x4F4E5348  # "ONSH"
_PAGE_BYTES: Final = 16_384  # a 300 kB message needs 19 overflow pages instead of 74

_WAITING_BYTES: Final = f"SELECT coalesce(sum(end_bytes - position_bytes), 0) FROM {EVENT_PARTITIONS}"  # noqa: S608
_WORKED_OFF_BYTES: Final = f"SELECT coalesce(sum(position_bytes), 0) FROM {EVENT_PARTITIONS}"  # noqa: S608
_DEAD_LETTER_BYTES: Final = (
    "SELECT coalesce(sum(end_bytes - begin_bytes), 0) FROM partitions JOIN topics USING (topic) WHERE name = ?"
)

_REMEDIES: Final = {
    sqlite3.SQLITE_FULL: "the disk is full: free some space",
    sqlite3.SQLITE_BUSY: "another process holds the file: stop it or wait",
    sqlite3.SQLITE_LOCKED: "another process holds the file: stop it or wait",
    sqlite3.SQLITE_CORRUPT: "the file is damaged: move it away and restore it from a backup",
    sqlite3.SQLITE_NOTADB: "the file is not an Onshore log or is damaged: move it away and restore it from a backup",
    sqlite3.SQLITE_READONLY: "the file is read-only: check its owner and mode",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened: check the folder, its owner and mode",
    sqlite3.SQLITE_IOERR: "the disk failed or is full: check it",
}


@dataclass(frozen=True, slots=True)
class LogLimits:
    """How large the local log may grow and how long its calls may take.

    Attributes:
        max_waiting_bytes: more than this waiting for the worker or kept as dead letters, and `send` refuses; None =
            20 % of the disk space that is free when the log is opened, at most 8 GiB.
        min_free_bytes: less free disk space than this, and `send` refuses, so that the worker can still commit.
        queue_bytes: what one producer holds in memory for senders that wait; further senders wait for room.
        kept_bytes: consumed messages are deleted, oldest first, when more than this is kept ...
        kept_messages: ... or more messages than this in a partition ...
        kept_s: ... or when they are older than this, in seconds.
        kept_dead_letter_bytes: the newest dead letters that are kept, at most a quarter of `max_waiting_bytes`; the
            store has all of them.
        trim_bytes: deleted in one step at most.
        wal_bytes: the write-ahead log is folded into the file when it is larger than this.
        max_wal_bytes: `send` refuses when a reader that never ends keeps the write-ahead log above this.
        lock_timeout_s: how long to wait for another process that writes.
    """

    max_waiting_bytes: int | None = None
    min_free_bytes: int = 256 * MIB
    queue_bytes: int = 64 * MIB
    kept_bytes: int = GIB
    kept_messages: int = 1_000_000
    kept_s: float = 7 * 86_400.0
    kept_dead_letter_bytes: int = 256 * MIB
    trim_bytes: int = 32 * MIB
    wal_bytes: int = 64 * MIB
    max_wal_bytes: int = GIB
    lock_timeout_s: float = 30.0


@contextmanager
def readable_errors(path: Path, doing: str) -> Iterator[None]:
    """Turn what SQLite and the file system raise into `BrokerUnavailable`, naming the file and the remedy."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        remedy = _REMEDIES.get(code)
        raise BrokerUnavailable(
            f"local log {path}: cannot {doing}: {error}{f' ({remedy})' if remedy else ''}"
        ) from error
    except OSError as error:
        raise BrokerUnavailable(f"local log {path}: cannot {doing}: {error}") from error


class LogFile:
    """One connection to the file; used by one thread at a time.

    Raises `BrokerUnavailable` from every method when the file or the disk does not play along.
    """

    def __init__(self, folder: Path, *, limits: LogLimits, partitions: Mapping[str, int]) -> None:
        """Open the file in `folder`, making it and the topics in `partitions` (name → count) where they are missing."""
        self.path = folder / FILE_NAME
        self.limits = limits
        self._closed = False
        with readable_errors(self.path, "open it"):
            folder.mkdir(parents=True, exist_ok=True)
            self._turnstile = Turnstile(folder, limits.lock_timeout_s)
        try:
            self._connect(partitions)
        except BaseException:
            self._turnstile.close()
            raise

    def _connect(self, partitions: Mapping[str, int]) -> None:
        with readable_errors(self.path, "open it"), self._turnstile.held():
            # Private from the first byte; and never opened where it is there: closing it again would end the locks that
            # another connection of this process holds on it.
            with suppress(FileExistsError):
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            self.connection = sqlite3.connect(
                self.path, isolation_level=None, check_same_thread=False, timeout=self.limits.lock_timeout_s
            )
            try:
                self._prepare(partitions)
            except BaseException:
                self.connection.close()
                raise
            self.waiting_limit = self.limits.max_waiting_bytes or min(
                8 * GIB, shutil.disk_usage(self.path.parent).free // 5
            )
            self._kept_dead_letter_bytes = min(self.limits.kept_dead_letter_bytes, self.waiting_limit // 4)

    def _prepare(self, partitions: Mapping[str, int]) -> None:
        execute = self.connection.execute
        execute(f"PRAGMA page_size = {_PAGE_BYTES}")
        execute("PRAGMA auto_vacuum = INCREMENTAL")
        execute("PRAGMA journal_mode = WAL")
        for setting in (
            "synchronous = FULL",
            "fullfsync = ON",  # macOS: a plain fsync does not reach the disk there
            "checkpoint_fullfsync = ON",
            "wal_autocheckpoint = 0",
            f"cache_size = -{8 * MIB // 1024}",
            "secure_delete = FAST",
        ):
            execute(f"PRAGMA {setting}")
        version = execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, _VERSION):
            raise BrokerUnavailable(f"local log {self.path}: version {version} is not known here: upgrade Onshore")
        execute("BEGIN IMMEDIATE")
        if version == 0:
            for statement in SCHEMA:
                execute(statement)
            execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            execute(f"PRAGMA user_version = {_VERSION}")
        for statement in ADDED:
            execute(statement)
        for topic, count in partitions.items():
            add_topic(self.connection, topic, count)
        execute("COMMIT")
        if version == 0:
            _sync_folder(self.path.parent)

    @contextmanager
    def writing(self, doing: str) -> Iterator[sqlite3.Connection]:
        """One durable transaction, in turn with other writers; rolled back when the block raises."""
        with readable_errors(self.path, doing), self._turnstile.held():
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    @contextmanager
    def reading(self, doing: str) -> Iterator[sqlite3.Connection]:
        """One snapshot; kept short, because the write-ahead log cannot be folded in while it lasts."""
        with readable_errors(self.path, doing):
            self.connection.execute("BEGIN")
            try:
                yield self.connection
            finally:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")

    def wal_bytes(self) -> int:
        """Size of the write-ahead log."""
        with suppress(FileNotFoundError):
            return self.path.with_name(f"{FILE_NAME}-wal").stat().st_size
        return 0

    def bound_wal(self) -> None:
        """Fold the write-ahead log into the file once it is large; readers in the way put it off to the next call."""
        if self.wal_bytes() <= self.limits.wal_bytes:
            return
        with readable_errors(self.path, "fold in the write-ahead log"), self._turnstile.held():
            self.connection.execute("PRAGMA busy_timeout = 250")
            try:
                self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                self.connection.execute(f"PRAGMA busy_timeout = {int(self.limits.lock_timeout_s * 1000)}")

    def room(self) -> int:
        """Bytes that may still be sent before the log counts as full; negative or 0 when it is.

        Raises `BrokerFull` when the disk is nearly full or the write-ahead log cannot be folded in.
        """
        with readable_errors(self.path, "see how full it is"):
            free = shutil.disk_usage(self.path.parent).free
            if free < self.limits.min_free_bytes:
                raise BrokerFull(
                    f"local log {self.path}: the disk is full: {free // MIB} MiB are free,"
                    f" {self.limits.min_free_bytes // MIB} MiB stay reserved for the worker"
                )
            if self.wal_bytes() > self.limits.max_wal_bytes:
                raise BrokerFull(
                    f"local log {self.path}: full: a process that reads it hangs, so that {self.wal_bytes() // MIB} MiB"
                    " of write-ahead log cannot be folded in"
                )
            (waiting,) = self.connection.execute(_WAITING_BYTES, EVENT_TOPICS).fetchone()
            (dead,) = self.connection.execute(_DEAD_LETTER_BYTES, (DEAD_LETTER_TOPIC,)).fetchone()
            # those beyond their bound are about to be deleted: they must not make a log look full for ever
            return self.waiting_limit - int(waiting) - min(int(dead), self._kept_dead_letter_bytes)

    def worked_off_bytes(self) -> int:
        """Bytes in front of the worker's positions, since the log began."""
        with readable_errors(self.path, "see how far the worker is"):
            return int(self.connection.execute(_WORKED_OFF_BYTES, EVENT_TOPICS).fetchone()[0])

    def trim(self, now_ns: int) -> int:
        """Delete a step's worth of messages that nobody waits for, see `Window`; returns how many were deleted."""
        limits = self.limits
        window = Window(
            now_ns - int(limits.kept_s * 1e9), limits.kept_bytes, limits.kept_messages, self._kept_dead_letter_bytes
        )
        with self.reading("look for consumed messages") as connection:
            outside = outside_window(connection, window, limits.trim_bytes)
        if not outside:
            return 0
        with self.writing("delete consumed messages") as connection:
            for each in outside:
                connection.execute(
                    "DELETE FROM messages WHERE id >= ? AND id < ?",
                    (message_key(each.slot, each.begin), message_key(each.slot, each.end)),
                )
                connection.execute(
                    "UPDATE partitions SET begin_offset = ?, begin_bytes = ? WHERE slot = ?",
                    (each.end, each.end_bytes, each.slot),
                )
        return sum(each.end - each.begin for each in outside)

    def shrink(self) -> None:
        """Give a step's worth of free pages back to the disk when more than half of the file is free."""
        with readable_errors(self.path, "see how full it is"):
            pages = self.connection.execute("PRAGMA page_count").fetchone()[0]
            free = self.connection.execute("PRAGMA freelist_count").fetchone()[0]
        if free * 2 > pages and free * _PAGE_BYTES > self.limits.kept_bytes:
            with readable_errors(self.path, "shrink it"), self._turnstile.held():
                # a script, because `execute` stops this statement after its first page
                self.connection.executescript(f"PRAGMA incremental_vacuum({self.limits.trim_bytes // _PAGE_BYTES})")

    def close(self) -> None:
        """Close the connection; safe to call twice."""
        if not self._closed:
            self._closed = True
            with readable_errors(self.path, "close it"):
                self.connection.close()
            self._turnstile.close()


def _sync_folder(folder: Path) -> None:
    """Make the names of new files durable."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
