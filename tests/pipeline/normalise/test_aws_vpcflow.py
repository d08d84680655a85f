"""VPC flow logs: headers in any order, wrappers, half lines, other spellings, and what the decoder leaves."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.pipeline.normalise.conftest import Batch

FORMAT = "aws.vpcflow"
LINE = "2 210987654321 eni-1 10.20.30.40 10.20.31.41 20641 22 6 20 4249 1764115200 1764115260 ACCEPT OK"


def v4(*parts: int) -> bytes:
    return bytes(10) + b"\xff\xff" + bytes(parts)


def told(batch: Batch, body: str | None, fields: str | None = None, **attributes: str) -> dict[str, Any]:
    said = {"aws.vpcflow.fields": fields} if fields else {}
    return batch.log({**said, **attributes}, body=body, encoding_format=FORMAT, time_ns=1).event()


@pytest.mark.parametrize(
    "header",
    [
        "dstaddr srcaddr bytes flow-direction region account-id tomorrows-field",
        "${dstaddr} ${srcaddr} ${bytes} ${flow-direction} ${region} ${account-id} ${tomorrows-field}",
        "dstaddr srcaddr bytes flow_direction region account_id tomorrows_field",
    ],
)
def test_a_header_names_the_fields_in_any_order(batch: Batch, header: str) -> None:
    event = told(batch, "203.0.113.9 10.20.30.40 700 egress ap-southeast-2 210987654321 x", header)
    assert (event["source_address"], event["destination_address"]) == (v4(10, 20, 30, 40), v4(203, 0, 113, 9))
    assert (event["source_region"], event["source_account"], event["bytes"]) == ("ap-southeast-2", "210987654321", 700)
    assert (event["destination_region"], event["outcome"]) == (None, "unknown")


def test_lines_of_different_headers_stand_in_one_batch(batch: Batch) -> None:
    batch.log({"aws.vpcflow.fields": "dstaddr srcaddr"}, body="192.0.2.1 192.0.2.2", encoding_format=FORMAT)
    batch.log(body=LINE, encoding_format=FORMAT)
    batch.log({"aws.vpcflow.fields": "srcaddr dstaddr"}, body="192.0.2.1 192.0.2.2", encoding_format=FORMAT)
    assert [event["source_address"] for event in batch.events()] == [
        v4(192, 0, 2, 2),
        v4(10, 20, 30, 40),
        v4(192, 0, 2, 1),
    ]


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ("2 eni-1 172.31.16.139 172.31.16.21", None),  # a custom order that nobody named
        ("version account-id interface-id srcaddr dstaddr srcport", "version account-id interface-id srcaddr dstaddr"),
        ("- - - -", "srcaddr dstaddr bytes log-status"),
        ("", None),
        ("{", None),
        (None, None),
        ("\x00\x01", None),
    ],
)
def test_what_is_no_flow_is_kept_as_it_is(batch: Batch, body: str | None, fields: str | None) -> None:
    event = told(batch, body, fields)
    assert (event["action"], event["outcome"], event["source_format"]) == ("log.record", "unknown", FORMAT)
    assert (event["source_address"], event["destination_address"]) == (None, None)
    assert event["body"] == (body or None)


def test_half_a_line_gives_what_is_there(batch: Batch) -> None:
    event = told(batch, "10.20.30.40 203.0.113.9 12", "srcaddr dstaddr bytes action log-status")
    assert (event["action"], event["bytes"], event["outcome"]) == ("network.flow", 12, "unknown")


def test_numbers_that_are_none_are_unknown(batch: Batch) -> None:
    event = told(batch, "10.20.30.40 -1 1.5e3 soon", "srcaddr bytes packets start")
    assert (event["bytes"], event["occurred_at"].timestamp()) == (None, 0)


def test_a_transit_gateway_names_both_sides(batch: Batch) -> None:
    line = (
        "6 TransitGateway 333333333333 tgw-1 tgw-attach-1 111111111111 222222222222 vpc-1 vpc-2 subnet-1 subnet-2"
        " eni-1 eni-2 apse2-az1 apse2-az2 tgw-attach-2 10.1.0.1 10.2.0.1 1 2 6 5 700 1764115200 1764115260 OK IPv4"
        " 0 0 0 0 2 ap-southeast-2 ingress - -"
    )
    event = told(batch, line)
    assert (event["source_account"], event["destination_account"]) == ("111111111111", "222222222222")
    assert (event["source_id"], event["destination_id"]) == ("eni-1", "eni-2")
    assert (event["action"], event["outcome"], event["bytes"]) == ("network.flow", "success", 700)
    # Which of the two sides is in the gateway's region is not said: peerings lead to others.
    assert (event["source_region"], event["destination_region"]) == (None, None)


def test_one_record_of_a_cloudwatch_batch_is_unwrapped(batch: Batch) -> None:
    wrapped = json.dumps({"messageType": "DATA_MESSAGE", "owner": "1", "logEvents": [{"id": "1", "message": LINE}]})
    event = told(batch, wrapped)
    assert (event["action"], event["bytes"], event["body"]) == ("network.flow", 4249, wrapped)


def test_several_records_of_a_cloudwatch_batch_are_not_taken_for_one(batch: Batch) -> None:
    wrapped = json.dumps({"logEvents": [{"message": LINE}, {"message": LINE}]})
    assert told(batch, wrapped)["action"] == "log.record"


@pytest.mark.parametrize(
    "flow",
    [
        {"srcAddr": "10.20.30.40", "dstAddr": "203.0.113.9", "bytes": 700, "status": "OK", "action": "ACCEPT"},
        {"srcaddr": "10.20.30.40", "dstaddr": "203.0.113.9", "bytes": 700, "log-status": "OK", "action": "ACCEPT"},
        {"srcaddr": "10.20.30.40", "dstaddr": "203.0.113.9", "bytes": "700", "log_status": "OK", "action": "ACCEPT"},
    ],
)
def test_json_objects_are_read_in_several_spellings(batch: Batch, flow: dict[str, object]) -> None:
    event = told(batch, json.dumps(flow))
    assert (event["source_address"], event["destination_address"]) == (v4(10, 20, 30, 40), v4(203, 0, 113, 9))
    assert (event["bytes"], event["outcome"]) == (700, "success")


def test_what_the_decoder_leaves_is_read_and_what_it_loses_is_named(batch: Batch) -> None:
    batch.message({"cloud.account.id": "210987654321", "cloud.region": "ap-southeast-2"}).log(
        {
            "source.address": "10.20.30.40",
            "destination.address": "203.0.113.9",
            "aws.vpc.flow.bytes": 700,
            "aws.vpc.flow.start": 1764115200,
            "aws.vpc.flow.action": "REJECT",
            "aws.vpc.flow.status": "OK",
            "network.io.direction": "transmit",
        },
        encoding_format=FORMAT,
        time_ns=1764115260 * 10**9,
    )
    event = batch.event()
    assert (event["action"], event["outcome"], event["bytes"]) == ("network.flow", "denied", 700)
    assert event["occurred_at"].timestamp() == 1764115200
    # One account and one region stand for a whole file there: no claim about this flow.
    assert (event["source_account"], event["source_region"]) == (None, None)
    losses = batch.normalised().attributes.filter(key="onshore.source.losses")["text"].to_list()
    assert losses == ["account-id,encryption-status,pkt-dstaddr,pkt-srcaddr,region,resource-id"]


def test_whole_lines_lose_nothing(batch: Batch) -> None:
    told(batch, LINE)
    assert "onshore.source.losses" not in batch.normalised().attributes["key"]
