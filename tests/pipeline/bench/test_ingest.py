from __future__ import annotations

from onshore_pipeline.bench.ingest import bench_ingest


def test_the_ingest_benchmark_sends_real_events_through_and_tells_cpu_by_stage() -> None:
    told = bench_ingest(2_000)
    assert told["events"] == 2_000
    assert told["events_a_second"] > 0
    assert set(told["cpu_us_an_event_by_process"]) == {"store", "sequencer", "worker"}
    assert {"decode", "normalise", "locate", "judge", "seal", "tables", "entries"} == set(
        told["cpu_us_an_event_by_stage"]
    )
