from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, LogsData
from opentelemetry.proto.metrics.v1.metrics_pb2 import MetricsData

from onshore_pipeline.wire.counting import MAX_PARTS
from onshore_pipeline.wire.decode import MAX_MESSAGE_BYTES, decode, is_json
from onshore_pipeline.wire.elements import SAFE_BYTES
from onshore_pipeline.wire.frames import Failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from onshore_pipeline.wire.frames import Decoded

MARK, INVALID = "@@@@", b"\xff\xfe\xff\xfe"


def decoded_logs(*values: bytes) -> Decoded:
    return decode([("otlp_logs", value, None) for value in values])


def five_hundred(log: Callable[..., LogRecord], logs: Callable[..., bytes], bad: LogRecord) -> bytes:
    records = [log({"n": number, "user.id": f"user-{number}"}, f"body {number}") for number in range(500)]
    records[317] = bad
    return logs(*records, resource={"service.name": "gateway"})


@pytest.mark.parametrize("place", ["key", "string", "body", "severity_text", "event_name", "nested"])
def test_one_record_with_invalid_text_fails_and_499_survive(
    place: str, log: Callable[..., LogRecord], logs: Callable[..., bytes]
) -> None:
    bad = {
        "key": lambda: log({MARK: 1}),
        "string": lambda: log({"key": MARK}),
        "body": lambda: log(body=MARK),
        "severity_text": lambda: log(severity_text=MARK),
        "event_name": lambda: log(event_name=MARK),
        "nested": lambda: log({"key": [{"deep": MARK}]}),
    }[place]()
    value = five_hundred(log, logs, bad)
    damaged = value.replace(MARK.encode(), INVALID)
    assert damaged != value
    decoded = decoded_logs(value, damaged, value)
    [failure] = decoded.failures
    assert (failure.message, failure.record_indexes, failure.stage) == (1, (317,), "decode")
    assert failure.reason.startswith("not a readable ")
    assert decoded.record_counts == (500, 500, 500)
    assert decoded.by_reference == ()
    survived = decoded.records.filter(message=1)
    assert survived["record_index"].to_list() == [index for index in range(500) if index != 317]
    assert decoded.records["row"].to_list() == list(range(1499))
    expected = [f"{index}" for index in range(500) if index != 317]
    mine = decoded.attributes.join(survived.select("row"), on="row", how="semi", maintain_order="left")
    assert mine.filter(key="n")["text"].to_list() == expected


def test_records_of_a_resource_that_cannot_be_read_fail_and_the_others_survive() -> None:
    data = LogsData()
    for number in range(3):
        of_resource = data.resource_logs.add()
        of_resource.resource.attributes.add(key="name").value.string_value = MARK if number == 1 else "fine"
        for _ in range(2):
            of_resource.scope_logs.add().log_records.add().body.string_value = str(number)
    decoded = decoded_logs(data.SerializeToString().replace(MARK.encode(), INVALID))
    assert [failure.record_indexes for failure in decoded.failures] == [(2, 3)]
    assert decoded.records["body"].to_list() == ["0", "0", "2", "2"]
    assert decoded.records["record_index"].to_list() == [0, 1, 4, 5]


def test_a_truncated_message_fails_whole_and_leaves_no_rows(
    log: Callable[..., LogRecord], logs: Callable[..., bytes]
) -> None:
    value = logs(log({"a": 1}, "x" * 300), resource={"r": 1})
    decoded = decoded_logs(value, value[:-1], value)
    assert [(failure.message, failure.record_indexes) for failure in decoded.failures] == [(1, None)]
    assert "not a readable OTLP request" in decoded.failures[0].reason
    assert decoded.record_counts == (1, 0, 1)
    assert decoded.records["message"].to_list() == [0, 2]
    assert decoded.resources["message"].to_list() == [0, 2]
    assert decoded.resource_attributes["resource"].to_list() == [0, 1]


def test_all_records_bad_is_a_failure_of_each_and_not_of_the_message(
    log: Callable[..., LogRecord], logs: Callable[..., bytes]
) -> None:
    value = logs(log({"k": MARK}), log(severity_text=MARK)).replace(MARK.encode(), INVALID)
    decoded = decoded_logs(value)
    assert sorted(failure.record_indexes or () for failure in decoded.failures) == [(0,), (1,)]
    assert decoded.record_counts == (2,)
    assert decoded.records.is_empty()
    assert decoded.attributes.is_empty()


def test_a_topic_without_a_signal_is_named() -> None:
    assert decode([("audit", b"", None)]).failures == (
        Failure(
            0,
            None,
            "decode",
            "topic 'audit' carries no OTLP signal: "
            "otlp_logs, otlp_spans, otlp_traces, otlp_metrics, onshore_actions or raw.FORMAT is "
            "expected",
        ),
    )


def test_a_metric_that_cannot_be_read_fails_its_message_which_leaves_no_rows() -> None:
    data = MetricsData()
    of_resource = data.resource_metrics.add()
    of_resource.resource.attributes.add(key="host.id").value.string_value = "h1"
    for name in ("fine", MARK):
        metric = of_resource.scope_metrics.add().metrics.add(name=name)
        metric.gauge.data_points.add(as_int=1).attributes.add(key="core").value.int_value = 7
    good = data.SerializeToString().replace(MARK.encode(), b"fine")
    bad_name = data.SerializeToString().replace(MARK.encode(), INVALID)
    bad_attribute = good.replace(b"core", INVALID)
    decoded = decode([("otlp_metrics", value, None) for value in (bad_name, good, bad_attribute)])
    assert [(failure.message, failure.record_indexes) for failure in decoded.failures] == [(0, None), (2, None)]
    assert decoded.points["message"].to_list() == [1, 1]
    assert decoded.point_attributes["point"].to_list() == [0, 1]
    assert decoded.resources.rows() == [(0, 1, None)]
    assert decoded.resource_attributes["resource"].to_list() == [0]


def _length_delimited(number: int, content: bytes) -> bytes:
    size, length = b"", len(content)
    while length > 127:
        size, length = size + bytes([length & 127 | 128]), length >> 7
    return bytes([number << 3 | 2]) + size + bytes([length]) + content


def in_a_record(content: bytes) -> bytes:
    return _length_delimited(1, _length_delimited(2, _length_delimited(2, content)))


def test_groups_nested_a_million_deep_do_not_kill_the_process() -> None:
    program = (
        "import sys; from onshore_pipeline.wire.decode import decode; value = sys.stdin.buffer.read();"
        "decoded = decode([('otlp_logs', value, None), ('otlp_metrics', value, None)]);"
        "print([failure.record_indexes for failure in decoded.failures])"
    )
    for value in (in_a_record(b"\x7b" * 10**6 + b"\x7c" * 10**6), b"\x7b" * 10**6):
        ran = subprocess.run([sys.executable, "-c", program], input=value, capture_output=True, check=True)
        assert ran.stdout.strip() in {b"[(0,), None]", b"[None, None]"}


def test_a_long_record_is_read_like_a_short_one(log: Callable[..., LogRecord], logs: Callable[..., bytes]) -> None:
    long = "x" * (3 * SAFE_BYTES)
    decoded = decoded_logs(logs(log({"a": long}, long), log({"b": 1})))
    assert decoded.failures == ()
    assert decoded.records["body"].to_list() == [long, None]
    assert decoded.attributes["text"].to_list() == [long, "1"]


# The fast decoder panics on these lengths; nothing but the record may notice.
@pytest.mark.parametrize("length", [b"\xf6\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\xff\xff\xff\xff\x07"])
def test_a_length_beyond_all_memory_fails_the_record(
    length: bytes, log: Callable[..., LogRecord], logs: Callable[..., bytes]
) -> None:
    decoded = decoded_logs(in_a_record(b"\x1a" + length) + logs(log({"a": 1})))
    assert [failure.record_indexes for failure in decoded.failures] == [(0,)]
    assert decoded.records["record_index"].to_list() == [1]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"", False),
        (b"{}", True),
        (b" \r\n\t {}", True),
        (b"\n{}", True),
        (b"\n  {\n}\n", True),
        (b"\xef\xbb\xbf{}", True),
        (b"[]", False),
        (b"\n\x7b" + b"\x12\x79" + b"x" * 121, False),  # a request of one resource, 123 = '{' bytes long
        (b"\n{ not json", False),
    ],
)
def test_the_first_byte_tells_json_from_protobuf(value: bytes, expected: bool) -> None:  # noqa: FBT001
    assert is_json(value, None) is expected
    assert is_json(value, "otlp_json") is True
    assert is_json(value, "otlp_proto") is False


def test_a_request_whose_resource_is_as_long_as_a_brace_is_protobuf(
    log: Callable[..., LogRecord], logs: Callable[..., bytes]
) -> None:
    for padding in range(200):
        value = logs(log(body="x" * padding))
        if value.startswith(b"\n{"):
            break
    assert value.startswith(b"\n{")
    decoded = decoded_logs(value)
    assert decoded.failures == ()
    assert decoded.records["body"].to_list() == ["x" * padding]


def test_a_message_of_too_many_empty_parts_fails_and_the_others_go_on(
    log: Callable[..., LogRecord], logs: Callable[..., bytes]
) -> None:
    good = logs(log({"a": 1}))
    many_records = _length_delimited(1, _length_delimited(2, b"\x12\x00" * (MAX_PARTS + 1)))
    many_resources = b"\x0a\x00" * (MAX_PARTS + 1)
    decoded = decoded_logs(many_records, good, many_resources, b"\xff")
    assert [failure.message for failure in decoded.failures] == [0, 2, 3]
    assert decoded.failures[0].reason == "131073 records in one message, 131072 are allowed: send smaller batches"
    assert decoded.failures[1].reason.startswith("131073 resources in one message")
    assert decoded.records["message"].to_list() == [1]


def test_a_message_larger_than_allowed_fails(log: Callable[..., LogRecord], logs: Callable[..., bytes]) -> None:
    decoded = decoded_logs(bytes(MAX_MESSAGE_BYTES + 1), logs(log({"a": 1})))
    assert [failure.message for failure in decoded.failures] == [0]
    assert decoded.failures[0].reason == "67108865 bytes in one message, 67108864 are allowed: send smaller batches"
    assert decoded.record_counts == (0, 1)
