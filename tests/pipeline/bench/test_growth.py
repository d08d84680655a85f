from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from onshore_pipeline.bench.growth import AXES, bench_growth
from onshore_pipeline.bench.variants import shipped, write_variants
from onshore_pipeline.controls.load import PACKS, load_controls

if TYPE_CHECKING:
    from pathlib import Path


def test_five_hundred_controls_are_the_shipped_ones_and_variants_that_the_loader_takes(tmp_path: Path) -> None:
    write_variants(tmp_path, 500 - shipped())
    controls = load_controls(PACKS, tmp_path)
    assert len(controls.executable) == 500
    assert len({compiled.polars.verdict for compiled in controls.executable}) > 400


def test_growth_tells_a_row_a_size_with_its_cost_relative_to_the_first() -> None:
    told = bench_growth(1_000, ["backlog"], most_backlog=1_000)
    (row,) = told["rows"]
    assert row["events"] == 1_000
    assert row["cost_relative_to_first"] == 1
    assert row["worker_peak_mib"] > 0


def test_an_axis_that_is_none_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=", ".join(AXES)):
        bench_growth(1_000, ["planets"])
