"""CSV that a person opens in a spreadsheet."""

from __future__ import annotations

import csv
import io
import json

from example_report import finding, report
from onshore_pipeline.reports.report import CoverageGap
from onshore_pipeline.reports.tables import coverage_csv, data_dictionary, findings_csv, verdicts_csv


def lines(table: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table.decode(), newline="")))


def test_findings_come_back_as_they_were() -> None:
    hostile = {"dataset": 'a "b",\r\nc', "actor_id": ""}
    (row,) = lines(findings_csv(report(findings=(finding(fingerprint=hostile),))))
    assert json.loads(row["fingerprint"]) == hostile
    assert (row["events"], row["first_seen"], row["due"]) == ("1000000", "2026-10-02T00:00:00.123456Z", "")


def test_a_control_that_judged_nothing_has_its_line() -> None:
    rows = {row["control_id"]: row for row in lines(verdicts_csv(report()))}
    assert rows["SG-BA47-01"]["satisfied"] == "0"
    assert rows["JP-APPI28-01"]["undetermined"] == "2"


def test_no_text_is_a_formula() -> None:
    gaps = tuple(CoverageGap(text, "edge", "ONS-COV-03", None, None, "x") for text in ("=1+1", "+1", "-1", "@a", "a=1"))
    assert [row["tenant"] for row in lines(coverage_csv(report(gaps=gaps)))] == ["'=1+1", "'+1", "'-1", "'@a", "a=1"]


def test_the_dictionary_has_every_column_of_every_table() -> None:
    described = {(row["file"], row["column"]) for row in lines(data_dictionary())}
    for name, table in (("findings", findings_csv), ("verdicts", verdicts_csv), ("coverage", coverage_csv)):
        assert {(f"{name}.csv", column) for column in lines(table(report()))[0]} <= described
