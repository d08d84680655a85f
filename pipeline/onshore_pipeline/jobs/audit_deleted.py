"""Events that retention deleted, as audit sees them: their leaves stand for them in their message's root."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.evidence import merkle
from onshore_pipeline.jobs.stored_events import BESIDE_OTHERS
from onshore_pipeline.store.connect import store_errors

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.jobs.audit_tombstones import Tombstones

Place = tuple[bytes, bytes, int, int]  # attempt, topic id, partition, offset

_DELETED: Final = """
SELECT attempt_id, topic_id, kafka_partition, kafka_offset, record_index, event_id, leaf_hash, deletion_id
FROM leaves_deleted WHERE attempt_id IN {attempts:Array(UUID)}
"""
# The view looks at every event that there is.
_ANY: Final = "SELECT count() FROM leaves WHERE attempt_id IN {attempts:Array(UUID)}"
_EVENTS: Final = {
    "attempt_id": pl.Binary, "topic_id": pl.Binary, "kafka_partition": pl.UInt32, "kafka_offset": pl.UInt64,
    "record_index": pl.UInt32, "event_id": pl.Binary,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Deleted:
    """What was deleted of some attempts.

    Attributes:
        leaves: by message, (record index, leaf) of each deleted event.
        events: their places and ids: `attempt_id`, `topic_id`, `event_id` (16 bytes each), `kafka_partition`,
            `kafka_offset`, `record_index`.
    """

    leaves: dict[Place, list[tuple[int, bytes]]]
    events: pl.DataFrame

    def gives(self, place: Place, held: Iterable[tuple[int, bytes]], root: str) -> bool:
        """Whether leaves of rows that are there, with those of the deleted, give a message's sealed root."""
        both = sorted([*self.leaves[place], *held])
        return merkle.root([leaf for _, leaf in both]).hex() == root


def deleted_of(client: Client, named: dict[str, list[str]], tombstones: Tombstones) -> Deleted:
    """Read what was deleted of the attempts, as sealed tombstones say. Raises `StoreUnavailable`."""
    leaves: dict[Place, list[tuple[int, bytes]]] = {}
    events: list[tuple[bytes, bytes, int, int, int, bytes]] = []
    with store_errors():
        if not int(client.query(_ANY, parameters=named, settings=BESIDE_OTHERS).result_rows[0][0]):
            return Deleted({}, pl.DataFrame(schema=_EVENTS))
        rows = client.query(_DELETED, parameters=named, column_formats={"leaf_hash": "bytes"}).result_rows
    believed = tombstones.believed({row[7] for row in rows})
    for attempt, topic, partition, offset, index, event, leaf, deletion in rows:
        if deletion not in believed:
            continue
        place = (attempt.bytes, topic.bytes, int(partition), int(offset))
        leaves.setdefault(place, []).append((int(index), bytes(leaf)))
        events.append((*place, int(index), event.bytes))
    return Deleted(leaves, pl.DataFrame(events, schema=_EVENTS, orient="row").unique(maintain_order=True))
