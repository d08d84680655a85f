"""What is left of an event is the same in Polars and in the store's engine, and no unknown improves a verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import windowed_cases as cases
from control_cases import random_events
from onshore_pipeline.controls.load import load_controls
from onshore_pipeline.controls.windowed_facts import facts_of, facts_select
from onshore_pipeline.controls.windowed_verdicts import judge_windowed

if TYPE_CHECKING:
    from clickhouse_engine import ClickHouse
    from onshore_pipeline.controls.windowed import WindowedControl

LONG_AFTER: Final = 10**18
SHIPPED: Final = {each.control.id: each for each in load_controls().windowed}
FACT: Final = ("role", "arrival", "at", "keys", "vals", "sure", "missing", "disputed")


def the_same_facts(windowed: WindowedControl, clickhouse: ClickHouse, seed: int) -> None:
    read = {column.name for role in windowed.roles for column in role.columns}
    names = sorted({*read, *(column.name for column in (*windowed.key, *windowed.values)), "contradictions", "tenant"})
    events = random_events(names, seed)
    table = clickhouse.table(events)
    events = events.with_columns(pl.col("row").cast(pl.Int64).alias("arrival"), pl.lit(b"").alias("event_id"))
    stored = f"(SELECT *, row AS event_id, toInt64(row) AS arrival FROM {table})"
    answered = [
        tuple(row)
        for role in range(len(windowed.roles))
        for row in clickhouse.rows(
            f"SELECT {', '.join(FACT)} FROM ({facts_select(windowed, role, stored, '1')}) ORDER BY role, arrival"
        )
    ]
    ours = facts_of(windowed, events).select(FACT).sort("role", "arrival").rows()
    assert [(*row[:2], int(row[2]), *row[3:5], bool(row[5]), row[6], bool(row[7])) for row in answered] == ours
    assert {row[5] for row in ours} <= {True, False}


@pytest.mark.parametrize("windowed", SHIPPED.values(), ids=SHIPPED)
def test_both_engines_take_the_same_from_events(windowed: WindowedControl, clickhouse: ClickHouse) -> None:
    the_same_facts(windowed, clickhouse, seed=7)


@pytest.fixture(scope="module", params=[*SHIPPED, *range(len(cases.EVERY_KIND))])
def control(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> WindowedControl:
    if isinstance(request.param, str):
        return SHIPPED[request.param]
    return cases.read(tmp_path_factory.mktemp("control"), cases.EVERY_KIND[request.param])


@given(data=st.data())
@settings(deadline=None, max_examples=40)
def test_a_fact_that_goes_missing_leaves_a_verdict_or_makes_it_undetermined(
    control: WindowedControl, data: st.DataObject
) -> None:
    facts = data.draw(cases.facts_for(control, cases.tick_of(control)))
    whole = cases.frame(facts)
    lost = whole.with_row_index("place")
    at = data.draw(st.integers(0, whole.height - 1))
    is_it = pl.col("place") == at
    less = data.draw(st.sampled_from(["sure", "vals", "keys"]))
    unknown = {
        "sure": pl.lit(value=False),
        "vals": pl.col("vals").list.eval(pl.lit(None, pl.String)),
        "keys": pl.concat_list(pl.lit("t"), *(pl.lit(None, pl.String) for _ in control.key[1:])),
    }[less]
    if less == "keys":  # an event is of one key in all of its roles
        is_it = pl.col("event_id") == whole["event_id"][at]
    lost = lost.with_columns(pl.when(is_it).then(unknown).otherwise(pl.col(less)).alias(less)).drop("place")
    before, after = (
        {
            (tuple(row["keys"]), row["since"], row["event_id"]): row["verdict"]
            for row in judge_windowed(control, each, watermark_ns=LONG_AFTER, now_ns=LONG_AFTER).iter_rows(named=True)
        }
        for each in (whole, lost)
    )
    is_absence = control.windowed.kind == "absence"
    turned = {
        unit: (before[unit], after[unit])
        for unit in before.keys() & after.keys()
        if after[unit] not in {before[unit], "undetermined"}
    }
    assert not turned
    if less != "keys" and not is_absence:
        assert before.keys() == after.keys()
