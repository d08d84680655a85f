from __future__ import annotations

from onshore_pipeline.bench.bundle import bench_bundle


def test_a_store_is_exported_and_the_bundle_checked_by_both_verifiers_as_people_run_them() -> None:
    told = bench_bundle(1_000)
    assert told["events"] == 1_000
    assert told["bundle_mib"] > 0
    for name in ("export", "verify", "verify_py"):
        assert told[name]["cpu_us_an_event"] > 0, name
        assert told[name]["peak_memory_mib"] > 0, name
    assert told["export"]["store_cpu_us_an_event"] > 0
