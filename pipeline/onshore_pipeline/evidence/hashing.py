"""SHA-256 over whole columns, raw digests out (docs/decisions/0005)."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
import pyarrow as pa
from datafusion import SessionConfig, SessionContext, col
from datafusion import functions as f

if TYPE_CHECKING:
    from numpy.typing import NDArray

DIGEST_SIZE: Final = 32
_ROWS_A_BATCH: Final = 1 << 20


class _Engine(threading.local):
    """DataFusion with one partition, one for each thread: the worker's other stages need the second core."""

    def __init__(self) -> None:
        self.context = SessionContext(SessionConfig().with_target_partitions(1).with_batch_size(_ROWS_A_BATCH))


_ENGINE: Final = _Engine()
_TABLE: Final = "hashed"


def sha256_column(values: pl.Series) -> NDArray[np.uint8]:
    """Digest of each value of a String or Binary column without nulls: an array of shape (rows, 32)."""
    return _sha256(values.cast(pl.Binary).rechunk().to_arrow(compat_level=pl.CompatLevel.newest()))


def sha256_rows(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Digest of each row of an array of shape (rows, width): an array of shape (rows, 32)."""
    count, width = rows.shape
    return sha256_slices(rows.reshape(-1), np.full(count, width, np.int64))


def sha256_slices(buffer: NDArray[np.uint8], sizes: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Digest of each of the consecutive slices of a buffer, without copying them."""
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    parts = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(buffer))]
    return _sha256(pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(sizes), parts))


def _sha256(values: pa.Array) -> NDArray[np.uint8]:
    out = np.empty((len(values), DIGEST_SIZE), np.uint8)
    if not len(values):
        return out
    context, filled = _ENGINE.context, 0
    try:
        hashed = context.from_arrow(pa.table({"x": values}), _TABLE).select(f.sha256(col("x"))).collect()
    finally:
        context.deregister_table(_TABLE)  # the context would keep every column it has ever seen
    for batch in hashed:
        digests = batch.column(0)
        raw = np.frombuffer(digests.buffers()[2], np.uint8, count=DIGEST_SIZE * len(digests))
        out[filled : filled + len(digests)] = raw.reshape(-1, DIGEST_SIZE)
        filled += len(digests)
    return out


def binary_column(rows: NDArray[np.uint8]) -> pl.Series:
    """An array of shape (rows, width) as a Binary column."""
    count, width = rows.shape
    buffer = pa.py_buffer(np.ascontiguousarray(rows))
    return pl.Series(pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), count, [None, buffer]), dtype=pl.Binary)


_HEX_DIGITS: Final = np.frombuffer(b"".join(b"%02x" % byte for byte in range(256)), np.uint16)


def hex_column(rows: NDArray[np.uint8]) -> pl.Series:
    """An array of shape (rows, width) as lower-case hex text."""
    count, width = rows.shape
    characters = pa.py_buffer(_HEX_DIGITS[rows])
    offsets = pa.py_buffer(np.arange(count + 1, dtype=np.int64) * 2 * width)
    return pl.Series(pa.LargeStringArray.from_buffers(count, offsets, characters), dtype=pl.String)
