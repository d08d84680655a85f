"""Asking a batch first which controls concern it changes nothing but the time that judging takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from control_cases import events_around
from onshore_pipeline.controls import gates, kinds
from onshore_pipeline.controls.compiled import Span, within
from onshore_pipeline.controls.engine import judge
from onshore_pipeline.controls.examples import example_events
from onshore_pipeline.controls.kinds import Batch
from onshore_pipeline.controls.load import control_set

if TYPE_CHECKING:
    import pytest

    from onshore_pipeline.controls.load import ControlSet


def _everything(packs: ControlSet) -> pl.DataFrame:
    """The examples of all controls, each a message."""
    frames = [example_events(compiled.control).drop("row", "message") for compiled in packs.executable]
    number = pl.int_range(pl.len(), dtype=pl.UInt32)
    return pl.concat(frames).with_columns(number.alias("row"), number.alias("message"))


def test_verdicts_are_the_same_with_every_gate_open(packs: ControlSet, monkeypatch: pytest.MonkeyPatch) -> None:
    events = _everything(packs)
    gated = [judge(part, packs).counts for part in events.iter_slices(7)]
    assert any(len(packs.gates.could_apply(Batch(part, ()))) < len(packs.executable) for part in events.iter_slices(7))
    monkeypatch.setattr(gates, "MOST_KINDS", 0)
    assert packs.gates.could_apply(Batch(events, ())) == packs.executable
    assert pl.concat(gated).equals(pl.concat([judge(part, packs).counts for part in events.iter_slices(7)]))


def test_a_control_is_asked_about_every_batch_that_it_says_something_of(packs: ControlSet) -> None:
    for compiled in packs.executable:
        events = events_around(compiled)
        if compiled.gate is not None:
            [alone] = [each for each in packs.executable if each is compiled]
            assert alone in gates.Gates([compiled]).could_apply(Batch(events, ()))


def test_a_batch_of_one_kind_concerns_few_controls(packs: ControlSet) -> None:
    events = _everything(packs).filter(pl.col("action") == "dns.query")
    asked = [each.control.id for each in packs.gates.could_apply(Batch(events, ())) if each.gate]
    assert asked == ["SOV-09-01"]  # SOV-24-01 has no gate: it is of claims that disagree, which no kind of event tells


def test_a_text_is_asked_only_about_batches_that_its_time_touches(packs: ControlSet) -> None:
    events = _everything(packs)
    times = events["occurred_at"].dt.epoch("ns").to_numpy()
    first, last = int(times.min()), int(times.max())
    spans = [Span(), Span(None, first), Span(None, first + 1), Span(last, None), Span(last + 1, None)]
    for compiled in packs.executable[:3]:
        texts = [within(compiled, span) for span in spans]
        asked = gates.Gates(texts).could_apply(Batch(events, ()))
        assert [each.span for each in asked] == [spans[0], spans[2], spans[3]]
        left_out = control_set([texts[1], texts[4]], packs.lists)
        assert judge(events, left_out).counts.is_empty()


def test_judging_by_kind_says_what_judging_one_by_one_says(packs: ControlSet, monkeypatch: pytest.MonkeyPatch) -> None:
    events = pl.concat([_everything(packs)] * 3).with_columns(pl.int_range(pl.len(), dtype=pl.UInt32).alias("row"))
    by_kind = judge(events, packs)
    assert len(kinds.Batch(events, packs.gates.limits_ns).kinds(["action", "domain"]).example) < events.height
    monkeypatch.setattr(kinds.Batch, "kinds", lambda batch, _: kinds.each_its_own(batch.events.height))
    one_by_one = judge(events, packs)
    assert by_kind.counts.equals(one_by_one.counts)
    assert by_kind.violations.equals(one_by_one.violations)


def test_verdicts_are_those_of_the_published_text(packs: ControlSet) -> None:
    for compiled in packs.executable:
        events = events_around(compiled)
        flags = [f"contradicted_{party}" for party in compiled.parties]
        facts = kinds.Batch(events, ()).columns([*{column.name for column in compiled.columns}, *flags])
        published = facts.select(pl.sql_expr(compiled.polars.verdict).alias("verdict")).to_series()
        counted = judge(events, control_set([compiled], packs.lists)).counts.group_by("verdict").len()
        said = {word: count for word, count in published.value_counts().iter_rows() if word != "not_applicable"}
        assert dict(counted.iter_rows()) == said


def test_two_times_are_of_one_kind_only_if_no_limit_lies_between_them() -> None:
    limits = [10, 11, 20, 21]
    times = [0, 9, 10, 11, 19, 20, 21, 99]
    events = pl.DataFrame({"occurred_at": pl.Series(times).cast(pl.Datetime("ns", "UTC"))})
    assert kinds.Batch(events, limits).groups(["occurred_at"]).of_event.tolist() == [0, 0, 1, 2, 2, 3, 4, 4]
