"""Encoded parts of one kind → Arrow, in bulk, with the unreadable ones named instead of failing all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from onshore_pipeline.errors import OnshoreError
from onshore_pipeline.wire.descriptor import Element, element_fault, handler, unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# ptars recurses once for every group opened inside a group and overflows the stack (and kills the process) near 130,000
# levels on 8 MiB. A level takes a byte, so shorter parts are safe; longer ones are first read by the reference decoder,
# which stops at 100 levels.
SAFE_BYTES: Final = 32 * 1024


class FastPathRefused(OnshoreError):
    """The fast decoder cannot read what the reference decoder can: let the reference decode it."""


def read_elements(
    element: Element, encoded: pa.Array, conflicting: Callable[[pa.RecordBatch], Iterable[int]] | None = None
) -> tuple[pa.RecordBatch, dict[int, str]]:
    """Decode an array of encoded parts.

    Args:
        element: what they are.
        encoded: Binary, no nulls.
        conflicting: rows of the decoded batch in which more than one member of a oneof is set. ptars keeps them all,
            protobuf keeps the last: those rows are re-encoded by the reference decoder, which leaves one.

    Returns:
        A batch with a row for every part (fields of our own descriptor), and row → reason for the unreadable ones,
        whose rows are empty. Raises `FastPathRefused`.
    """
    bad = _faults(element, encoded, _long_rows(encoded))
    encoded = _replace(encoded, dict.fromkeys(bad, b""))
    try:
        batch = decode_array(element.fast, encoded)
    except FastPathRefused:
        refused = _refused(element, encoded)
        bad |= refused
        encoded = _replace(encoded, dict.fromkeys(refused, b""))
        batch = decode_array(element.fast, encoded)
    twice_set = tuple(conflicting(batch)) if conflicting is not None else ()
    if twice_set:
        canonical, worse = _canonical(element, encoded, twice_set)
        bad |= worse
        batch = decode_array(element.fast, _replace(encoded, canonical))
    return batch, bad


def _long_rows(encoded: pa.Array) -> list[int]:
    lengths = pc.binary_length(encoded)
    if (pc.max(lengths).as_py() or 0) <= SAFE_BYTES:
        return []
    rows: list[int] = pc.indices_nonzero(pc.greater(lengths, SAFE_BYTES)).to_pylist()
    return rows


def _refused(element: Element, encoded: pa.Array) -> dict[int, str]:
    """Parts that both decoders refuse: whether one is bad must not hang on its neighbours in the batch.

    One pass of the protobuf library over all parts costs the same however many are bad; bisection would not.
    """
    suspects = _faults(element, encoded, range(len(encoded)))
    return {row: fault for row, fault in suspects.items() if not _decodes(element, encoded[row].as_py())}


def _decodes(element: Element, encoded: bytes) -> bool:
    try:
        decode_list(element.fast, [encoded])
    except FastPathRefused:
        return False
    return True


def decode_array(fast: str, encoded: pa.Array) -> pa.RecordBatch:
    """Decode with ptars; raises `FastPathRefused` whatever goes wrong in it."""
    return _guarded(handler(fast).array_to_record_batch, encoded)


def decode_list(fast: str, encoded: list[bytes]) -> pa.RecordBatch:
    """Decode with ptars; raises `FastPathRefused` whatever goes wrong in it."""
    return _guarded(handler(fast).list_to_record_batch, encoded)


def _guarded(read: Callable[[Any], pa.RecordBatch], encoded: pa.Array | list[bytes]) -> pa.RecordBatch:
    try:
        return read(encoded)
    except ValueError as error:
        raise FastPathRefused(str(error)) from error
    except BaseException as error:
        # A Rust panic reaches Python as a BaseException of a class that cannot be imported.
        if type(error).__name__ != "PanicException":
            raise
        raise FastPathRefused(f"the fast decoder panicked: {error}") from error


def _faults(element: Element, encoded: pa.Array, rows: Iterable[int]) -> dict[int, str]:
    return {row: fault for row in rows if (fault := element_fault(element, encoded[row].as_py())) is not None}


def _replace(encoded: pa.Array, values: dict[int, bytes]) -> pa.Array:
    if not values:
        return encoded
    rows = sorted(values)
    mask = pl.Series([False], dtype=pl.Boolean).new_from_index(0, len(encoded)).scatter(rows, True)
    return pc.replace_with_mask(encoded, mask.to_arrow(), pa.array([values[row] for row in rows], encoded.type))


def _canonical(element: Element, encoded: pa.Array, rows: Iterable[int]) -> tuple[dict[int, bytes], dict[int, str]]:
    """Row → encoding with one member of each oneof, and row → reason where there is none."""
    canonical: dict[int, bytes] = {}
    bad: dict[int, str] = {}
    for row in rows:
        try:
            canonical[row] = element.reference.FromString(encoded[row].as_py()).SerializeToString()
        except Exception as error:  # noqa: BLE001 - protobuf's implementations raise different classes
            canonical[row], bad[row] = b"", unreadable(element.what, error)
    return canonical, bad


def joined(parts: pa.ListArray) -> pa.Array:
    """The parts of each list as one Binary: what protobuf makes of a message that was sent in several parts."""
    lengths = pc.list_value_length(parts)
    if pc.all(pc.equal(lengths, 1)).as_py():
        return parts.flatten()
    return pa.array([b"".join(several) for several in parts.to_pylist()], pa.binary())


def column(values: pa.Array) -> pl.Series:
    """An Arrow array as a Polars series."""
    return pl.Series(values=values)
