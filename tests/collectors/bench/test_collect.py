from __future__ import annotations

import sys

from onshore_collectors.bench.collect import bench_collect

MOST_RESIDENT_MIB = 512


def test_large_packed_files_arrive_once_in_bounded_memory_though_the_collector_is_killed() -> None:
    told = bench_collect(100 << 20)
    assert told["unpacked_mib"] >= 100
    assert 0.4 * told["records"] <= told["arrived_when_killed"] < told["records"]
    assert told["skipped"] > 0
    assert (told["lost"], told["double"], told["unknown"]) == (0, 0, 0)
    if sys.platform == "linux":
        assert 0 < told["peak_mib"] < MOST_RESIDENT_MIB
