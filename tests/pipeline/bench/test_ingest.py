from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from onshore_pipeline.bench.baseline import IN_A_CHECKOUT, Baseline, ingest_baselines
from onshore_pipeline.bench.ingest import Plan, bench_ingest
from onshore_pipeline.errors import OnshoreError

if TYPE_CHECKING:
    from pathlib import Path


def test_the_ingest_benchmark_sends_real_events_through_all_programs_and_tells_cpu_by_stage_and_process() -> None:
    told = bench_ingest(Plan(events=2_000, baselines=ingest_baselines(None), baseline_events=1_000, rounds=1))
    assert told["events"] == 2_000
    assert told["events_a_second"] > 0
    assert set(told["cpu_us_an_event_by_process"]) == {"store", "sequencer", "worker"}
    assert {"decode", "normalise", "locate", "judge", "seal", "tables", "entries"} == set(
        told["cpu_us_an_event_by_stage"]
    )
    assert told["signing_us_an_event"] > 0
    assert 0 < told["signing_share_of_cpu"] < 1
    assert set(told["baselines"]) == set(told["ratios"]) == {"afternoon", "same_result"}
    for theirs in told["baselines"].values():
        assert theirs["events"] == 1_000
        assert set(theirs["cpu_us_an_event_by_process"]) == {"store", "baseline"}
    assert told["ratios"]["afternoon"]["wall"] > 0
    assert told["baseline"] == told["baselines"]["same_result"]
    assert told["ratio"] == told["ratios"]["same_result"]
    assert [each["events"] for each in told["rounds"]["onshore"]] == [2_000]


def test_it_is_compared_with_the_program_given_and_with_those_of_the_checkout(tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    with pytest.raises(OnshoreError, match="no such baseline program"):
        ingest_baselines(own)
    own.touch()
    same_result = IN_A_CHECKOUT.with_name("same_result.py")
    assert ingest_baselines(own) == {Baseline.AFTERNOON: own, Baseline.SAME_RESULT: same_result}
    assert ingest_baselines(None)[Baseline.AFTERNOON] == IN_A_CHECKOUT


def test_a_worker_may_be_held_to_a_share_of_a_core() -> None:
    try:
        told = bench_ingest(Plan(events=20_000, rounds=1, worker_share=0.2))
    except OnshoreError as error:
        # Not every machine lets us: then that is what must be said, and nothing else.
        if "cannot be held to a share of a core" not in str(error):
            raise
        return
    assert told["worker_share"] == 0.2
    assert 0 < told["events"] <= 20_000
    assert told["events_a_second"] > 0
