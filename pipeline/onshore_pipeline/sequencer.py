"""The sequencer: copies the authoritative log into the store, in order (protocol step 6).

Only one runs at a time. Its position is the newest entry in the store's own copy, so it needs no state of its own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
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


# A gap covers the offsets up to its end, which only its text tells.
_PLACES: Final = """
SELECT topic_id, partition, max(log_index) + 1, max(next_offset) FROM (
    SELECT topic_id, partition, log_index, offset + 1 AS next_offset FROM evidence_log WHERE kind != 'gap'
    UNION ALL
    SELECT topic_id, partition, log_index, JSONExtractUInt(entry, 'end') FROM evidence_log WHERE kind = 'gap'
) GROUP BY topic_id, partition
"""


@dataclass(frozen=True, slots=True)
class _Place:
    """How many entries a topic-partition has, and which offset the next one must begin at."""

    size: int
    next_offset: int


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
            places = client.query(_PLACES)
        self._after: dict[int, int] = {int(partition): int(position) for partition, position in positions.result_rows}
        self._places = {
            (str(topic), int(partition)): _Place(int(size), int(offset))
            for topic, partition, size, offset in places.result_rows
        }

    @property
    def position(self) -> dict[int, int]:
        """Newest copied position of every log partition."""
        return dict(self._after)

    def step(self, *, max_entries: int, timeout_s: float) -> Sequenced:
        """Copy the next entries, if any come within `timeout_s`.

        Raises:
            EvidenceAltered: the log names an offset again, or leaves one out, or cannot be read: nothing is copied.
            StoreUnavailable, BrokerUnavailable: try again later.
        """
        entries = self._reader.read(after=self._after, max_entries=max_entries, timeout_s=timeout_s)
        if not entries:
            return Sequenced(frozenset(), 0)
        places = dict(self._places)
        rows = [_row(logged, places) for logged in entries]
        insert(self._client, "evidence_log", pa.Table.from_pylist(rows, schema=SCHEMAS["evidence_log"]))
        self._places = places
        for logged in entries:
            self._after[logged.partition] = logged.position
        return Sequenced(_attempts(rows), len(rows))

    def close(self) -> None:
        """Release the reader."""
        self._reader.close()


def _row(logged: LoggedEntry, places: dict[tuple[str, int], _Place]) -> dict[str, object]:
    """One row of `evidence_log`; `places` is moved on."""
    try:
        entry = json.loads(logged.value)
        key = (str(UUID(entry["topic_id"])), int(entry["partition"]))
        offset, kind = int(entry["offset"]), str(entry["kind"])
        end = int(entry["end"]) if kind == "gap" else offset + 1
    except (ValueError, KeyError, TypeError) as error:
        raise EvidenceAltered("6", f"log entry {logged.partition}:{logged.position} is unreadable: {error}") from None
    # A partition's first entry may stand anywhere: what was there before the log began is nobody's claim.
    place = places.get(key) or _Place(0, offset)
    if kind == "amends":
        end = place.next_offset
    elif offset != place.next_offset or end <= offset:
        raise EvidenceAltered("6", _contradiction(logged, entry, place.next_offset))
    places[key] = _Place(place.size + 1, end)
    return {
        "log_partition": logged.partition,
        "log_position": logged.position,
        "appended_at": logged.timestamp_ns,
        "kind": kind,
        "topic": entry["topic"],
        "topic_id": UUID(key[0]).bytes,
        "partition": key[1],
        "offset": offset,
        "log_index": place.size,
        "attempt_id": UUID(entry["attempt"]).bytes,
        "tenant": entry.get("tenant", ""),
        "records": entry.get("records", 0),
        "events": entry.get("events", 0),
        "dead_lettered": entry.get("dead_lettered", 0),
        "entry_hash": leaf_hash(logged.value),
        "entry": logged.value.decode(),
    }


def _contradiction(logged: LoggedEntry, entry: dict[str, object], expected: int) -> str:
    """What is wrong with an entry that does not begin at the `expected` offset, or ends where it begins."""
    partition = f"{entry.get('topic')}[{entry['partition']}]"
    offset = int(str(entry["offset"]))
    said = f"log entry {logged.partition}:{logged.position} names {partition}@{offset}"
    if offset < expected:
        return f"{said} again: the log has {partition} up to {expected - 1}, so {partition}@{expected} comes next"
    if offset > expected:
        return f"{said}, but {partition}@{expected} comes next: no entry covers {expected} to {offset - 1}"
    return f"{said} as a gap that ends at {entry.get('end')} and so covers nothing"


def _attempts(rows: Sequence[dict[str, object]]) -> frozenset[UUID]:
    return frozenset(UUID(bytes=row["attempt_id"]) for row in rows if isinstance(row["attempt_id"], bytes))
