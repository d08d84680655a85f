"""Judging events: every control on every event in one pass, three-valued, as frames.

The texts evaluated here are the published ones (`compiled.EngineTexts`), the same that run over history in the store.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from onshore_pipeline.controls.counts import MISSING_NAMES, count_verdicts
from onshore_pipeline.controls.fingerprints import violations_of
from onshore_pipeline.controls.load import ControlSet
from onshore_pipeline.controls.texts import FLAG_PREFIX
from onshore_pipeline.domain.event import COLUMNS_BY_NAME, Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onshore_pipeline.controls.compiled import Compiled


@dataclass(frozen=True, slots=True)
class Judged:
    """What the controls say about a batch.

    Attributes:
        counts: how many events of a message, tenant, source format and hour (of `occurred_at`, UTC) got which verdict
            of which control: message, tenant, source_format, hour, control_id, control_version, verdict ('satisfied',
            'violated' or 'undetermined'), missing (for undetermined: what was missing first, else ''), events. Events
            that a control does not apply to are not counted. The order is the same in every run.
        violations: one row a violated event and control, ordered by them: row, control_id, control_version, kind,
            severity, finding_id (16 bytes), fingerprint (list of {key, value}).
    """

    counts: pl.DataFrame
    violations: pl.DataFrame


def judge(events: pl.DataFrame, controls: ControlSet) -> Judged:
    """Judge every event by every executable control.

    Args:
        events: located events: `row`, `message`, `source_format` and the columns of `event_frame` that controls read.
        controls: the controls in force.
    """
    executable = controls.executable
    facts = _facts(events, executable)
    verdicts = _verdicts(facts, executable)
    violated = ((each.control, verdicts[f"v{index}"]) for index, each in enumerate(executable))
    return Judged(
        count_verdicts(events, verdicts, _missing(facts, verdicts, executable), executable),
        violations_of(events, [(control, is_so.arg_true()) for control, is_so in violated if is_so.any()]),
    )


def _facts(events: pl.DataFrame, executable: Sequence[Compiled]) -> pl.DataFrame:
    """The columns that verdicts read, and whose claims disagree. Words become categories, which compare as integers.

    The categories are of this batch alone and are freed with it: no cache of strings grows over weeks.
    """
    categories = pl.Categorical(pl.Categories.random())
    read = sorted({column.name for compiled in executable for column in compiled.columns})
    facts = events.select(
        pl.col(name).cast(categories) if COLUMNS_BY_NAME[name].kind is Kind.WORD else pl.col(name) for name in read
    )
    parties = sorted({party for compiled in executable for party in compiled.parties})
    return facts.hstack(_contradicted(events["contradictions"], parties))


def _contradicted(contradictions: pl.Series, parties: Sequence[str]) -> list[pl.Series]:
    """For each party, whether claims about it disagree."""
    flags = {party: np.zeros(len(contradictions), dtype=np.bool_) for party in parties}
    disputed = (contradictions.list.len() > 0).arg_true()
    if parties and disputed.len():
        claims = pl.DataFrame({"at": disputed, "claim": contradictions.gather(disputed)}).explode("claim")
        about = claims.select("at", *(pl.col("claim").str.starts_with(f"{party}:").alias(party) for party in parties))
        for party in parties:
            flags[party][about["at"].to_numpy()[about[party].to_numpy()]] = True
    return [pl.Series(f"{FLAG_PREFIX}{party}", flags[party]) for party in parties]


def _verdicts(facts: pl.DataFrame, executable: Sequence[Compiled]) -> pl.DataFrame:
    """Three columns a control, never null: satisfied, violated, undetermined (s, v, u and its position)."""
    parts = {"a": "applies", "b": "violated", "c": "contradicted"}
    # Lazily, so that what several controls ask is answered once; what follows has nothing in common, and in one plan
    # with it would only be looked at longer.
    staged = facts.lazy().select(
        _expression(getattr(compiled.polars, part)).alias(f"{letter}{index}")
        for index, compiled in enumerate(executable)
        for letter, part in parts.items()
    )
    return staged.collect().select(verdict for index in range(len(executable)) for verdict in _verdict(index))


@lru_cache(maxsize=4096)
def _verdict(index: int) -> tuple[pl.Expr, pl.Expr, pl.Expr]:
    applies, broken, contradicted = (pl.col(f"{letter}{index}") for letter in "abc")
    satisfied = (applies & ~broken & ~contradicted).fill_null(False)
    violated = (applies & broken).fill_null(False)
    undetermined = ~((~applies).fill_null(False) | satisfied | violated)
    return satisfied.alias(f"s{index}"), violated.alias(f"v{index}"), undetermined.alias(f"u{index}")


@lru_cache(maxsize=4096)
def _expression(text: str) -> pl.Expr:
    return pl.sql_expr(text)


def _missing(facts: pl.DataFrame, verdicts: pl.DataFrame, executable: Sequence[Compiled]) -> dict[int, pl.Series]:
    """What was missing in each undetermined event, by the position of the control; only where there are some."""
    open_ones = [index for index in range(len(executable)) if verdicts[f"u{index}"].any()]
    if not open_ones:
        return {}
    undecided = verdicts.select(pl.any_horizontal(f"u{index}" for index in open_ones)).to_series()
    words = (
        facts.lazy()
        .filter(undecided)
        .select(
            _expression(executable[index].polars.missing).cast(MISSING_NAMES).alias(f"{index}") for index in open_ones
        )
    )
    named = words.collect()
    return {index: named[f"{index}"].filter(verdicts[f"u{index}"].filter(undecided)) for index in open_ones}


__all__ = ["ControlSet", "Judged", "judge"]
