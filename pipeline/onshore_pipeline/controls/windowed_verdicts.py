"""The verdicts of a control that looks at more than one event: a pure function of facts, their arrival and the time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from onshore_pipeline.controls.windowed_chains import judge_chains
from onshore_pipeline.controls.windowed_units import judge_windows

if TYPE_CHECKING:
    from onshore_pipeline.controls.windowed import WindowedControl


def judge_windowed(control: WindowedControl, facts: pl.DataFrame, *, watermark_ns: int, now_ns: int) -> pl.DataFrame:
    """The history of every window, sequence or absence that begins among `facts`, a row a change of its verdict.

    Args:
        control: the control.
        facts: `windowed_facts.FACTS_SCHEMA`; one that is there twice counts once.
        watermark_ns: everything that arrived before is among them.
        now_ns: the clock, never before `watermark_ns`.

    Returns:
        `windowed_history.HISTORY_SCHEMA`.
    """
    judged = judge_windows if control.windowed.kind == "window" else judge_chains
    return judged(control, facts, watermark_ns=watermark_ns, now_ns=now_ns)


def begins_within(control: WindowedControl) -> pl.Expr:
    """Whether a unit that begins at `since` is this text's to judge: its beginning decides, wherever it ends."""
    since, span = pl.col("since"), control.span
    after = pl.lit(value=True) if span.since_ns is None else since >= span.since_ns
    return after if span.until_ns is None else after & (since < span.until_ns)
