"""Entries of an export in batches, and what the store has of the next batch while one is written."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Future

    from onshore_pipeline.jobs.export_scope import LoggedEntry
    from onshore_pipeline.jobs.sealed_rows import SealedRows

_EVENTS_AT_ONCE: Final = 10_000
_ENTRIES_AT_ONCE: Final = 10_000


def batches_of(entries: Iterable[LoggedEntry]) -> Iterator[list[LoggedEntry]]:
    """Entries with so many events together; memory follows that, not how much a worker took in one attempt.

    A tombstone that is not asked for is a batch of its own.
    """
    some: list[LoggedEntry] = []
    events = 0
    for entry in entries:
        own = int(entry.told.get("events", 0)) if entry.asked else 0
        is_alone = is_alone_shown(entry)
        if some and (is_alone or events + own > _EVENTS_AT_ONCE or len(some) >= _ENTRIES_AT_ONCE):
            yield some
            some, events = [], 0
        if is_alone:
            yield [entry]
            continue
        some.append(entry)
        events += own
    if some:
        yield some


def is_alone_shown(entry: LoggedEntry) -> bool:
    """Whether only the tombstones of a message are shown."""
    return entry.tombstone and not entry.asked


def read_ahead(
    batches: Iterator[list[LoggedEntry]], read: Callable[[Sequence[LoggedEntry]], SealedRows | None]
) -> Iterator[tuple[list[LoggedEntry], SealedRows | None]]:
    """Each batch with its rows; the store looks for those of the next one meanwhile."""
    with ThreadPoolExecutor(1) as pool:
        before: tuple[list[LoggedEntry], Future[SealedRows | None]] | None = None
        for batch in batches:
            reading = pool.submit(read, batch)
            if before is not None:
                yield before[0], before[1].result()
            before = batch, reading
        if before is not None:
            yield before[0], before[1].result()
