from __future__ import annotations

from onshore_pipeline.bench.baseline import IN_A_CHECKOUT
from onshore_pipeline.bench.query import bench_query


def test_every_page_of_the_dashboard_is_asked_for_over_a_store_that_was_multiplied() -> None:
    told = bench_query(6_000, baseline=IN_A_CHECKOUT, rounds=2, base_events=2_000)
    assert told["events"] == 6_000
    assert set(told["filled_s"]) == {"onshore", "baseline"}
    assert {"operations", "compliance", "findings", "finding", "event"} <= set(told["pages_ms"])
    assert set(told["ratio"]) == {"compliance", "findings", "event"}
