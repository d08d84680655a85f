"""Requests with numbers: which headers make sense, what is taken once, and what is told to send smaller ones."""

from __future__ import annotations

import json
import threading
from functools import partial
from typing import TYPE_CHECKING

import pytest
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from cloudtrail_texts import log_file, record, text_of
from onshore_collectors.files.cloudtrail import RULES
from onshore_collectors.files.json_records import read_json
from onshore_collectors.files.log_outbox import LogOutbox
from onshore_collectors.files.positions import Positions
from onshore_collectors.files.reading import FileReading, ReadingReport
from onshore_collectors.files.source_files import find_files
from onshore_collectors.receiver.intake import IntakeLimits
from onshore_collectors.receiver.tenants import TenantRegistry, add_tenant
from onshore_collectors.stack_address import ReceiverAddress
from onshore_pipeline.broker import COLLECTOR_HEADER, RUN_HEADER, SEQUENCE_HEADER
from onshore_pipeline.domain import unreadable

if TYPE_CHECKING:
    from pathlib import Path

    import httpx
    from tests.collectors.receiver.conftest import Receiver, Start

    from onshore_pipeline.broker import Message

PROTOBUF = "application/x-protobuf"


def body(text: str) -> bytes:
    request = ExportLogsServiceRequest()
    request.resource_logs.add().scope_logs.add().log_records.add().body.string_value = text
    return request.SerializeToString()


def post(receiver: Receiver, text: str, **headers: str) -> httpx.Response:
    return receiver.post("/v1/logs", body(text), content_type=PROTOBUF, **headers)


def numbered(stream: str, number: int, **more: str) -> dict[str, str]:
    return {RUN_HEADER: stream, SEQUENCE_HEADER: str(number), **more}


# --- headers ---


@pytest.mark.parametrize(
    "headers",
    [
        {RUN_HEADER: "run-1"},
        {RUN_HEADER: "", SEQUENCE_HEADER: "1"},
        {RUN_HEADER: "a/b", SEQUENCE_HEADER: "1"},
        {RUN_HEADER: "a" * 65, SEQUENCE_HEADER: "1"},
        {RUN_HEADER: "run-1", SEQUENCE_HEADER: ""},
        {RUN_HEADER: "run-1", SEQUENCE_HEADER: "-1"},
        {RUN_HEADER: "run-1", SEQUENCE_HEADER: "1.0"},
        {RUN_HEADER: "run-1", SEQUENCE_HEADER: "one"},
        {RUN_HEADER: "run-1", SEQUENCE_HEADER: "1" * 19},
        {RUN_HEADER: "run-1", SEQUENCE_HEADER: "1", COLLECTOR_HEADER: "c" * 257},
        {RUN_HEADER: "run-1", SEQUENCE_HEADER: "1", COLLECTOR_HEADER: "a\tb"},
    ],
)
def test_headers_that_make_no_sense_are_refused_for_good(receiver: Receiver, headers: dict[str, str]) -> None:
    answer = post(receiver, "text", **headers)
    assert answer.status_code == 400
    assert "is not what a collector of ours sends" in Status.FromString(answer.content).message
    assert receiver.messages() == ()


def test_a_number_without_a_run_numbers_nothing(receiver: Receiver) -> None:
    for _ in range(2):
        assert post(receiver, "text", **{SEQUENCE_HEADER: "1"}).status_code == 200
    first, second = receiver.messages()
    assert SEQUENCE_HEADER not in dict(first.headers) | dict(second.headers)


def test_a_collector_without_a_name_is_named_by_its_run(receiver: Receiver) -> None:
    assert post(receiver, "text", **numbered("unnamed", 0)).status_code == 200
    assert post(receiver, "more", **numbered("unnamed", 1, **{COLLECTOR_HEADER: "c-1"})).status_code == 200
    assert [dict(each.headers)[COLLECTOR_HEADER] for each in receiver.messages()] == [b"unnamed", b"c-1"]


# --- once ---


def test_a_number_is_taken_once_and_never_backwards_or_with_other_bytes(receiver: Receiver) -> None:
    assert post(receiver, "one", **numbered("once", 7)).status_code == 200
    assert post(receiver, "one", **numbered("once", 7)).status_code == 200  # it has it
    assert post(receiver, "other", **numbered("once", 7)).status_code == 409
    assert post(receiver, "six", **numbered("once", 6)).status_code == 409
    assert post(receiver, "nine", **numbered("once", 9)).status_code == 200
    taken = receiver.messages()
    assert [each.value for each in taken] == [body("one"), body("nine")]
    assert [dict(each.headers)[SEQUENCE_HEADER] for each in taken] == [b"7", b"9"]


def test_a_run_of_another_tenant_is_another_run(start: Start, tmp_path: Path) -> None:
    tokens = [add_tenant(tmp_path / "tenants.json", name) for name in ("sydney", "kuala-lumpur")]
    receiver = start(tenants=TenantRegistry(tmp_path / "tenants.json"))
    for token in (*tokens, *tokens):
        answer = post(receiver, "text", authorization=f"Bearer {token}", **numbered("same", 3))
        assert answer.status_code == 200
    assert [dict(each.headers)["onshore-tenant"] for each in receiver.messages()] == [b"sydney", b"kuala-lumpur"]


# --- 413 ---


def collect(receiver: Receiver, folder: Path, *paths: Path) -> ReadingReport:
    stop, address = threading.Event(), ReceiverAddress(receiver.http, {}, receiver.http)
    with Positions(folder / "positions", "cloudtrail", address.name) as positions:
        outbox = LogOutbox(
            address, {"service.name": "reader"}, scope="test", positions=positions, stop=stop, give_up_after_s=5
        )
        reading = FileReading(partial(read_json, rules=RULES), outbox, positions, stop=stop, show=lambda *_: None)
        reading.run(find_files([str(path) for path in paths]).files)
    return reading.report


def records_in(messages: tuple[Message, ...]) -> list[tuple[str, dict[str, str | int]]]:
    """Text and attributes of each record."""
    return [
        (
            each.body.string_value,
            {pair.key: pair.value.string_value or pair.value.int_value for pair in each.attributes},
        )
        for message in messages
        for scope in ExportLogsServiceRequest.FromString(message.value).resource_logs[0].scope_logs
        for each in scope.log_records
    ]


def test_requests_that_are_too_large_are_halved_until_they_are_taken_and_their_numbers_have_no_hole(
    start: Start, tmp_path: Path
) -> None:
    receiver = start(limits=IntakeLimits(max_message_bytes=20_000))
    (tmp_path / "a.json").write_bytes(log_file(*text_of(*range(1200))))
    report = collect(receiver, tmp_path, tmp_path / "a.json")
    assert (report.sent, report.unreadable, report.problems) == (1200, 0, [])
    messages = receiver.messages()
    assert [text for text, _ in records_in(messages)] == text_of(*range(1200))
    assert max(len(each.value) for each in messages) <= 20_000
    numbers = [int(dict(each.headers)[SEQUENCE_HEADER]) for each in messages]
    assert numbers == list(range(len(messages)))
    assert collect(receiver, tmp_path, tmp_path / "a.json").sent == 0


def test_a_record_that_no_request_can_hold_is_told_and_the_others_arrive(start: Start, tmp_path: Path) -> None:
    receiver = start(limits=IntakeLimits(max_message_bytes=200_000))
    large = json.dumps(record(1, requestParameters={"policy": "x" * 300_000}))
    first, third = text_of(0, 2)
    (tmp_path / "a.json").write_bytes(log_file(first, large, third))
    collect(receiver, tmp_path, tmp_path / "a.json")
    found = records_in(receiver.messages())
    assert [text for text, about in found if unreadable.REASON not in about] == [first, third]
    ((kept, about),) = [each for each in found if unreadable.REASON in each[1]]
    assert large.startswith(kept)
    assert about[unreadable.REASON] == f"is larger than the receiver takes: {len(large):,} bytes"
    assert about[unreadable.BYTES] == len(large)
