from __future__ import annotations

import json
from typing import TYPE_CHECKING

import polars as pl
import pytest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, LogsData

from onshore_pipeline.wire.decode import decode
from onshore_pipeline.wire.frames import ATTRIBUTES_SCHEMA, POINTS_SCHEMA, RECORDS_SCHEMA, RESOURCES_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable

    from onshore_pipeline.wire.frames import Decoded


def decoded_logs(*values: bytes) -> Decoded:
    return decode([("otlp_logs", value, None) for value in values])


def texts(decoded: Decoded) -> dict[str, str]:
    return dict(decoded.attributes.select("key", "text").iter_rows())


def test_no_messages_are_empty_frames_of_the_right_types() -> None:
    decoded = decode([])
    assert decoded.records.schema == RECORDS_SCHEMA
    assert decoded.attributes.schema == ATTRIBUTES_SCHEMA
    assert decoded.resources.schema == RESOURCES_SCHEMA
    assert decoded.points.schema == POINTS_SCHEMA
    assert decoded.failures == ()
    assert decoded.record_counts == ()


def test_an_empty_message_is_a_request_without_records() -> None:
    decoded = decoded_logs(b"")
    assert decoded.record_counts == (0,)
    assert decoded.failures == ()
    assert decoded.records.schema == RECORDS_SCHEMA


def test_a_log_record_keeps_every_field(log: Callable[..., LogRecord], logs: Callable[..., bytes]) -> None:
    record = log(
        {"user.id": "ann"},
        "a body",
        time_unix_nano=1_700_000_000_000_000_001,
        observed_time_unix_nano=1_700_000_000_000_000_002,
        severity_number=9,
        severity_text="INFO",
        event_name="data.copy",
        trace_id=bytes(range(16)),
        span_id=bytes(range(8)),
    )
    decoded = decoded_logs(logs(record, resource={"service.name": "gateway", "replicas": 3}))
    assert decoded.records.to_dicts() == [
        dict.fromkeys(RECORDS_SCHEMA)
        | {
            "row": 0,
            "message": 0,
            "record_index": 0,
            "signal": "log",
            "resource": 0,
            "time_ns": 1_700_000_000_000_000_001,
            "observed_ns": 1_700_000_000_000_000_002,
            "severity_number": 9,
            "severity_text": "INFO",
            "event_name": "data.copy",
            "trace_id": bytes(range(16)),
            "span_id": bytes(range(8)),
            "body": "a body",
        }
    ]
    assert decoded.attributes.to_dicts() == [{"row": 0, "key": "user.id", "text": "ann", "int_value": None}]
    assert decoded.resources.to_dicts() == [{"resource": 0, "message": 0, "schema_url": None}]
    assert decoded.resource_attributes.to_dicts() == [
        {"resource": 0, "key": "replicas", "text": "3", "int_value": 3},
        {"resource": 0, "key": "service.name", "text": "gateway", "int_value": None},
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("", ""),
        ("as it is\n", "as it is\n"),
        (None, ""),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (-(2**63), "-9223372036854775808"),
        (1e-07, "1e-07"),
        (1e16, "1e+16"),
        (-0.0, "-0.0"),
        (0.1, "0.1"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (b"", ""),
        (b"\x00\xff", "AP8="),
        ([], "[]"),
        ({}, "{}"),
        (["a", 1, 1.0, True, None, b"\x00\xff", float("nan")], '["a",1,1.0,true,null,"AP8=","NaN"]'),
        ({"b": {"z": [1]}, "a": "é"}, '{"a":"é","b":{"z":[1]}}'),
    ],
)
def test_a_value_is_spelled(
    value: object, text: str, log: Callable[..., LogRecord], logs: Callable[..., bytes]
) -> None:
    decoded = decoded_logs(logs(log({"key": value}, value)))
    assert texts(decoded) == {"key": text}
    assert decoded.records["body"].to_list() == [None if value is None else text]
    is_int = isinstance(value, int) and not isinstance(value, bool)
    assert decoded.attributes["int_value"].to_list() == [value if is_int else None]


def test_an_attribute_without_a_value_is_empty_and_an_empty_key_is_kept(logs: Callable[..., bytes]) -> None:
    record = LogRecord()
    record.attributes.add()
    decoded = decoded_logs(logs(record))
    assert texts(decoded) == {"": ""}


def test_attributes_are_sorted_by_bytes_and_the_last_of_duplicate_keys_stays(
    log: Callable[..., LogRecord], logs: Callable[..., bytes]
) -> None:
    pairs = [("b", "1"), ("é", "2"), ("a", "3"), ("Z", "4"), ("b", "5"), ("\U0001f600", "6"), ("\ufffd", "7")]
    decoded = decoded_logs(logs(log(pairs), log([("b", "8")])))
    assert decoded.attributes.select("row", "key", "text").rows() == [
        (0, "Z", "4"),
        (0, "a", "3"),
        (0, "b", "5"),
        (0, "é", "2"),
        (0, "\ufffd", "7"),
        (0, "\U0001f600", "6"),
        (1, "b", "8"),
    ]


def test_ten_thousand_attributes_on_a_record(log: Callable[..., LogRecord], logs: Callable[..., bytes]) -> None:
    keys = [f"key-{number}" for number in range(10_000)]
    decoded = decoded_logs(logs(log({"a": 1}), log(dict.fromkeys(keys, "x")), log({"b": 1})))
    assert decoded.failures == ()
    assert decoded.attributes["key"].to_list() == ["a", *sorted(keys), "b"]


def test_records_keep_their_order_and_place_across_resources_and_scopes() -> None:
    data = LogsData()
    sizes = [[], [0], [2, 0, 1], [0, 0], [3]]
    bodies: list[str] = []
    for number, scopes in enumerate(sizes):
        of_resource = data.resource_logs.add(schema_url="" if number % 2 else f"resource-{number}")
        of_resource.resource.attributes.add(key="n").value.int_value = number
        for position, size in enumerate(scopes):
            scope = of_resource.scope_logs.add(schema_url="scope" if position == 0 else "")
            scope.scope.name, scope.scope.version = f"scope-{number}-{position}", "1.2"
            scope.scope.attributes.add(key="encoding.format").value.string_value = "aws.cloudtrail"
            for _ in range(size):
                bodies.append(f"{number}-{position}-{len(bodies)}")
                scope.log_records.add().body.string_value = bodies[-1]
    value = data.SerializeToString()
    decoded = decoded_logs(value, b"", value)
    assert decoded.record_counts == (6, 0, 6)
    assert decoded.records["row"].to_list() == list(range(12))
    assert decoded.records["message"].to_list() == [0] * 6 + [2] * 6
    assert decoded.records["record_index"].to_list() == [*range(6), *range(6)]
    assert decoded.records["body"].to_list() == bodies * 2
    assert decoded.records["resource"].to_list() == [2, 2, 2, 4, 4, 4, 7, 7, 7, 9, 9, 9]
    assert decoded.resources["resource"].to_list() == list(range(10))
    assert decoded.resources["message"].to_list() == [0] * 5 + [2] * 5
    assert decoded.resource_attributes["int_value"].to_list() == [0, 1, 2, 3, 4] * 2
    first = decoded.records.head(6)
    assert first["scope_name"].to_list() == ["scope-2-0"] * 2 + ["scope-2-2"] + ["scope-4-0"] * 3
    assert first["schema_url"].to_list() == ["scope", "scope", "resource-2", "scope", "scope", "scope"]
    assert set(first["scope_version"]) == {"1.2"}
    assert set(first["encoding_format"]) == {"aws.cloudtrail"}


def test_a_time_of_zero_is_unknown_and_one_beyond_int64_is_kept_as_an_attribute(
    log: Callable[..., LogRecord], logs: Callable[..., bytes]
) -> None:
    year_2200 = 7_258_118_400 * 10**9
    records = [log(time_unix_nano=time, observed_time_unix_nano=time) for time in (0, year_2200, 2**63 - 1, 2**63)]
    decoded = decoded_logs(logs(*records))
    assert decoded.records["time_ns"].to_list() == [None, year_2200, 2**63 - 1, None]
    assert decoded.records["observed_ns"].to_list() == [None, year_2200, 2**63 - 1, None]
    assert decoded.attributes.select("row", "key", "text").rows() == [
        (3, "onshore.wire.observed_time_unix_nano", str(2**63)),
        (3, "onshore.wire.time_unix_nano", str(2**63)),
    ]


def test_an_id_of_the_wrong_length_is_unknown_and_kept_as_an_attribute(
    log: Callable[..., LogRecord], logs: Callable[..., bytes]
) -> None:
    records = [
        log({"z": "1", "a": "2"}, trace_id=b"\xab" * 15, span_id=b"\xcd"),
        log({"z": "3"}, trace_id=bytes(16), span_id=bytes(8)),
        log({"onshore.wire.span_id": "forged"}, trace_id=b"", span_id=b"\x01" * 9),
    ]
    decoded = decoded_logs(logs(*records))
    assert decoded.records["trace_id"].to_list() == [None, None, None]
    assert decoded.records["span_id"].to_list() == [None, None, None]
    assert decoded.attributes.select("row", "key", "text").rows() == [
        (0, "a", "2"),
        (0, "onshore.wire.span_id", "cd"),
        (0, "onshore.wire.trace_id", "ab" * 15),
        (0, "z", "1"),
        (1, "z", "3"),
        (2, "onshore.wire.span_id", "01" * 9),
    ]


def test_values_nest_thirty_levels_and_no_deeper(log: Callable[..., LogRecord], logs: Callable[..., bytes]) -> None:
    def nested(levels: int, kind: type) -> object:
        value: object = "deep"
        for _ in range(levels):
            value = [value] if kind is list else {"k": value}
        return value

    good = [log({"v": nested(30, kind)}, nested(30, kind)) for kind in (list, dict)]
    bad = [log({"v": nested(31, list)}), log(body=nested(31, dict)), log({"v": nested(32, dict)})]
    decoded = decoded_logs(logs(*good, *bad))
    assert [json.loads(text) for text in decoded.attributes["text"]] == [nested(30, list), nested(30, dict)]
    assert sorted(index for failure in decoded.failures for index in failure.record_indexes or ()) == [2, 3, 4]
    assert decoded.failures[0].reason == "not a readable array or map: arrays and maps nested deeper than 30"


def test_a_field_nobody_knows_is_ignored(log: Callable[..., LogRecord], logs: Callable[..., bytes]) -> None:
    known = log({"a": 1}, "body")
    unknown = b"\xf2\x3e\x03abc" + b"\xf8\x3e\x05"  # fields 1006 (bytes) and 1007 (varint)
    record = LogRecord.FromString(known.SerializeToString() + unknown)
    decoded = decoded_logs(logs(record) + unknown)
    assert decoded.failures == ()
    assert decoded.records["body"].to_list() == ["body"]


def test_messages_of_all_signals_come_out_in_their_order(
    log: Callable[..., LogRecord], logs: Callable[..., bytes], spans: Callable[..., bytes], span: Callable[..., object]
) -> None:
    of_logs, of_spans = logs(log({"b": 1, "a": 2}, "log"), resource={"r": "log"}), spans(span({"c": 3}, name="span"))
    decoded = decode([("otlp_traces", of_spans, None), ("otlp_logs", of_logs, None), ("otlp_spans", of_spans, None)])
    assert decoded.records.select("row", "message", "signal").rows() == [(0, 0, "span"), (1, 1, "log"), (2, 2, "span")]
    assert decoded.attributes.select("row", "key").rows() == [(0, "c"), (1, "a"), (1, "b"), (2, "c")]
    owners = decoded.records.join(decoded.resources, on="resource", suffix="_of_resource")
    assert (owners["message"] == owners["message_of_resource"]).all()
    of_log = decoded.records.filter(pl.col("signal") == "log")["resource"].item()
    assert decoded.resource_attributes.rows() == [(of_log, "r", "log", None)]
