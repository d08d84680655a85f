"""Findings, verdicts and coverage as CSV (RFC 4180, UTF-8), with a dictionary that says what each column holds.

A text that a spreadsheet would take for a formula is given a leading apostrophe; the dictionary says so, and the
evidence itself has the text as it was.
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from onshore_pipeline.reports.spelling import utc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from onshore_pipeline.reports.report import CoverageGap, Report, ReportedFinding

Row = TypeVar("Row")

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class _Field(Generic[Row]):
    name: str
    kind: str
    about: str
    value: Callable[[Row], object]


_FINDINGS: Final[tuple[_Field[ReportedFinding], ...]] = (
    _Field("finding_id", "uuid", "the finding, the same in every export", lambda f: f.finding_id),
    _Field("tenant", "text", "whose events they are", lambda f: f.tenant),
    _Field("domain", "word", "infrastructure, model_access or data_movement", lambda f: f.domain),
    _Field("control_id", "word", "the control that was violated", lambda f: f.control_id),
    _Field("control_version", "integer", "the control's version at the last violation", lambda f: f.control_version),
    _Field("kind", "word", "violation, review (a person must judge) or exposure", lambda f: f.kind),
    _Field("severity", "word", "info, low, medium, high or critical", lambda f: f.severity),
    _Field("fingerprint", "json", "the columns that make these events one finding", lambda f: _json(f.fingerprint)),
    _Field("first_seen", "time", "the first such event, by the sender's clock", lambda f: utc(f.first_seen)),
    _Field("last_seen", "time", "the last such event, by the sender's clock", lambda f: utc(f.last_seen)),
    _Field("events", "integer", "how many events violated", lambda f: f.events),
    _Field("bytes", "integer", "bytes that these events moved, as far as they say", lambda f: f.bytes),
    _Field("state", "word", "its state when the export was made", lambda f: f.state),
    _Field("restated_on", "time", "when late events last changed it; empty: never", lambda f: _when(f.restated_on)),
    _Field("due", "time", "the deadline of its clock; empty: no clock runs", lambda f: _when(f.due)),
    _Field("sample_event_ids", "json", "some of its events", lambda f: _json([str(i) for i in f.sample_event_ids])),
)
_VERDICTS: Final[tuple[_Field[tuple[str, int, int, int]], ...]] = (
    _Field("control_id", "word", "the control", lambda row: row[0]),
    _Field("violated", "integer", "events that violated it", lambda row: row[1]),
    _Field("satisfied", "integer", "events that satisfied it", lambda row: row[2]),
    _Field("undetermined", "integer", "events that could not be decided: unknown is not compliant", lambda row: row[3]),
)
_COVERAGE: Final[tuple[_Field[CoverageGap], ...]] = (
    _Field("tenant", "text", "whose source it is", lambda gap: gap.tenant),
    _Field("source", "text", "what should have been seen", lambda gap: gap.source),
    _Field("control_id", "word", "the coverage control that found it", lambda gap: gap.control_id),
    _Field("since", "time", "from when; empty: unknown", lambda gap: _when(gap.since)),
    _Field("until", "time", "until when; empty: still, or unknown", lambda gap: _when(gap.until)),
    _Field("why", "text", "what is known about it", lambda gap: gap.why),
)


def findings_csv(report: Report) -> bytes:
    """One line a finding."""
    return _table(_FINDINGS, report.findings)


def verdicts_csv(report: Report) -> bytes:
    """One line a control, also for those that judged nothing."""
    rows = [(each.id, report.counts(each.id)) for each in report.controls]
    return _table(_VERDICTS, [(name, n.violated, n.satisfied, n.undetermined) for name, n in rows])


def coverage_csv(report: Report) -> bytes:
    """One line a gap."""
    return _table(_COVERAGE, report.gaps)


def data_dictionary() -> bytes:
    """What each column of each table holds, as CSV."""
    tables: tuple[tuple[str, Sequence[_Field[Any]]], ...] = (
        ("findings.csv", _FINDINGS),
        ("verdicts.csv", _VERDICTS),
        ("coverage.csv", _COVERAGE),
    )
    rows = [(name, field.name, field.kind, field.about) for name, fields in tables for field in fields]
    about = "a text that starts with = + - or @ has a leading apostrophe here, so that no spreadsheet runs it"
    return _lines([("file", "column", "type", "holds"), *rows, ("every file", "any text", "text", about)])


def _table(fields: Sequence[_Field[Row]], rows: Iterable[Row]) -> bytes:
    return _lines(
        [[field.name for field in fields], *([_cell(field.value(row)) for field in fields] for row in rows)],
    )


def _lines(rows: Iterable[Sequence[object]]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    return out.getvalue().encode()


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _when(moment: datetime | None) -> str:
    return "" if moment is None else utc(moment)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=dict)
