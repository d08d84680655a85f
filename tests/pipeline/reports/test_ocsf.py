"""OCSF findings, checked against the published schema."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from example_report import finding, report
from onshore_pipeline.reports.ocsf import OCSF_VERSION, ocsf_findings

if TYPE_CHECKING:
    from onshore_pipeline.reports.report import FindingState


@cache
def schema(name: str) -> Any:
    return OcsfJsonSchemaEmbedded(get_ocsf_schema(OCSF_VERSION)).get_class_schema(name)


def told(*findings: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ocsf_findings(report(findings=findings)).splitlines()]


def valid(said: dict[str, Any]) -> dict[str, Any]:
    name = {2003: "compliance_finding", 2006: "data_security_finding"}[said["class_uid"]]
    jsonschema.Draft202012Validator(schema(name)).validate(said)
    return said


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"kind": "review", "fingerprint": {"tenant": "acme"}},
        {"kind": "exposure"},
        {"control_id": "NOBODY-KNOWS", "sample_event_ids": ()},
        {"severity": "unheard of"},
    ],
)
def test_every_finding_is_valid(changed: dict[str, Any]) -> None:
    (said,) = told(finding(**changed))
    valid(said)


def test_data_that_moved_to_a_country_is_a_data_security_finding() -> None:
    (moved, review) = told(finding(), finding(kind="review"))
    assert (moved["class_uid"], moved["dst_endpoint"]["location"]) == (2006, {"country": "US"})
    assert (review["class_uid"], review["compliance"]["status"]) == (2003, "Warning")


@pytest.mark.parametrize(
    ("state", "activity", "status"),
    [
        ("open", "Create", "New"),
        ("assigned", "Update", "In Progress"),
        ("waived", "Update", "Suppressed"),
        ("resolved", "Close", "Resolved"),
        ("false positive", "Close", "Resolved"),
    ],
)
def test_its_state_is_told(state: FindingState, activity: str, status: str) -> None:
    (said,) = told(finding(state=state))
    assert (said["activity_name"], said["status"], said["type_uid"] % 100) == (activity, status, said["activity_id"])
    assert valid(said)["unmapped"]["onshore.state"] == state
