from __future__ import annotations

import pytest

from onshore_pipeline.bench.baseline import IN_A_CHECKOUT
from onshore_pipeline.bench.stages import STAGES, bench_stage


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_stands_beside_the_per_record_program_s_same_step(stage: str) -> None:
    told = bench_stage(stage, 1_000, baseline=IN_A_CHECKOUT, rounds=1)
    assert told["events"] == 1_000
    assert told["cpu_us_an_event"] > 0
    assert told["ratio"]["cpu"] == pytest.approx(
        told["baseline"]["cpu_us_an_event"] / told["cpu_us_an_event"], rel=0.02, abs=0.02
    )
    assert ("store" in told["cpu_us_an_event_by_process"]) == (stage == "insert")
