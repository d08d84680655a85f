"""Real audit events of EKS, AKS and GKE, each with a name that says what it shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

from sample_messages import Sample
from source_samples import events_of

DATA: Final = Path(__file__).parents[4] / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is not there")

FORMAT: Final = "kubernetes.audit"
# Written for rules about other sources, with an enrichment and no request in them.
_NOT_AUDIT: Final = ("Malicious", "Benign", "Unknown", "Known", "No Enrichment", "Threat", "IP Not", "Multiple Threat")


@pytest.fixture(scope="module")
def labelled() -> list[tuple[str, dict[str, Any]]]:
    lines = (DATA / "labelled" / "Amazon.EKS.Audit.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    events = events_of([Sample(body=json.dumps(record["log"])) for record in records], FORMAT)
    return [(record["name"], event) for record, event in zip(records, events, strict=True)]


def test_every_record_is_an_event_whose_action_is_known(labelled: list[tuple[str, dict[str, Any]]]) -> None:
    unread = [name for name, event in labelled if event["action"] == "log.record" and not name.startswith(_NOT_AUDIT)]
    assert unread == []


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("Exec Into Pod", {"action": "admin.session", "object_type": "pods/exec", "outcome": "success"}),
        ("failed secret get", {"action": "data.read", "object_type": "secret"}),
        ("cluster-wide secret list", {"action": "data.read", "object_type": "secret", "outcome": "success"}),
        ("ClusterRoleBinding to cluster-admin", {"action": "config.change", "object_type": "clusterrolebindings"}),
        ("MutatingWebhookConfiguration Created", {"action": "config.change", "outcome": "success"}),
        ("long-lived token created", {"action": "config.change", "object_type": "serviceaccounts/token"}),
        ("CronJob Created", {"action": "config.change", "object_type": "cronjobs", "outcome": "success"}),
    ],
)
def test_an_event_is_what_its_name_says(
    labelled: list[tuple[str, dict[str, Any]]], named: str, expected: dict[str, str]
) -> None:
    shown = [event for name, event in labelled if named in name and "(" not in name]
    assert shown
    for event in shown:
        assert {column: event[column] for column in expected} == expected


def test_a_refused_read_of_a_secret_is_denied(labelled: list[tuple[str, dict[str, Any]]]) -> None:
    refused = [
        event["outcome"] for name, event in labelled if "secret get (40" in name or name == "GKE failed secret get"
    ]
    assert sorted(refused) == ["denied", "denied", "denied", "failure"]  # one is a 404


def test_an_event_of_falcos_is_read() -> None:
    (text,) = [path.read_text(encoding="utf-8") for path in (DATA / "kubernetes").glob("*.json*")]
    (event,) = events_of([Sample(body=text)], FORMAT)
    assert (event["actor_id"], event["action"], event["object_type"]) == (
        "system:anonymous",
        "config.change",
        "namespaces",
    )
    assert (event["outcome"], event["occurred_at"]) == ("success", "2018-10-25T13:58:49.730588+00:00")
