from __future__ import annotations

from onshore_pipeline.bench.baseline import IN_A_CHECKOUT
from onshore_pipeline.bench.end_to_end import bench_end_to_end


def test_an_exporter_s_event_is_clocked_until_it_and_its_finding_are_visible() -> None:
    told = bench_end_to_end(2, IN_A_CHECKOUT)
    assert set(told["seconds_until_visible"]) == {"event", "finding"}
    assert told["seconds_until_visible"]["finding"]["p50"] >= told["seconds_until_visible"]["event"]["p50"] > 0
    assert {"worker", "sequencer", "store_server", "receiver"} <= set(told["peak_memory_mib"])
    theirs = told["baseline"]["seconds_until_visible"]
    assert theirs["event"]["p50"] > 0
    assert told["ratio"]["event"] > 0
