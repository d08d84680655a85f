"""Giving memory back to the system when there is nothing to do."""

from __future__ import annotations

import ctypes

import pyarrow as pa


def give_back_unused() -> None:
    """Return what Arrow and the C library keep for the next batch; a few milliseconds, elsewhere than glibc nothing."""
    pa.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
