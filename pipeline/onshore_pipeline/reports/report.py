"""A report: what an export says about its time and scope, before anybody's format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal
from uuid import UUID, uuid5

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from onshore_pipeline.domain.control import Control

FindingState = Literal[
    "open", "acknowledged", "assigned", "in progress", "resolved", "false positive", "waived"
]  # fmt: skip
CLOSED: Final[tuple[FindingState, ...]] = ("resolved", "false positive")
# Of every identifier that a rendering makes from an export: the same export gives the same identifiers.
_NAMES: Final = UUID("6f0cbb5c-5c3f-5d0f-9c0e-2d1d7f7b9a11")


@dataclass(frozen=True, slots=True)
class ReportedFinding:
    """One finding as it stood when the report was made.

    Attributes:
        control_id: the control that was violated; `control_version` is of the last violation.
        kind: 'violation', 'review' or 'exposure'.
        fingerprint: the columns that make it one finding, in the control's order.
        events, bytes: what violated, in numbers.
        sample_event_ids: some of the events.
        state: as of `prepared_at` of the report.
        restated_on: when late events last changed it; None if they never did.
        due: the deadline of its clock; None if no clock runs.
    """

    finding_id: UUID
    tenant: str
    domain: str
    control_id: str
    control_version: int
    kind: str
    severity: str
    fingerprint: Mapping[str, str]
    first_seen: datetime
    last_seen: datetime
    events: int
    bytes: int
    sample_event_ids: tuple[UUID, ...] = ()
    state: FindingState = "open"
    restated_on: datetime | None = None
    due: datetime | None = None


@dataclass(frozen=True, slots=True)
class VerdictCounts:
    """How often a control gave which verdict, for the events of the scope that were its business."""

    control_id: str
    violated: int = 0
    satisfied: int = 0
    undetermined: int = 0

    @property
    def judged(self) -> int:
        """Events that were the control's business."""
        return self.violated + self.satisfied + self.undetermined


@dataclass(frozen=True, slots=True)
class CoverageGap:
    """Something that should have been seen and was not, or of which nobody knows."""

    tenant: str
    source: str
    control_id: str
    since: datetime | None
    until: datetime | None
    why: str


@dataclass(frozen=True, slots=True)
class EvidenceFile:
    """A file beside the report that backs it."""

    name: str
    media_type: str
    sha256: str
    about: str


@dataclass(frozen=True, slots=True)
class Report:
    """All that a rendering says.

    Attributes:
        export_id: of the export; every identifier is derived from it.
        software: name and version of what made it.
        prepared_at: when, UTC.
        since, until: the scope in time, by the broker's clock; `until` is not part of it.
        tenants: of the scope; empty: all.
        prepared_by, reason: who asked for it and why.
        recipient_country: ISO 3166-1 alpha-2.
        controls: the controls whose verdicts are told.
        verdicts: one for each of them that judged anything.
        heads: the signed heads that bound it, as texts; empty: none were signed.
        witnessed: 'until when and by whom', or None: not witnessed.
        redacted: the fields that were left out.
        limits: what it does not prove, a sentence each.
    """

    export_id: UUID
    deployment: str
    software: str
    prepared_at: datetime
    since: datetime
    until: datetime
    tenants: tuple[str, ...]
    prepared_by: str
    reason: str
    recipient: str
    recipient_country: str
    controls: tuple[Control, ...]
    verdicts: tuple[VerdictCounts, ...]
    findings: tuple[ReportedFinding, ...]
    gaps: tuple[CoverageGap, ...]
    files: tuple[EvidenceFile, ...]
    heads: tuple[str, ...] = ()
    witnessed: str | None = None
    redacted: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()

    def uuid(self, *about: str) -> str:
        """An identifier of this export for what `about` names: UUID version 5."""
        return str(uuid5(_NAMES, "\x00".join((str(self.export_id), *about))))

    def counts(self, control_id: str) -> VerdictCounts:
        """The counts of a control, zeros where it judged nothing."""
        return next((each for each in self.verdicts if each.control_id == control_id), VerdictCounts(control_id))
