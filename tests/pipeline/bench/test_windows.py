"""The benchmark of windows runs, and says what it promises to."""

from __future__ import annotations

from onshore_pipeline.bench.windows import bench_windows


def test_windows_tell_the_cost_of_live_keys_and_of_content() -> None:
    told = bench_windows(2_000, rounds=1)
    live, content = told["live_keys"], told["content"]
    assert live["first"]["units"] > 0
    # The peak is that of this process, which holds whatever ran in it before: no budget is held here.
    peak = max(live["peak_memory_mib"][run]["job"] for run in ("first", "later"))
    assert live["within_budget"] == (0 < peak <= 1024)
    assert [row["held"] for row in content["rows"]] == [200, 2_000]
    assert content["cost_relative_to_first"] > 0
