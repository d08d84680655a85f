"""The verdicts of a control that looks at more than one event: a pure function of facts, their arrival and the time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from onshore_pipeline.controls.windowed_chains import judge_chains
from onshore_pipeline.controls.windowed_units import judge_windows

if TYPE_CHECKING:
    from onshore_pipeline.controls.windowed import WindowedControl
    from onshore_pipeline.controls.windowed_panes import Folded


def judge_windowed(
    control: WindowedControl,
    facts: pl.DataFrame,
    *,
    watermark_ns: int,
    now_ns: int,
    folded: Folded | None = None,
    doubtful: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """The history of every window, sequence or absence that begins among `facts`, a row a change of its verdict.

    Args:
        control: the control.
        facts: `windowed_facts.FACTS_SCHEMA`; one that is there twice counts once.
        watermark_ns: everything that arrived before is among them.
        now_ns: the clock, never before `watermark_ns`.
        folded: of windows, what was added up before, so that `facts` are only those that arrived since.
        doubtful: of windows, where it is not `facts` that say so: keys, at and arrival of what may belong to any key.

    Returns:
        `windowed_history.HISTORY_SCHEMA`.
    """
    if control.windowed.kind != "window":
        return judge_chains(control, facts, watermark_ns=watermark_ns, now_ns=now_ns)
    return judge_windows(control, facts, watermark_ns=watermark_ns, now_ns=now_ns, folded=folded, doubtful=doubtful)


def begins_within(control: WindowedControl) -> pl.Expr:
    """Whether a unit that begins at `since` is this text's to judge: its beginning decides, wherever it ends."""
    since, span = pl.col("since"), control.span
    after = pl.lit(value=True) if span.since_ns is None else since >= span.since_ns
    return after if span.until_ns is None else after & (since < span.until_ns)
