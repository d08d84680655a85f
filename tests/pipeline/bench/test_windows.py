"""The benchmark of windows runs, and says what it promises to."""

from __future__ import annotations

from onshore_pipeline.bench.windows import bench_windows


def test_windows_tell_the_cost_of_live_keys_and_of_content() -> None:
    told = bench_windows(2_000, rounds=1)
    live, content = told["live_keys"], told["content"]
    assert live["first"]["units"] > 0
    assert live["within_budget"]
    assert live["peak_memory_mib"]["first"]["job"] > 0
    assert [row["held"] for row in content["rows"]] == [200, 2_000]
    assert content["cost_relative_to_first"] > 0
