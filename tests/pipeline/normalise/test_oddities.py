"""Records of a version to come, or with numbers as texts, are read by what is known, and the oddity is noted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from onshore_pipeline.normalise.source_fields import ODDITIES

if TYPE_CHECKING:
    from tests.pipeline.normalise.conftest import Batch

CALL: dict[str, Any] = {
    "schemaType": "ModelInvocationLog",
    "schemaVersion": "1.0",
    "operation": "InvokeModel",
    "modelId": "m",
    "input": {"inputTokenCount": 12},
    "output": {"outputTokenCount": 34},
}
AUDIT = {"kind": "Event", "apiVersion": "audit.k8s.io/v1", "verb": "get", "objectRef": {"resource": "secrets"}}
QUERY = {"version": "1.100000", "query_name": "a.example.", "rcode": "NOERROR", "srcaddr": "10.0.0.1", "region": "r-1"}


@pytest.mark.parametrize(
    ("source_format", "record", "changed", "noted", "column", "value"),
    [
        ("aws.bedrock", CALL, {}, None, "input_tokens", 12),
        ("aws.bedrock", CALL, {"schemaVersion": "2.0"}, "schemaVersion 2.0", "output_tokens", 34),
        ("aws.bedrock", CALL, {"input": {"inputTokenCount": "12"}}, "inputTokenCount as text", "input_tokens", 12),
        (
            "aws.bedrock",
            CALL,
            {"schemaVersion": 2, "output": {"outputTokenCount": "34"}},
            "schemaVersion 2, outputTokenCount as text",
            "output_tokens",
            34,
        ),
        ("kubernetes.audit", AUDIT, {}, None, "action", "data.read"),
        ("kubernetes.audit", AUDIT, {"apiVersion": "audit.k8s.io/v1beta1"}, None, "action", "data.read"),
        (
            "kubernetes.audit",
            AUDIT,
            {"apiVersion": "audit.k8s.io/v2"},
            "apiVersion audit.k8s.io/v2",
            "action",
            "data.read",
        ),
        ("dns.query", QUERY, {}, None, "outcome", "success"),
        ("dns.query", QUERY, {"version": "2.0"}, "version 2.0", "outcome", "success"),
    ],
)
def test_what_is_odd_is_read_and_noted(
    batch: Batch,
    source_format: str,
    record: dict[str, Any],
    changed: dict[str, Any],
    noted: str | None,
    column: str,
    value: object,
) -> None:
    batch.log({}, body=json.dumps(record | changed), encoding_format=source_format, time_ns=1)
    assert batch.event()[column] == value
    told = batch.normalised().attributes
    assert dict(zip(told["key"], told["text"], strict=True)).get(ODDITIES) == noted
