"""Whether the leaves that the store has of a message give the root that its entry sealed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from onshore_pipeline.evidence.merkle import DIGEST_SIZE, roots
from onshore_pipeline.jobs.incomplete import WITH_ROWS
from onshore_pipeline.jobs.portions import portions
from onshore_pipeline.store.connect import store_errors

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from uuid import UUID

    from clickhouse_connect.driver.client import Client

_AT_ONCE: Final = 16  # attempts: 40,000 leaves each at most, but for one message that holds more

_WITH_EVENTS: Final = f"""
SELECT DISTINCT assumeNotNull(attempt_id) FROM evidence_log
WHERE {WITH_ROWS} AND events > 0 AND attempt_id IS NOT NULL
"""  # noqa: S608 - fixed text
_SEALED: Final = f"""
SELECT assumeNotNull(attempt_id), topic_id, partition, offset, any(topic), any(JSONExtractString(entry, 'events_root'))
FROM evidence_log WHERE {WITH_ROWS} AND attempt_id IN {{attempts:Array(UUID)}} GROUP BY ALL
"""  # noqa: S608 - fixed text
# Of an event that was deleted the leaf is all there is.
_HELD: Final = """(
    SELECT attempt_id, topic_id, kafka_partition, kafka_offset, record_index, leaf_hash FROM events
    WHERE attempt_id IN {attempts:Array(UUID)}
    UNION ALL
    SELECT attempt_id, topic_id, kafka_partition, kafka_offset, record_index, leaf_hash FROM leaves_deleted
    WHERE attempt_id IN {attempts:Array(UUID)}
)"""
_SIZES: Final = f"""
SELECT attempt_id, topic_id, kafka_partition, kafka_offset, count() FROM {_HELD} GROUP BY ALL ORDER BY ALL
"""  # noqa: S608 - fixed text
_LEAVES: Final = f"""
SELECT leaf_hash FROM {_HELD}
ORDER BY attempt_id, topic_id, kafka_partition, kafka_offset, record_index
"""  # noqa: S608 - fixed text


@dataclass(frozen=True, slots=True)
class Altered:
    """A message whose rows of one attempt do not give what was sealed: leaves are changed, missing or too many."""

    attempt_id: UUID
    topic: str
    topic_id: UUID
    partition: int
    offset: int

    def __str__(self) -> str:
        """As people name it."""
        return f"{self.topic}[{self.partition}]@{self.offset} (attempt {self.attempt_id})"


def with_altered_leaves(client: Client, attempts: Collection[UUID] | None = None) -> Iterator[Altered]:
    """Messages that have events in the store which do not give the sealed root; of all attempts where none is named.

    Reads 32 bytes an event. It does not show that a leaf is the hash of its row.
    """
    if attempts is None:
        with store_errors():
            attempts = [row[0] for row in client.query(_WITH_EVENTS).result_rows]
    for some in portions(attempts, _AT_ONCE):
        yield from _altered(client, some)


def _altered(client: Client, attempts: Collection[UUID]) -> Iterator[Altered]:
    named = {"attempts": [str(each) for each in attempts]}
    with store_errors():
        sealed = {tuple(row[:4]): row[4:] for row in client.query(_SEALED, parameters=named).result_rows}
        rows = client.query(_SIZES, parameters=named).result_rows
        leaves = client.query_arrow(_LEAVES, parameters=named)["leaf_hash"].combine_chunks()
    sizes = np.array([row[4] for row in rows], np.int64)
    if int(sizes.sum()) != len(leaves):  # written between the two questions: whoever asks, asks again
        return
    raw = np.frombuffer(b"".join(leaves.to_pylist()), np.uint8).reshape(-1, DIGEST_SIZE)
    for row, root in zip(rows, roots(raw, sizes), strict=True):
        topic, expected = sealed.get(tuple(row[:4]), ("", ""))
        if expected and root.tobytes().hex() != expected:
            yield Altered(row[0], str(topic), row[1], int(row[2]), int(row[3]))
