"""Audit: is what the store holds what was sealed? Everything is made again and compared; nothing is changed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from onshore_pipeline.jobs.audit_log import Seen, audit_heads, audit_log
from onshore_pipeline.jobs.audit_outside import foreign_entries, hidden_attempts, unknown_attempts
from onshore_pipeline.jobs.audit_portions import audit_events
from onshore_pipeline.jobs.audit_problem import Problem
from onshore_pipeline.jobs.audit_rollups import audit_rollups
from onshore_pipeline.jobs.audit_rules import SealedRules
from onshore_pipeline.jobs.audit_runs import SealedRuns, audit_runs
from onshore_pipeline.jobs.audit_states import Waivers
from onshore_pipeline.jobs.audit_tombstones import Tombstones
from onshore_pipeline.jobs.incomplete import incomplete

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from datetime import datetime
    from uuid import UUID

    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.broker import EntryReader
    from onshore_pipeline.evidence.signed_note import VerifierKey
    from onshore_pipeline.head_journal import HeadJournal
    from onshore_pipeline.jobs.incomplete import Incomplete

MOST_NAMED: Final = 1_000


@dataclass(slots=True)
class Audited:
    """What came of an audit.

    Attributes:
        problems: named ones, `MOST_NAMED` at most.
        counts: how many of each kind, named or not.
        events: events whose rows were looked at.
        entries: entries that were held against the log; None where there was none to hold them against.
        seen: how far witnesses have seen the log.
        runs: hours whose runs of controls were derived again.
        waiting: hours that a rebuild has yet to look at: their rollups were not compared.
        waivers: how many stand; counted by whoever folds them.
    """

    problems: list[Problem] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    events: int = 0
    entries: int | None = None
    seen: Seen = field(default_factory=Seen)
    runs: SealedRuns = field(default_factory=SealedRuns)
    waiting: int = 0
    waivers: Waivers = field(default_factory=Waivers)

    def wait(self, hours: int) -> None:
        """Note hours that wait to be rebuilt."""
        self.waiting = hours

    def add(self, problems: Iterable[Problem]) -> None:
        """Take problems up."""
        for problem in problems:
            self.counts[problem.what] = self.counts.get(problem.what, 0) + 1
            if len(self.problems) < MOST_NAMED:
                self.problems.append(problem)


def audit(
    client: Client,
    reader: EntryReader | None,
    master: bytes,
    keys: Collection[VerifierKey],
    journal: HeadJournal,
    since: datetime,
    until: datetime,
    told: Callable[[str, int, int | None], None],
    witnesses: Collection[VerifierKey] = (),
    earlier: Collection[UUID] = (),
) -> Audited:
    """Audit the log's copy, the heads, what witnesses said of them, and the messages sealed in [since, until).

    `told` is called with a step, how much of it is done, and of how much; `earlier` are logs before this one.

    Raises:
        StoreUnavailable, BrokerUnavailable: try again later.
    """
    done = Audited()

    def entries(count: int) -> None:
        done.entries = count
        told("entries of the log", count, None)

    def events(count: int, of: int) -> None:
        done.events = count
        told("events", count, of)

    with ThreadPoolExecutor(1) as beside:
        # What the store compares by itself, while it would wait for this process to make leaves again.
        unknown = beside.submit(lambda: [*unknown_attempts(client), *hidden_attempts(client)])
        differing = beside.submit(lambda: incomplete(client))
        rollups = beside.submit(lambda: list(audit_rollups(client, done.wait)))
        runs = beside.submit(lambda: list(audit_runs(client, since, until, done.runs)))
        if reader is not None:
            done.entries = 0
            done.add(audit_log(client, reader, entries))
        told("heads", 0, None)
        covered: dict[UUID, int] = {}
        done.add(audit_heads(client, keys, journal, witnesses, done.seen, covered))
        done.add(foreign_entries(client, reader.log_id if reader is not None else None, covered, earlier))
        tombstones, rules = Tombstones(client, master), SealedRules(client)
        done.add(audit_events(client, master, since, until, events, tombstones, rules))
        done.add(_deletions(tombstones))
        done.add(rules.problems())
        told("facts beside events", 0, None)
        done.add(unknown.result())
        done.add(_incomplete(differing.result(), done))
        told("rollups", 0, None)
        done.add(rollups.result())
        told("runs of controls", 0, None)
        done.add(runs.result())
    return done


def _deletions(tombstones: Tombstones) -> Iterator[Problem]:
    for doubt in tombstones.doubts():
        place = {"deletion": str(doubt.deletion)}
        yield Problem("deletion" if doubt.is_checked else "uncheckable", f"deletion {doubt.deletion}", doubt.why, place)


def _incomplete(differing: Iterable[Incomplete], done: Audited) -> Iterator[Problem]:
    """Attempts whose facts do not add up, but for those whose events were named already."""
    named = {problem.place.get("attempt") for problem in done.problems}
    for each in differing:
        if str(each.attempt_id) not in named:
            where = f"attempt {each.attempt_id} ({each.events} events)"
            place = {"attempt": str(each.attempt_id), "tables": list(each.tables)}
            yield Problem("facts", where, f"rows of {', '.join(each.tables)} are missing or too many", place)
