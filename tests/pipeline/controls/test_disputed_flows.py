"""A flow between places that light could not have joined so fast is judged by the control on disputes."""

from __future__ import annotations

import json
from uuid import UUID

import pytest

from demo_judgement import APPENDED_NS, shipped_judgement
from onshore_pipeline.assess import assess
from onshore_pipeline.broker import TENANT_HEADER, Message, Polled


def verdicts(rtt_ms: str) -> set[tuple[str, str]]:
    """Of a flow from a machine in Sydney to an address in Germany, what SOV-24-01 says."""
    flow = {
        "reporter": "SRC",
        "bytes_sent": "19680",
        "rtt_msec": rtt_ms,
        "connection": {"src_ip": "10.0.0.5", "src_port": 22, "dest_ip": "203.0.113.2", "dest_port": 443, "protocol": 6},
        "src_instance": {"project_id": "acme-ml", "region": "australia-southeast1", "vm_name": "gpu-1"},
        "dest_location": {"country": "deu"},
    }
    record = {"insertId": "f1", "timestamp": "2026-07-10T11:45:10.5Z", "jsonPayload": flow}
    headers = ((TENANT_HEADER, b"acme"),)
    value = json.dumps(record).encode()
    message = Message("raw.gcp.vpcflow", UUID(int=4), 0, 0, APPENDED_NS, "broker", headers, value)
    attempt = assess(Polled((message,)), shipped_judgement(), UUID(int=9))
    assert attempt.tables["events"]["action"].to_pylist() == ["network.flow"]
    table = attempt.tables.get("message_verdicts")  # absent where no control says anything
    said = [] if table is None else table.select(["control_id", "verdict"]).to_pylist()
    return {(each["control_id"], each["verdict"]) for each in said if each["control_id"] == "SOV-24-01"}


@pytest.mark.parametrize(("rtt_ms", "told"), [("4", {("SOV-24-01", "violated")}), ("250", set())])
def test_only_a_flow_whose_places_cannot_both_be_right_is_a_violation(rtt_ms: str, told: set[tuple[str, str]]) -> None:
    assert verdicts(rtt_ms) == told
