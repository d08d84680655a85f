"""A bundle's renderings: OSCAL, OCSF, a document, and a data dictionary. Nothing proves them.

All of them come from what the bundle says anyway (findings with closed fields, sealed counts), so what is closed there
is closed here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final, cast
from uuid import UUID

from onshore_pipeline.evidence import verify_standalone as standalone
from onshore_pipeline.evidence.checkpoint import parse_checkpoint
from onshore_pipeline.evidence.signed_note import parse_note
from onshore_pipeline.jobs import export_tables
from onshore_pipeline.reports.ocsf import ocsf_findings
from onshore_pipeline.reports.oscal import assessment_results
from onshore_pipeline.reports.pdf import report_pdf
from onshore_pipeline.reports.report import (
    CoverageGap,
    EvidenceFile,
    FindingState,
    Report,
    ReportedFinding,
    VerdictCounts,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import polars as pl

    from onshore_pipeline.controls.load import ControlSet
    from onshore_pipeline.domain.control import Control
    from onshore_pipeline.jobs.export import Request
    from onshore_pipeline.jobs.export_rows import Counts

OSCAL, OCSF, DOCUMENT = "oscal/assessment-results.json", "ocsf/findings.ndjson", "report.pdf"
STAMP: Final = "timestamp.tsr"  # of heads/head.note
RENDERINGS: Final = (OSCAL, OCSF, DOCUMENT, "events.parquet")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MEDIA: Final = {
    "json": "application/json", "ndjson": "application/x-ndjson", "csv": "text/csv", "yaml": "application/yaml",
    "parquet": "application/vnd.apache.parquet", "py": "text/x-python", "txt": "text/plain", "note": "text/plain",
}  # fmt: skip
_VERDICTS: Final = ("violated", "satisfied", "undetermined")


@dataclass(frozen=True, slots=True)
class Told:
    """What a bundle says that renderings say again.

    Attributes:
        findings: as `FoundSoFar.told` gives them, and as `Records.of_windows` does.
        coverage: as `coverage_rows` gives it.
        files: name and SHA-256 of each file that is there so far.
        heads: the notes by name.
    """

    findings: Sequence[Mapping[str, Any]]
    coverage: pl.DataFrame
    files: Mapping[str, str]
    heads: Mapping[str, bytes]


def renderings(report: Report, *, with_document: bool) -> dict[str, bytes]:
    """The files by name.

    Raises:
        PdfError: a character has no glyph in any font that is installed.
    """
    found = {OSCAL: assessment_results(report), OCSF: ocsf_findings(report)}
    return found | ({DOCUMENT: report_pdf(report)} if with_document else {})


def report_of(request: Request, counts: Counts, controls: ControlSet, told: Told) -> Report:
    """The report that all renderings are made of."""
    scope = request.scope
    judged = {control for control, _ in counts.control_versions}
    return Report(
        export_id=request.export_id,
        deployment=_deployment(told.heads["head"]),
        software=f"Onshore {version('onshore')}",
        prepared_at=request.at,
        since=_moment(scope.since),
        until=_moment(scope.until),
        tenants=scope.tenants,
        prepared_by=request.person,
        reason=request.reason,
        recipient=request.recipient,
        recipient_country=request.recipient_country,
        controls=tuple(each for each in controls.controls if each.id in judged or _is_asked(each, request)),
        verdicts=_verdicts(counts),
        findings=tuple(_finding(row) for row in told.findings),
        gaps=_gaps(told.coverage),
        files=tuple(_file(name, digest) for name, digest in told.files.items()),
        heads=tuple(parse_note(note).text for note in told.heads.values()),
        witnessed=_witnessed(told.heads),
        redacted=tuple(sorted(request.redacted)),
        limits=standalone.NOT_PROVED[:-1],
    )


def _is_asked(control: Control, request: Request) -> bool:
    """Whether a control that judged nothing was in force for what is asked."""
    wanted = request.scope.controls
    return control.status == "executable" and (not wanted or control.id in wanted)


def _deployment(head: bytes) -> str:
    """Of the origin NAME/LOG, where NAME is onshore/DEPLOYMENT."""
    return parse_checkpoint(parse_note(head).text).origin.rpartition("/")[0].removeprefix("onshore/")


def _witnessed(heads: Mapping[str, bytes]) -> str | None:
    if "witnessed" not in heads:
        return None
    size = parse_checkpoint(parse_note(heads["witnessed"]).text).size
    return f"up to entry {size}, as the cosignatures of heads/witnessed.note say: verify.py checks them"


def _verdicts(counts: Counts) -> tuple[VerdictCounts, ...]:
    added: dict[str, dict[str, int]] = {}
    for (_, control, _, _, verdict, _), events in counts.verdicts.items():
        if verdict in _VERDICTS:
            of_control = added.setdefault(control, dict.fromkeys(_VERDICTS, 0))
            of_control[verdict] += events
    return tuple(VerdictCounts(control, **numbers) for control, numbers in sorted(added.items()))


def _finding(row: Mapping[str, Any]) -> ReportedFinding:
    return ReportedFinding(
        finding_id=UUID(row["finding_id"]),
        tenant=row["tenant"],
        domain=row["domain"],
        control_id=row["control"],
        control_version=row["version"],
        kind=row["kind"],
        severity=row["severity"],
        fingerprint=row["fingerprint"],
        first_seen=_moment(row["first_seen"]),
        last_seen=_moment(row["last_seen"]),
        events=row["events"],
        bytes=row["bytes"] or 0,
        sample_event_ids=tuple(map(UUID, row["sample_event_ids"])),
        state=cast("FindingState", row["state"]),
        due=None if row["due"] is None else _moment(row["due"]),
        restated_on=None if row.get("restated_on") is None else _moment(row["restated_on"]),
    )


def _gaps(coverage: pl.DataFrame) -> tuple[CoverageGap, ...]:
    """What of the coverage a control found missing."""
    return tuple(
        CoverageGap(
            row["tenant"], row["source"], row["control_id"], _read(row["since"]), _read(row["until"]), row["why"] or ""
        )
        for row in coverage.iter_rows(named=True)
        if row["control_id"]
    )


def _read(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _file(name: str, digest: str) -> EvidenceFile:
    kind = _MEDIA.get(name.rpartition(".")[2], "application/octet-stream")
    return EvidenceFile(name, kind, digest, "a rendering" if name in RENDERINGS else "the evidence, as it was exported")


def _moment(ns: int) -> datetime:
    return _EPOCH + timedelta(microseconds=ns // 1000)


_ABOUT: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "findings.csv": (
        ("finding_id", "the finding; another id stands here where its fingerprint is closed"),
        ("tenant", "whose events they are"),
        ("domain", "infrastructure, model_access or data_movement"),
        ("control", "the control that was violated"),
        ("version", "its version at the last violation"),
        ("kind", "violation, review (a person must judge) or exposure"),
        ("severity", "info, low, medium, high or critical"),
        ("fingerprint", "JSON: the columns that make these events one finding"),
        ("first_seen", "the first such event of the scope, nanoseconds since 1970"),
        ("last_seen", "the last such event of the scope, nanoseconds since 1970"),
        ("events", "how many events of the scope violated"),
        ("bytes", "bytes that these events moved, as far as they say"),
        ("state", "where it stood when the export was made"),
        ("owner", "to whom it was assigned; empty: nobody"),
        ("due", "the deadline of its first clock, nanoseconds since 1970; empty: none runs"),
        ("waiver", "the waiver that was in force for it; empty: none"),
    ),
    "verdicts.csv": (
        ("tenant", "whose events were judged"),
        ("control", "the control"),
        ("version", "its version"),
        ("source_format", "the format that the events came in"),
        ("verdict", "satisfied, violated or undetermined (unknown is not compliant)"),
        ("missing", "of an undetermined verdict the column that was unknown"),
        ("events", "how many events; all of the messages that are shown, as it was sealed"),
    ),
    "coverage.csv": (
        ("kind", "what was measured"),
        ("tenant", "whose source it is"),
        ("source", "who should have been heard"),
        ("collector_id", "its collector"),
        ("since", "from when, UTC"),
        ("until", "until when, UTC"),
        ("unit", "what is counted"),
        ("expected", "how many were expected"),
        ("seen", "how many were seen"),
        ("state", "what follows"),
        ("control_id", "the coverage control that found it; empty: nothing is wrong"),
        ("why", "what is known about it"),
    ),
    "every file but verdicts.csv": (
        ("any", "a text that begins with = + - @, tab or return has an apostrophe in front: no spreadsheet runs it"),
    ),
}  # fmt: skip


def data_dictionary() -> bytes:
    """What each column of each table holds, as CSV."""
    return export_tables.table(("file", "column", "holds"), _dictionary_rows())


def _dictionary_rows() -> Iterable[tuple[str, str, str]]:
    return ((file, column, about) for file, columns in _ABOUT.items() for column, about in columns)
