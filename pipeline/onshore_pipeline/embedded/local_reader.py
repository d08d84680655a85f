"""The sequencer's side of the local log."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING
from uuid import UUID

from onshore_pipeline.broker import EVIDENCE_LOG_TOPIC, LoggedEntry
from onshore_pipeline.embedded.local_consumer import LOOK_AGAIN_S
from onshore_pipeline.embedded.log_records import message_key

if TYPE_CHECKING:
    from onshore_pipeline.embedded.log_file import LogFile


class LocalEntryReader:
    """Reads the evidence log; for one thread."""

    def __init__(self, file: LogFile) -> None:
        """Take over `file`."""
        self._file = file
        self._closed = threading.Event()
        with file.reading("look for the evidence log") as connection:
            row = connection.execute("SELECT topic_id FROM topics WHERE name = ?", (EVIDENCE_LOG_TOPIC,)).fetchone()
        self._log_id = UUID(bytes=row[0])

    @property
    def log_id(self) -> UUID:
        """The log topic's own id."""
        return self._log_id

    def read(self, *, after: dict[int, int], max_entries: int, timeout_s: float) -> tuple[LoggedEntry, ...]:
        """Entries behind `after` (partition → position), in position order. Raises `BrokerUnavailable`."""
        deadline = time.monotonic() + timeout_s
        while True:
            entries = self._take(after, max_entries)
            left_s = deadline - time.monotonic()
            if entries or left_s <= 0 or self._closed.wait(min(LOOK_AGAIN_S, left_s)):
                return entries

    def close(self) -> None:
        """Release the file; safe to call twice."""
        self._closed.set()
        self._file.close()

    def _take(self, after: dict[int, int], max_entries: int) -> tuple[LoggedEntry, ...]:
        entries: list[LoggedEntry] = []
        with self._file.reading("read the evidence log") as connection:
            slots = connection.execute(
                "SELECT slot, partition FROM partitions JOIN topics USING (topic) WHERE name = ? ORDER BY slot",
                (EVIDENCE_LOG_TOPIC,),
            ).fetchall()
            for slot, partition in slots:
                first, end = message_key(slot, after.get(partition, -1) + 1), message_key(slot + 1, 0)
                rows = connection.execute(
                    "SELECT id, timestamp_ns, value FROM messages WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
                    (first, end, max_entries - len(entries)),
                )
                entries += (
                    LoggedEntry(partition, message - message_key(slot, 0), timestamp_ns, value)
                    for message, timestamp_ns, value in rows
                )
        return tuple(entries)
