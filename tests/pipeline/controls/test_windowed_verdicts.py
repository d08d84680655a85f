"""Windows, sequences and absences say what the plain-Python reference says, whatever arrives when."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import windowed_cases as cases
import windowed_reference as reference
from onshore_pipeline.controls.windowed_verdicts import judge_windowed

if TYPE_CHECKING:
    import polars as pl

    from onshore_pipeline.controls.windowed import WindowedControl

LONG_AFTER = 10**15


@pytest.fixture(scope="module", params=cases.EVERY_KIND)
def control(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> WindowedControl:
    return cases.read(tmp_path_factory.mktemp("control"), request.param)


def as_told(control: WindowedControl, history: pl.DataFrame) -> dict[reference.Unit, list[reference.Said]]:
    """The engine's history in the reference's shape."""
    is_sequence = control.windowed.kind == "sequence"
    told: dict[reference.Unit, list[reference.Said]] = {}
    for row in history.iter_rows(named=True):
        unit = (tuple(row["keys"]), row["since"], row["event_id"] if is_sequence else b"")
        told.setdefault(unit, []).append((row["stated_at"], row["before"], row["verdict"]))
    return told


@given(data=st.data())
@settings(deadline=None, max_examples=40)
def test_the_engine_says_what_the_reference_says(control: WindowedControl, data: st.DataObject) -> None:
    facts = data.draw(cases.facts_for(control))
    watermark = data.draw(st.sampled_from([LONG_AFTER, 20 * cases.SECOND]))
    said = judge_windowed(control, cases.frame(facts), watermark_ns=watermark, now_ns=watermark)
    assert as_told(control, said) == reference.history(control, facts, watermark)
