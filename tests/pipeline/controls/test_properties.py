"""Two promises of the control language, for every shipped control and for generated ones.

Monotone: replacing a value by unknown leaves a verdict or makes it undetermined.
Equal: the text for ClickHouse, run by ClickHouse itself, gives the verdicts that `judge` gives.
"""

from __future__ import annotations

import dataclasses
import random
import re
from datetime import date
from typing import TYPE_CHECKING, Final

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from control_cases import (
    ALWAYS,
    INTEGERS,
    LISTS,
    ODD_TEXTS,
    ROWS,
    TEXTS,
    TIMES,
    TRUTHS,
    conditions,
    events_around,
    quoted,
    random_events,
)
from onshore_pipeline.controls.compiled import Compiled, compile_control
from onshore_pipeline.controls.engine import judge
from onshore_pipeline.controls.examples import example_frame
from onshore_pipeline.controls.lists import read_list
from onshore_pipeline.controls.load import control_set, load_controls
from onshore_pipeline.domain.event import COLUMNS_BY_NAME, DOMAINS, FIRST_DAY, FIRST_NS, LAST_DAY, LAST_NS, Kind

if TYPE_CHECKING:
    from pathlib import Path

    from clickhouse_engine import ClickHouse

SHIPPED: Final = load_controls()
GENERATED: Final = random_events(
    tuple(dict.fromkeys((*ALWAYS, *TEXTS, *INTEGERS, *TIMES, *TRUTHS, *LISTS))), 1, min(ROWS, 5_000)
)

every_shipped_control = pytest.mark.parametrize(
    "compiled", SHIPPED.executable, ids=lambda compiled: compiled.control.id
)
without_deadline = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def _control(applies: str, violated: str, outcomes: tuple[str, ...] = ("success",)) -> Compiled:
    control = dataclasses.replace(
        SHIPPED.executable[0].control,
        outcomes=outcomes,
        domains=DOMAINS[:2],
        effective_from=date(1971, 1, 1),
        applies=applies,
        violated=violated,
        group_by=("tenant",),
    )
    return compile_control(control, SHIPPED.lists)


def _verdicts(events: pl.DataFrame, compiled: Compiled) -> list[tuple[str, str]]:
    """Verdict and what was missing, by row, as `judge` counts them."""
    counts = judge(events, control_set([compiled], SHIPPED.lists)).counts
    assert counts["message"].is_unique().all()
    assert (counts["events"] == 1).all()
    said = {row[0]: row[1:] for row in counts.select("message", "verdict", "missing").iter_rows()}
    return [said.get(row, ("not_applicable", "")) for row in range(events.height)]


def _with_unknowns(events: pl.DataFrame, compiled: Compiled, rng: random.Random) -> pl.DataFrame:
    """The events with half of the values that a control reads replaced by unknown."""
    blanked = []
    for column in compiled.columns:
        if COLUMNS_BY_NAME[column.name].required and column.name != "outcome":
            continue
        empty = pl.lit([], dtype=pl.List(pl.String)) if column.kind is Kind.WORDS else pl.lit(None)
        unknown = pl.lit("unknown") if column.name == "outcome" else empty
        mask = pl.Series([rng.random() < 0.5 for _ in range(events.height)])
        blanked.append(pl.when(mask).then(unknown).otherwise(pl.col(column.name)).alias(column.name))
    return events.with_columns(blanked)


def _assert_monotone(compiled: Compiled, events: pl.DataFrame, rng: random.Random) -> None:
    before = _verdicts(events, compiled)
    after = _verdicts(_with_unknowns(events, compiled, rng), compiled)
    for (old, _), (new, _) in zip(before, after, strict=True):
        assert new in {old, "undetermined"}


def _assert_equal(compiled: Compiled, events: pl.DataFrame, clickhouse: ClickHouse, table: str) -> None:
    texts = compiled.clickhouse
    missing = f"if({texts.verdict} = 'undetermined', {texts.missing}, '')"
    assert clickhouse.select(table, texts.verdict, missing) == _verdicts(events, compiled)


@pytest.fixture(scope="session")
def generated_table(clickhouse: ClickHouse) -> str:
    return clickhouse.table(GENERATED)


@every_shipped_control
def test_random_events_reach_every_verdict_of_a_shipped_control(compiled: Compiled) -> None:
    reached = {verdict for verdict, _ in _verdicts(events_around(compiled), compiled)}
    assert reached == {"satisfied", "violated", "undetermined", "not_applicable"}


@every_shipped_control
def test_no_shipped_control_turns_an_unknown_into_a_verdict(compiled: Compiled) -> None:
    _assert_monotone(compiled, events_around(compiled), random.Random(2))


@every_shipped_control
def test_no_shipped_control_is_satisfied_where_claims_about_a_party_that_it_reads_disagree(compiled: Compiled) -> None:
    text = f"{compiled.control.applies} {compiled.control.violated}"
    # source_format is about the record, not about the source.
    read = set(re.findall(r"\b(actor|source|destination|key|transit)_(?!format\b)\w+", text))
    events = events_around(compiled)
    before = [verdict for verdict, _ in _verdicts(events, compiled)]
    for party in read:
        disputed = pl.Series([[f"{party}:declared=AU,geoip=US"]], dtype=pl.List(pl.String))
        after = _verdicts(
            events.with_columns(disputed.new_from_index(0, events.height).alias("contradictions")), compiled
        )
        assert "satisfied" in before
        assert "satisfied" not in {verdict for verdict, _ in after}, party


@every_shipped_control
def test_both_engines_give_the_same_verdicts_for_a_shipped_control(compiled: Compiled, clickhouse: ClickHouse) -> None:
    events = events_around(compiled)
    _assert_equal(compiled, events, clickhouse, clickhouse.table(events))


@settings(without_deadline, max_examples=50)
@given(applies=conditions, violated=conditions, seed=st.integers(0, 1_000))
def test_no_condition_turns_an_unknown_into_a_verdict(applies: str, violated: str, seed: int) -> None:
    _assert_monotone(_control(applies, violated), GENERATED, random.Random(seed))


@settings(without_deadline, max_examples=100)
@given(
    applies=conditions,
    violated=conditions,
    outcomes=st.sampled_from((("success",), ("failure", "denied"), ("success", "failure", "denied"))),
)
def test_both_engines_give_the_same_verdicts_for_any_condition(
    applies: str, violated: str, outcomes: tuple[str, ...], clickhouse: ClickHouse, generated_table: str
) -> None:
    _assert_equal(_control(applies, violated, outcomes), GENERATED, clickhouse, generated_table)


@pytest.mark.parametrize(
    ("first", "last"), [(date.min, date.max), (date(1600, 1, 1), date(2300, 1, 1)), (FIRST_DAY, LAST_DAY)]
)
def test_both_engines_take_a_day_that_no_event_can_pass_for_no_limit(
    first: date, last: date, clickhouse: ClickHouse, tmp_path: Path
) -> None:
    (tmp_path / "always.csv").write_text(f"member,valid_from,valid_to,source\nAU,{first},{last},\n")
    control = dataclasses.replace(
        _control("TRUE", "TRUE").control,
        effective_from=first,
        effective_to=last,
        violated="destination_country IN @always",
    )
    compiled = compile_control(control, {"always": read_list(tmp_path / "always.csv")})
    times = pl.Series("occurred_at", [FIRST_NS, FIRST_NS + 1, 0, LAST_NS - 1, LAST_NS]).cast(pl.Datetime("ns", "UTC"))
    like = example_frame(control, [{"destination_country": "AU"}] * len(times)).with_columns(times)
    events = like.select("row", "message", *ALWAYS, "destination_country")
    assert _verdicts(events, compiled) == [("violated", "")] * len(times)
    _assert_equal(compiled, events, clickhouse, clickhouse.table(events))


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_both_engines_read_the_same_text_from_a_literal(
    text: str, clickhouse: ClickHouse, generated_table: str
) -> None:
    compiled = _control("TRUE", f"dataset = {quoted(text)}", ("success", "failure", "denied"))
    assert ("violated", "") in _verdicts(GENERATED, compiled)
    _assert_equal(compiled, GENERATED, clickhouse, generated_table)
