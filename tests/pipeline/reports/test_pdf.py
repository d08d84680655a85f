"""The report as a document."""

from __future__ import annotations

import re

import pypdfium2
import pytest

from example_report import finding, report
from onshore_pipeline.reports.pdf import PdfError, report_pdf


def text(document: bytes) -> str:
    read = pypdfium2.PdfDocument(document)
    try:
        return re.sub(r"\s+", " ", " ".join(page.get_textpage().get_text_range() for page in read))
    finally:
        read.close()


def test_it_says_what_the_report_says() -> None:
    said = text(report_pdf(report()))
    for words in (
        "Evidence of sydney-1",
        "NOT WITNESSED",
        "Request 17 of the regulator",
        "Office of the Information Commissioner (AU)",
        "My Health Record",
        "waived, restated on 2026-10-21",
        "nothing was heard for 3 hours",
        "What this does not prove",
        "Certificate of the custodian",
        "ab" * 32,
    ):
        assert words in said


def test_the_same_report_gives_the_same_bytes() -> None:
    assert report_pdf(report()) == report_pdf(report())


def test_it_says_that_it_keeps_to_pdf_a() -> None:
    assert b"<pdfaid:part>2</pdfaid:part>" in report_pdf(report())


def test_nothing_at_all_is_said_as_nothing() -> None:
    said = text(report_pdf(report(findings=(), verdicts=(), gaps=(), files=(), heads=(), limits=())))
    assert "There is no finding in this scope." in said
    assert "No control judged any event of this scope." in said


def test_a_witnessed_export_says_by_whom() -> None:
    said = text(report_pdf(report(witnessed="up to 2026-11-01 by example.org")))
    assert "Witnessed up to 2026-11-01 by example.org" in said
    assert "NOT WITNESSED" not in said


def test_more_findings_than_anybody_reads_are_counted() -> None:
    said = text(report_pdf(report(findings=tuple(finding(number % 27 + 1) for number in range(450)))))
    assert "50 more stand in findings.csv." in said


def test_markup_in_a_name_is_text() -> None:
    assert "#strong[*x*] $a$" in text(report_pdf(report(reason="#strong[*x*] $a$")))


def test_a_character_that_no_font_has_is_an_error_and_no_empty_box() -> None:
    with pytest.raises(PdfError, match=r"could not be displayed.*--no-pdf"):
        report_pdf(report(recipient="\U00012000"))  # cuneiform
