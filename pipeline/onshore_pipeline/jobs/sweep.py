"""Clean up after attempts (protocol step 7): rows of dead ones go, finished ones leave the list of open ones."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from onshore_pipeline.failpoints import nowhere
from onshore_pipeline.jobs.deleting import delete
from onshore_pipeline.jobs.portions import portions
from onshore_pipeline.store.connect import store_errors

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from clickhouse_connect.driver.client import Client

FACT_TABLES: Final = (
    "events", "violations", "message_verdicts", "message_flows", "message_access", "message_collectors",
    "message_sequences", "message_statements", "message_actions", "metric_points", "dead_letters",
)  # fmt: skip

# An attempt younger than this may still be about to commit.
_SETTLE: Final = timedelta(seconds=60)

# A worker that was stopped may write rows after its attempt was swept. They stay hidden; an attempt younger than this
# is swept every time, an older one once in this time.
_OFTEN: Final = timedelta(days=1)

# Dead: the log has an entry at or behind the attempt's first offset in one of its partitions, and does not name the
# attempt. Offsets are committed in order, so it can never commit. An attempt that amends moves no offset and has none:
# it is dead once another amender took over before it was committed, which that one writes down (`jobs.amending`).
_DEAD: Final = """
SELECT DISTINCT attempt_id, registered_at > {young:DateTime64(3, 'UTC')} FROM (
    SELECT attempt_id, registered_at, topic_id, partition, first_offset FROM attempts
    ARRAY JOIN topic_ids AS topic_id, partitions AS partition, first_offsets AS first_offset
    WHERE registered_at < {settled:DateTime64(3, 'UTC')}
        AND attempt_id IN (SELECT attempt_id FROM attempts_uncommitted)
) AS open
INNER JOIN (
    SELECT topic_id, partition, max(offset) AS newest FROM evidence_log GROUP BY topic_id, partition
) AS logged USING (topic_id, partition)
WHERE first_offset <= newest
UNION DISTINCT
SELECT attempt_id, registered_at > {young:DateTime64(3, 'UTC')} FROM attempts
WHERE attempt_id IN (SELECT attempt_id FROM attempts_abandoned)
    AND attempt_id IN (SELECT attempt_id FROM attempts_uncommitted)
"""

_COMMITTED: Final = """
registered_at < {settled:DateTime64(3, 'UTC')} AND attempt_id NOT IN (SELECT attempt_id FROM attempts_uncommitted)"""
_ROWS_OF: Final = "attempt_id IN {attempts:Array(UUID)}"


@dataclass(frozen=True, slots=True)
class Swept:
    """How many dead attempts were looked at, and how many of their rows were deleted."""

    dead_attempts: int
    rows: int


class Sweeper:
    """Sweeps again and again; its first sweep looks at every dead attempt, whatever its age."""

    def __init__(self, client: Client, at: Callable[[str], None] = nowhere, *, wait: bool = True) -> None:
        """Nothing is swept yet; `wait` until the store has deleted what is swept."""
        self._client, self._at, self._wait = client, at, wait
        self._swept_at: dict[UUID, datetime] = {}

    def sweep(self, now: datetime) -> Swept:
        """Delete the rows of dead attempts and the registrations of committed ones.

        The registration of a dead attempt stays for ever: a worker that was stopped and wakes up may write rows of it
        later, and as long as it is registered nobody sees them; a later sweep deletes them.
        """
        settled, young = {"settled": now - _SETTLE}, {"young": now - _OFTEN}
        rows = 0
        self._at("7.before")
        with store_errors():
            dead = self._client.query(_DEAD, parameters=settled | young).result_rows
            due = [attempt for attempt, is_young in dead if is_young or self._is_due(attempt, now)]
            for some in portions(due):
                named = [str(attempt) for attempt in some]
                for table in FACT_TABLES:
                    rows += delete(self._client, table, _ROWS_OF, {"attempts": named}, wait=self._wait)
                    self._at(f"7.{table}")
                self._swept_at.update(dict.fromkeys(some, now))
            delete(self._client, "attempts", _COMMITTED, settled, wait=self._wait)
        self._at("7.after")
        return Swept(len(due), rows)

    def _is_due(self, attempt: UUID, now: datetime) -> bool:
        swept_at = self._swept_at.get(attempt)
        return swept_at is None or swept_at <= now - _OFTEN


def sweep(client: Client, now: datetime | None = None) -> Swept:
    """Sweep every dead attempt once."""
    return Sweeper(client).sweep(now or datetime.now(UTC))
