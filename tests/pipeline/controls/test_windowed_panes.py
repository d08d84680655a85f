"""Windows that were added up on the way say what they say of all their facts, wherever the cut is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import windowed_cases as cases
from onshore_pipeline.controls.windowed import WAITING
from onshore_pipeline.controls.windowed_keys import keyed
from onshore_pipeline.controls.windowed_names import unit_ids
from onshore_pipeline.controls.windowed_panes import PANES_SCHEMA, SAID_SCHEMA, Folded, folded_panes, pane_of
from onshore_pipeline.controls.windowed_verdicts import judge_windowed

if TYPE_CHECKING:
    from onshore_pipeline.controls.windowed import WindowedControl

LONG_AFTER = 10**15


@pytest.fixture(scope="module", params=(cases.TUMBLING, cases.SLIDING, cases.FEW))
def control(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> WindowedControl:
    return cases.read(tmp_path_factory.mktemp("control"), request.param)


def add(control: WindowedControl, facts: pl.DataFrame, panes: pl.DataFrame) -> pl.DataFrame:
    """All panes after `facts` were added."""
    if facts.is_empty():
        return panes
    found = keyed(facts, control.key, (panes,))
    added = folded_panes(control, found.facts, found.also[0])
    texts = found.keys.select(pl.concat_list(pl.all()).alias("keys"))
    changed = added.hstack(texts.select(pl.all().gather(added["key"]))).select(PANES_SCHEMA.names())
    other = panes.join(changed, on=["keys", "pane"], how="anti")
    return pl.concat([other, changed.cast(PANES_SCHEMA)])


def points(control: WindowedControl, facts: pl.DataFrame, panes: pl.DataFrame) -> pl.DataFrame:
    """When something came whose key is not wholly known."""
    lacks = pl.col("keys").list.eval(pl.element().is_null()).list.any()
    own = facts.filter(lacks).select("keys", pane_of(control, pl.col("at")).alias("at"), "arrival")
    return pl.concat([own, panes.filter(lacks).select("keys", pl.col("pane").alias("at"), arrival="first_arrival")])


def said(control: WindowedControl, history: pl.DataFrame, until: int) -> pl.DataFrame:
    names = [pl.col("keys").list.get(place).alias(column.name) for place, column in enumerate(control.key)]
    rows = history.with_columns(unit_ids(control, history.with_columns(names)))
    told = rows.filter((pl.col("stated_at") <= until) & (pl.col("missing") != WAITING))
    return told.select(SAID_SCHEMA.names()).cast(SAID_SCHEMA)


@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_what_was_added_up_in_two_steps_says_what_all_facts_say(control: WindowedControl, data: st.DataObject) -> None:
    whole = cases.frame(data.draw(cases.facts_for(control)))
    first, second = sorted(data.draw(st.integers(0, 75)) * cases.SECOND for _ in range(2))
    watermark = data.draw(st.sampled_from([second, LONG_AFTER]))
    arrival = pl.col("arrival")
    panes = add(control, whole.filter(arrival <= first), pl.DataFrame(schema=PANES_SCHEMA))
    panes = add(control, whole.filter((arrival > first) & (arrival <= second)), panes)
    history = judge_windowed(control, whole.filter(arrival <= second), watermark_ns=second, now_ns=second)
    tail = whole.filter(arrival > second)
    folded = Folded(second, panes, said(control, history, second))
    ours = judge_windowed(
        control, tail, watermark_ns=watermark, now_ns=watermark, folded=folded, doubtful=points(control, tail, panes)
    )
    theirs = judge_windowed(control, whole, watermark_ns=watermark, now_ns=watermark)
    by = ["keys", "since", "stated_at"]
    assert ours.sort(by).rows() == theirs.sort(by).rows()
