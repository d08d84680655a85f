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

EventValue = str | int | bool | datetime | tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Clock:
    """A deadline that the law sets.

    Attributes:
        start: which moment it runs from.
        deadline: a number and a unit: 72h, 30d, or 20bd (business days).
        zone: IANA time zone in which days are counted; needed for business days.
        holidays: name of the holiday list; needed for business days.
    """

    start: ClockStart
    deadline: str
    zone: str | None = None
    holidays: str | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """An event as the control's author imagines it, and the verdict that must come out.

    Attributes:
        name: a sentence.
        event: column → value; what is left out is unknown.
        verdict: the verdict expected.
        missing: the column that must be named when the verdict is undetermined; None accepts any.
    """

    name: str
    event: Mapping[str, EventValue] = field(hash=False)
    verdict: Verdict
    missing: str | None = None


@dataclass(frozen=True, slots=True)
class Control:
    """One versioned requirement (docs/controls.md says what each field is for).

    Attributes:
        jurisdiction: ISO 3166-1 alpha-2, or '*' for a requirement of every jurisdiction.
        effective_from: first day of force, from 00:00 UTC.
        effective_to: last day of force, to 24:00 UTC; None while in force.
        outcomes: the outcomes it judges; an event of another outcome is not its business.
        domains: the domains it judges.
        applies: condition; empty unless executable or disabled.
        violated: condition; empty unless executable or disabled.
        group_by: columns that make up a finding's fingerprint; always with the tenant.
        status: 'executable' is judged; 'disabled' has conditions nobody may rely on; the others need people.
        file: where it was read from.
        digest: SHA-256 of the file's bytes, hexadecimal.
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
