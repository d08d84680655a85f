from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from onshore_pipeline.wire.decode import decode

if TYPE_CHECKING:
    from onshore_pipeline.wire.frames import Decoded

EXAMPLES = Path(__file__).parents[4] / "shared" / "data" / "otlp"


def decoded_json(document: object, topic: str = "otlp_logs") -> Decoded:
    text = document if isinstance(document, str) else json.dumps(document)
    return decode([(topic, text.encode("utf-8", "surrogatepass"), "otlp_json")])


def logs_of(*records: object) -> dict[str, Any]:
    return {"resourceLogs": [{"scopeLogs": [{"logRecords": list(records)}]}]}


def attribute(value: object) -> dict[str, object]:
    return {"attributes": [{"key": "k", "value": value}]}


def test_ids_are_hex_in_any_case_and_integers_are_strings_or_numbers() -> None:
    records = [
        {"traceId": "0AF7651916CD43DD8448EB211C80319C", "spanId": "b7ad6b7169203331", "timeUnixNano": "1700000000000"},
        {"traceId": "0af7651916cd43dd8448eb211c80319c", "severityNumber": 9, "timeUnixNano": 1700000000000},
        {"severityNumber": "SEVERITY_NUMBER_INFO", "timeUnixNano": 1.7e12},
    ]
    decoded = decoded_json(logs_of(*records))
    assert decoded.failures == ()
    assert [None if each is None else each.hex() for each in decoded.records["trace_id"]] == [
        "0af7651916cd43dd8448eb211c80319c",
        "0af7651916cd43dd8448eb211c80319c",
        None,
    ]
    assert decoded.records["span_id"].to_list()[0].hex() == "b7ad6b7169203331"
    assert decoded.records["time_ns"].to_list() == [1_700_000_000_000] * 3
    assert decoded.records["severity_number"].to_list() == [None, 9, 9]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"stringValue": "a"}, "a"),
        ({"boolValue": True}, "true"),
        ({"intValue": "-5"}, "-5"),
        ({"intValue": -5}, "-5"),
        ({"intValue": "9223372036854775807"}, "9223372036854775807"),
        ({"doubleValue": 1}, "1.0"),
        ({"doubleValue": "NaN"}, "nan"),
        ({"doubleValue": "-Infinity"}, "-inf"),
        ({"doubleValue": "1e-7"}, "1e-07"),
        ({"bytesValue": "AP8="}, "AP8="),
        ({"bytesValue": "_-8"}, "/+8="),
        ({"arrayValue": {"values": [{"intValue": 1}, {"stringValue": "b"}]}}, '[1,"b"]'),
        ({"kvlistValue": {"values": [{"key": "x", "value": {"doubleValue": 0.5}}]}}, '{"x":0.5}'),
        ({"arrayValue": {}}, "[]"),
        ({"stringValue": "a", "intValue": 1}, "1"),
        ({"stringValue": None, "unheardOf": [1]}, ""),
        ({}, ""),
        (None, ""),
    ],
)
def test_a_value_in_json(value: object, text: str) -> None:
    decoded = decoded_json(logs_of(attribute(value)))
    assert decoded.failures == ()
    assert decoded.attributes["text"].to_list() == [text]


@pytest.mark.parametrize(
    "bad",
    [
        "a string",
        17,
        None,
        {"traceId": "xyz"},
        {"traceId": 5},
        {"timeUnixNano": "soon"},
        {"timeUnixNano": -1},
        {"timeUnixNano": 2**64},
        {"timeUnixNano": 1.5},
        {"severityNumber": "LOUD"},
        {"severityNumber": [1]},
        {"severityText": 5},
        {"severityText": "\ud800"},
        {"body": []},
        {"attributes": {}},
        attribute({"intValue": 10**40}),
        attribute({"intValue": True}),
        attribute({"boolValue": "true"}),
        attribute({"doubleValue": "many"}),
        attribute({"doubleValue": None, "bytesValue": "a"}),
        attribute({"arrayValue": [1]}),
    ],
    ids=str,
)
def test_a_record_that_does_not_fit_fails_alone(bad: object) -> None:
    good = {"body": {"stringValue": "good"}}
    document = logs_of(good, bad, good)
    document["resourceLogs"].append({"scopeLogs": [{"logRecords": [good, bad]}]})
    decoded = decoded_json(document)
    [failure] = decoded.failures
    assert failure.record_indexes == (1, 4)
    assert failure.reason.startswith("not a readable LogRecord in JSON: ")
    assert decoded.records["record_index"].to_list() == [0, 2, 3]
    assert decoded.record_counts == (5,)


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ("{", "not readable JSON"),
        ("[]", "it must be an object"),
        ("[" * 100_000 + "]" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "nested too deeply"),
        ('{"resourceLogs": [' + "9" * 5000 + "]}", "not readable JSON"),
        ({"resourceSpans": []}, "no resourceLogs in the document, which has resourceSpans"),
        ({"resourceLogs": {}}, "resourceLogs must be an array"),
        ({"resourceLogs": [{"resource": 5}]}, "Resource must be an object"),
        ({"resourceLogs": [{"scopeLogs": [{"logRecords": 1}]}]}, "logRecords must be an array"),
    ],
    ids=lambda case: str(case)[:40],
)
def test_a_document_that_is_no_request_fails_whole(document: object, reason: str) -> None:
    [failure] = decoded_json(document).failures
    assert failure.record_indexes is None
    assert reason in failure.reason


def test_invalid_utf8_in_a_document_fails_whole() -> None:
    [failure] = decode([("otlp_logs", b'{"resourceLogs": [{"schemaUrl": "\xff"}]}', "otlp_json")]).failures
    assert failure.record_indexes is None
    assert "not readable JSON" in failure.reason


def test_values_nested_too_deep_fail_their_record() -> None:
    def nested(levels: int) -> dict[str, Any]:
        value: dict[str, Any] = {"stringValue": "x"}
        for _ in range(levels):
            value = {"arrayValue": {"values": [value]}}
        return attribute(value)

    decoded = decoded_json(logs_of(nested(30), nested(31), nested(90), nested(30)))
    assert sorted(index for failure in decoded.failures for index in failure.record_indexes or ()) == [1, 2]
    assert decoded.attributes["text"].to_list() == ["[" * 30 + '"x"' + "]" * 30] * 2


def test_an_empty_document_is_a_request_without_records() -> None:
    decoded = decoded_json({})
    assert decoded.failures == ()
    assert decoded.record_counts == (0,)


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the examples of opentelemetry-proto are not in ../shared/data/otlp")
@pytest.mark.parametrize(
    ("name", "topic", "records", "points"),
    [("logs", "otlp_logs", 1, 0), ("trace", "otlp_traces", 1, 0), ("metrics", "otlp_metrics", 0, 4)],
)
def test_the_examples_published_with_otlp(name: str, topic: str, records: int, points: int) -> None:
    decoded = decode([(topic, (EXAMPLES / f"{name}.json").read_bytes(), None)])
    assert decoded.failures == ()
    assert (decoded.records.height, decoded.points.height) == (records, points)
    assert decoded.resource_attributes.rows() == [(0, "service.name", "my.service", None)]
