"""Findings as they stand now: counts from the rollups, lives from what people did, deadlines, waivers in force.

Everything is derived when it is asked for, from committed facts; nothing is updated in place. Whoever asks gives a
store with `frame(sql, parameters)`: `store.reader.Reader`, or the dashboard's.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

from onshore_pipeline.domain.control import SEVERITIES
from onshore_pipeline.findings.deadlines import ClockTexts, incident_deadlines
from onshore_pipeline.findings.incidents import first_incidents, incidents_behind, last_restated, windowed_controls
from onshore_pipeline.findings.life import (
    CLOSED,
    FALSE_POSITIVE,
    FINDING_ID,
    RESOLVE,
    Deed,
    Incident,
    Life,
    Start,
    State,
    live,
)
from onshore_pipeline.findings.people_keys import read_people
from onshore_pipeline.findings.waivers import Waiver, in_force, waivers_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    import polars as pl

    from onshore_pipeline.findings.clocks import Deadline


class Store(Protocol):
    """Who answers SELECTs."""

    def frame(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pl.DataFrame:
        """The answer; UUIDs as text, times as Datetime in UTC."""
        ...


@dataclass(frozen=True, slots=True)
class Standing:
    """One finding.

    Attributes:
        severity: as a person gave it, else the control's, which is `control_severity`.
        fingerprint: what its events have in common, in the control's order.
        looks_at: what `events` counts: 'event', or 'window', 'sequence' or 'absence', of which `bytes` says nothing.
        state: 'waived' while a waiver is in force for it; what lies below is `life.state`.
        waiver: that waiver.
        deadlines: its clocks, the control's own first.
        waivers: all that ever were in force for it.
        restated_on: when late events last changed what is said about it; None if they never did.
    """

    finding_id: str
    tenant: str
    domain: str
    control_id: str
    control_version: int
    kind: str
    severity: str
    control_severity: str
    fingerprint: Mapping[str, str]
    first_seen: datetime
    last_seen: datetime
    looks_at: str
    events: int
    bytes: int
    state: State
    life: Life
    deadlines: tuple[Deadline, ...]
    waiver: Waiver | None
    waivers: tuple[Waiver, ...]
    restated_on: datetime | None

    @property
    def counted(self) -> str:
        """How many of what violate the control, such as `1 event` or `3 windows`."""
        return f"{self.events:,} {self.looks_at}{'' if self.events == 1 else 's'}"

    @property
    def due(self) -> Deadline | None:
        """The clock that ends first; None where none runs, or where the finding is closed."""
        if self.state in CLOSED:
            return None
        running = [each for each in self.deadlines if each.due is not None]
        return min(running, key=lambda each: str(each.due), default=None)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which findings; None: any. `prefix` is the beginning of an id."""

    tenant: str | None = None
    control: str | None = None
    severity: str | None = None
    state: State | None = None
    due_before: datetime | None = None
    prefix: str = ""
    since: datetime | None = None


_FINDINGS: Final = """
SELECT toString(finding_id) AS finding_id, toString(tenant) AS tenant, toString(domain) AS domain,
    toString(control_id) AS control_id, control_version, toString(kind) AS kind, toString(severity) AS severity,
    mapKeys(fingerprint) AS keys, arrayMap(v -> toValidUTF8(v), mapValues(fingerprint)) AS texts,
    first_seen, last_seen, events, bytes
FROM findings
WHERE ({tenant:String} = '' OR tenant = {tenant:String}) AND ({control:String} = '' OR control_id = {control:String})
    AND startsWith(toString(finding_id), {prefix:String})
    AND last_seen >= toDateTime64({since:UInt32}, 9, 'UTC')
ORDER BY finding_id
"""
_ACTIONS: Final = """
SELECT action_id, toString(event_id) AS event_id, toString(tenant) AS tenant, toString(action) AS action,
    toValidUTF8(who) AS who, toValidUTF8(reason) AS reason, mapKeys(attributes) AS keys,
    arrayMap(v -> toValidUTF8(v), mapValues(attributes)) AS texts, received_at
FROM message_actions_current WHERE startsWith(action, {kind:String})
ORDER BY received_at, topic_id, kafka_offset, record_index
"""
_DELETED: Final = """
SELECT count() AS n FROM violations_current WHERE finding_id = {finding:UUID} AND event_id IN (
    SELECT event_id FROM leaves_deleted
    WHERE event_id IN (SELECT event_id FROM violations_current WHERE finding_id = {finding:UUID})
)
"""


@dataclass(frozen=True, slots=True)
class Folders:
    """Where people's public keys and lists of holidays lie; None: nowhere, so that no waiver is in force."""

    keys: Path | None = None
    holidays: Path | None = None


def folders(context_dir: Path | None, data_dir: Path | None) -> Folders:
    """The folders of a deployment: beside its registries, or in the data directory where it has none."""
    where = context_dir or data_dir
    return Folders(where / "people_keys", where / "holidays") if where else Folders()


def standings(
    store: Store, wanted: Wanted, now: datetime, where: Folders, people: Mapping[str, bytes] | None = None
) -> list[Standing]:
    """The findings that are wanted: what is due first, then the worst.

    `people` has public keys by person; None: those that lie in `where.keys`.

    Raises:
        StoreUnavailable, StoreRefused: as the store does.
        KeyUnusable: `people` is None and a person's key cannot be used.
    """
    rows = _rows(store, wanted)
    if not rows:
        return []
    deeds = actions(store, "finding.")
    by_finding: dict[str, list[Deed]] = defaultdict(list)
    for deed in deeds:
        by_finding[deed.attributes.get(FINDING_ID, "").lower()].append(deed)
    of_windows = windowed_controls(store)
    windowed = frozenset(row["finding_id"] for row in rows if row["control_id"] in of_windows)
    recurred = _recurrences(store, rows, by_finding, windowed)
    texts = ClockTexts(store, {row["control_id"] for row in rows})
    clocked = [row["finding_id"] for row in rows if row["control_id"] in texts.clocked]
    began = first_incidents(store, clocked, windowed)
    told = all_waivers(store, where) if people is None else waivers_of(actions(store, "waiver."), people)
    waivers = [each for each in told if each.approved_at is not None]
    restated = last_restated(store, windowed)
    found = []
    for row in rows:
        finding = row["finding_id"]
        life = live(row["tenant"], by_finding.get(finding, ()), partial(recurred, finding))
        incident = life.began or began.get(finding) or _seen_first(row)
        fingerprint = dict(zip(row["keys"], row["texts"], strict=True))
        covering = [each for each in waivers if each.covers(row["tenant"], row["control_id"], fingerprint)]
        clocks = incident_deadlines(texts, row["control_id"], incident, life, where.holidays)
        looks_at = of_windows.get(row["control_id"], "event")
        found.append(_standing(row, fingerprint, looks_at, life, clocks, covering, now, restated.get(finding)))
    return sorted(filter(lambda each: _is_wanted(each, wanted), found), key=_order)


def deleted_events(store: Store, finding_id: str) -> int:
    """How many of a finding's events retention deleted; they still count among its events."""
    return int(store.frame(_DELETED, {"finding": finding_id}).item())


def actions(store: Store, kind: str) -> list[Deed]:
    """What people did whose action begins with `kind`, in the order of the log."""
    return [
        Deed(
            row["action_id"], row["event_id"], row["tenant"], row["action"], row["who"], row["reason"],
            dict(zip(row["keys"], row["texts"], strict=True)), row["received_at"],
        )
        for row in store.frame(_ACTIONS, {"kind": kind}).iter_rows(named=True)
    ]  # fmt: skip


def all_waivers(store: Store, where: Folders) -> list[Waiver]:
    """Every waiver that was ever proposed, in the order of the log; raises as `read_people` of `Folders.keys`."""
    return waivers_of(actions(store, "waiver."), read_people(where.keys))


def _rows(store: Store, wanted: Wanted) -> list[dict[str, Any]]:
    parameters = {
        "tenant": wanted.tenant or "",
        "control": wanted.control or "",
        "prefix": wanted.prefix.lower(),
        "since": int(wanted.since.timestamp()) if wanted.since else 0,
    }
    return store.frame(_FINDINGS, parameters).to_dicts()


def _recurrences(
    store: Store,
    rows: Iterable[Mapping[str, Any]],
    by_finding: Mapping[str, Sequence[Deed]],
    windowed: Collection[str],
) -> Callable[[str, datetime], Incident | None]:
    """By finding and closing: with what it recurred."""
    last_seen = {row["finding_id"]: (row["control_version"], row["last_seen"]) for row in rows}
    closings = [
        (finding, deed.at)
        for finding, own in by_finding.items()
        for deed in own
        if finding in last_seen and deed.action in {RESOLVE, FALSE_POSITIVE}
    ]
    return incidents_behind(store, closings, last_seen, windowed)


def _seen_first(row: Mapping[str, Any]) -> Incident:
    """What is known of a finding that no event violates."""
    return Incident((Start(row["control_version"], row["first_seen"], row["first_seen"]),))


def _standing(
    row: Mapping[str, Any],
    fingerprint: Mapping[str, str],
    looks_at: str,
    life: Life,
    clocks: tuple[Deadline, ...],
    waivers: Sequence[Waiver],
    now: datetime,
    restated_on: datetime | None,
) -> Standing:
    waiver = in_force(waivers, row["tenant"], row["control_id"], fingerprint, now)
    waived = waiver is not None and life.state not in CLOSED
    return Standing(
        finding_id=row["finding_id"],
        tenant=row["tenant"],
        domain=row["domain"],
        control_id=row["control_id"],
        control_version=row["control_version"],
        kind=row["kind"],
        severity=life.severity or row["severity"],
        control_severity=row["severity"],
        fingerprint=fingerprint,
        first_seen=row["first_seen"],
        last_seen=row["last_seen"],
        looks_at=looks_at,
        events=row["events"],
        bytes=row["bytes"],
        state="waived" if waived else life.state,
        life=life,
        deadlines=clocks,
        waiver=waiver if waived else None,
        waivers=tuple(waivers),
        restated_on=restated_on,
    )


def _is_wanted(standing: Standing, wanted: Wanted) -> bool:
    due = standing.due
    return (
        (wanted.severity is None or standing.severity == wanted.severity)
        and (wanted.state is None or standing.state == wanted.state)
        and (wanted.due_before is None or (due is not None and due.due is not None and due.due < wanted.due_before))
    )


def _order(standing: Standing) -> tuple[bool, bool, float, int, float, str]:
    """Closed ones last; what is due first, first; then the worst, then the last seen."""
    due = standing.due.due if standing.due is not None else None
    rank = -SEVERITIES.index(standing.severity) if standing.severity in SEVERITIES else 0
    at_rest = standing.state in CLOSED or standing.state == "waived"
    when = due.timestamp() if due is not None else 0.0
    return at_rest, due is None, when, rank, -standing.last_seen.timestamp(), standing.finding_id
