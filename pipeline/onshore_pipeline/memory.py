"""Memory of processes: what is never taken, what is used again, and what is given back when there is nothing to do."""

from __future__ import annotations

import ctypes
import sys
from importlib.abc import MetaPathFinder
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

# glibc's parameters (malloc.h), and what a portion's columns lie far below.
_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_KEPT_BYTES: Final = 1 << 30


def give_back_unused() -> None:
    """Return what Arrow and the C library keep for the next batch; a few milliseconds, elsewhere than glibc nothing."""
    import pyarrow as pa  # verifying a bundle does without

    pa.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def keep_freed_memory() -> None:
    """Use the memory of one portion for the next, here and in child processes; elsewhere than with glibc nothing.

    It otherwise goes back to the system after each, and comes again page by page: two of 17 seconds that a million
    events take to verify.
    """
    tune = getattr(ctypes.CDLL(None), "mallopt", None)
    if tune is not None:
        tune(_MMAP_THRESHOLD, _KEPT_BYTES)
        tune(_TRIM_THRESHOLD, _KEPT_BYTES)


def keep_freed_columns() -> None:
    """Have Arrow take memory from the C library, so that `keep_freed_memory` holds for its columns, too."""
    import pyarrow as pa  # verifying a bundle does without

    pa.set_memory_pool(pa.system_memory_pool())


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
