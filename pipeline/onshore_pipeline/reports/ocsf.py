"""OCSF findings, one JSON object a line, for a SIEM.

A violation by which data moved to a named country is a Data Security Finding (2006); everything else is a Compliance
Finding (2003). What OCSF has no field for (it knows no jurisdiction) stands under `unmapped`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from onshore_pipeline.reports.report import CLOSED
from onshore_pipeline.reports.spelling import one_line, utc

if TYPE_CHECKING:
    from datetime import datetime

    from onshore_pipeline.domain.control import Control
    from onshore_pipeline.reports.report import Report, ReportedFinding

OCSF_VERSION: Final = "1.8.0"
_SEVERITY: Final = {"info": 1, "low": 2, "medium": 3, "high": 4, "critical": 5}
_CONFIDENCE: Final = {"sure": 3, "likely": 2, "check": 1, "policy": 99}
_STATUS: Final = {
    "open": (1, "New"),
    "acknowledged": (2, "In Progress"),
    "assigned": (2, "In Progress"),
    "in progress": (2, "In Progress"),
    "waived": (3, "Suppressed"),
    "resolved": (4, "Resolved"),
    "false positive": (4, "Resolved"),
}
_COMPLIANCE, _DATA_SECURITY = (2003, "Compliance Finding"), (2006, "Data Security Finding")


def ocsf_findings(report: Report) -> bytes:
    """Every finding of the report, a line each, in the report's order."""
    controls = {control.id: control for control in report.controls}
    return b"".join(
        ocsf_finding(finding, controls.get(finding.control_id), report.software, report.prepared_at) + b"\n"
        for finding in report.findings
    )


def ocsf_finding(
    finding: ReportedFinding, control: Control | None, software: str, told_at: datetime, uid: str = ""
) -> bytes:
    """One finding as OCSF JSON on one line.

    Args:
        finding: what is told.
        control: the text it was judged by; None where that is not at hand.
        software: name and version of what tells.
        told_at: the time of this telling.
        uid: of this telling; the finding's id where it is told once.
    """
    country = finding.fingerprint.get("destination_country")
    class_uid, class_name = _DATA_SECURITY if finding.kind == "violation" and country else _COMPLIANCE
    activity = 3 if finding.state in CLOSED else 2 if finding.state != "open" else 1
    status_id, status = _STATUS[finding.state]
    name, _, version = software.partition(" ")
    said: dict[str, Any] = {
        "activity_id": activity,
        "activity_name": ("Create", "Update", "Close")[activity - 1],
        "category_uid": 2,
        "category_name": "Findings",
        "class_uid": class_uid,
        "class_name": class_name,
        "type_uid": class_uid * 100 + activity,
        "time": _ms(told_at),
        "start_time": _ms(finding.first_seen),
        "end_time": _ms(finding.last_seen),
        "count": finding.events,
        "severity_id": _SEVERITY.get(finding.severity, 99),
        "severity": finding.severity,
        "status_id": status_id,
        "status": status,
        "message": one_line(control.title if control else finding.control_id),
        "metadata": {
            "version": OCSF_VERSION,
            "product": {"name": name, "vendor_name": name, "version": version or "unknown"},
            "tenant_uid": finding.tenant,
            "uid": uid or str(finding.finding_id),
        },
        "finding_info": _finding_info(finding, control),
        "unmapped": _unmapped(finding, control),
    }
    if control is not None:
        said["confidence_id"] = _CONFIDENCE[control.confidence]
        said["confidence"] = control.confidence
    if class_uid == _COMPLIANCE[0]:
        said |= _compliance(finding, control)
    else:
        where = finding.fingerprint.get("destination_host") or finding.fingerprint.get("destination_entity")
        said["dst_endpoint"] = {"name": where or f"a recipient in {country}", "location": {"country": country}}
        said["data_security"] = {"policy": {"name": finding.control_id, "uid": finding.control_id}}
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _finding_info(finding: ReportedFinding, control: Control | None) -> dict[str, Any]:
    samples = finding.sample_event_ids
    info: dict[str, Any] = {
        "uid": str(finding.finding_id),
        "title": one_line(control.title if control else finding.control_id),
        "types": [finding.kind],
        "first_seen_time": _ms(finding.first_seen),
        "last_seen_time": _ms(finding.last_seen),
        "related_events_count": finding.events,
        "related_events": [{"uid": str(each)} for each in samples],
        "data_sources": [finding.domain],
    }
    if control is not None:
        info["desc"] = one_line(control.rationale)
        info["analytic"] = {"type_id": 1, "type": "Rule", "uid": control.id, "version": str(finding.control_version)}
    return {name: value for name, value in info.items() if value != []}


def _compliance(finding: ReportedFinding, control: Control | None) -> dict[str, Any]:
    review = finding.kind == "review"
    compliance: dict[str, Any] = {
        "control": finding.control_id,
        "status_id": 2 if review else 3,
        "status": "Warning" if review else "Fail",
        "status_detail": f"{finding.events} events",
    }
    if control is None:
        return {"compliance": compliance}
    compliance["standards"] = [one_line(control.instrument)]
    if control.maps_to:
        compliance["requirements"] = list(control.maps_to)
    return {"compliance": compliance, "remediation": {"desc": one_line(control.remediation)}}


def _unmapped(finding: ReportedFinding, control: Control | None) -> dict[str, Any]:
    said: dict[str, Any] = {
        "onshore.fingerprint": dict(finding.fingerprint),
        "onshore.state": finding.state,
        "onshore.bytes": finding.bytes,
    }
    if control is not None:
        said |= {
            "onshore.jurisdiction": control.jurisdiction,
            "onshore.instrument": control.instrument,
            "onshore.control.sha256": control.digest,
        }
    if finding.due is not None:
        said["onshore.due"] = utc(finding.due)
    if finding.restated_on is not None:
        said["onshore.restated_on"] = utc(finding.restated_on)
    return said


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
