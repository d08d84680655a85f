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


@pytest.mark.parametrize("like", ["unregistered", "disputed"])
def test_judging_is_also_told_for_parties_that_no_registry_knows_and_for_claims_that_disagree(like: str) -> None:
    told = bench_stage("judge", 1_000, baseline=None, rounds=1)[like]
    assert told["cpu_us_an_event"] > 0
    assert told["first"]["cpu_us_an_event"] > 0


def test_locating_is_also_told_for_many_addresses_of_both_kinds_met_first_new_and_met_again() -> None:
    told = bench_stage("locate", 1_000, baseline=None, rounds=1)["mixed_addresses"]
    assert 900 < told["addresses"] <= 1_000
    assert set(told["cpu_us_an_event"]) == {"first", "new", "again"}
    assert all(each > 0 for each in told["cpu_us_an_event"].values())
