"""Weights read from a store of objects are judged as weights, and other objects are not."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from demo_judgement import APPENDED_NS, shipped_judgement
from onshore_pipeline.assess import assess
from onshore_pipeline.broker import TENANT_HEADER, Message, Polled
from onshore_pipeline.context import load

if TYPE_CHECKING:
    from pathlib import Path

HOME, ABROAD, NOWHERE = "203.0.113.7", "198.51.100.7", "192.0.2.7"


@pytest.fixture
def registries(tmp_path: Path) -> Path:
    (tmp_path / "models.yaml").write_text("- {model: llama, weights: ['s3://acme/llama/'], home: [AU]}\n")
    (tmp_path / "addresses.yaml").write_text(
        f"- {{network: {HOME}/32, country: AU}}\n- {{network: {ABROAD}/32, country: SG}}\n"
    )
    (tmp_path / "tenants.yaml").write_text("- {tenant: acme, home: [AU]}\n")
    return tmp_path


def verdicts(registries: Path, key: str, address: str, region: str = "ap-southeast-2") -> set[str]:
    """What SOV-02-01 says of a call of GetObject; nothing where it does not apply."""
    record = {
        "eventVersion": "1.11",
        "eventTime": "2026-07-10T11:45:00Z",
        "eventSource": "s3.amazonaws.com",
        "eventName": "GetObject",
        "awsRegion": region,
        "sourceIPAddress": address,
        "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/kim", "accountId": "111122223333"},
        "requestParameters": {"bucketName": "acme", "key": key},
        "readOnly": True,
        "recipientAccountId": "111122223333",
    }
    judgement = replace(shipped_judgement(), context=load(registries, uses_registry=False))
    headers = ((TENANT_HEADER, b"acme"),)
    message = Message(
        "raw.aws.cloudtrail", UUID(int=4), 0, 0, APPENDED_NS, "broker", headers, json.dumps(record).encode()
    )
    attempt = assess(Polled((message,)), judgement, UUID(int=9))
    assert attempt.tables["events"]["action"].to_pylist() == ["data.read"]
    said = attempt.tables["message_verdicts"].select(["control_id", "verdict"]).to_pylist()
    return {each["verdict"] for each in said if each["control_id"] == "SOV-02-01"}


@pytest.mark.parametrize("key", ["llama/pytorch_model.bin", "other/model.safetensors"])
@pytest.mark.parametrize(
    ("address", "region", "verdict"),
    [
        (HOME, "ap-southeast-2", "satisfied"),
        (ABROAD, "ap-southeast-2", "violated"),
        (NOWHERE, "ap-southeast-2", "undetermined"),
        (HOME, "us-east-1", "violated"),  # they lie abroad already
    ],
)
def test_weights_must_be_at_home_where_they_lie_and_where_they_are_read(
    registries: Path, key: str, address: str, region: str, verdict: str
) -> None:
    assert verdicts(registries, key, address, region) == {verdict}


@pytest.mark.parametrize("address", [HOME, ABROAD, NOWHERE])
def test_another_object_is_none_of_its_business(registries: Path, address: str) -> None:
    assert verdicts(registries, "notes/1.json", address) == set()
