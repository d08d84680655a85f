"""Logs of AWS that others published: every record an event, and each known for what it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.pipeline.normalise.conftest import Batch

SHARED = Path(__file__).parents[4] / "shared" / "data"
COLLECTOR = SHARED / "otel-contrib" / "awslogsencodingextension" / "internal" / "unmarshaler"

pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason=f"the published logs are not at {SHARED}")


def labelled(name: str) -> list[tuple[str, str]]:
    """The label and the text of each record."""
    lines = (SHARED / "labelled" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [(each["name"], json.dumps(each["log"])) for each in map(json.loads, lines)]


def events_of(batch: Batch, source_format: str, bodies: list[str], **attributes: str) -> list[dict[str, Any]]:
    for body in bodies:
        batch.log(attributes, body=body, encoding_format=source_format, time_ns=1)
    events = batch.events()
    assert [event["body"] for event in events] == bodies
    return events


def test_flow_lines_are_flows(batch: Batch) -> None:
    header, *lines = (COLLECTOR / "vpc-flow-log/testdata/valid_vpc_flow_log_multi.log").read_text().splitlines()
    events = events_of(batch, "aws.vpcflow", lines, **{"aws.vpcflow.fields": header})
    assert [(event["action"], event["outcome"], event["bytes"]) for event in events] == [
        ("network.flow", "success", 4249),
        ("network.flow", "denied", 4249),
    ]


def test_a_window_without_data_is_no_flow(batch: Batch) -> None:
    header, line = (COLLECTOR / "vpc-flow-log/testdata/valid_vpc_flow_log.log").read_text().split("\n")[:2]
    (event,) = events_of(batch, "aws.vpcflow", [line], **{"aws.vpcflow.fields": header})
    assert (event["action"], event["source_address"]) == ("telemetry.heartbeat", None)


def test_messages_of_a_cloudwatch_batch_are_flows(batch: Batch) -> None:
    wrapped = json.loads((COLLECTOR / "vpc-flow-log/testdata/valid_vpc_flow_cw.json").read_text())
    events = events_of(batch, "aws.vpcflow", [each["message"] for each in wrapped["logEvents"]])
    assert [event["outcome"] for event in events] == ["success", "denied"]


def test_labelled_flows_are_known_for_what_they_are(batch: Batch) -> None:
    flows = labelled("AWS.VPCFlow")
    events = events_of(batch, "aws.vpcflow", [body for _, body in flows])
    actions = {
        name: event["action"] for (name, _), event in zip(flows, events, strict=True) if "Log Status" not in name
    }
    assert set(actions.values()) == {"network.flow"}
    statuses = {name: event["action"] for (name, _), event in zip(flows, events, strict=True) if "Log Status" in name}
    assert {name: action for name, action in statuses.items() if "Unhealthy" in name} == {
        "Unhealthy Log Status": "telemetry.skipped",
        "Unhealthy Log Status - OCSF": "telemetry.skipped",
    }


def test_published_access_lines_are_requests(batch: Batch) -> None:
    for name in ("valid_s3_access_log.log", "stream/valid_log_multi.log"):
        for line in (COLLECTOR / "s3-access-log/testdata" / name).read_text().splitlines():
            batch.log(body=line, encoding_format="aws.s3access", time_ns=1)
    events = batch.events()
    assert [event["action"] for event in events] == ["config.read"] * 4
    assert [event["outcome"] for event in events] == ["success", "success", "success", "failure"]
    assert {event["destination_region"] for event in events} == {"us-west-1", None}
    assert all(event["encrypted_in_transit"] for event in events)


def test_labelled_requests_are_known_for_what_they_are(batch: Batch) -> None:
    requests = labelled("AWS.S3ServerAccess")
    events = events_of(batch, "aws.s3access", [body for _, body in requests])
    actions = {name: event["action"] for (name, _), event in zip(requests, events, strict=True)}
    assert "log.record" not in actions.values()
    assert (actions["Secure Access to S3 Bucket"], actions["Delete Marker Call"]) == ("data.copy", "data.delete")
    assert actions["Expected Access"] == "data.read"


def test_published_firewall_events_are_flows(batch: Batch) -> None:
    folder = COLLECTOR / "network-firewall-log/testdata"
    bodies = [(folder / name).read_text() for name in ("valid_flow_log.json", "valid_tls_log.json")]
    flow, tls = events_of(batch, "aws.networkfirewall", bodies)
    assert (flow["action"], flow["bytes"], flow["outcome"]) == ("network.flow", 45000, "unknown")
    assert (tls["action"], tls["destination_host"], tls["encrypted_in_transit"]) == (
        "network.flow",
        "example.com",
        True,
    )
