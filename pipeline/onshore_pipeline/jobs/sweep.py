"""Clean up after attempts (protocol step 7): rows of dead ones go, finished ones leave the list of open ones."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from onshore_pipeline.store.connect import store_errors

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

FACT_TABLES: Final = (
    "events", "violations", "message_verdicts", "message_flows", "message_access", "message_collectors",
    "metric_points", "dead_letters",
)  # fmt: skip

# An attempt younger than this may still be about to commit.
_SETTLE: Final = timedelta(seconds=60)

# What a worker can have been stopped for and still write; rows that come later stay hidden and are left where they are.
_SWEPT_FOR: Final = timedelta(days=1)

# Dead: the log has an entry at or behind the attempt's first offset in one of its partitions, and does not name the
# attempt. Offsets are committed in order, so it can never commit.
_DEAD: Final = """
SELECT DISTINCT attempt_id FROM (
    SELECT attempt_id, topic_id, partition, first_offset FROM attempts
    ARRAY JOIN topic_ids AS topic_id, partitions AS partition, first_offsets AS first_offset
    WHERE registered_at BETWEEN {since:DateTime64(3, 'UTC')} AND {settled:DateTime64(3, 'UTC')}
        AND attempt_id IN (SELECT attempt_id FROM attempts_open)
) AS open
INNER JOIN (
    SELECT topic_id, partition, max(offset) AS newest FROM evidence_log GROUP BY topic_id, partition
) AS logged USING (topic_id, partition)
WHERE first_offset <= newest
"""

_COMMITTED: Final = """
DELETE FROM attempts WHERE registered_at < {settled:DateTime64(3, 'UTC')}
    AND attempt_id NOT IN (SELECT attempt_id FROM attempts_open)
"""


@dataclass(frozen=True, slots=True)
class Swept:
    """How many dead attempts there are, and how many of their rows were deleted."""

    dead_attempts: int
    rows: int


def sweep(client: Client, now: datetime | None = None) -> Swept:
    """Delete the rows of dead attempts and the registrations of committed ones.

    The registration of a dead attempt stays for ever: a worker that was stopped and wakes up may write rows of it
    later, and as long as it is registered nobody sees them; the next sweep deletes them.
    """
    now = now or datetime.now(UTC)
    settled = {"settled": now - _SETTLE}
    with store_errors():
        dead = [
            str(row[0]) for row in client.query(_DEAD, parameters={**settled, "since": now - _SWEPT_FOR}).result_rows
        ]
        rows = 0
        if dead:
            for table in FACT_TABLES:
                rows += _delete(client, table, dead)
        client.command(_COMMITTED, parameters=settled)
    return Swept(len(dead), rows)


def _delete(client: Client, table: str, attempts: list[str]) -> int:
    rows = f"FROM {table} WHERE attempt_id IN {{attempts:Array(UUID)}}"
    found = int(client.query(f"SELECT count() {rows}", parameters={"attempts": attempts}).result_rows[0][0])
    if found:
        client.command(f"DELETE {rows}", parameters={"attempts": attempts})
    return found
