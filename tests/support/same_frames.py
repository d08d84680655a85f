"""Whether two decoders made the same of a message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polars.testing import assert_frame_equal

from onshore_pipeline.wire import fast, reference
from onshore_pipeline.wire.counting import crowded
from onshore_pipeline.wire.decode import LIBRARY_ERRORS
from onshore_pipeline.wire.envelope import Request
from onshore_pipeline.wire.strict import well_formed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onshore_pipeline.wire.fast import Signal
    from onshore_pipeline.wire.frames import Decoded
    from onshore_pipeline.wire.parts import Part

FRAMES = ("records", "attributes", "resources", "resource_attributes", "points", "point_attributes")
TOPICS: dict[Signal, str] = {"logs": "otlp_logs", "spans": "otlp_spans", "metrics": "otlp_metrics"}


def failed(part: Part | Decoded) -> set[tuple[int, int | None]]:
    """(message, record index or None) of everything that could not be read."""
    return {(failure.message, index) for failure in part.failures for index in failure.record_indexes or (None,)}


def assert_equal_parts(part: Part, expected: Part) -> None:
    """Every frame to the last bit, the same failures, the same counts."""
    for name in FRAMES:
        assert_frame_equal(getattr(part, name), getattr(expected, name), check_exact=True)
    assert failed(part) == failed(expected)
    assert {message: count for message, count in part.counts.items() if count} == {
        message: count for message, count in expected.counts.items() if count
    }


def assert_equal_decoders(signal: Signal, values: Sequence[bytes]) -> None:
    """The fast decoder takes `values` and makes of them what the reference makes."""
    sent = [Request(position, value) for position, value in enumerate(values)]
    assert_equal_parts(fast.read(signal, sent), reference.read(signal, sent))


def assert_equal_where_accepted(signal: Signal, value: bytes) -> bool:
    """The reference reads or refuses `value` without raising, and the fast path does the same or hands it over.

    Returns whether the fast decoder read it.
    """
    if crowded(signal, value) is not None:
        return False  # refused before either decoder sees it
    expected = reference.read(signal, [Request(0, value)])
    if not well_formed(signal, value):
        return False  # read by the reference at once
    try:
        part = fast.read(signal, [Request(0, value)])
    except LIBRARY_ERRORS:
        return False
    assert_equal_parts(part, expected)
    return True
