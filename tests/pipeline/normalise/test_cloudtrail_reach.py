"""CloudTrail: where calls lead to, by record, and never by file, wrapper or guess."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.pipeline.normalise.conftest import Batch

LABELLED = Path(__file__).parents[4] / "shared" / "data" / "labelled" / "AWS.CloudTrail.jsonl"
FORMAT = "aws.cloudtrail"


def call(service: str, name: str, request: object = None, **more: object) -> str:
    record = {
        "eventVersion": "1.11",
        "userIdentity": {"type": "AssumedRole", "arn": "arn:aws:sts::210987654321:assumed-role/ops/s"},
        "eventTime": "2026-07-10T11:45:00Z",
        "eventSource": f"{service}.amazonaws.com",
        "eventName": name,
        "awsRegion": "ap-southeast-2",
        "sourceIPAddress": "198.51.100.7",
        "requestParameters": request,
        "recipientAccountId": "210987654321",
    }
    return json.dumps({**record, **more})


def told(batch: Batch, body: str) -> dict[str, Any]:
    return batch.log(body=body, encoding_format=FORMAT, time_ns=1).event()


def test_each_record_of_a_mixed_file_has_its_own_region_and_account(batch: Batch) -> None:
    places = [("us-east-1", "111122223333"), ("ap-southeast-2", "444455556666"), ("eu-central-1", "777788889999")]
    batch.message({"cloud.region": "us-west-2", "cloud.account.id": "000000000000"})
    for region, account in places:
        body = call("s3", "GetObject", awsRegion=region, recipientAccountId=account)
        batch.log(body=body, encoding_format=FORMAT, time_ns=1)
    found = [(event["destination_region"], event["destination_account"]) for event in batch.events()]
    assert found == places


@pytest.mark.parametrize(
    ("service", "name", "request_parameters", "action"),
    [
        ("ec2", "ModifySnapshotAttribute", {"createVolumePermission": {"remove": {"items": [{"userId": "1"}]}}}, None),
        ("ec2", "ModifyImageAttribute", {"description": "x"}, None),
        ("ec2", "ModifyImageAttribute", {"launchPermission": {"add": {"items": [{"group": "all"}]}}}, "data.export"),
    ],
)
def test_only_what_is_given_away_is_an_export(
    batch: Batch, service: str, name: str, request_parameters: dict[str, object], action: str | None
) -> None:
    body = call(service, name, {"snapshotId": "snap-1", "attributeType": "x", **request_parameters})
    assert told(batch, body)["action"] == (action or "config.change")


@pytest.mark.parametrize("listed", [True, False])
def test_a_replication_names_its_bucket_and_no_region(batch: Batch, listed: bool) -> None:  # noqa: FBT001
    rule = {"Destination": {"Bucket": "arn:aws:s3:::copy"}}
    request = {"bucketName": "b", "ReplicationConfiguration": {"Rule": [rule, rule] if listed else rule}}
    event = told(batch, call("s3", "PutBucketReplication", request))
    assert (event["destination_id"], event["destination_region"]) == ("arn:aws:s3:::copy", None)
    assert event["destination_account"] is None


def test_replicas_in_several_regions_are_in_no_one(batch: Batch) -> None:
    request = {"secretId": "s", "addReplicaRegions": [{"region": "eu-central-1"}, {"region": "us-east-1"}]}
    assert told(batch, call("secretsmanager", "ReplicateSecretToRegions", request))["destination_region"] is None


@pytest.mark.parametrize(
    ("model", "more", "region"),
    [
        ("anthropic.claude-3-haiku-20240307-v1:0", {}, "ap-southeast-2"),
        ("apac.anthropic.claude-sonnet-4-20250514-v1:0", {}, None),
        ("apac.anthropic.claude-sonnet-4-20250514-v1:0", {"inferenceRegion": "ap-northeast-1"}, "ap-northeast-1"),
    ],
)
def test_a_model_runs_where_the_record_says(batch: Batch, model: str, more: dict[str, str], region: str | None) -> None:
    body = call("bedrock", "InvokeModel", {"modelId": model}, additionalEventData=more)
    assert told(batch, body)["destination_region"] == region


@pytest.mark.parametrize(
    ("arn", "kind"),
    [
        ("arn:aws:sts::210987654321:assumed-role/AWSReservedSSO_Admin_0a1b/aiko@example.org", "user"),
        ("arn:aws:sts::210987654321:assumed-role/AWSServiceRoleForECS/ecs", "service"),
        ("arn:aws:sts::210987654321:assumed-role/ops/s", None),
    ],
)
def test_an_assumed_role_is_who_its_name_says(batch: Batch, arn: str, kind: str | None) -> None:
    body = call("s3", "GetObject", userIdentity={"type": "AssumedRole", "arn": arn})
    assert told(batch, body)["actor_type"] == kind


def test_a_vpc_endpoint_of_awss_own_is_no_source(batch: Batch) -> None:
    body = call("s3", "PutObject", vpcEndpointId="AWS Internal", vpcEndpointAccountId="AWS Internal")
    event = told(batch, body)
    assert (event["source_id"], event["source_account"]) == (None, None)


@pytest.mark.parametrize(
    "wrapped",
    [
        {
            "detail-type": "AWS API Call via CloudTrail",
            "region": "us-east-1",
            "detail": json.loads(call("s3", "GetObject")),
        },
        {"eventData": json.loads(call("s3", "GetObject"))},
        {"logEvents": [{"message": call("s3", "GetObject")}]},
        {name.lower(): value for name, value in json.loads(call("s3", "GetObject")).items()},
    ],
    ids=["eventbridge", "lake", "cloudwatch", "athena"],
)
def test_a_wrapped_record_is_the_record(batch: Batch, wrapped: dict[str, object]) -> None:
    event = told(batch, json.dumps(wrapped))
    assert (event["action"], event["destination_region"]) == ("data.read", "ap-southeast-2")
    assert event["destination_account"] == "210987654321"


def test_what_the_decoder_loses_is_named(batch: Batch) -> None:
    batch.log({"rpc.method": "GetObject", "rpc.service": "s3.amazonaws.com"}, encoding_format=FORMAT, time_ns=1)
    batch.log(body=call("s3", "GetObject"), encoding_format=FORMAT, time_ns=1)
    losses = batch.normalised().attributes.filter(key="onshore.source.losses").select("row", "text").rows()
    assert losses == [(0, "awsRegion,recipientAccountId,serviceEventDetails,vpcEndpointAccountId,vpcEndpointId")]


@pytest.mark.skipif(not LABELLED.is_file(), reason=f"the labelled records are not at {LABELLED}")
def test_labelled_records_are_known_for_what_they_are(batch: Batch) -> None:
    labelled = [json.loads(line) for line in LABELLED.read_text(encoding="utf-8").splitlines()]
    for each in labelled:
        batch.log(body=json.dumps(each["log"]), encoding_format=FORMAT, time_ns=1)
    events = batch.events()
    assert len(events) == len(labelled)
    for each, event in zip(labelled, events, strict=True):
        named = each["log"].get("eventName") or each["log"].get("eventname")
        assert (event["action"] == "log.record") == (named is None), each["name"]
    actions = {each["name"]: event["action"] for each, event in zip(labelled, events, strict=True)}
    assert (actions["AMI Made Public"], actions["AMI Launch Permissions Not Modified"]) == (
        "data.export",
        "config.change",
    )
