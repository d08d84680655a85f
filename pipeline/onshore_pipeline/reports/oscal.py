"""OSCAL assessment results: each control as a finding, each of our findings as an observation that it rests on.

OSCAL knows two states. A control is *satisfied* only if every event that was its business satisfied it: one that could
not be decided makes it *not-satisfied* with the reason 'other', never 'pass'. A control that judged nothing has no
finding; it is among the reviewed controls, and a property says that nothing was its business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from onshore_pipeline.reports.spelling import json_document, one_line, utc

if TYPE_CHECKING:
    from collections.abc import Iterable

    from onshore_pipeline.domain.control import Control
    from onshore_pipeline.reports.report import EvidenceFile, Report, ReportedFinding, VerdictCounts

OSCAL_VERSION: Final = "1.2.1"
NAMESPACE: Final = "https://onshore.dev/ns/oscal"
PLAN: Final = "assessment-plan"
_MANIFEST: Final = "manifest.json"


def assessment_results(report: Report) -> bytes:
    """The report as an OSCAL assessment-results document; the same report gives the same bytes."""
    resources = [_resource(report, file) for file in report.files]
    resources.append(_plan(report))
    return json_document(
        {
            "assessment-results": {
                "uuid": report.uuid("assessment-results"),
                "metadata": _metadata(report),
                "import-ap": {"href": f"#{report.uuid(PLAN)}"},
                "results": [_result(report)],
                "back-matter": {"resources": resources},
            }
        }
    )


def _metadata(report: Report) -> dict[str, Any]:
    parties = [
        {"uuid": report.uuid("party", role), "type": kind, "name": one_line(name)}
        for role, kind, name in (
            ("prepared-by", "person", report.prepared_by),
            ("recipient", "organization", f"{report.recipient} ({report.recipient_country})"),
        )
    ]
    return {
        "title": f"Evidence of {one_line(report.deployment)}, {utc(report.since)} to {utc(report.until)}",
        "last-modified": utc(report.prepared_at),
        "version": str(report.export_id),
        "oscal-version": OSCAL_VERSION,
        "props": _props(("software", report.software), ("reason", report.reason)),
        "roles": [{"id": "prepared-by", "title": "Prepared by"}, {"id": "recipient", "title": "Recipient"}],
        "parties": parties,
        "responsible-parties": [
            {"role-id": role, "party-uuids": [report.uuid("party", role)]} for role in ("prepared-by", "recipient")
        ],
    }


def _result(report: Report) -> dict[str, Any]:
    told = [(control, report.counts(control.id)) for control in report.controls]
    findings = [_finding(report, control, counts) for control, counts in told if counts.judged]
    observations = [_observation(report, finding) for finding in report.findings]
    result: dict[str, Any] = {
        "uuid": report.uuid("result"),
        "title": "Verdicts of the controls in force",
        "description": "Every event of the scope was judged by every control in force on its day.",
        "start": utc(report.since),
        "end": utc(report.until),
        "props": _props(
            ("witnessed", report.witnessed or "NOT WITNESSED"),
            ("tenants", ", ".join(report.tenants) or "all"),
            ("coverage-gaps", str(len(report.gaps))),
            ("redacted", ", ".join(report.redacted) or "nothing"),
        ),
        "reviewed-controls": {
            "control-selections": [_selection(control, counts) for control, counts in told] or [{"include-all": {}}]
        },
    }
    if observations:
        result["observations"] = observations
    if findings:
        result["findings"] = findings
    if report.limits:
        result["remarks"] = "What this does not prove:\n" + "\n".join(f"- {one_line(limit)}" for limit in report.limits)
    return result


def _selection(control: Control, counts: VerdictCounts) -> dict[str, Any]:
    return {
        "description": one_line(f"{control.title} ({control.instrument})"),
        "props": _props(("control-sha256", control.digest), ("events-judged", str(counts.judged))),
        "include-controls": [{"control-id": control.id}],
    }


def _finding(report: Report, control: Control, counts: VerdictCounts) -> dict[str, Any]:
    own = [each for each in report.findings if each.control_id == control.id]
    finding: dict[str, Any] = {
        "uuid": report.uuid("finding", control.id),
        "title": one_line(control.title),
        "description": one_line(control.rationale),
        "props": _props(
            ("jurisdiction", control.jurisdiction),
            ("severity", control.severity),
            ("confidence", control.confidence),
            ("violated", str(counts.violated)),
            ("satisfied", str(counts.satisfied)),
            ("undetermined", str(counts.undetermined)),
            *(("mapped-to", mapped) for mapped in control.maps_to),
        ),
        "target": {"type": "objective-id", "target-id": control.id, "status": _status(counts)},
    }
    if own:
        finding["related-observations"] = [
            {"observation-uuid": report.uuid("observation", str(each.finding_id))} for each in own
        ]
    return finding


def _status(counts: VerdictCounts) -> dict[str, str]:
    if counts.violated:
        return {"state": "not-satisfied", "reason": "fail", "remarks": f"{counts.violated} events violated it."}
    if counts.undetermined:
        remarks = f"{counts.undetermined} events could not be decided; unknown is not compliant."
        return {"state": "not-satisfied", "reason": "other", "remarks": remarks}
    return {"state": "satisfied", "reason": "pass"}


def _observation(report: Report, finding: ReportedFinding) -> dict[str, Any]:
    where = ", ".join(f"{name} {value or 'unknown'}" for name, value in finding.fingerprint.items())
    about = [
        ("finding-id", str(finding.finding_id)),
        ("tenant", finding.tenant),
        ("state", finding.state),
        ("first-seen", utc(finding.first_seen)),
        ("events", str(finding.events)),
    ]
    if finding.restated_on is not None:
        about.append(("restated-on", utc(finding.restated_on)))
    return {
        "uuid": report.uuid("observation", str(finding.finding_id)),
        "title": one_line(f"{finding.control_id}: {where}"),
        "description": one_line(f"{finding.events} events, {finding.bytes} bytes; {where}."),
        "props": _props(*about),
        "methods": ["TEST"],
        "types": ["finding"],
        "relevant-evidence": [
            {"href": f"#{report.uuid('file', file.name)}", "description": one_line(file.about)}
            for file in _about_findings(report.files)
        ]
        or [{"description": "The events stand in the deployment's evidence log."}],
        "collected": utc(finding.last_seen),
    }


def _about_findings(files: Iterable[EvidenceFile]) -> list[EvidenceFile]:
    return [file for file in files if file.name.startswith(("events.", "findings."))]


def _resource(report: Report, file: EvidenceFile) -> dict[str, Any]:
    link = {
        "href": file.name,
        "media-type": file.media_type,
        "hashes": [{"algorithm": "SHA-256", "value": file.sha256}],
    }
    return {
        "uuid": report.uuid("file", file.name),
        "title": one_line(file.name),
        "description": one_line(file.about),
        "rlinks": [link],
    }


def _plan(report: Report) -> dict[str, Any]:
    """There is no separate plan: what was assessed, and how, are the controls' own texts, which the export carries."""
    return {
        "uuid": report.uuid(PLAN),
        "title": "Assessment plan: the controls in force",
        "description": "The texts and digests of the controls that judged stand in the export; they are the plan.",
        "rlinks": [{"href": _MANIFEST}],
    }


def _props(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "ns": NAMESPACE, "value": one_line(value)} for name, value in pairs]
