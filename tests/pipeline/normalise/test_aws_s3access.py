"""S3 server access logs: quoting, cut lines, fields to come, other spellings, and what the decoder leaves."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.pipeline.normalise.conftest import Batch

FORMAT = "aws.s3access"


def line(operation: str = "REST.GET.OBJECT", *, agent: str = '"curl/8.5"', status: str = "200", tail: str = "") -> str:
    return (
        "owner-1 patient-notes [26/Nov/2025:19:10:11 +1000] 192.0.2.3 arn:aws:iam::210987654321:user/aiko R1"
        f' {operation} notes/1.json "GET /notes/1.json HTTP/1.1" {status} - 100 200 113 7 "-" {agent} - host-id SigV4'
        f" TLS_AES_128_GCM_SHA256 AuthHeader s3.ap-southeast-2.amazonaws.com TLSv1.3{tail}"
    )


def told(batch: Batch, body: str | None) -> dict[str, Any]:
    return batch.log(body=body, encoding_format=FORMAT, time_ns=1).event()


def attribute(batch: Batch, key: str) -> str | None:
    found = batch.normalised().attributes.filter(key=key)["text"].to_list()
    return str(found[0]) if found else None


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ('"curl/8.5"', "curl/8.5"),
        ('"odd "client" 1.0"', 'odd "client" 1.0'),
        ('"ends with a quote""', 'ends with a quote"'),
        ('"-"', None),
        ('""', None),
        ("-", None),
    ],
)
def test_quoted_fields_may_hold_quotes(batch: Batch, agent: str, name: str | None) -> None:
    event = told(batch, line(agent=agent))
    assert attribute(batch, "user_agent.original") == name
    assert (event["destination_host"], event["encrypted_in_transit"]) == ("s3.ap-southeast-2.amazonaws.com", True)


def test_a_line_names_its_own_zone(batch: Batch) -> None:
    assert told(batch, line())["occurred_at"] == dt.datetime(2025, 11, 26, 9, 10, 11, tzinfo=dt.UTC)


def test_fields_that_come_later_are_left_in_the_line(batch: Batch) -> None:
    event = told(batch, line(tail=" - Yes eu-west-1 more and more"))
    assert (event["source_region"], event["source_provider"]) == ("eu-west-1", "aws")


def test_an_access_point_of_many_regions_names_none(batch: Batch) -> None:
    event = told(batch, line(tail=" arn:aws:s3::210987654321:accesspoint/mfzwi23gnjvgw.mrap - -"))
    assert event["destination_region"] is None


@pytest.mark.parametrize(
    ("operation", "action"),
    [
        ("REST.GET.OBJECT", "data.read"),
        ("REST.HEAD.OBJECT", "data.read"),
        ("REST.COPY.OBJECT_GET", "data.read"),
        ("REST.COPY.PART_GET", "data.read"),
        ("S3.RESTORE.OBJECT", "data.read"),
        ("REST.PUT.OBJECT", "data.copy"),
        ("REST.COPY.OBJECT", "data.copy"),
        ("REST.PUT.PART", "data.copy"),
        ("REST.POST.UPLOADS", "data.copy"),
        ("REST.DELETE.OBJECT", "data.delete"),
        ("REST.POST.MULTI_OBJECT_DELETE", "data.delete"),
        ("BATCH.DELETE.OBJECT", "data.delete"),
        ("S3.CREATE.DELETEMARKER", "data.delete"),
        ("REST.PUT.REPLICATION", "data.replicate"),
        ("REST.GET.OBJECT_TAGGING", "config.read"),
        ("REST.GET.ACL", "config.read"),
        ("REST.PUT.BUCKETPOLICY", "config.change"),
        ("S3.TRANSITION_SIA.OBJECT", "config.change"),
    ],
)
def test_operations_become_actions(batch: Batch, operation: str, action: str) -> None:
    assert told(batch, line(operation))["action"] == action


@pytest.mark.parametrize(
    ("status", "outcome", "moved"),
    [
        ("200", "success", 100),
        ("206", "success", 100),
        ("304", "success", 100),
        ("403", "denied", None),
        ("404", "failure", None),
        ("503", "failure", None),
        ("-", "unknown", None),
    ],
)
def test_the_status_is_the_outcome_and_an_error_moves_no_data(
    batch: Batch, status: str, outcome: str, moved: int | None
) -> None:
    event = told(batch, line(status=status))
    assert (event["outcome"], event["bytes"]) == (outcome, moved)


def test_a_line_that_is_cut_off_gives_what_is_there(batch: Batch) -> None:
    event = told(batch, line().partition(" HTTP/1.1")[0])
    assert (event["action"], event["dataset"], event["outcome"]) == ("data.read", "patient-notes", "unknown")
    assert (event["encrypted_in_transit"], event["destination_host"]) == (None, None)


def test_who_signed_nothing_in_a_cut_line_is_unknown(batch: Batch) -> None:
    cut = line().replace("arn:aws:iam::210987654321:user/aiko", "-").partition(" HTTP/1.1")[0]
    assert told(batch, cut)["actor_id"] is None


@pytest.mark.parametrize("body", [None, "", "hello, this is no line of a log", "{", "[]", '{"a":1}', "\x00"])
def test_what_is_no_request_is_kept(batch: Batch, body: str | None) -> None:
    event = told(batch, body)
    assert (event["action"], event["dataset"], event["body"]) == ("log.record", None, body or None)


def test_the_json_form_of_cloudwatch_is_read(batch: Batch) -> None:
    record = {
        "schema_version_id": "V_1_0",
        "bucket_name": "patient-notes",
        "request_time": "2025-11-26T09:10:11.123Z",
        "remote_ip": "192.0.2.3",
        "requester": "arn:aws:iam::210987654321:user/aiko",
        "operation": "REST.GET.OBJECT",
        "http_status": 200,
        "bytes_sent": 100,
        "tls_version": "TLSv1.3",
        "source_region": "us-east-1",
    }
    event = told(batch, json.dumps(record))
    assert event["occurred_at"] == dt.datetime(2025, 11, 26, 9, 10, 11, 123_000, tzinfo=dt.UTC)
    assert (event["action"], event["bytes"], event["source_region"]) == ("data.read", 100, "us-east-1")
    assert (event["dataset"], event["outcome"], event["encrypted_in_transit"]) == ("patient-notes", "success", True)


def test_what_the_decoder_leaves_is_read_and_what_it_loses_is_named(batch: Batch) -> None:
    batch.message({"aws.s3.bucket": "patient-notes", "aws.s3.owner": "owner-1"}).log(
        {
            "source.address": "192.0.2.3",
            "user.id": "arn:aws:iam::210987654321:user/aiko",
            "rpc.method": "REST.GET.OBJECT",
            "aws.s3.key": "notes/1.json",
            "http.response.status_code": 200,
            "http.response.body.size": 100,
            "http.request.header.host": "s3.ap-southeast-2.amazonaws.com",
            "tls.protocol.version": "1.3",
        },
        encoding_format=FORMAT,
        time_ns=1,
    )
    event = batch.event()
    assert (event["action"], event["dataset"], event["bytes"]) == ("data.read", "patient-notes", 100)
    assert (event["actor_account"], event["outcome"]) == ("210987654321", "success")
    assert event["destination_host"] == "s3.ap-southeast-2.amazonaws.com"
    assert attribute(batch, "onshore.source.losses") == "source region"
