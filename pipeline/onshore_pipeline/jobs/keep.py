"""The loop beside the worker: sequence, roll up, sweep."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import structlog

from onshore_pipeline.failpoints import nowhere
from onshore_pipeline.jobs.aggregate import attempts_behind, drop_old_generations, rebuild
from onshore_pipeline.jobs.sweep import Sweeper
from onshore_pipeline.sequencer_status import say

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from threading import Event
    from uuid import UUID

    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.sequencer import Sequencer

log = structlog.get_logger("keep")

_MAX_ENTRIES: Final = 20_000
_READ_TIMEOUT_S: Final = 0.5
_SWEEP_EVERY_S: Final = 60.0
_SAY_EVERY_S: Final = 1.0
# Between rollups: ten times what one took, but what people look at is never much older than this.
_ROLLUP_SHARE: Final = 10
_SHORTEST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 3.0


def keep(
    sequencer: Sequencer,
    client: Client,
    stop: Event,
    *,
    status_file: Path | None = None,
    at: Callable[[str], None] = nowhere,
) -> None:
    """Sequence until `stop`; rebuild what became visible; sweep once a minute; say in `status_file` how far it is.

    Raises:
        StoreUnavailable, BrokerUnavailable: start again with a new sequencer.
        EvidenceAltered: the log contradicts itself.
    """
    touched: set[UUID] = set(attempts_behind(client))
    sweeper = Sweeper(client, at)
    rollup_due = sweep_due = say_due = time.monotonic()
    while not stop.is_set():
        sequenced = sequencer.step(max_entries=_MAX_ENTRIES, timeout_s=_READ_TIMEOUT_S)
        touched |= sequenced.attempts
        now = time.monotonic()
        if status_file is not None and now >= say_due:
            say(status_file, sequencer.position)
            say_due = now + _SAY_EVERY_S
        if touched and now >= rollup_due:
            rebuilt = rebuild(client, touched, sequencer.position, sequencer.log_id, at)
            if not rebuilt.overtaken:
                touched.clear()
            rollup_due = time.monotonic() + _pause_s(rebuilt.took_s)
        if now >= sweep_due:
            sequencer.check_store()
            swept = sweeper.sweep(datetime.now(UTC))
            at("8.old.before")
            drop_old_generations(client)
            at("8.old.after")
            sweep_due = time.monotonic() + _SWEEP_EVERY_S
            if swept.rows:
                log.info("swept", dead_attempts=swept.dead_attempts, rows=swept.rows)


def _pause_s(took_s: float) -> float:
    """How long to leave the store alone after a rollup."""
    return min(max(_SHORTEST_PAUSE_S, _ROLLUP_SHARE * took_s), _LONGEST_PAUSE_S)
