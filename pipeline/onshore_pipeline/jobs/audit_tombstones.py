"""Which deletions an audit believes: those that a sealed event `evidence.delete` tells as the store's rows tell them.

Rows of `leaves` and `deletions` are no evidence: whoever writes to the store could hide any event with them. An event
counts as deleted only if the row of a tombstone gives the root that its log entry sealed, and tells of this deletion
the number and the root that its leaves give today.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import numpy as np
import polars as pl

from onshore_pipeline.broker import ACTIONS_TOPIC
from onshore_pipeline.evidence import merkle, salts, seal
from onshore_pipeline.jobs.incomplete import WITH_ROWS
from onshore_pipeline.jobs.stored_events import stored_events
from onshore_pipeline.log_trees import digests_of
from onshore_pipeline.store.connect import store_errors

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from clickhouse_connect.driver.client import Client

_ATTEMPTS: Final = """
SELECT DISTINCT attempt_id FROM message_actions WHERE action = 'evidence.delete'
    AND attributes['onshore.deletion.id'] IN {deletions:Array(String)}
"""
_ENTRIES: Final = f"""
SELECT assumeNotNull(attempt_id), topic_id, partition, offset, entry FROM evidence_log
WHERE {WITH_ROWS} AND attempt_id IN {{attempts:Array(UUID)}} AND topic = {{topic:String}}
"""  # noqa: S608 - fixed text
_LEAVES: Final = """
SELECT deletion_id, toValidUTF8(toString(tenant)) AS tenant, toValidUTF8(toString(domain)) AS domain, leaf_hash
FROM leaves WHERE deletion_id IN {deletions:Array(UUID)}
ORDER BY deletion_id, topic_id, kafka_partition, kafka_offset, record_index
"""
_STEPS: Final = """
SELECT deletion_id, toValidUTF8(toString(tenant)), toValidUTF8(toString(domain)), events, root, toValidUTF8(rule),
    first_at, last_at
FROM deletions WHERE deletion_id IN {deletions:Array(UUID)}
"""
_DONE: Final = "SELECT DISTINCT deletion_id FROM deletions WHERE step IN ('sealed', 'deleted')"
_TOLD: Final = ("tenant", "domain", "events", "root", "rule", "first", "last")


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why a deletion is not believed, or what its rows say that was not sealed.

    Attributes:
        deletion: its id.
        why: for people.
        is_believed: whether its events count as deleted nevertheless.
        is_checked: False where the salt key to check it with is missing.
    """

    deletion: UUID
    why: str
    is_believed: bool = False
    is_checked: bool = True


class Tombstones:
    """Looks at each deletion once; may be asked by several threads."""

    def __init__(self, client: Client, master: bytes) -> None:
        """Take a connection and the salts' master."""
        self._client, self._master, self._lock = client, master, Lock()
        self._doubts: dict[UUID, list[Doubt]] = {}

    def believed(self, deletions: Collection[UUID]) -> frozenset[UUID]:
        """Those that are sealed as the store tells them. Raises `StoreUnavailable`."""
        with self._lock:
            if unknown := [each for each in deletions if each not in self._doubts]:
                self._doubts |= _looked_at(self._client, self._master, unknown)
            return frozenset(each for each in deletions if all(doubt.is_believed for doubt in self._doubts[each]))

    def doubts(self) -> Iterator[Doubt]:
        """What is wrong with any deletion that the store calls sealed or deleted. Raises `StoreUnavailable`."""
        with store_errors():
            done = [row[0] for row in self._client.query(_DONE).result_rows]
        self.believed(done)
        for deletion in done:
            yield from self._doubts[deletion]


def _looked_at(client: Client, master: bytes, deletions: Collection[UUID]) -> dict[UUID, list[Doubt]]:
    named = {"deletions": [str(each) for each in deletions]}
    sealed, is_checked = _sealed(client, master, named)
    with store_errors():
        leaves = pl.from_arrow(client.query_arrow(_LEAVES, parameters=named, use_strings=True))
        steps = client.query(_STEPS, parameters=named).result_rows
    assert isinstance(leaves, pl.DataFrame)
    rows: dict[UUID, set[tuple[str, ...]]] = {}
    for deletion, *told, first, last in steps:
        rows.setdefault(deletion, set()).add((*map(str, told), _utc(first), _utc(last)))
    held = {UUID(bytes=key[0]): part for key, part in leaves.partition_by("deletion_id", as_dict=True).items()}
    return {
        each: [Doubt(each, "its tombstone was sealed with another salt key", is_believed=True, is_checked=False)]
        if not is_checked
        else list(_doubts(each, sealed.get(each, set()), held.get(each), rows.get(each, set())))
        for each in deletions
    }


def _doubts(
    deletion: UUID, sealed: set[tuple[str, ...]], leaves: pl.DataFrame | None, rows: set[tuple[str, ...]]
) -> Iterator[Doubt]:
    """What one deletion's leaves and rows say that no tombstone of it says."""
    if not sealed:
        yield Doubt(deletion, "no sealed tombstone names it")
        return
    counted = set[tuple[str, ...]]()
    if leaves is not None:
        root = merkle.roots(digests_of(leaves["leaf_hash"].to_arrow()), np.array([leaves.height], np.int64))[0]
        of = leaves.select("tenant", "domain").unique().rows()
        counted = {(*each, str(leaves.height), root.tobytes().hex()) for each in of}
    if len(counted) != 1 or not counted <= {each[:4] for each in sealed}:
        yield Doubt(deletion, "its leaves are not those that its tombstone sealed")
    for row in sorted(rows - sealed):
        nearest = min(sealed, key=lambda each: sum(a != b for a, b in zip(row, each, strict=True)))
        differs = [name for name, a, b in zip(_TOLD, row, nearest, strict=True) if a != b]
        yield Doubt(deletion, f"its row says another {', '.join(differs)} than its tombstone", is_believed=True)


def _sealed(client: Client, master: bytes, named: dict[str, Any]) -> tuple[dict[UUID, set[tuple[str, ...]]], bool]:
    """What sealed tombstones tell of some deletions (`_TOLD`), and whether their salt keys are those of `master`."""
    with store_errors():
        attempts = [row[0] for row in client.query(_ATTEMPTS, parameters=named).result_rows]
        asked = {"attempts": [str(each) for each in attempts], "topic": ACTIONS_TOPIC}
        entries = {
            (row[0].bytes, row[1].bytes, int(row[2]), int(row[3])): json.loads(row[4])
            for row in client.query(_ENTRIES, parameters=asked).result_rows
        }
    if not entries:
        return {}, True
    stored = stored_events(client, attempts, topic=ACTIONS_TOPIC)
    known = [entries.get(place) for place in stored.places.rows()]
    keys = [salts.salt_key(master, entry["tenant"], int(entry["timestamp"])) if entry else None for entry in known]
    if any(entry and key and entry["salt_key"] != key.key_id for entry, key in zip(known, keys, strict=True)):
        return {}, False
    messages = [
        seal.SealedMessage(UUID(bytes=place[1]), place[2], place[3], key or salts.SaltKey("", bytes(32)))
        for place, key in zip(stored.places.rows(), keys, strict=True)
    ]
    leaves = seal.leaf_hashes(stored.events, stored.attributes, stored.resource_attributes, messages)
    sizes = np.bincount(stored.events["message"].to_numpy(), minlength=len(known)).astype(np.int64)
    right = [
        entry is not None and root.tobytes().hex() == entry["events_root"]
        for entry, root in zip(known, merkle.roots(leaves, sizes), strict=True)
    ]
    told: dict[UUID, set[tuple[str, ...]]] = {}
    events = stored.events.filter(pl.Series(right, dtype=pl.Boolean).gather(stored.events["message"]))
    events = events.filter(pl.col("action") == "evidence.delete")
    pairs = stored.attributes.filter(pl.col("row").is_in(events["row"].implode()))
    attributes = {row[0]: dict(zip(*row[1:], strict=True)) for row in pairs.group_by("row").agg("key", "text").rows()}
    for row, message, reason in events.select("row", "message", "reason").rows():
        entry, of = known[message], attributes.get(row, {})
        assert entry is not None
        says = [of.get(f"onshore.deletion.{name}", "") for name in ("domain", "events", "root", "first", "last")]
        told.setdefault(_id(of.get("onshore.deletion.id", "")), set()).add(
            (entry["tenant"], *says[:3], reason or "", *says[3:])
        )
    return told, True


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        return UUID(int=0)


def _utc(moment: datetime) -> str:
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).isoformat()
