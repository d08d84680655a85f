from __future__ import annotations

import pyarrow as pa

from onshore_pipeline.memory import give_back_unused


def test_what_nobody_uses_goes_back_to_the_system() -> None:
    table = pa.array(range(1_000_000))
    before = pa.total_allocated_bytes()
    del table
    give_back_unused()
    assert pa.total_allocated_bytes() < before
