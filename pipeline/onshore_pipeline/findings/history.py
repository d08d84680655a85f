"""A finding's whole history: what people did, waivers that held for it, and what late events restated; by time.

A restatement changes no state, and neither does the end of a waiver: the finding is then what people left it as. Both
are steps of their own, so that nothing changes unseen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from onshore_pipeline.findings.incidents import SAID
from onshore_pipeline.findings.life import CLOSED, Step

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from onshore_pipeline.findings.life import State
    from onshore_pipeline.findings.standing import Standing, Store
    from onshore_pipeline.findings.waivers import Waiver

WAIVED, WAIVER_EXPIRED, WAIVER_REVOKED = "waiver.in_force", "waiver.expired", "waiver.revoked"
RESTATEMENT: Final = "restatement"
NOTHING_LEFT: Final = "no violation left"

# Every change of what is said of the units that were ever violated.
_CHANGES: Final = f"""
SELECT toString(unit_id) AS unit, toString(looks_at) AS looks_at, mapKeys(key) AS keys,
    arrayMap(v -> toValidUTF8(v), mapValues(key)) AS texts, since, until, stated_at, toString(before) AS before,
    toString(verdict) AS verdict
FROM {SAID} WHERE unit_id IN (SELECT unit_id FROM {SAID} WHERE verdict = 'violated')
ORDER BY stated_at, unit
"""  # noqa: S608 - fixed text


@dataclass(frozen=True, slots=True)
class Restatement:
    """A verdict that took another's place, since an event came late or a text's time was changed.

    Attributes:
        unit_id: of the window, sequence or absence (`looks_at`) from `since` to `until`, of the key `key`.
        at: when it was said.
        left: how many units of the finding are violated from then on.
    """

    unit_id: str
    looks_at: str
    key: Mapping[str, str]
    since: datetime
    until: datetime
    at: datetime
    before: str
    after: str
    left: int

    @property
    def text(self) -> str:
        """For people."""
        said = f"{self.looks_at} {self.since:%Y-%m-%d %H:%M} to {self.until:%Y-%m-%d %H:%M} UTC:"
        left = "" if self.left else f"; {NOTHING_LEFT}"
        return f"{said} {self.before} -> {self.after}{left}"


def restatements(store: Store, finding_id: str) -> tuple[Restatement, ...]:
    """What late events changed about a finding, in the order of time. Raises what the store raises."""
    violated: set[str] = set()
    found = []
    for row in store.frame(_CHANGES, {"findings": [finding_id]}).iter_rows(named=True):
        (violated.add if row["verdict"] == "violated" else violated.discard)(row["unit"])
        if row["before"]:
            key = dict(zip(row["keys"], row["texts"], strict=True))
            about = (row["unit"], row["looks_at"], key, row["since"], row["until"], row["stated_at"])
            found.append(Restatement(*about, row["before"], row["verdict"], len(violated)))
    return tuple(found)


def history(standing: Standing, now: datetime, restated: Iterable[Restatement] = ()) -> list[Step]:
    """Every step of a finding, by time; what people did stays in the order of the log."""
    lived = standing.life.steps
    more = [*_waived(standing.waivers, lived, now)]
    more += [Step(RESTATEMENT, each.at, _left(lived, each.at), detail=each.text) for each in restated]
    return sorted([*lived, *more], key=lambda step: step.at)


def _waived(waivers: Sequence[Waiver], lived: Sequence[Step], now: datetime) -> Iterator[Step]:
    for each in waivers:
        if each.approved_at is None:
            continue
        until = f"{each.waiver_id[:8]} until {each.expires:%Y-%m-%d %H:%M} UTC, proposed by {each.proposed_by},"
        state = _state(waivers, lived, each.approved_at)
        yield Step(WAIVED, each.approved_at, state, each.approved_by, each.reason, detail=until)
        if each.revoked_at is not None:
            state = _state(waivers, lived, each.revoked_at)
            about = (each.revoked_by, each.revoked_reason)
            yield Step(WAIVER_REVOKED, each.revoked_at, state, *about, detail=each.waiver_id[:8])
        elif each.expires <= now:
            yield Step(WAIVER_EXPIRED, each.expires, _state(waivers, lived, each.expires), detail=each.waiver_id[:8])


def _state(waivers: Sequence[Waiver], lived: Sequence[Step], at: datetime) -> State:
    """Where the finding stood at a moment; what is closed is not waived."""
    left = _left(lived, at)
    return "waived" if left not in CLOSED and any(each.held(at) for each in waivers) else left


def _left(lived: Sequence[Step], at: datetime) -> State:
    """As what people and recurrences had left it."""
    return next((step.state for step in reversed(lived) if step.at <= at), "open")
