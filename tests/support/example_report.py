"""A report with something of everything, for the tests of its renderings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from onshore_pipeline.controls.load import load_controls
from onshore_pipeline.reports.report import CoverageGap, EvidenceFile, Report, ReportedFinding, VerdictCounts

if TYPE_CHECKING:
    from onshore_pipeline.domain.control import Control

SINCE: Final = datetime(2026, 10, 1, tzinfo=UTC)
CONTROLS: Final = ("AU-APP8-01", "AU-MHR77-01", "JP-APPI28-01", "SG-BA47-01")


def controls() -> tuple[Control, ...]:
    loaded = load_controls()
    return tuple(control for name in CONTROLS if (control := loaded.control(name)) is not None)


def finding(number: int = 1, **changed: Any) -> ReportedFinding:
    first = SINCE + timedelta(days=number, microseconds=123456)
    values: dict[str, Any] = {
        "finding_id": UUID(int=number),
        "tenant": "acme",
        "domain": "data_movement",
        "control_id": "AU-APP8-01",
        "control_version": 1,
        "kind": "violation",
        "severity": "high",
        "fingerprint": {"tenant": "acme", "dataset": "patients", "destination_country": "US"},
        "first_seen": first,
        "last_seen": first + timedelta(hours=5),
        "events": 1_000_000,
        "bytes": 2**40,
        "sample_event_ids": (UUID(int=7), UUID(int=8)),
    }
    return ReportedFinding(**(values | changed))


def report(**changed: Any) -> Report:
    values: dict[str, Any] = {
        "export_id": UUID("0199c2b0-0000-7000-8000-000000000001"),
        "deployment": "sydney-1",
        "software": "Onshore 0.1.0",
        "prepared_at": datetime(2026, 11, 26, 12, 30, tzinfo=UTC),
        "since": SINCE,
        "until": SINCE + timedelta(days=31),
        "tenants": ("acme",),
        "prepared_by": "Kim Lee",
        "reason": "Request 17 of the regulator",
        "recipient": "Office of the Information Commissioner",
        "recipient_country": "AU",
        "controls": controls(),
        "verdicts": (
            VerdictCounts("AU-APP8-01", violated=1_000_000, satisfied=5),
            VerdictCounts("AU-MHR77-01", satisfied=12),
            VerdictCounts("JP-APPI28-01", satisfied=3, undetermined=2),
        ),
        "findings": (
            finding(),
            finding(2, control_id="JP-APPI28-01", kind="review", fingerprint={"tenant": "acme", "actor_id": ""}),
            finding(3, state="waived", restated_on=SINCE + timedelta(days=20), due=SINCE + timedelta(days=30)),
        ),
        "gaps": (CoverageGap("acme", "edge", "ONS-COV-03", SINCE, None, "nothing was heard for 3 hours"),),
        "files": (EvidenceFile("events.ndjson", "application/x-ndjson", "ab" * 32, "the events, as they were sealed"),),
        "heads": ("onshore/sydney-1\n12\nAAAA\n",),
        "limits": ("Whoever holds store and key can rewrite what came after the last witnessed head.",),
    }
    return Report(**(values | changed))
