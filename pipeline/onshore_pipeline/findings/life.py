"""A finding's life: a fold over what people did about it, in the order of the log, and over its recurrences. Pure.

Every deed is kept with what came of it. One that is not allowed in the state that it meets has no effect: of two people
who act at once, the later in the log meets what the earlier left.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal

from onshore_pipeline.domain.control import SEVERITIES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

State = Literal["open", "acknowledged", "assigned", "in progress", "resolved", "false positive", "waived"]
STATES: Final[tuple[State, ...]] = (
    "open", "acknowledged", "assigned", "in progress", "resolved", "false positive", "waived",
)  # fmt: skip
CLOSED: Final[tuple[State, ...]] = ("resolved", "false positive")
_WORKED_ON: Final[tuple[State, ...]] = ("open", "acknowledged", "assigned", "in progress")

ACKNOWLEDGE, ASSIGN, START, COMMENT = "finding.acknowledge", "finding.assign", "finding.start", "finding.comment"
RESOLVE, FALSE_POSITIVE, REOPEN = "finding.resolve", "finding.false_positive", "finding.reopen"
SEVERITY, AWARE, ASSESS = "finding.severity", "finding.aware", "finding.assess"
RECURRENCE: Final = "recurrence"

FINDING_ID, OWNER = "onshore.finding.id", "onshore.finding.owner"
GIVEN_SEVERITY, AT = "onshore.finding.severity", "onshore.finding.at"

# In which states a deed has an effect, and the state that it leads to (None: the same).
_ALLOWED: Final[dict[str, tuple[tuple[State, ...], State | None]]] = {
    ACKNOWLEDGE: (("open",), "acknowledged"),
    ASSIGN: (_WORKED_ON, None),
    START: (("open", "acknowledged", "assigned"), "in progress"),
    COMMENT: (STATES, None),
    RESOLVE: (_WORKED_ON, "resolved"),
    FALSE_POSITIVE: (_WORKED_ON, "false positive"),
    REOPEN: (CLOSED, "open"),
    SEVERITY: (_WORKED_ON, None),
    AWARE: (_WORKED_ON, None),
    ASSESS: (_WORKED_ON, None),
}
DEEDS: Final = tuple(_ALLOWED)


@dataclass(frozen=True, slots=True)
class Deed:
    """One action as it was sealed.

    Attributes:
        action_id: its own id; the same one twice is one deed.
        event_id: the event that it became.
        tenant: whose finding it says it is about.
        at: when the broker appended it.
    """

    action_id: str
    event_id: str
    tenant: str
    action: str
    who: str
    reason: str
    attributes: Mapping[str, str]
    at: datetime


@dataclass(frozen=True, slots=True)
class Step:
    """A deed, or a recurrence (`who` is empty), and the state behind it; `refused` says why it had no effect."""

    action: str
    at: datetime
    state: State
    who: str = ""
    reason: str = ""
    action_id: str = ""
    event_id: str = ""
    detail: str = ""
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Start:
    """With what one version of a control found an incident: the first violation that it says there is.

    Attributes:
        version: of the control's text.
        known: when it reached us, by the broker's clock.
        occurred: when it happened, as its sender says, and never later than `known`.
    """

    version: int
    known: datetime
    occurred: datetime


@dataclass(frozen=True, slots=True)
class Incident:
    """What a finding began or recurred with, the start that was known first in front."""

    starts: tuple[Start, ...]

    @property
    def known(self) -> datetime:
        """When it was known."""
        return self.starts[0].known


@dataclass(frozen=True, slots=True)
class Life:
    """Where a finding stands, and how it came there.

    Attributes:
        owner: to whom it is assigned; '' for nobody.
        severity: what a person says instead of the control.
        aware_at: the earliest moment at which somebody says that he was aware of it, since it recurred last.
        assessed_at: the same of the assessment.
        began: with what it recurred last; None if it never did.
        closed_at: when it was closed, while it is.
    """

    state: State = "open"
    owner: str = ""
    severity: str | None = None
    aware_at: datetime | None = None
    assessed_at: datetime | None = None
    began: Incident | None = None
    closed_at: datetime | None = None
    steps: tuple[Step, ...] = ()


def live(tenant: str, deeds: Iterable[Deed], recurred: Callable[[datetime], Incident | None]) -> Life:
    """The life of a finding of `tenant`.

    Args:
        tenant: deeds of another tenant have no effect.
        deeds: what was done about it, in the order of the log.
        recurred: what happened and was known only behind a moment, and violates; None if nothing does.
    """
    life = Life()
    seen: set[str] = set()
    for deed in deeds:
        if deed.action_id and deed.action_id in seen:
            continue
        seen.add(deed.action_id)
        life = _recur(life, recurred, deed.at)
        life = _do(life, tenant, deed)
    return _recur(life, recurred, None)


def _recur(life: Life, recurred: Callable[[datetime], Incident | None], until: datetime | None) -> Life:
    """Open again what an event later than its closing violates; that is a new incident, so clocks begin anew.

    It stands where the event arrived: what is in the log before met a closed finding, whatever time a sender claims.
    """
    if life.closed_at is None:
        return life
    first = recurred(life.closed_at)
    if first is None or (until is not None and first.known > until):
        return life
    step = Step(RECURRENCE, first.known, "open")
    return replace(
        life, state="open", closed_at=None, began=first, aware_at=None, assessed_at=None, steps=(*life.steps, step)
    )


def _do(life: Life, tenant: str, deed: Deed) -> Life:
    step = Step(
        deed.action, deed.at, life.state, deed.who, deed.reason, deed.action_id, deed.event_id, detail=_detail(deed)
    )
    refused = _refusal(life, tenant, deed)
    if refused:
        return replace(life, steps=(*life.steps, replace(step, refused=refused)))
    after = _effect(life, deed)
    return replace(after, steps=(*life.steps, replace(step, state=after.state)))


def _refusal(life: Life, tenant: str, deed: Deed) -> str:
    """Why a deed has no effect; '' when it has one."""
    allowed = _ALLOWED.get(deed.action)
    if allowed is None:
        return "no such action"
    if deed.tenant != tenant:
        return f"it was recorded for tenant {deed.tenant}, the finding is of {tenant}"
    if life.state not in allowed[0]:
        return f"the finding was {life.state} already" if life.state == allowed[1] else f"the finding was {life.state}"
    return lacking(deed)


def lacking(deed: Deed) -> str:
    """What a deed does not say though it must; '' for nothing."""
    said = deed.attributes
    why = ""
    if deed.action in {RESOLVE, FALSE_POSITIVE, SEVERITY} and not deed.reason.strip():
        why = "it gives no reason"
    elif deed.action == ASSIGN and not said.get(OWNER, "").strip():
        why = "it names nobody"
    elif deed.action == SEVERITY and said.get(GIVEN_SEVERITY) not in SEVERITIES:
        why = "it names no severity"
    elif deed.action in {AWARE, ASSESS}:
        when = moment(said.get(AT, ""))
        if when is None:
            why = "it names no time"
        elif when > deed.at:
            why = "its time lies behind the moment at which it was recorded"
    return why


def _effect(life: Life, deed: Deed) -> Life:
    said = deed.attributes
    after = replace(life, state=_ALLOWED[deed.action][1] or life.state)
    match deed.action:
        case "finding.assign":
            state: State = life.state if life.state == "in progress" else "assigned"
            after = replace(life, state=state, owner=said[OWNER])
        case "finding.start":
            after = replace(after, owner=life.owner or deed.who)
        case "finding.resolve" | "finding.false_positive":
            after = replace(after, closed_at=deed.at)
        case "finding.reopen":
            after = replace(after, closed_at=None)
        case "finding.severity":
            after = replace(after, severity=said[GIVEN_SEVERITY])
        case "finding.aware":
            after = replace(after, aware_at=_earliest(life.aware_at, moment(said[AT])))
        case "finding.assess":
            after = replace(after, assessed_at=_earliest(life.assessed_at, moment(said[AT])))
    return after


def _earliest(known: datetime | None, said: datetime | None) -> datetime | None:
    """The earlier one: who was aware early cannot become aware late."""
    return min((each for each in (known, said) if each is not None), default=None)


def _detail(deed: Deed) -> str:
    return deed.attributes.get(
        {ASSIGN: OWNER, SEVERITY: GIVEN_SEVERITY, AWARE: AT, ASSESS: AT}.get(deed.action, ""), ""
    )


def moment(text: str) -> datetime | None:
    """An RFC 3339 time with its zone, or None."""
    try:
        told = datetime.fromisoformat(text)
    except ValueError:
        return None
    return told if told.tzinfo else None
