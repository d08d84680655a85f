"""Network Firewall logs: bad values, and what the Collector's decoder leaves."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.pipeline.normalise.conftest import Batch

FORMAT = "aws.networkfirewall"


def told(batch: Batch, event: object) -> dict[str, Any]:
    body = json.dumps({"firewall_name": "egress-syd", "event_timestamp": "1764115200", "event": event})
    return batch.log(body=body, encoding_format=FORMAT, time_ns=1).event()


@pytest.mark.parametrize(
    ("event", "outcome"),
    [
        ({"event_type": "alert", "alert": {"action": "blocked"}}, "denied"),
        ({"event_type": "alert", "alert": {"action": "allowed"}}, "success"),
        ({"event_type": "alert", "alert": {"action": "allowed"}, "verdict": {"action": "drop"}}, "denied"),
        ({"event_type": "alert", "alert": {"action": "tomorrow"}}, "unknown"),
        ({"event_type": "netflow", "netflow": {"bytes": 1}}, "unknown"),
    ],
)
def test_only_a_verdict_says_whether_it_went_through(batch: Batch, event: dict[str, Any], outcome: str) -> None:
    assert told(batch, event)["outcome"] == outcome


@pytest.mark.parametrize(
    ("event", "encrypted"),
    [
        ({"event_type": "netflow", "app_proto": "tls"}, True),
        ({"event_type": "netflow", "app_proto": "http"}, False),
        ({"event_type": "netflow", "app_proto": "http", "tls_inspected": True}, True),
        ({"event_type": "netflow", "app_proto": "failed"}, None),
        ({"event_type": "netflow"}, None),
        ({"event_type": "tls", "sni": "a.example"}, True),
        ({"event_type": "tls", "tls_error": {"error_message": "x"}}, None),
    ],
)
def test_encryption_is_what_the_engine_recognised(batch: Batch, event: dict[str, Any], encrypted: object) -> None:
    assert told(batch, event)["encrypted_in_transit"] == encrypted


def test_the_firewalls_zone_is_no_partys_place(batch: Batch) -> None:
    body = json.dumps({"availability_zone": "ap-southeast-2b", "event": {"src_ip": "10.0.0.1", "dest_ip": "1.2.3.4"}})
    event = batch.log(body=body, encoding_format=FORMAT, time_ns=1).event()
    assert (event["source_region"], event["destination_region"]) == (None, None)


@pytest.mark.parametrize("body", [None, "", "{", "[]", '{"event":"text"}', '{"event":{"event_type":{"a":1}}}', "1 2"])
def test_what_is_no_event_is_kept(batch: Batch, body: str | None) -> None:
    event = batch.log(body=body, encoding_format=FORMAT, time_ns=1).event()
    assert (event["action"], event["outcome"], event["body"]) == ("log.record", "unknown", body or None)


def test_what_the_decoder_leaves_is_read_and_what_it_loses_is_named(batch: Batch) -> None:
    batch.log(
        {
            "aws.networkfirewall.event.type": "alert",
            "source.address": "10.20.30.40",
            "destination.address": "203.0.113.9",
            "aws.networkfirewall.netflow.bytes": 700,
            "aws.networkfirewall.alert.action": "blocked",
            "aws.networkfirewall.alert.signature": "outside the list",
            "server.address": "api.example-models.com",
        },
        encoding_format=FORMAT,
        time_ns=1,
    )
    event = batch.event()
    assert (event["action"], event["outcome"], event["reason"]) == ("network.flow", "denied", "outside the list")
    assert (event["bytes"], event["destination_host"]) == (700, "api.example-models.com")
    assert "app_proto" in batch.normalised().attributes.filter(key="onshore.source.losses")["text"].item()
