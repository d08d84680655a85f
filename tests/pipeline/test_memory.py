from __future__ import annotations

import subprocess
import sys

import pyarrow as pa

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
