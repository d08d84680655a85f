"""Events that retention deleted, as audit sees them: their leaves stand for them in their message's root."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from onshore_pipeline.evidence import merkle
from onshore_pipeline.store.connect import store_errors

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clickhouse_connect.driver.client import Client

Place = tuple[bytes, bytes, int, int]  # attempt, topic id, partition, offset

_DELETED: Final = """
SELECT attempt_id, topic_id, kafka_partition, kafka_offset, record_index, event_id, leaf_hash FROM leaves_deleted
WHERE attempt_id IN {attempts:Array(UUID)}
"""


@dataclass(frozen=True, slots=True)
class Deleted:
    """What was deleted of some attempts.

    Attributes:
        leaves: by message, (record index, leaf) of each deleted event.
        events: their ids.
    """

    leaves: dict[Place, list[tuple[int, bytes]]] = field(default_factory=dict)
    events: set[bytes] = field(default_factory=set)

    def gives(self, place: Place, held: Iterable[tuple[int, bytes]], root: str) -> bool:
        """Whether leaves of rows that are there, with those of the deleted, give a message's sealed root."""
        both = sorted([*self.leaves[place], *held])
        return merkle.root([leaf for _, leaf in both]).hex() == root


def deleted_of(client: Client, named: dict[str, list[str]]) -> Deleted:
    """Read what was deleted of the attempts. Raises `StoreUnavailable`."""
    found = Deleted()
    with store_errors():
        rows = client.query(_DELETED, parameters=named, column_formats={"leaf_hash": "bytes"}).result_rows
    for attempt, topic, partition, offset, index, event, leaf in rows:
        place = (attempt.bytes, topic.bytes, int(partition), int(offset))
        found.leaves.setdefault(place, []).append((int(index), bytes(leaf)))
        found.events.add(event.bytes)
    return found
