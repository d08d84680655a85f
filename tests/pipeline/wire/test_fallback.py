"""What the fast decoder's library refuses and protobuf reads goes through the reference decoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from polars.testing import assert_frame_equal

from onshore_pipeline.wire import descriptor, elements
from onshore_pipeline.wire.counting import MAX_PARTS
from onshore_pipeline.wire.decode import decode

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa
    import pytest

    from onshore_pipeline.wire.descriptor import Handler

STUMBLING_BLOCK = b"stumble"


class Stumbling:
    """A ptars handler that refuses one text."""

    def __init__(self, real: Handler) -> None:
        self._real = real

    def list_to_record_batch(self, values: list[bytes]) -> pa.RecordBatch:
        self._refuse(values)
        return self._real.list_to_record_batch(values)

    def array_to_record_batch(self, values: pa.Array) -> pa.RecordBatch:
        self._refuse(values.to_pylist())
        return self._real.array_to_record_batch(values)

    def _refuse(self, values: list[Any]) -> None:
        if any(STUMBLING_BLOCK in value for value in values):
            raise ValueError("failed to decode")


def test_only_the_message_that_the_fast_decoder_refuses_is_read_by_the_reference(
    log: Callable[..., LogRecord], logs: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ["a", "b", STUMBLING_BLOCK.decode(), "c", "d"]
    messages = [("otlp_logs", logs(log({"k": text, "j": 1}, text), resource={"r": text}), None) for text in texts]
    expected = decode(messages)
    real = descriptor.handler
    monkeypatch.setattr(elements, "handler", lambda name: Stumbling(real(name)))
    decoded = decode(messages)
    assert decoded.by_reference == (2,)
    assert expected.by_reference == ()
    assert decoded.failures == ()
    assert decoded.record_counts == expected.record_counts
    for name in ("records", "attributes", "resources", "resource_attributes"):
        assert_frame_equal(getattr(decoded, name), getattr(expected, name))


def test_the_reference_reads_no_more_records_of_a_message_than_the_fast_decoder(
    log: Callable[..., LogRecord], logs: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = descriptor.handler
    monkeypatch.setattr(elements, "handler", lambda name: Stumbling(real(name)))
    stumbling = log(body=STUMBLING_BLOCK.decode())
    crowd = logs(stumbling, *[LogRecord()] * MAX_PARTS)
    decoded = decode([("otlp_logs", crowd, None), ("otlp_logs", logs(stumbling), None)])
    assert [(failure.message, failure.record_indexes) for failure in decoded.failures] == [(0, None)]
    assert decoded.failures[0].reason.startswith("131073 records in one message")
    assert decoded.by_reference == (1,)
