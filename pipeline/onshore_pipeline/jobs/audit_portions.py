"""Audit of sealed messages in portions, so that memory is bounded however many there are."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from onshore_pipeline.jobs.audit_events import audit_attempts
from onshore_pipeline.jobs.incomplete import WITH_ROWS
from onshore_pipeline.store.connect import store_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from concurrent.futures import Future
    from datetime import datetime
    from uuid import UUID

    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.jobs.audit_problem import Problem
    from onshore_pipeline.jobs.audit_rules import SealedRules
    from onshore_pipeline.jobs.audit_tombstones import Tombstones

# What lies beside what is asked for is read with it: fewer questions read less twice.
_EVENTS_AT_ONCE: Final = 110_000
# The store reads the next portions while one is sealed again; more would only hold more memory.
_SIDE_BY_SIDE: Final = 2
_ATTEMPTS_AT_ONCE: Final = 500
_SIZES: Final = f"""
SELECT assumeNotNull(attempt_id), sum(events), min((log_id, log_position)) AS place FROM (
    SELECT * FROM evidence_log WHERE {WITH_ROWS} AND attempt_id IS NOT NULL
        AND appended_at >= {{since:DateTime64(9, 'UTC')}} AND appended_at < {{until:DateTime64(9, 'UTC')}}
    LIMIT 1 BY topic_id, partition, log_index
) GROUP BY attempt_id ORDER BY place
"""  # noqa: S608 - fixed text


def audit_events(
    client: Client,
    master: bytes,
    since: datetime,
    until: datetime,
    told: Callable[[int, int], None],
    tombstones: Tombstones,
    rules: SealedRules,
) -> Iterator[Problem]:
    """Problems of every message whose entry was appended in [since, until); `told` is called with events done, and of.

    Raises:
        StoreUnavailable: try again later.
    """
    with store_errors():
        rows = client.query(_SIZES, parameters={"since": since, "until": until}).result_rows
    total, done = sum(int(row[1]) for row in rows), 0
    waiting: deque[tuple[int, Future[list[Problem]]]] = deque()
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        for some, size in _portions(rows):
            waiting.append((size, pool.submit(_audited, client, master, some, tombstones, rules)))
            if len(waiting) > _SIDE_BY_SIDE:
                done += waiting[0][0]
                yield from waiting.popleft()[1].result()
                told(done, total)
        for size, future in waiting:
            done += size
            yield from future.result()
            told(done, total)
    told(total, total)


def _portions(rows: Sequence[Sequence[Any]]) -> Iterator[tuple[list[UUID], int]]:
    """Attempts that are looked at together, and how many events they have."""
    some: list[UUID] = []
    size = 0
    for attempt, events, _ in rows:
        if some and (size + int(events) > _EVENTS_AT_ONCE or len(some) >= _ATTEMPTS_AT_ONCE):
            yield some, size
            some, size = [], 0
        some.append(attempt)
        size += int(events)
    if some:
        yield some, size


def _audited(
    client: Client, master: bytes, attempts: Collection[UUID], tombstones: Tombstones, rules: SealedRules
) -> list[Problem]:
    return list(audit_attempts(client, master, attempts, tombstones, rules))
