"""Audit of where findings and waivers stand: folded again from the sealed actions, and held against what was told.

`finding_states` follows what people do within a minute, so that a state counts as wrong only where nothing that it is
folded from came since it was told, or where what came should have been told long ago.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from onshore_pipeline.findings.life import FINDING_ID
from onshore_pipeline.findings.people_keys import KeyUnusable, read_people
from onshore_pipeline.findings.standing import Wanted, actions, standings
from onshore_pipeline.findings.waivers import waivers_of
from onshore_pipeline.jobs.audit_problem import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from onshore_pipeline.findings.life import Deed
    from onshore_pipeline.findings.standing import Folders, Standing, Store
    from onshore_pipeline.findings.waivers import Waiver

_LATE: Final = timedelta(minutes=10)
_COMPARED: Final = ("status", "severity", "owner", "waiver_id")
_TOLD: Final = """
SELECT toString(finding_id) AS finding_id, told_at, toString(status) AS status, toString(severity) AS severity,
    toValidUTF8(owner) AS owner, toValidUTF8(waiver_id) AS waiver_id,
    (status, owner, waiver_id, severity) = ('open', '', '', built) AS is_untouched
FROM (SELECT * FROM finding_states ORDER BY told_at DESC LIMIT 1 BY finding_id) AS s
INNER JOIN (SELECT finding_id, toString(severity) AS built FROM findings) AS f USING (finding_id)
"""
_ROLLED_UP: Final = "SELECT max(finished_at) AS at FROM rollup_runs"
_ARRIVED: Final = """
SELECT toString(finding_id) AS finding_id, max(coalesce(ingested_at, occurred_at)) AS at FROM violations_current
WHERE finding_id IN {findings:Array(UUID)} GROUP BY finding_id
"""


@dataclass(slots=True)
class Waivers:
    """What was found of waivers.

    Attributes:
        states: how many there are in each state: proposed, approved, expired, revoked.
        unchecked: why nothing can be said of them; '' where it can.
    """

    states: dict[str, int] = field(default_factory=dict)
    unchecked: str = ""


def audit_states(store: Store, where: Folders, now: datetime, seen: Waivers) -> Iterator[Problem]:
    """Findings that the store says to stand otherwise than sealed actions give; `seen` is told of waivers.

    Raises:
        StoreUnavailable, StoreRefused: as the store does.
    """
    done = actions(store, "waiver.")
    try:
        people = read_people(where.keys)
    except KeyUnusable as error:
        seen.unchecked = f"which waivers stand: {error}"
        return
    if done and not people:
        seen.unchecked = f"which waivers stand: {where.keys} holds nobody's public key"
        return
    waivers = waivers_of(done, people)
    seen.states = dict(sorted(Counter(each.state(now) for each in waivers).items()))
    told = {row["finding_id"]: row for row in store.frame(_TOLD).iter_rows(named=True)}
    deeds = actions(store, "finding.")
    if not deeds and not waivers and all(row["is_untouched"] for row in told.values()):
        return  # nobody did anything, so that every finding is open: no need to fold them
    standing = {each.finding_id: each for each in standings(store, Wanted(), now, where) if each.finding_id in told}
    differing = {name: each for name, each in standing.items() if _differs(told[name], each)}
    if not differing:
        return
    rolled_up = store.frame(_ROLLED_UP)["at"][0]
    arrived = dict(store.frame(_ARRIVED, {"findings": sorted(differing)}).select("finding_id", "at").iter_rows())
    for name, each in sorted(differing.items()):
        row = told[name]
        # Windows and coverage say nothing of when they came to it: the newest rebuild may have brought it.
        changes = [arrived.get(name, rolled_up), *_deeds_of(name, deeds), *_turns(each, waivers, now)]
        if max(changes) > max(row["told_at"], rolled_up - _LATE):
            continue
        what = _differs(row, each)
        why = "it says {}, and sealed actions give {}".format(
            *(", ".join(f"{one} {some[one] or 'nobody'}" for one in what) for some in (row, _given(each)))
        )
        place = {"finding_id": name, "control": each.control_id}
        yield Problem("state", f"finding_states, finding {name} ({each.control_id})", why, place)


def _given(standing: Standing) -> dict[str, str]:
    waiver = standing.waiver.waiver_id if standing.waiver is not None else ""
    told = (standing.state, standing.severity, standing.life.owner, waiver)
    return dict(zip(_COMPARED, told, strict=True))


def _differs(row: Mapping[str, Any], standing: Standing) -> list[str]:
    given = _given(standing)
    return [name for name in _COMPARED if row[name] != given[name]]


def _deeds_of(finding: str, deeds: Sequence[Deed]) -> list[datetime]:
    return [deed.at for deed in deeds if deed.attributes.get(FINDING_ID, "").lower() == finding]


def _turns(standing: Standing, waivers: Sequence[Waiver], now: datetime) -> list[datetime]:
    """When waivers that are about a finding became another thing."""
    return [
        at
        for each in waivers
        if each.covers(standing.tenant, standing.control_id, standing.fingerprint)
        for at in (each.proposed_at, each.approved_at, each.revoked_at, each.expires)
        if at is not None and at <= now
    ]
