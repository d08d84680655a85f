"""Real records of Google Cloud and Azure: as many events as records, none without an action where its name says one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

from sample_messages import Sample
from source_samples import events_of

SHARED: Final = Path(__file__).parents[4] / "shared" / "data"
OTEL: Final = SHARED / "otel-contrib"
AZURE: Final = OTEL / "azureencodingextension" / "internal" / "unmarshaler" / "logs" / "testdata"
GOOGLE: Final = OTEL / "googlecloudlogentryencodingextension" / "testdata"

pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason=f"the public data set is not at {SHARED}")

# Invented by their authors to test what becomes of a record without a method, or with its fields in other places.
WITHOUT_METHOD: Final = {
    "GCP No methodName found",
    "No method provided",
    "compute.non-create.firewall.method-should-not-alert",
    "appengine.compute.non-create.firewall.method-should-not-alert",
    "compute.non-delete.firewall.method-should-not-alert",
    "appengine.non-delete.firewall.method-should-not-alert",
    "Test-876cde",
    "Test-ffdf6",
    "triggers",
    "ignore",
    "other",
}


def records_of(path: Path) -> list[dict[str, Any]]:
    """The records of a file: one object, an object a line, or an object of records."""
    text = path.read_text(encoding="utf-8")
    try:
        whole = json.loads(text)
    except ValueError:
        return [json.loads(line) for line in text.splitlines()]
    return list(whole.get("records", [whole]))


def read(source_format: str, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events of the records, one each."""
    events = events_of([Sample(json.dumps(record)) for record in records], source_format)
    assert len(events) == len(records)
    assert {event["source_format"] for event in events} == {source_format}
    return events


def labelled(name: str) -> list[dict[str, Any]]:
    """Labelled samples: name, log."""
    lines = (SHARED / "labelled" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize(
    ("source_format", "folder"), [("gcp.audit", "auditlog"), ("gcp.vpcflow", "vpc-flow-log"), ("gcp.dns", "dnslog")]
)
def test_googles_samples_are_read(source_format: str, folder: str) -> None:
    paths = sorted((GOOGLE / folder).glob("*json"))
    events = read(source_format, [record for path in paths for record in records_of(path)])
    assert events
    assert all(event["action"] != "log.record" and event["outcome"] != "unknown" for event in events)


def test_labelled_audit_logs_are_read() -> None:
    samples = labelled("GCP.AuditLog")
    events = read("gcp.audit", [sample["log"] for sample in samples])
    unread = {sample["name"] for sample, event in zip(samples, events, strict=True) if event["action"] == "log.record"}
    assert unread <= WITHOUT_METHOD


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("GCS Object Rewrite", {"action": "data.copy", "outcome": "success", "dataset": "victim-bucket"}),
        ("VPC control violation", {"action": "data.read", "outcome": "denied"}),
        ("Drop Table Event", {"action": "data.delete", "dataset": "gcp-project1.test1.newtable"}),
        ("TableDeletion", {"action": "data.delete"}),
        ("Large Query", {"action": "data.read", "bytes": 3096864198, "destination_region": "US"}),
        ("Cross-Project KMS Encryption Detected", {"action": "key.use", "outcome": "success"}),
        ("KMS Key Version Destroyed", {"action": "config.change"}),
        ("Disallowed User", {"action": "admin.session", "actor_type": "user"}),
        ("GCP Run Service Not Created", {"action": "config.change", "outcome": "failure"}),
        ("GCP Run IAM Policy Not Set", {"action": "config.change", "outcome": "denied"}),
    ],
)
def test_labelled_audit_logs_show_what_their_names_say(name: str, expected: dict[str, Any]) -> None:
    samples = [sample["log"] for sample in labelled("GCP.AuditLog") if sample["name"] == name]
    assert samples
    for event in read("gcp.audit", samples):
        assert {key: event.get(key) for key in expected} == expected


@pytest.mark.parametrize(
    ("source_format", "folder"),
    [
        ("azure.activity", "activitylogs"),
        ("azure.activity", "policy"),
        ("azure.datafactory", "datafactory"),
        ("azure.storage", "storage"),
    ],
)
def test_azures_samples_are_read(source_format: str, folder: str) -> None:
    paths = sorted((AZURE / folder).glob("*.json"))
    events = read(source_format, [record for path in paths for record in records_of(path)])
    assert events
    assert all(event["action"] != "log.record" for event in events)


@pytest.mark.parametrize("about_storage", [False, True])
def test_labelled_azure_monitor_logs_are_read(about_storage: bool) -> None:  # noqa: FBT001 - pytest's parameter
    logs = [sample["log"] for sample in labelled("Azure.MonitorActivity")]
    fitting = [log for log in logs if ("/" not in log["operationName"]) == about_storage]
    events = read("azure.storage" if about_storage else "azure.activity", fitting)
    assert all(event["action"] != "log.record" for event in events)


def test_labelled_entra_logs_are_read() -> None:
    events = read("azure.entra", [sample["log"] for sample in labelled("Azure.Audit")])
    assert all(event["action"] != "log.record" and event.get("actor_id") for event in events)


@pytest.mark.parametrize(
    ("source_format", "name", "expected"),
    [
        ("azure.activity", "VM RunCommand Executed Successfully", {"action": "admin.command", "outcome": "success"}),
        ("azure.activity", "Serial Console Connect", {"action": "admin.session", "outcome": "success"}),
        ("azure.activity", "SAS URI Generated for Disk", {"action": "data.export", "outcome": "success"}),
        ("azure.activity", "Secret Accessed", {"action": "data.read", "object_type": "secret"}),
        ("azure.activity", "Failed Lock Deletion", {"action": "config.change", "outcome": "denied"}),
        ("azure.activity", "Key Regenerated", {"action": "key.rotate"}),
        ("azure.storage", "Successful Blob Extraction", {"action": "data.read", "outcome": "success"}),
        ("azure.storage", "Successful Blob Upload", {"action": "data.copy", "outcome": "success"}),
        ("azure.storage", "Failed SAS Token Access", {"action": "data.read", "outcome": "denied"}),
    ],
)
def test_labelled_azure_logs_show_what_their_names_say(source_format: str, name: str, expected: dict[str, Any]) -> None:
    samples = [sample["log"] for sample in labelled("Azure.MonitorActivity") if sample["name"] == name]
    assert samples
    for event in read(source_format, samples):
        assert {key: event.get(key) for key in expected} == expected
