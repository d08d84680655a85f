"""SHA-256 over whole columns, raw digests out (docs/decisions/0011)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa

from onshore_pipeline.evidence.rows import Part, digests

if TYPE_CHECKING:
    from numpy.typing import NDArray


def sha256_column(values: pl.Series) -> NDArray[np.uint8]:
    """Digest of each value of a String or Binary column without nulls: an array of shape (rows, 32)."""
    return digests([Part(values)], len(values))


def sha256_rows(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Digest of each row of an array of shape (rows, width): an array of shape (rows, 32)."""
    return digests([Part(rows)], len(rows))


def binary_column(rows: NDArray[np.uint8]) -> pl.Series:
    """An array of shape (rows, width) as a Binary column."""
    count, width = rows.shape
    buffer = pa.py_buffer(np.ascontiguousarray(rows))
    return pl.Series(pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), count, [None, buffer]), dtype=pl.Binary)
