"""OSCAL assessment results, read by an independent implementation."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from example_report import finding, report
from onshore_pipeline.reports.oscal import assessment_results
from onshore_pipeline.reports.report import VerdictCounts

if TYPE_CHECKING:
    from pathlib import Path


def read_by_trestle(document: bytes, folder: Path) -> Any:
    from trestle.oscal.assessment_results import AssessmentResults

    file = folder / "assessment-results.json"
    file.write_bytes(document)
    return AssessmentResults.oscal_read(file)


def states(document: bytes) -> dict[str, tuple[str, str]]:
    findings = json.loads(document)["assessment-results"]["results"][0].get("findings", [])
    return {
        each["target"]["target-id"]: (each["target"]["status"]["state"], each["target"]["status"]["reason"])
        for each in findings
    }


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "changed",
    [{}, {"findings": (), "verdicts": (), "gaps": (), "files": (), "limits": ()}, {"controls": ()}],
    ids=["everything", "nothing happened", "no control"],
)
def test_an_independent_reader_takes_it(changed: dict[str, Any], tmp_path: Path) -> None:
    read = read_by_trestle(assessment_results(report(**changed)), tmp_path)
    assert read.import_ap.href.removeprefix("#") in {resource.uuid for resource in read.back_matter.resources}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_hostile_texts_stay_one_line_and_valid(tmp_path: Path) -> None:
    hostile = "a\nb\u2028c\x00 \ud7ff " + "x" * 5000
    made = report(
        reason=hostile, prepared_by=" ", findings=(finding(fingerprint={"dataset": hostile, "actor_id": ""}),)
    )
    read = read_by_trestle(assessment_results(made), tmp_path)
    assert all("\n" not in prop.value for prop in read.results[0].observations[0].props)


def test_what_could_not_be_decided_is_never_satisfied() -> None:
    verdicts = (
        VerdictCounts("AU-APP8-01", violated=1, satisfied=9, undetermined=9),
        VerdictCounts("AU-MHR77-01", satisfied=9),
        VerdictCounts("JP-APPI28-01", satisfied=9, undetermined=1),
    )
    assert states(assessment_results(report(verdicts=verdicts))) == {
        "AU-APP8-01": ("not-satisfied", "fail"),
        "AU-MHR77-01": ("satisfied", "pass"),
        "JP-APPI28-01": ("not-satisfied", "other"),
    }


def test_a_control_that_judged_nothing_is_reviewed_and_not_passed() -> None:
    document = json.loads(assessment_results(report()))["assessment-results"]["results"][0]
    reviewed = document["reviewed-controls"]["control-selections"]
    told = {each["include-controls"][0]["control-id"]: each["props"] for each in reviewed}
    assert {"name": "events-judged", "ns": "https://onshore.dev/ns/oscal", "value": "0"} in told["SG-BA47-01"]
    assert "SG-BA47-01" not in states(assessment_results(report()))


def test_the_same_report_gives_the_same_bytes_and_another_export_other_identifiers() -> None:
    assert assessment_results(report()) == assessment_results(report())
    other = json.loads(assessment_results(report(export_id=UUID(int=5))))["assessment-results"]
    assert other["uuid"] != json.loads(assessment_results(report()))["assessment-results"]["uuid"]


def test_files_are_cited_with_their_digest() -> None:
    document = json.loads(assessment_results(report()))["assessment-results"]
    (events,) = (each for each in document["back-matter"]["resources"] if each["title"] == "events.ndjson")
    assert events["rlinks"][0]["hashes"] == [{"algorithm": "SHA-256", "value": "ab" * 32}]
    evidence = document["results"][0]["observations"][0]["relevant-evidence"]
    assert evidence[0]["href"] == f"#{events['uuid']}"
