"""A control: one versioned requirement with its citation, its condition and its own examples."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onshore_pipeline.domain.verdict import Verdict

Confidence = Literal["sure", "likely", "check", "policy"]
ControlKind = Literal["violation", "review", "exposure"]
Severity = Literal["info", "low", "medium", "high", "critical"]
Status = Literal["executable", "review", "clock", "catalogue", "disabled"]
ClockStart = Literal["occurred", "detected", "aware", "assessed"]

CONFIDENCES: Final[tuple[Confidence, ...]] = ("sure", "likely", "check", "policy")
CONTROL_KINDS: Final[tuple[ControlKind, ...]] = ("violation", "review", "exposure")
SEVERITIES: Final[tuple[Severity, ...]] = ("info", "low", "medium", "high", "critical")
STATUSES: Final[tuple[Status, ...]] = ("executable", "review", "clock", "catalogue", "disabled")
CLOCK_STARTS: Final[tuple[ClockStart, ...]] = ("occurred", "detected", "aware", "assessed")
ANY_JURISDICTION: Final = "*"
# What a control may name under `outcomes`. An unknown outcome is never named: it leaves the verdict undetermined.
KNOWN_OUTCOMES: Final = ("success", "failure", "denied")

WindowedKind = Literal["window", "sequence", "absence"]

EventValue = str | int | bool | datetime | tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Clock:
    """A deadline that the law sets.

    Attributes:
        start: which moment it runs from.
        deadline: a number and a unit: 72h, 30d, 20bd (business days) or 1mo (months).
        zone: IANA time zone in which days are counted; needed for business days.
        holidays: name of the holiday list; needed for business days.
    """

    start: ClockStart
    deadline: str
    zone: str | None = None
    holidays: str | None = None


@dataclass(frozen=True, slots=True)
class Windowed:
    """What a control looks at beyond one event. Times are nanoseconds of event time; only its own kind's are set.

    Attributes:
        kind: 'window' judges aggregates over stretches of time, 'sequence' that one event follows another, 'absence'
            that none does.
        key: what events have in common that are looked at together; always with the tenant.
        lateness_ns: how long after its end something is still waited for; what comes later restates the verdict.
        every_ns: window: a new one begins every so often, counted from 1970-01-01T00:00:00Z.
        period_ns: window: how long each is; as long as `every_ns`, or a multiple of it.
        steps: sequence: a condition a step. absence: the condition of what should keep coming. window: none.
        within_ns: sequence: for every step but the first, how long after the one before. absence: how long the next one
            may take.
    """

    kind: WindowedKind
    key: tuple[str, ...]
    lateness_ns: int
    every_ns: int = 0
    period_ns: int = 0
    steps: tuple[str, ...] = ()
    within_ns: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Example:
    """Events as the control's author imagines them, and the verdict that must come out.

    Attributes:
        name: a sentence.
        event: column → value; what is left out is unknown. Empty for a windowed control.
        verdict: the verdict expected; of a windowed control the worst that it gives.
        missing: the column that must be named when the verdict is undetermined; None accepts any.
        events: of a windowed control: the events, each with its `occurred_at`.
        received: when each of `events` reached the broker.
        as_of: how far a windowed control is judged; None when everything has been waited for.
        restated_from: what a windowed control said before an event came late; None where it did not.
    """

    name: str
    event: Mapping[str, EventValue] = field(hash=False)
    verdict: Verdict
    missing: str | None = None
    events: tuple[Mapping[str, EventValue], ...] = field(default=(), hash=False)
    received: tuple[datetime, ...] = ()
    as_of: datetime | None = None
    restated_from: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Control:
    """One versioned requirement (docs/controls.md says what each field is for).

    Attributes:
        jurisdiction: ISO 3166-1 alpha-2, or '*' for a requirement of every jurisdiction.
        effective_from: first day of force, from 00:00 UTC.
        effective_to: last day of force, to 24:00 UTC; None while in force.
        outcomes: the outcomes it judges; an event of another outcome is not its business.
        clocks: ids of the clock entries that a finding of it may start, besides its own clock.
        domains: the domains it judges.
        applies: condition; empty unless executable or disabled.
        violated: condition; empty unless executable or disabled. A window's compares aggregates.
        group_by: columns that make up a finding's fingerprint; always with the tenant.
        status: 'executable' is judged; 'disabled' has conditions nobody may rely on; the others need people.
        file: where it was read from.
        digest: SHA-256 of the file's bytes, hexadecimal.
        windowed: what it looks at beyond one event; None for a control that judges each event by itself.
        text: the file as it was read.
    """

    id: str
    version: int
    title: str
    jurisdiction: str
    instrument: str
    effective_from: date
    effective_to: date | None
    confidence: Confidence
    checked_on: date
    kind: ControlKind
    severity: Severity
    outcomes: tuple[str, ...]
    clock: Clock | None
    clocks: tuple[str, ...]
    domains: tuple[str, ...]
    applies: str
    violated: str
    group_by: tuple[str, ...]
    needs: str
    rationale: str
    evidence: str
    remediation: str
    maps_to: tuple[str, ...]
    examples: tuple[Example, ...]
    status: Status
    file: str
    digest: str
    windowed: Windowed | None = None
    text: str = field(default="", repr=False, compare=False)
