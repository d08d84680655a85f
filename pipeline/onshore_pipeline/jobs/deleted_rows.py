"""What restore knows of events that were deleted on purpose: it neither misses them nor brings them back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from onshore_pipeline.store.connect import store_errors

if TYPE_CHECKING:
    from collections.abc import Collection
    from uuid import UUID

    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.assess import MessageId

# What holds rows of single events: they go with their event.
ROWS_OF_EVENTS: Final = ("events", "metric_points")
# What jobs copied out of events, and build again from those that are there.
COPIES_OF_EVENTS: Final = ("windowed_facts", "windowed_pending")

_MESSAGES: Final = """
SELECT DISTINCT topic_id, kafka_partition, kafka_offset FROM leaves_deleted WHERE attempt_id = {attempt:UUID}
"""
_EVENTS: Final = "SELECT event_id FROM leaves_deleted WHERE attempt_id IN {attempts:Array(UUID)}"


def messages_with_deleted(client: Client, attempt: UUID) -> frozenset[MessageId]:
    """The attempt's messages of which at least one event was deleted."""
    with store_errors():
        rows = client.query(_MESSAGES, parameters={"attempt": str(attempt)}).result_rows
    return frozenset((topic_id, int(partition), int(offset)) for topic_id, partition, offset in rows)


def deleted_events(client: Client, attempts: Collection[UUID]) -> pa.Array:
    """Ids of the attempts' events that were deleted, 16 bytes each."""
    with store_errors():
        rows = client.query(_EVENTS, parameters={"attempts": [str(each) for each in attempts]}).result_rows
    return pa.array([event_id.bytes for (event_id,) in rows], pa.binary(16))


def without(rows: pa.Table, deleted: pa.Array) -> pa.Table:
    """The rows whose `event_id` is not among `deleted`."""
    if not len(deleted):
        return rows
    return rows.filter(pc.invert(pc.is_in(rows["event_id"], value_set=deleted)))
