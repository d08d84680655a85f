from __future__ import annotations

from onshore_pipeline.bench.audit import bench_audit


def test_a_store_is_filled_and_audited_as_people_do() -> None:
    told = bench_audit(1_000)
    assert told["events"] == 1_000
    assert told["entries"] > 0
    assert told["cpu_us_an_event"] > 0
    assert told["store_cpu_us_an_event"] > 0
