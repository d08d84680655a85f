from __future__ import annotations

from onshore_pipeline.bench.baseline import IN_A_CHECKOUT
from onshore_pipeline.bench.ingest import Plan, bench_ingest


def test_the_ingest_benchmark_sends_real_events_through_both_programs_and_tells_cpu_by_stage_and_process() -> None:
    told = bench_ingest(Plan(events=2_000, baseline=IN_A_CHECKOUT, baseline_events=1_000, rounds=1))
    assert told["events"] == 2_000
    assert told["events_a_second"] > 0
    assert set(told["cpu_us_an_event_by_process"]) == {"store", "sequencer", "worker"}
    assert {"decode", "normalise", "locate", "judge", "seal", "tables", "entries"} == set(
        told["cpu_us_an_event_by_stage"]
    )
    assert told["baseline"]["events"] == 1_000
    assert set(told["baseline"]["cpu_us_an_event_by_process"]) == {"store", "baseline"}
    assert told["ratio"]["wall"] > 0
    assert [each["events"] for each in told["rounds"]["onshore"]] == [2_000]
