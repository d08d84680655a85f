"""A request that is larger than the receiver takes is sent in two, in its place among those that wait."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest
import zstandard
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from onshore_collectors.files.batch import Batch, smaller
from onshore_collectors.files.pieces import MOST_KEPT_CHARS, RawRecord, Unreadable
from onshore_collectors.files.positions import Position, Positions
from onshore_collectors.files.source_files import Stamp
from onshore_collectors.files.spool import Payload, Spool, Stored
from onshore_pipeline.domain import unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CODINGS = ("zstd", "gzip")
ORIGIN = (("log.file.name", "a.json"),)
AT = Position(Stamp(1, 2, 3, 4), b"digest", 7, 7)


def batch(coding: str, *records: RawRecord, told: int = 0) -> list[Payload]:
    filled = Batch({"service.name": "reader"}, "test", coding)
    for record in records:
        filled.put(record, ORIGIN)
    for number in range(told):
        filled.put_unreadable(Unreadable(number, 1, "is not JSON", f"broken {number}"), ORIGIN, "/a.json")
    return filled.payloads()


def request(payload: Payload) -> ExportLogsServiceRequest:
    unpack = zstandard.ZstdDecompressor().decompress if payload.coding == "zstd" else gzip.decompress
    return ExportLogsServiceRequest.FromString(unpack(payload.body))


def bodies(payload: Payload) -> list[tuple[str, str]]:
    """Format and text of each record."""
    return [
        (scope.scope.attributes[0].value.string_value, record.body.string_value)
        for scope in request(payload).resource_logs[0].scope_logs
        for record in scope.log_records
    ]


@pytest.mark.parametrize("coding", CODINGS)
def test_halves_hold_the_records_in_order_with_their_formats(coding: str) -> None:
    records = [RawRecord(f"record {number}", "a.b" if number < 3 else "c.d") for number in range(5)]
    (whole,) = batch(coding, *records)
    first, second = smaller(Stored(0, whole))
    assert [(part.records, part.unreadable) for part in (first, second)] == [(2, 0), (3, 0)]
    assert {part.coding for part in (first, second)} == {coding}
    assert bodies(first) + bodies(second) == bodies(whole)
    assert [len(request(part).resource_logs[0].resource.attributes) for part in (first, second)] == [1, 1]


@pytest.mark.parametrize("coding", CODINGS)
def test_a_single_record_becomes_what_could_not_be_taken_with_beginning_and_size(coding: str) -> None:
    text = "é" * (MOST_KEPT_CHARS + 5)
    (whole,) = batch(coding, RawRecord(text, "a.b"))
    (told,) = smaller(Stored(0, whole))
    assert (told.records, told.unreadable) == (0, 1)
    ((_, kept),) = bodies(told)
    assert kept == text[:MOST_KEPT_CHARS]
    (record,) = request(told).resource_logs[0].scope_logs[0].log_records
    about = {each.key: each.value for each in record.attributes}
    assert about[unreadable.BYTES].int_value == 2 * len(text)
    assert about[unreadable.REASON].string_value == f"is larger than the receiver takes: {2 * len(text):,} bytes"
    assert about["log.file.name"].string_value == "a.json"
    assert smaller(Stored(0, told)) == []  # there is nothing smaller to send


def test_what_could_not_be_read_is_halved_too() -> None:
    (whole,) = batch("zstd", told=3)
    parts = smaller(Stored(0, whole))
    assert [(part.records, part.unreadable) for part in parts] == [(0, 1), (0, 2)]
    assert [text for part in parts for _, text in bodies(part)] == ["broken 0", "broken 1", "broken 2"]


@pytest.fixture
def positions(tmp_path: Path) -> Iterator[Positions]:
    with Positions(tmp_path, "reader", "there") as positions:
        yield positions


def sent(spool: Spool) -> list[tuple[int, bytes]]:
    """Everything that waits, acknowledged one after the other."""
    found = []
    while stored := spool.first():
        found.append((stored.sequence, stored.payload.body))
        spool.done(stored)
    return found


def payloads(*bodies: bytes) -> list[Payload]:
    return [Payload(body, "zstd", 1) for body in bodies]


def test_parts_take_the_place_of_what_was_too_large_and_numbers_go_on_without_a_hole(positions: Positions) -> None:
    spool = Spool(positions)
    spool.add(payloads(b"a"), {})
    assert sent(spool) == [(0, b"a")]
    spool.add(payloads(b"b", b"c", b"d"), {})
    large = spool.first()
    assert large is not None
    spool.replace(large, payloads(b"b1", b"b2", b"b3"))
    assert spool.waiting() == 5
    assert sent(spool) == [(1, b"b1"), (2, b"b2"), (3, b"b3"), (4, b"c"), (5, b"d")]
    spool.add(payloads(b"e"), {})
    assert sent(spool) == [(6, b"e")]


def test_a_file_moves_only_when_the_last_part_is_acknowledged(positions: Positions) -> None:
    spool = Spool(positions)
    spool.add(payloads(b"a"), {"/a.json": AT})
    large = spool.first()
    assert large is not None
    spool.replace(large, payloads(b"a1", b"a2"))
    first = spool.first()
    assert first is not None
    spool.done(first)
    spool.settle()
    assert positions.find("/a.json") is None
    assert sent(spool) == [(1, b"a2")]
    spool.settle()
    assert positions.find("/a.json") == AT


def test_parts_outlive_the_process_that_made_them(tmp_path: Path) -> None:
    with Positions(tmp_path, "reader", "there") as positions:
        spool = Spool(positions)
        spool.add(payloads(b"a", b"b"), {"/a.json": AT})
        large = spool.first()
        assert large is not None
        spool.replace(large, payloads(b"a1", b"a2"))
        stream = spool.stream
    with Positions(tmp_path, "reader", "there") as positions:
        spool = Spool(positions)
        assert spool.stream == stream
        assert sent(spool) == [(0, b"a1"), (1, b"a2"), (2, b"b")]
        spool.settle()
        assert positions.find("/a.json") == AT


def test_a_kill_leaves_at_most_the_last_acknowledged_request_to_be_sent_again(tmp_path: Path) -> None:
    with Positions(tmp_path, "reader", "there") as positions:
        spool = Spool(positions)
        spool.add(payloads(b"a", b"b", b"c"), {})
        for _ in range(2):
            acknowledged = spool.first()
            assert acknowledged is not None
            spool.done(acknowledged)
    with Positions(tmp_path, "reader", "there") as positions:  # the first one was killed: it settled nothing
        assert sent(Spool(positions)) == [(1, b"b"), (2, b"c")]
