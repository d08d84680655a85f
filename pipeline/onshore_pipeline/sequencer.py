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

from onshore_pipeline.errors import EvidenceAltered, StoreUnavailable
from onshore_pipeline.evidence.merkle import leaf_hash
from onshore_pipeline.failpoints import nowhere
from onshore_pipeline.log_check import refuse_older_log
from onshore_pipeline.store.connect import store_errors
from onshore_pipeline.store.tables import SCHEMAS
from onshore_pipeline.store.writer import insert

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.broker import EntryReader, LoggedEntry

log = structlog.get_logger("sequencer")


# Kinds of entries that stand for offsets, in their order; the others speak about offsets that have an entry already.
_COVERING: Final = ("message", "gap")
_RANGES: Final = ("gap", "lost")

# Everything in one statement, and so of one moment: what an earlier sequencer still writes is in all of it or in none.
_STANDS: Final = """
SELECT log_id, log_partition, max(log_position), topic_id, partition, max(log_index) + 1,
    maxIf(end_offset, kind IN ('message', 'gap')), countIf(kind IN ('message', 'gap'))
FROM evidence_log GROUP BY log_id, log_partition, topic_id, partition
"""
_HELD: Final = """
SELECT count() FROM evidence_log WHERE topic_id = {topic_id:UUID} AND partition = {partition:UInt32}
    AND log_index = {log_index:UInt64} AND log_position = {log_position:UInt64}
"""
_NO_LOG: Final = UUID(int=0)  # of rows that were copied before logs had ids


@dataclass(frozen=True, slots=True)
class Place:
    """How many entries a topic-partition has, and which offset the next one must begin at (None: any)."""

    size: int
    next_offset: int | None


Places = dict[tuple[str, int], Place]


@dataclass(frozen=True, slots=True)
class Sequenced:
    """What one step copied: the attempts that became visible, and how many entries."""

    attempts: frozenset[UUID]
    entries: int


class Sequencer:
    """Copies entries, numbers them within their topic-partition, hands out what became visible."""

    def __init__(self, reader: EntryReader, client: Client, at: Callable[[str], None] = nowhere) -> None:
        """Read the position from the store.

        Raises:
            LogBehindStore: the log is not the one that the store was copied from, or an older copy of it.
            StoreUnavailable, BrokerUnavailable: try again later.
        """
        self._reader, self._client, self._at = reader, client, at
        self._after, self._places = stands(client, reader.log_id)
        self._newest: dict[str, object] | None = None
        refuse_older_log(reader, client)

    @property
    def position(self) -> dict[int, int]:
        """Newest copied position of every log partition."""
        return dict(self._after)

    @property
    def log_id(self) -> UUID:
        """The log that is copied."""
        return self._reader.log_id

    def step(self, *, max_entries: int, timeout_s: float) -> Sequenced:
        """Copy the next entries, if any come within `timeout_s`.

        Raises:
            EvidenceAltered: the log names an offset again, or leaves one out, or cannot be read: nothing is copied.
            StoreUnavailable, BrokerUnavailable: try again later, with a new sequencer.
        """
        self._at("6.before")
        entries = self._reader.read(after=self._after, max_entries=max_entries, timeout_s=timeout_s)
        if not entries:
            return Sequenced(frozenset(), 0)
        self._at("6.read")
        self.check_store()
        places = dict(self._places)
        rows = [evidence_row(logged, places, self._reader.log_id) for logged in entries]
        insert(self._client, "evidence_log", pa.Table.from_pylist(rows, schema=SCHEMAS["evidence_log"]))
        self._places, self._newest = places, rows[-1]
        self._at("6.copied")
        for logged in entries:
            self._after[logged.partition] = logged.position
        self._at("6.after")
        return Sequenced(_attempts(rows), len(rows))

    def check_store(self) -> None:
        """Make sure that the store still has what was copied last; quick.

        Raises:
            StoreUnavailable: an older store was put in its place: a new sequencer begins where that one ends.
        """
        if self._newest is None:
            return
        names = ("partition", "log_index", "log_position")
        asked = {name: self._newest[name] for name in names} | {"topic_id": str(_uuid(self._newest["topic_id"]))}
        with store_errors():
            if not self._client.query(_HELD, parameters=asked).result_rows[0][0]:
                raise StoreUnavailable("the store was put back to an older state: copying again from where it ends")

    def close(self) -> None:
        """Release the reader."""
        self._reader.close()


def stands(client: Client, log_id: UUID) -> tuple[dict[int, int], Places]:
    """How far the store's copy of the log `log_id` goes, by log partition, and where every topic-partition stands."""
    with store_errors():
        rows = client.query(_STANDS).result_rows
    after: dict[int, int] = {}
    places: Places = {}
    for copied_from, log_partition, position, topic, partition, size, end, covering in rows:
        if copied_from in {log_id, _NO_LOG}:
            after[int(log_partition)] = max(int(position), after.get(int(log_partition), -1))
        key = (str(topic), int(partition))
        before = places.get(key) or Place(0, None)
        ends = [each for each in (before.next_offset, int(end) if covering else None) if each is not None]
        places[key] = Place(max(before.size, int(size)), max(ends, default=None))
    return after, places


def evidence_row(logged: LoggedEntry, places: Places, log_id: UUID) -> dict[str, object]:
    """One row of `evidence_log`; `places` is moved on.

    Raises:
        EvidenceAltered: the entry is unreadable, or does not follow on what `places` says.
    """
    try:
        entry = json.loads(logged.value)
        key = (str(UUID(entry["topic_id"])), int(entry["partition"]))
        offset, kind = int(entry["offset"]), str(entry["kind"])
        end = int(entry["end"]) if kind in _RANGES else offset + 1
    except (ValueError, KeyError, TypeError) as error:
        raise EvidenceAltered("6", f"log entry {logged.partition}:{logged.position} is unreadable: {error}") from None
    place = places.get(key) or Place(0, None)
    # A partition's first entry may stand anywhere: what was there before the log began is nobody's claim.
    expected = offset if place.next_offset is None else place.next_offset
    if kind in _COVERING:
        if offset != expected or end <= offset:
            raise EvidenceAltered("6", _contradiction(logged, entry, expected))
        places[key] = Place(place.size + 1, end)
    else:
        places[key] = Place(place.size + 1, place.next_offset)
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
        "log_id": log_id.bytes,
        "end_offset": end,
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
    return frozenset(_uuid(row["attempt_id"]) for row in rows)


def _uuid(raw: object) -> UUID:
    assert isinstance(raw, bytes)
    return UUID(bytes=raw)
