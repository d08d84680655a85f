"""Audit: is what the store holds what was sealed? Everything is made again and compared; nothing is changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from onshore_pipeline.jobs.audit_events import Problem
from onshore_pipeline.jobs.audit_log import Seen, audit_heads, audit_log
from onshore_pipeline.jobs.audit_portions import audit_events
from onshore_pipeline.jobs.audit_runs import SealedRuns, audit_runs
from onshore_pipeline.jobs.incomplete import incomplete
from onshore_pipeline.jobs.sweep import FACT_TABLES
from onshore_pipeline.store.connect import store_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from datetime import datetime

    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.broker import EntryReader
    from onshore_pipeline.evidence.signed_note import VerifierKey
    from onshore_pipeline.head_journal import HeadJournal

MOST_NAMED: Final = 1_000

# Rows that no entry names and no attempt under way could have written.
_UNKNOWN: Final = """
SELECT DISTINCT attempt_id FROM {table} WHERE attempt_id NOT IN (SELECT attempt_id FROM attempts)
    AND attempt_id NOT IN (SELECT assumeNotNull(attempt_id) FROM evidence_log WHERE attempt_id IS NOT NULL) LIMIT 100
"""
# Findings of other kinds are made of other facts.
_FINDINGS: Final = """
SELECT finding_id, toValidUTF8(toString(control)), built, counted FROM (
    SELECT finding_id, any(control_id) AS control, sum(events) AS built FROM findings GROUP BY finding_id
) AS f FULL JOIN (
    SELECT finding_id, count() AS counted FROM violations_current GROUP BY finding_id
) AS v USING (finding_id)
WHERE built != counted AND (counted > 0 OR control IN (SELECT control_id FROM violations_current)) LIMIT 1000
"""


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
    """

    problems: list[Problem] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    events: int = 0
    entries: int | None = None
    seen: Seen = field(default_factory=Seen)
    runs: SealedRuns = field(default_factory=SealedRuns)

    def add(self, problems: Iterator[Problem]) -> None:
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
) -> Audited:
    """Audit the log's copy, the heads, what witnesses said of them, and the messages sealed in [since, until).

    `told` is called with a step, how much of it is done, and of how much.

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

    if reader is not None:
        done.entries = 0
        done.add(audit_log(client, reader, entries))
    told("heads", 0, None)
    done.add(audit_heads(client, keys, journal, witnesses, done.seen))
    done.add(audit_events(client, master, since, until, events))
    told("facts beside events", 0, None)
    done.add(_unknown(client))
    done.add(_incomplete(client, done))
    done.add(_findings(client))
    told("runs of controls", 0, None)
    done.add(audit_runs(client, since, until, done.runs))
    return done


def _unknown(client: Client) -> Iterator[Problem]:
    for table in FACT_TABLES:
        with store_errors():
            rows = client.query(_UNKNOWN.replace("{table}", table)).result_rows
        for (attempt,) in rows:
            place = {"attempt": str(attempt), "table": table}
            yield Problem("inserted", f"{table}, attempt {attempt}", "rows of an attempt that nobody made", place)


def _incomplete(client: Client, done: Audited) -> Iterator[Problem]:
    """Attempts whose facts do not add up, but for those whose events were named already."""
    named = {problem.place.get("attempt") for problem in done.problems}
    for each in incomplete(client):
        if str(each.attempt_id) not in named:
            where = f"attempt {each.attempt_id} ({each.events} events)"
            place = {"attempt": str(each.attempt_id), "tables": list(each.tables)}
            yield Problem("facts", where, f"rows of {', '.join(each.tables)} are missing or too many", place)


def _findings(client: Client) -> Iterator[Problem]:
    with store_errors():
        rows = client.query(_FINDINGS).result_rows
    for finding, control, built, counted in rows:
        place = {"finding_id": str(finding), "control": str(control)}
        why = f"it counts {built} events, and {counted} violations of it are sealed"
        yield Problem("rollup", f"finding {finding} ({control})", why, place)
