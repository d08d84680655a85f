"""The report as a PDF/A-2b document, byte for byte the same for the same report and fonts.

A character that no font has is an error, never an empty box: Debian's `fonts-noto-cjk` has Japanese, Chinese and
Korean.
"""

from __future__ import annotations

import json
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typst

from onshore_pipeline.errors import OnshoreError
from onshore_pipeline.reports.spelling import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from onshore_pipeline.reports.report import Report

_TEMPLATE: Final = Path(__file__).with_name("report.typ")
_FONTS: Final = ("Libertinus Serif", "Noto Serif CJK JP", "Noto Sans CJK JP")
# A page holds about forty; the tables beside the report have all.
_MOST_ROWS: Final = 400
_SEVERITIES: Final = ("critical", "high", "medium", "low", "info")


class PdfError(OnshoreError):
    """The document could not be set; says which characters no font has where that is why."""


def report_pdf(report: Report, fonts: Sequence[Path] = ()) -> bytes:
    """Set the report.

    Args:
        report: what it says.
        fonts: folders with further fonts; the system's are used, too.

    Raises:
        PdfError: a character has no glyph in any font, or the document cannot be set.
    """
    said = json.dumps(_said(report), ensure_ascii=False)
    try:
        document, warnings = typst.compile_with_warnings(
            _TEMPLATE,
            root=_TEMPLATE.parent,
            font_paths=list(fonts),
            format="pdf",
            sys_inputs={"report": said},
            pdf_standards="a-2b",
            timestamp=report.prepared_at.astimezone(UTC),
        )
    except typst.TypstError as error:
        raise PdfError(f"the report cannot be set as PDF: {error.message}{_remedy(error.message)}") from error
    del warnings  # fonts of the list that are not installed
    if not isinstance(document, bytes):
        raise PdfError("the report cannot be set as PDF: no document came back")
    return document


def _remedy(message: str) -> str:
    if "could not be displayed" not in message:
        return ""
    return "; install fonts that have it (Debian: fonts-noto-cjk), or export with --no-pdf"


def _said(report: Report) -> dict[str, Any]:
    titles = {control.id: control.title for control in report.controls}
    told = [(each, report.counts(each.id)) for each in report.controls if report.counts(each.id).judged]
    prepared = report.prepared_at.astimezone(UTC)
    order = {severity: rank for rank, severity in enumerate(_SEVERITIES)}
    findings = sorted(report.findings, key=lambda each: (order.get(each.severity, 9), each.control_id, -each.events))
    return {
        "title": f"Evidence of {one_line(report.deployment, 200)}",
        "prepared_by": one_line(report.prepared_by, 200),
        "export_id": str(report.export_id),
        "date": [prepared.year, prepared.month, prepared.day],
        "fonts": list(_FONTS),
        "about": _about(report),
        "witnessed": f"Witnessed {report.witnessed}" if report.witnessed else _NOT_WITNESSED,
        "summary": _summary(report),
        "verdicts": [
            [each.id, one_line(each.title, 300), f"{n.violated:,}", f"{n.satisfied:,}", f"{n.undetermined:,}"]
            for each, n in told
        ],
        "findings": [
            [
                f"{each.control_id} ({each.severity})",
                one_line(f"{titles.get(each.control_id, '')}: {_where(each.fingerprint)}", 400),
                f"{_day(each.first_seen)} to {_day(each.last_seen)}",
                f"{each.events:,}",
                each.state if each.restated_on is None else f"{each.state}, restated on {_day(each.restated_on)}",
            ]
            for each in findings[:_MOST_ROWS]
        ],
        "findings_left": _left(len(findings), "findings.csv"),
        "gaps": [
            [gap.tenant, one_line(gap.source, 120), f"{_day(gap.since)} to {_day(gap.until)}", one_line(gap.why, 400)]
            for gap in report.gaps[:_MOST_ROWS]
        ],
        "gaps_left": _left(len(report.gaps), "coverage.csv"),
        "limits": [one_line(limit) for limit in report.limits],
        "files": [[file.name, file.sha256] for file in report.files],
        "heads": list(report.heads),
    }


_NOT_WITNESSED: Final = (
    "NOT WITNESSED: no second party holds a copy of the signed heads. Whoever keeps store and key could have rewritten"
    " what stands here."
)


def _about(report: Report) -> list[tuple[str, str]]:
    return [
        ("Period", f"{_moment(report.since)} to {_moment(report.until)}, by the time of arrival"),
        ("Tenants", ", ".join(report.tenants) or "all"),
        ("Made for", f"{report.recipient} ({report.recipient_country})"),
        ("Made by", f"{report.prepared_by}, {_moment(report.prepared_at)}"),
        ("Why", one_line(report.reason)),
        ("Left out", ", ".join(report.redacted) or "nothing was redacted"),
        ("Software", report.software),
    ]


def _summary(report: Report) -> list[str]:
    violated = sum(each.violated for each in report.verdicts)
    undecided = sum(each.undetermined for each in report.verdicts)
    open_findings = [each for each in report.findings if each.state not in ("resolved", "false positive")]
    waived = sum(each.state == "waived" for each in report.findings)
    judging = sum(1 for counts in report.verdicts if counts.judged)
    return [
        f"{len(report.controls):,} controls were in force; {judging:,} of them judged at least one event.",
        f"{violated:,} verdicts were violations, in {len(report.findings):,} findings.",
        f"{len(open_findings):,} of the findings are open; {waived:,} of those are waived.",
        f"{undecided:,} verdicts could not be decided and are not counted as compliant.",
        f"Known gaps in what should have been seen: {len(report.gaps):,}.",
    ]


def _where(fingerprint: Mapping[str, str]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value or 'unknown'}" for name, value in fingerprint.items())


def _left(count: int, table: str) -> str:
    return f"{count - _MOST_ROWS:,} more stand in {table}." if count > _MOST_ROWS else ""


def _day(moment: datetime | None) -> str:
    return "unknown" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d}"


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
