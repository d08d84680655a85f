from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from onshore_pipeline.normalise.cloudtrail_paths import RECORD_PATHS
from onshore_pipeline.normalise.json_fields import read_fields

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.pipeline.normalise.conftest import Batch

UTC = dt.UTC
RECORDED = Path(__file__).parents[4] / "shared" / "data" / "cloudtrail"
READ: dict[str, Any] = {
    "eventVersion": "1.08",
    "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::111:user/aiko", "accountId": "111"},
    "eventTime": "2026-07-10T11:45:00Z",
    "eventSource": "s3.amazonaws.com",
    "eventName": "GetObject",
    "awsRegion": "ap-southeast-2",
    "sourceIPAddress": "198.51.100.7",
    "requestParameters": {"bucketName": "patient-notes", "key": "1.json"},
    "responseElements": None,
    "additionalEventData": {"bytesTransferredIn": 0.0, "bytesTransferredOut": 2048.0},
    "eventID": "e-1",
    "readOnly": True,
    "vpcEndpointId": "vpce-1",
    "recipientAccountId": "222",
}


def raw(**changes: object) -> str:
    return json.dumps({**READ, **changes})


def told(batch: Batch, body: str) -> dict[str, Any]:
    return (
        batch.message({"cloud.region": "eu-west-1", "service.name": "reader"})
        .log(body=body, encoding_format="aws.cloudtrail", time_ns=1)
        .events()[-1]
    )


def test_a_raw_record_is_read_field_by_field(batch: Batch) -> None:
    event = told(batch, raw())
    assert event["source_format"] == "aws.cloudtrail"
    assert (event["action"], event["domain"]) == ("data.read", "data_movement")
    assert event["occurred_at"] == dt.datetime(2026, 7, 10, 11, 45, tzinfo=UTC)
    assert (event["actor_id"], event["actor_type"]) == ("arn:aws:iam::111:user/aiko", "user")
    assert (event["actor_account"], event["destination_account"]) == ("111", "222")
    assert event["source_address"] == event["actor_address"] == bytes(10) + b"\xff\xff" + bytes([198, 51, 100, 7])
    assert (event["source_host"], event["source_id"]) == (None, "vpce-1")
    assert (event["destination_region"], event["destination_provider"]) == ("ap-southeast-2", "aws")
    assert event["destination_host"] == "s3.amazonaws.com"
    assert (event["dataset"], event["object_type"], event["bytes"]) == ("patient-notes", "object", 2048)
    assert (event["outcome"], event["reason"]) == ("success", None)
    assert event["body"] == raw()


@pytest.mark.parametrize("spelled", [str, str.lower])
@pytest.mark.parametrize("text", ["2023-07-10 11:42:36", "2023-07-10T11:42:36", "2023-07-10T11:42:36Z"])
def test_a_time_is_utc_also_where_a_table_dropped_its_zone(
    batch: Batch, spelled: Callable[[str], str], text: str
) -> None:
    record = {"eventVersion": "1.08", "eventName": "GetObject", "eventSource": "s3.amazonaws.com", "eventTime": text}
    body = json.dumps({spelled(name): value for name, value in record.items()})
    event = batch.log({}, body=body, encoding_format="aws.cloudtrail", observed_ns=1).event()
    assert event["occurred_at"] == dt.datetime(2023, 7, 10, 11, 42, 36, tzinfo=dt.UTC)


def test_the_reader_of_the_log_is_no_party(batch: Batch) -> None:
    event = told(batch, raw())
    assert (event["source_region"], event["source_provider"]) == (None, None)


@pytest.mark.parametrize("marked", ["event_name", "attribute"])
def test_a_raw_record_is_known_by_its_mark(batch: Batch, marked: str) -> None:
    if marked == "event_name":
        batch.log(body=raw(), event_name="aws.cloudtrail")
    else:
        batch.log({"log.record.format": "aws.cloudtrail"}, body=raw())
    assert batch.event()["source_format"] == "aws.cloudtrail"


def test_fields_without_a_column_become_attributes(batch: Batch) -> None:
    batch.log(
        {"rpc.method": "as sent", "aws.error.code": ""}, body=raw(errorCode="X"), encoding_format="aws.cloudtrail"
    )
    assert dict(batch.normalised().attributes.select("key", "text").rows()) == {
        "aws.cloudtrail.event_id": "e-1",
        "aws.cloudtrail.vpc_endpoint_id": "vpce-1",
        "aws.error.code": "",
        "aws.event.read_only": "true",
        "rpc.method": "as sent",
        "rpc.service": "s3.amazonaws.com",
    }


@pytest.mark.parametrize("source", ["AWS Internal", "secretsmanager.amazonaws.com"])
def test_a_source_that_is_no_address_is_kept_as_a_host(batch: Batch, source: str) -> None:
    event = told(batch, raw(sourceIPAddress=source))
    assert (event["source_address"], event["source_host"], event["actor_address"]) == (None, source, None)


@pytest.mark.parametrize(
    ("call", "read_only", "action", "domain"),
    [
        ("s3:PutObject", False, "data.copy", "data_movement"),
        ("s3:DeleteObject", False, "data.delete", "data_movement"),
        ("ec2:CreateSnapshot", False, "backup.write", "data_movement"),
        ("ec2:ModifySnapshotAttribute", False, "data.export", "data_movement"),
        ("kms:Decrypt", True, "key.use", "infrastructure"),
        ("signin:ConsoleLogin", False, "admin.session", "infrastructure"),
        ("ssm:StartSession", False, "admin.session", "infrastructure"),
        ("ssm:SendCommand", False, "admin.command", "infrastructure"),
        ("bedrock-runtime:Converse", True, "model.invoke", "model_access"),
        ("iam:ListRoles", True, "config.read", "infrastructure"),
        ("iam:ListRoles", None, "config.read", "infrastructure"),
        ("iam:CreateUser", False, "config.change", "infrastructure"),
        ("iam:CreateUser", None, "config.change", "infrastructure"),
        ("lambda:UpdateFunctionCode20150331v2", None, "config.change", "infrastructure"),
    ],
)
def test_calls_become_actions(batch: Batch, call: str, read_only: object, action: str, domain: str) -> None:
    service, name = call.split(":")
    event = told(batch, raw(eventSource=f"{service}.amazonaws.com", eventName=name, readOnly=read_only))
    assert (event["action"], event["domain"]) == (action, domain)


def test_a_bedrock_call_names_its_model(batch: Batch) -> None:
    event = told(
        batch,
        raw(eventSource="bedrock.amazonaws.com", eventName="InvokeModel", requestParameters={"modelId": "vendor.m-1"}),
    )
    assert (event["model_provider"], event["model_requested"]) == ("aws.bedrock", "vendor.m-1")
    assert event["model_endpoint"] == "bedrock.amazonaws.com"


def test_a_key_call_names_its_key(batch: Batch) -> None:
    event = told(batch, raw(eventSource="kms.amazonaws.com", eventName="Decrypt", requestParameters={"keyId": "key/1"}))
    assert event["key_id"] == "key/1"


def test_a_replication_does_not_claim_to_stay_where_it_was_ordered(batch: Batch) -> None:
    event = told(batch, raw(eventName="PutBucketReplication"))
    assert (event["action"], event["source_region"]) == ("data.replicate", "ap-southeast-2")
    assert (event["destination_region"], event["destination_provider"]) == (None, None)


def test_a_snapshot_copy_comes_from_its_source_region(batch: Batch) -> None:
    event = told(
        batch,
        raw(eventSource="ec2.amazonaws.com", eventName="CopySnapshot", requestParameters={"sourceRegion": "us-east-1"}),
    )
    assert (event["source_region"], event["source_provider"]) == ("us-east-1", "aws")
    assert event["destination_region"] == "ap-southeast-2"


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"errorCode": "AccessDenied"}, "denied"),
        ({"errorCode": "AccessDeniedException"}, "denied"),
        ({"errorCode": "Client.UnauthorizedOperation"}, "denied"),
        ({"errorCode": "NoSuchBucket", "errorMessage": "gone"}, "failure"),
        ({"responseElements": {"ConsoleLogin": "Failure"}}, "failure"),
        ({"responseElements": {"ConsoleLogin": "Success"}}, "success"),
    ],
)
def test_error_codes_become_outcomes(batch: Batch, changes: dict[str, object], outcome: str) -> None:
    event = told(batch, raw(**changes))
    assert event["outcome"] == outcome
    assert event["reason"] == changes.get("errorMessage", changes.get("errorCode"))


@pytest.mark.parametrize(
    ("identity", "actor", "kind"),
    [
        ({"type": "AWSService", "invokedBy": "rds.amazonaws.com"}, "rds.amazonaws.com", "service"),
        ({"accountId": "111", "invokedBy": "ec2.amazonaws.com"}, "ec2.amazonaws.com", "service"),
        ({"type": "AssumedRole", "arn": "arn:role"}, "arn:role", None),
        ({"type": "Root", "arn": "arn:root"}, "arn:root", "user"),
    ],
)
def test_identities_become_actors(batch: Batch, identity: dict[str, str], actor: str, kind: str | None) -> None:
    event = told(batch, raw(userIdentity=identity))
    assert (event["actor_id"], event["actor_type"]) == (actor, kind)


@pytest.mark.parametrize(
    "body",
    [
        None,
        "",
        "not json",
        "[]",
        "{",
        '"x"',
        json.dumps({"eventName": {"a": 1}, "userIdentity": "HIDDEN"}),
        "{" + '"a":{' * 3000,
    ],
)
def test_a_body_that_is_no_record_is_kept(batch: Batch, body: str | None) -> None:
    batch.log(body=raw(), encoding_format="aws.cloudtrail").log(body=body, encoding_format="aws.cloudtrail")
    good, bad = batch.events()
    assert good["action"] == "data.read"
    assert (bad["action"], bad["outcome"], bad["source_format"]) == ("log.record", "unknown", "aws.cloudtrail")
    assert bad["body"] == (body or None)


def test_a_hidden_part_does_not_hide_the_rest(batch: Batch) -> None:
    batch.log(body=raw(requestParameters="HIDDEN_DUE_TO_SECURITY_REASONS"), encoding_format="aws.cloudtrail")
    batch.log(body=raw(), encoding_format="aws.cloudtrail")
    hidden, plain = batch.events()
    assert (hidden["dataset"], plain["dataset"]) == (None, "patient-notes")
    same = {name for name in hidden if hidden[name] == plain[name]}
    assert set(hidden) - same == {"row", "record_index", "dataset", "object_place", "body"}


HARD_VALUES = (
    *('"x"', '""', "null", "true", "0", "12", "2048.0", "1e3", "1.5", "-1", "12345678901234567890", "{}", "[1]"),
    *(r'"\ud83d\ude00"', r'"\ud800x"', r'"\u0000"', "NaN", "1,", '1,"eventName":"second"'),
)


@pytest.mark.parametrize("value", HARD_VALUES)
def test_a_record_reads_the_same_alone_and_beside_one_that_needs_care(value: str) -> None:
    text = f'{{"eventName":{value},"additionalEventData":{{"bytesTransferredOut":{value}}}}}'
    alone = read_fields(pl.Series([text]), RECORD_PATHS)
    beside = read_fields(pl.Series([text, '{"userIdentity":"HIDDEN"}']), RECORD_PATHS)
    assert alone.rows() == beside.rows()[:1]


def test_a_record_of_the_collectors_decoder_is_read_from_its_attributes(batch: Batch) -> None:
    batch.message({"cloud.region": "us-east-1", "cloud.provider": "aws"}).log(
        {
            "rpc.method": "GetObject",
            "rpc.service": "s3.amazonaws.com",
            "source.address": "AWS Internal",
            "aws.principal.arn": "arn:x",
            "aws.principal.type": "IAMUser",
            "aws.user_identity.account_id": "111",
            "aws.request.parameters": {"bucketName": "patient-notes"},
            "aws.error.code": "AccessDenied",
        },
        encoding_format="aws.cloudtrail",
        time_ns=5_000_000_000,
    )
    event = batch.event()
    assert (event["action"], event["outcome"], event["dataset"]) == ("data.read", "denied", "patient-notes")
    assert (event["actor_id"], event["actor_type"], event["actor_account"]) == ("arn:x", "user", "111")
    assert event["source_host"] == "AWS Internal"
    assert event["occurred_at"] == dt.datetime(1970, 1, 1, 0, 0, 5, tzinfo=UTC)
    # The decoder drops each record's region and puts one on the file: that is no claim about this call.
    assert (event["destination_region"], event["source_region"]) == (None, None)


def test_other_records_of_the_batch_are_left_alone(batch: Batch) -> None:
    batch.log({"user.id": "a"}, event_name="app.start").log(body=raw(), encoding_format="aws.cloudtrail")
    batch.log({"user.id": "b"})
    first, second, third = batch.events()
    assert [event["actor_id"] for event in (first, second, third)] == ["a", "arn:aws:iam::111:user/aiko", "b"]
    assert [event["record_index"] for event in (first, second, third)] == [0, 1, 2]


def test_recorded_files_give_every_record_its_region_and_source(batch: Batch) -> None:
    if not RECORDED.is_dir():
        pytest.skip(f"the recorded CloudTrail files are not at {RECORDED}")
    for path in sorted(RECORDED.glob("*.json")):
        batch.message()
        for record in json.loads(path.read_text())["Records"]:
            batch.log(body=json.dumps(record), encoding_format="aws.cloudtrail")
    events = batch.normalised().events
    assert events.height == 2002
    assert events["destination_region"].unique().to_list() == ["us-east-1"]
    assert events["source_host"].count() == 207
    assert events.select((events["source_host"].is_null() == events["source_address"].is_not_null()).all()).item()
    hosts = dict(events["source_host"].drop_nulls().value_counts().rows())
    assert (hosts["AWS Internal"], hosts["secretsmanager.amazonaws.com"]) == (100, 56)
    assert events["occurred_at"].null_count() == 0
    assert dict(events["outcome"].value_counts().rows()) == {"success": 1803, "failure": 183, "denied": 16}
    assert "log.record" not in events["action"]


def test_a_resource_may_name_the_format_of_all_its_records(batch: Batch) -> None:
    event = batch.message({"log.record.format": "aws.cloudtrail"}).log(body=raw(), time_ns=1).event()
    assert (event["source_format"], event["dataset"]) == ("aws.cloudtrail", "patient-notes")
