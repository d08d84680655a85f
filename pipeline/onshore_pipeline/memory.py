"""Memory of long-running processes: what is never taken, and what is given back when there is nothing to do."""

from __future__ import annotations

import ctypes
import sys
from importlib.abc import MetaPathFinder
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType


def give_back_unused() -> None:
    """Return what Arrow and the C library keep for the next batch; a few milliseconds, elsewhere than glibc nothing."""
    pa.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def leave_out_pandas() -> None:
    """Keep pyarrow from importing pandas into this process, as it does with its first array of Python values.

    Nothing here uses it, and it takes 54 MiB and 0.3 s of CPU.
    """
    if "pandas" not in sys.modules:
        sys.meta_path.insert(0, _WithoutPandas())


class _WithoutPandas(MetaPathFinder):
    def find_spec(self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError("pandas is left out of this process", name=fullname)
