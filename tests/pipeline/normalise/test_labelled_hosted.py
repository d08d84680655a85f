"""Real audit records of hosted services, each with a name that says what it shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

from sample_messages import Sample
from source_samples import events_of

DATA: Final = Path(__file__).parents[4] / "shared" / "data" / "labelled"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is not there")

FILES: Final = {
    "github.audit": "GitHub.Audit.jsonl",
    "okta.system": "Okta.SystemLog.jsonl",
    "google.workspace": "GSuite.ActivityEvent.jsonl",
    "databricks.audit": "Databricks.Audit.jsonl",
}
# What says which call a record is of; without any of them there is nothing to know.
SAYS: Final = ("action", "eventType", "eventtype", "actionName", "name")


def records_of(source_format: str) -> list[dict[str, Any]]:
    lines = (DATA / FILES[source_format]).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def read(source_format: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    records = records_of(source_format)
    events = events_of([Sample(body=json.dumps(record["log"])) for record in records], source_format)
    return list(zip(records, events, strict=True))


@pytest.mark.parametrize("source_format", FILES)
def test_the_action_is_known_of_every_record_that_says_one(source_format: str) -> None:
    pairs = read(source_format)
    assert pairs
    for record, event in pairs:
        said = any(record["log"].get(name) for name in SAYS)
        assert (event["action"] != "log.record") == said, record["name"]


@pytest.mark.parametrize(
    ("source_format", "named", "expected"),
    [
        ("github.audit", "Secret Scanning Disabled Org Wide", {"action": "config.change"}),
        ("github.audit", "Secret Scanning Disabled Org Wide", {"actor_id": "bobert", "actor_declared_country": "US"}),
        ("okta.system", "Support Access Granted", {"action": "admin.impersonate", "actor_type": "user"}),
        ("okta.system", "Login Event", {"action": "identity.signin", "actor_id": "homer@springfield.gov"}),
        ("databricks.audit", "Set Account Admin Success", {"action": "config.change", "outcome": "success"}),
        ("databricks.audit", "Failed Admin Grant", {"action": "config.change", "outcome": "denied"}),
        ("databricks.audit", "System User", {"action": "identity.signin", "actor_type": "service"}),
    ],
)
def test_a_record_is_what_its_name_says(source_format: str, named: str, expected: dict[str, str]) -> None:
    shown = [event for record, event in read(source_format) if record["name"] == named]
    assert shown
    for event in shown:
        assert {column: event.get(column) for column in expected} == expected
