"""The sequencer: copies the authoritative log into the store, in order (protocol step 6).

Only one runs at a time. Its position is the newest entry in the store's own copy, so it needs no state of its own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

import pyarrow as pa
import structlog

from onshore_pipeline.errors import EvidenceAltered
from onshore_pipeline.evidence.merkle import leaf_hash
from onshore_pipeline.store.connect import store_errors
from onshore_pipeline.store.tables import SCHEMAS
from onshore_pipeline.store.writer import insert

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.broker import EntryReader, LoggedEntry

log = structlog.get_logger("sequencer")


@dataclass(frozen=True, slots=True)
class Sequenced:
    """What one step copied: the attempts that became visible, and how many entries."""

    attempts: frozenset[UUID]
    entries: int


class Sequencer:
    """Copies entries, numbers them within their topic-partition, hands out what became visible."""

    def __init__(self, reader: EntryReader, client: Client) -> None:
        """Read the position from the store."""
        self._reader, self._client = reader, client
        with store_errors():
            positions = client.query("SELECT log_partition, max(log_position) FROM evidence_log GROUP BY log_partition")
            sizes = client.query(
                "SELECT topic_id, partition, max(log_index) + 1, max(offset) FROM evidence_log"
                " GROUP BY topic_id, partition"
            )
        self._after: dict[int, int] = {int(partition): int(position) for partition, position in positions.result_rows}
        self._sizes = {(str(topic), int(part)): int(size) for topic, part, size, _ in sizes.result_rows}
        self._last_offset = {(str(topic), int(part)): int(offset) for topic, part, _, offset in sizes.result_rows}

    @property
    def position(self) -> dict[int, int]:
        """Newest copied position of every log partition."""
        return dict(self._after)

    def step(self, *, max_entries: int, timeout_s: float) -> Sequenced:
        """Copy the next entries, if any come within `timeout_s`.

        Raises:
            EvidenceAltered: the log names an offset that it already named, or cannot be read: nothing is copied.
            StoreUnavailable, BrokerUnavailable: try again later.
        """
        entries = self._reader.read(after=self._after, max_entries=max_entries, timeout_s=timeout_s)
        if not entries:
            return Sequenced(frozenset(), 0)
        sizes, offsets = dict(self._sizes), dict(self._last_offset)
        rows = [_row(logged, sizes, offsets) for logged in entries]
        insert(self._client, "evidence_log", pa.Table.from_pylist(rows, schema=SCHEMAS["evidence_log"]))
        self._sizes, self._last_offset = sizes, offsets
        for logged in entries:
            self._after[logged.partition] = logged.position
        return Sequenced(_attempts(rows), len(rows))

    def close(self) -> None:
        """Release the reader."""
        self._reader.close()


def _row(logged: LoggedEntry, sizes: dict[tuple[str, int], int], last: dict[tuple[str, int], int]) -> dict[str, object]:
    """One row of `evidence_log`; `sizes` and `last` are moved on."""
    try:
        entry = json.loads(logged.value)
        key = (str(UUID(entry["topic_id"])), int(entry["partition"]))
        offset, kind = int(entry["offset"]), str(entry["kind"])
    except (ValueError, KeyError, TypeError) as error:
        raise EvidenceAltered("6", f"log entry {logged.partition}:{logged.position} is unreadable: {error}") from None
    if kind != "amends" and offset <= last.get(key, -1):
        where = f"{entry.get('topic')}[{key[1]}]@{offset}"
        raise EvidenceAltered("6", f"log entry {logged.partition}:{logged.position} names {where} again")
    index = sizes.get(key, 0)
    sizes[key] = index + 1
    last[key] = int(entry["end"]) - 1 if kind == "gap" else max(offset, last.get(key, -1))
    return {
        "log_partition": logged.partition,
        "log_position": logged.position,
        "appended_at": logged.timestamp_ns,
        "kind": kind,
        "topic": entry["topic"],
        "topic_id": UUID(key[0]).bytes,
        "partition": key[1],
        "offset": offset,
        "log_index": index,
        "attempt_id": UUID(entry["attempt"]).bytes,
        "tenant": entry.get("tenant", ""),
        "records": entry.get("records", 0),
        "events": entry.get("events", 0),
        "dead_lettered": entry.get("dead_lettered", 0),
        "entry_hash": leaf_hash(logged.value),
        "entry": logged.value.decode(),
    }


def _attempts(rows: Sequence[dict[str, object]]) -> frozenset[UUID]:
    return frozenset(UUID(bytes=row["attempt_id"]) for row in rows if isinstance(row["attempt_id"], bytes))
