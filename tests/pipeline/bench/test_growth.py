from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from demo_judgement import shipped_judgement
from onshore_pipeline.assess import assess
from onshore_pipeline.bench.growth import AXES, bench_growth
from onshore_pipeline.bench.stages import messages_of
from onshore_pipeline.bench.traffic import log_messages
from onshore_pipeline.bench.variants import TEN, retire_all_but_ten, shipped, write_variants
from onshore_pipeline.controls.load import PACKS, load_controls
from onshore_pipeline.domain.event import DOMAINS

if TYPE_CHECKING:
    from pathlib import Path


def test_five_hundred_controls_are_the_shipped_ones_and_variants_that_the_loader_takes(tmp_path: Path) -> None:
    write_variants(tmp_path, 500 - shipped())
    controls = load_controls(PACKS, tmp_path)
    assert len(controls.executable) == 500
    assert len({compiled.polars.verdict for compiled in controls.executable}) > 400


def test_ten_of_the_shipped_controls_judge_alone(tmp_path: Path) -> None:
    retire_all_but_ten(tmp_path)
    controls = load_controls(PACKS, tmp_path)
    in_force = [each.control for each in controls.executable if each.span.until_ns is None]
    assert tuple(each.id for each in in_force) == TEN
    assert all(each.span.until_ns is not None for each in controls.windowed)
    assert len({each.jurisdiction for each in in_force}) >= 7
    assert {domain for each in in_force for domain in each.domains} == set(DOMAINS)

    attempt = assess(messages_of(list(log_messages(1))), replace(shipped_judgement(), controls=controls), UUID(int=1))
    judged = set(attempt.tables["message_verdicts"]["control_id"].to_pylist())
    assert {"AU-APP8-01", "JP-APPI28-01", "MY-PDPA129-01", "SOV-16-01"} <= judged <= set(TEN)


def test_growth_tells_a_row_a_size_with_its_cost_relative_to_the_first() -> None:
    told = bench_growth(1_000, ["backlog"], most_backlog=1_000)
    (row,) = told["rows"]
    assert row["events"] == 1_000
    assert row["cost_relative_to_first"] == 1
    assert row["worker_peak_mib"] > 0


def test_each_row_tells_how_many_addresses_were_really_sent() -> None:
    told = bench_growth(1_000, ["addresses"])
    assert [row["value"] for row in told["rows"]] == [10, 10_000, 10_000_000]
    few, some, many = (row["distinct_addresses"] for row in told["rows"])
    assert few == 10
    assert 900 < some <= many <= 1_000


def test_an_axis_that_is_none_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=", ".join(AXES)):
        bench_growth(1_000, ["planets"])
