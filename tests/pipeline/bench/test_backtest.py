"""The benchmark of backtests runs, and its controls find something."""

from __future__ import annotations

from onshore_pipeline.bench.backtest import WINDOWED, bench_backtest


def test_backtests_of_single_events_and_of_more_tell_what_they_cost() -> None:
    told = bench_backtest(20_000, rounds=1)
    assert told["one text"]["rows"] == told["two texts"]["rows"] == 20_000
    assert told["two texts"]["changed"] > 0
    for control in WINDOWED:
        one, two = told[control]["one text"], told[control]["two texts"]
        assert 0 < one["rows"] <= two["rows"]
        assert one["wall_s"] > 0
    assert told["SOV-20-01"]["two texts"]["changed"] > 0
    assert told["SOV-22-01"]["two texts"]["changed"] > 0
    assert told["SOV-22-01"]["one text"]["violated"] > 0
    assert told["peak_memory_mib"]["store"] > 0
