"""Messages on `raw.FORMAT` topics: one record each, as its source wrote it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onshore_pipeline.normalise.normalise import normalise
from onshore_pipeline.wire.decode import MAX_MESSAGE_BYTES, count_at_most, decode
from onshore_pipeline.wire.frames import RECORDS_SCHEMA, Failure
from otlp_messages import logs

TOPIC = "raw.kubernetes.audit"


def test_each_message_is_one_record_of_the_format_that_its_topic_names() -> None:
    decoded = decode(
        [(TOPIC, b'{"kind":"Event"}', None), ("raw.aws.vpcflow", b"\xef\xbb\xbf2 123 eni-1", "otlp_proto")]
    )
    assert decoded.records.schema == RECORDS_SCHEMA
    assert decoded.records.select("row", "message", "record_index", "resource", "encoding_format", "body").rows() == [
        (0, 0, 0, 0, "kubernetes.audit", '{"kind":"Event"}'),
        (1, 1, 0, 1, "aws.vpcflow", "2 123 eni-1"),
    ]
    assert decoded.record_counts == (1, 1)
    assert not decoded.failures


def test_raw_records_stand_among_otlp_messages_in_the_order_of_their_messages() -> None:
    decoded = decode([(TOPIC, b"first", None), ("otlp_logs", logs([{"n": 1}, {"n": 2}]), None), (TOPIC, b"last", None)])
    assert decoded.records["message"].to_list() == [0, 1, 1, 2]
    assert decoded.records["body"].to_list() == ["first", None, None, "last"]
    assert decoded.record_counts == (1, 2, 1)
    assert decoded.attributes["row"].to_list() == [1, 2]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "an empty message holds no record"),
        (b"\xef\xbb\xbf", "an empty message holds no record"),
        (b"\xff\xfe{\x00}\x00", "is not UTF-8: send the record as text in UTF-8"),
    ],
)
def test_what_is_no_text_fails_alone(value: bytes, reason: str) -> None:
    decoded = decode([(TOPIC, b"good", None), (TOPIC, value, None), (TOPIC, b"good", None)])
    assert decoded.failures == (Failure(1, None, "decode", reason),)
    assert decoded.record_counts == (1, 0, 1)
    assert decoded.records["message"].to_list() == [0, 2]


def test_a_message_that_is_too_large_fails() -> None:
    assert (
        decode([(TOPIC, bytes(MAX_MESSAGE_BYTES + 1), None)])
        .failures[0]
        .reason.startswith(f"{MAX_MESSAGE_BYTES + 1} bytes in one message")
    )


def test_a_topic_that_names_no_format_carries_nothing() -> None:
    assert "raw.FORMAT is expected" in decode([("raw.", b"x", None)]).failures[0].reason


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_every_message_is_an_event_or_a_failure(values: list[bytes]) -> None:
    messages = [(TOPIC, value, None) for value in values]
    decoded = decode(messages)
    failed = [failure.message for failure in decoded.failures]
    events = normalise(decoded).events["message"].to_list()
    assert sorted([*failed, *events]) == list(range(len(values)))
    assert all(count_at_most(*message) == 1 for message in messages)
