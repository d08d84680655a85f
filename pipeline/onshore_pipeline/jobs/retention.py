"""Retention by itself: while `retention.yaml` is there, what is due is deleted once an interval, beside the sequencer.

Each run is a thread with a connection of its own, because a deletion waits until its tombstone is sealed, which takes
the sequencer's own next step, and because the store may take long to rewrite its parts. It does what `onshore
retention run` does (`jobs.deletions`), and may be killed as that may. What it did last stands in a file for `onshore
status`.
"""

from __future__ import annotations

import json
import threading
import time
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import structlog

from onshore_pipeline.actions import Action
from onshore_pipeline.context.retention import FILE_NAME, read_retention
from onshore_pipeline.errors import OnshoreError
from onshore_pipeline.failpoints import nowhere
from onshore_pipeline.jobs.deletions import Deleter, HoldsChanged
from onshore_pipeline.jobs.holds import in_force, standing_holds
from onshore_pipeline.stack import DataDir
from onshore_pipeline.store.connect import store_errors
from onshore_pipeline.store_lock import StoreBusy, changing_alone

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.jobs.deletions import Hold, Tombstone
    from onshore_pipeline.settings import Settings
    from onshore_pipeline.store.reader import Reader

log = structlog.get_logger("retention")

# Who it says it is in the tombstones that nobody asked for by hand.
WHO: Final = "onshore retention"
_SEALED_WITHIN_S: Final = 60.0
_LOOK_EVERY_S: Final = 0.2
_SOON: Final = timedelta(minutes=1)
_END_WITHIN_S: Final = 2.0

_IS_SEALED: Final = """
SELECT count() AS n FROM message_actions_current WHERE action = 'evidence.delete'
    AND attributes['onshore.deletion.id'] = {deletion:String} AND attributes['onshore.deletion.root'] = {root:String}
"""
_RESTORING: Final = "SELECT count() FROM restores_open"


class NotSealed(OnshoreError):
    """A tombstone is recorded, and no worker has sealed it yet; nothing of that deletion was deleted."""


@dataclass(slots=True)
class Sealer:
    """Records a tombstone unless it is sealed already, and waits until it is.

    Attributes:
        store: what is read.
        record: appends an action; durable when it returns.
        who: has it deleted: a person (`is_person`), or the job.
        over: set when there is no time to wait.
    """

    store: Reader
    record: Callable[[Action], object]
    who: str
    over: threading.Event = field(default_factory=threading.Event)
    _recorded: set[UUID] = field(default_factory=set)
    is_person: bool = field(default=True, kw_only=True)

    def __call__(self, tombstone: Tombstone) -> None:
        """Raises `NotSealed`, and what `record` does."""
        deadline = time.monotonic() + _SEALED_WITHIN_S
        while not self._is_sealed(tombstone):
            if tombstone.deletion_id not in self._recorded and not self.over.is_set():
                self.record(tombstone_action(tombstone, self.who, is_person=self.is_person))
                self._recorded.add(tombstone.deletion_id)
            if time.monotonic() > deadline or self.over.wait(_LOOK_EVERY_S):
                raise NotSealed(
                    "the tombstone is recorded and not sealed yet: run again when a worker runs; nothing was deleted"
                )

    def _is_sealed(self, tombstone: Tombstone) -> bool:
        asked = {"deletion": str(tombstone.deletion_id), "root": tombstone.root}
        return bool(self.store.rows(_IS_SEALED, asked)[0]["n"])


def tombstone_action(tombstone: Tombstone, who: str, *, is_person: bool) -> Action:
    """What is sealed of a deletion."""
    told = {
        "onshore.deletion.id": str(tombstone.deletion_id),
        "onshore.deletion.domain": tombstone.domain,
        "onshore.deletion.events": str(tombstone.events),
        "onshore.deletion.first": tombstone.first_at.isoformat(),
        "onshore.deletion.last": tombstone.last_at.isoformat(),
        "onshore.deletion.root": tombstone.root,
    }
    return Action("evidence.delete", tombstone.tenant, who, tombstone.rule, told, "user" if is_person else "service")


@dataclass(frozen=True, slots=True)
class RetentionSaid:
    """What the job says of itself; times in ISO 8601, empty where there is none.

    Attributes:
        state: 'off' (there is no retention.yaml), 'waiting' for `next_at`, or 'running'.
        deleted: events that the last run deleted.
        held: events that are due and that holds keep, as of the last run.
        trouble: why the last run did not end.
    """

    state: str = "off"
    ran_at: str = ""
    next_at: str = ""
    deleted: int = 0
    held: int = 0
    trouble: str = ""


class RetentionJob:
    """Runs when it is due; `look` never waits."""

    def __init__(
        self,
        settings: Settings,
        connect: Callable[[], tuple[Client, Reader]],
        record: Callable[[Action], object],
        at: Callable[[str], None] = nowhere,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Take what opens a writing and a reading connection, what records an action, and the clock (UTC)."""
        self._folder, self._data = settings.context_dir, DataDir(settings.data_dir)
        self._every = timedelta(minutes=settings.retention_every_minutes)
        self._connect, self._record, self._at, self._clock = connect, record, at, clock
        self._file = retention_path(settings)
        self._said = last_said(self._file) or RetentionSaid()
        self._over, self._recorded = threading.Event(), set[UUID]()  # of tombstones: once each, however long it takes
        self._thread: threading.Thread | None = None
        self._next: datetime | None = None  # None: as soon as the register has been as it is for an interval

    def look(self) -> None:
        """Begin a run if one is due and none is under way."""
        if self._thread is not None and self._thread.is_alive():
            return
        changed, now = self._changed_at(), self._clock()
        if changed is None:
            self._next = None
            self._say(replace(self._said, state="off", next_at="", trouble=""))
            return
        # Whoever made a mistake in the register has an interval to see it, and `onshore retention plan` to find it.
        due = max(changed + self._every, self._next or changed)
        if now < due:
            self._say(replace(self._said, state="waiting", next_at=due.isoformat()))
            return
        self._thread = threading.Thread(target=self._run, name="retention", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Begin nothing more; a run that is in the middle of a statement is left to die with the process."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(_END_WITHIN_S)

    def _changed_at(self) -> datetime | None:
        if self._folder is None:
            return None
        try:
            return datetime.fromtimestamp((self._folder / FILE_NAME).stat().st_mtime, UTC)
        except FileNotFoundError:
            return None

    def _run(self) -> None:
        began = self._clock()
        self._next = began + self._every
        self._say(replace(self._said, state="running", next_at=""))
        done = RetentionSaid("waiting", began.isoformat(), self._next.isoformat())
        try:
            with changing_alone(self._data):
                deleted, held = self._deleted(began)
            done = replace(done, deleted=deleted, held=held)
        except (StoreBusy, HoldsChanged) as error:  # somebody was quicker, which is no trouble
            self._next = began + min(self._every, _SOON)
            done = replace(self._said, state="waiting", next_at=self._next.isoformat())
            log.info("retention waits", reason=str(error))
        except (OnshoreError, OSError) as error:
            if self._over.is_set():
                return
            self._next = began + min(self._every, _SOON)
            done = replace(done, next_at=self._next.isoformat(), trouble=str(error))
            log.warning("retention stopped", reason=str(error))
        self._say(done)

    def _deleted(self, now: datetime) -> tuple[int, int]:
        """Delete what is due; how many events that were, and how many more holds keep."""
        client, store = self._connect()
        with closing(client), closing(store):
            with store_errors():
                if int(client.query(_RESTORING).result_rows[0][0]):
                    raise OnshoreError("attempts are hidden while they are restored: let `onshore restore` end first")

            def holds() -> list[Hold]:
                return in_force(standing_holds(store))

            retention, deleted = read_retention(self._folder), 0
            seal = Sealer(store, self._record, WHO, self._over, self._recorded, is_person=False)
            deleter = Deleter(client, seal, at=self._at)
            for tombstone in deleter.run(retention, holds, now):
                deleted += tombstone.events
                log.info("deleted", events=tombstone.events, tenant=tombstone.tenant, rule=tombstone.rule)
                if self._over.is_set():
                    break
            return deleted, sum(each.held for each in deleter.due(retention, holds(), now))

    def _say(self, said: RetentionSaid) -> None:
        if said == self._said and self._file.exists():
            return
        self._said = said
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = self._file.with_suffix(".part")
        part.write_text(json.dumps(asdict(said)))
        part.replace(self._file)


def retention_path(settings: Settings) -> Path:
    """Where the job of this data directory says how it goes."""
    return DataDir(settings.data_dir).worker_status.with_name("retention.json")


def last_said(path: Path) -> RetentionSaid | None:
    """What was said last; None when nothing ever was."""
    try:
        told: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    return RetentionSaid(**told)
