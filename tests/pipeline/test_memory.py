from __future__ import annotations

import ctypes
import subprocess
import sys

import pyarrow as pa
import pytest

from onshore_pipeline.memory import give_back_unused


def test_what_nobody_uses_goes_back_to_the_system() -> None:
    table = pa.array(range(1_000_000))
    before = pa.total_allocated_bytes()
    del table
    give_back_unused()
    assert pa.total_allocated_bytes() < before


def test_a_process_that_leaves_pandas_out_makes_arrays_without_it() -> None:
    program = (
        "import sys; from onshore_pipeline.memory import leave_out_pandas; leave_out_pandas()\n"
        "import pyarrow as pa; print(pa.array([1, 2]).to_pylist(), 'pandas' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert done.stdout == "[1, 2] False\n"


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="only glibc can be told to keep freed memory")
def test_memory_that_is_freed_is_used_again_and_not_fetched_page_by_page() -> None:
    program = (
        "import resource; from onshore_pipeline.memory import keep_freed_memory; keep_freed_memory()\n"
        "def fetched(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "bytearray(8 << 20); before = fetched()\n"
        "for _ in range(20): bytearray(8 << 20)\n"
        "print(fetched() - before)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert int(done.stdout) < 2_000, "eight MiB are 2,048 pages"
