"""Findings as people left them: state, owner, time left, waivers; by the pipeline's own fold; nothing is written."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import polars as pl

from onshore_dashboard.queries import CREDIBLE_AHEAD
from onshore_pipeline.findings.people_keys import usable_people
from onshore_pipeline.findings.standing import Standing, Wanted, standings

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from onshore_dashboard.finding_queries import FindingFilter
    from onshore_dashboard.queries import Store
    from onshore_pipeline.findings.life import State
    from onshore_pipeline.findings.standing import Folders


def standing_findings(
    store: Store,
    wanted: FindingFilter,
    state: State | None,
    controls: Collection[str] | None,
    now: datetime,
    folders: Folders,
) -> list[Standing]:
    """Findings in a scope: what is due first, then the worst; what is closed or waived last.

    `controls` are the ids of the scope's jurisdiction; None: any. What claims to have been seen in the future stands
    behind the others that are due as late and as severe. A waiver that needs a key which cannot be used is not in force
    (`notices.show_unusable_keys` says so).
    """
    asked = Wanted(
        tenant=wanted.scope.tenant,
        control=wanted.control_id,
        severity=wanted.severity,
        state=state,
        since=wanted.scope.since,
    )
    people, _ = usable_people(folders.keys)
    every = standings(store, asked, now, folders, people)
    found = [each for each in every if controls is None or each.control_id in controls]
    claimed = [each for each in found if each.last_seen > now + CREDIBLE_AHEAD and each.due is None]
    behind = {each.finding_id for each in claimed}
    ordered = [each for each in found if each.finding_id not in behind]
    for each in claimed:
        last = max((at for at, other in enumerate(ordered) if _alike(each, other)), default=len(ordered) - 1)
        ordered.insert(last + 1, each)
    return ordered


def _alike(one: Standing, other: Standing) -> bool:
    return other.due is None and (one.severity, one.state) == (other.severity, other.state)


def standing_of(store: Store, finding_id: str, now: datetime, folders: Folders) -> Standing | None:
    """One finding; None where there is none."""
    people, _ = usable_people(folders.keys)
    found = standings(store, Wanted(prefix=finding_id), now, folders, people)
    return found[0] if found else None


def as_rows(found: Sequence[Standing]) -> pl.DataFrame:
    """The columns of `finding_queries.findings`, with the state and severity that people left."""
    return pl.DataFrame(
        [
            {
                "finding": each.finding_id, "tenant": each.tenant, "domain": each.domain, "control_id": each.control_id,
                "version": each.control_version, "kind": each.kind, "severity": each.severity, "status": each.state,
                "first_seen": each.first_seen, "last_seen": each.last_seen, "events": each.events, "bytes": each.bytes,
                "fingerprint": json.dumps(dict(each.fingerprint), ensure_ascii=False),
            }
            for each in found
        ]
    )  # fmt: skip


def by_id(found: Sequence[Standing]) -> Mapping[str, Standing]:
    """Findings by id."""
    return {each.finding_id: each for each in found}


def counted(found: Sequence[Standing]) -> dict[str, int]:
    """How many there are of each severity."""
    return Counter(each.severity for each in found)
