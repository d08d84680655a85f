"""What is malformed in a field that nobody reads goes to the protobuf library."""

from __future__ import annotations

import pytest
from google.protobuf.message import DecodeError
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData

from onshore_pipeline.bench.traffic import log_messages
from onshore_pipeline.wire.decode import decode
from onshore_pipeline.wire.strict import well_formed

# A resource's attribute, or a log record, that holds nothing but an unknown field.
MALFORMED = {
    "a group that ends as another field": "0a060a040a026b34",
    "a group without an end": "0a050a030a016b",
    "a field number beyond 29 bits": "0a0a12081206e8fbb6b1464f",
    "field number 0": "0a0612041202003f",
    "a number longer than ten bytes": "0a0f120d120b98ffffffffffffffffffff",
    "a length beyond the message's end": "0a0612041202fa7f",
    "eight bytes that are not there": "0a0512031201" + "f9",
}


@pytest.mark.parametrize("value", MALFORMED.values(), ids=MALFORMED)
def test_what_is_malformed_is_found_and_read_by_the_library(value: str) -> None:
    data = bytes.fromhex(value)
    assert not well_formed("logs", data)
    with pytest.raises(DecodeError):
        LogsData.FromString(data)
    decoded = decode([("otlp_logs", data, None)])
    assert decoded.by_reference == (0,) or decoded.failures


def test_unknown_fields_of_newer_senders_stay_on_the_fast_path() -> None:
    unknown = bytes.fromhex("f87f01") + bytes.fromhex("f97f") + bytes(8) + bytes.fromhex("fa7f0161fd7f00000000")
    record = b"\x12" + bytes([len(unknown)]) + unknown
    scope = b"\x12" + bytes([len(record)]) + record
    data = b"\x0a" + bytes([len(scope)]) + scope
    assert LogsData.FromString(data).resource_logs[0].scope_logs[0].log_records
    assert well_formed("logs", data)
    assert decode([("otlp_logs", data, None)]).by_reference == ()


def test_ordinary_traffic_is_well_formed_and_its_every_prefix_is_told_from_it() -> None:
    (value,) = log_messages(1)
    assert well_formed("logs", value)
    assert well_formed("logs", b"")
    for size in range(1, 400):
        try:
            LogsData.FromString(value[:size])
        except DecodeError:
            assert not well_formed("logs", value[:size]), size


def test_values_nested_deeper_than_the_library_reads_are_left_to_it() -> None:
    inner = b""
    for _ in range(200):
        inner = _sized(0x2A, _sized(0x0A, inner))  # array_value.values
    data = _sized(0x0A, _sized(0x12, _sized(0x12, _sized(0x2A, inner))))
    assert not well_formed("logs", data)
    assert decode([("otlp_logs", data, None)]).failures


def _sized(tag: int, content: bytes) -> bytes:
    size, length = len(content), b""
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    return bytes([tag]) + length + bytes([size]) + content
