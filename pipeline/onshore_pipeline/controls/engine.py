"""Judging events: every control on every event in one pass, three-valued, as frames; what is alike is asked once.

The texts evaluated here are the published ones (`compiled.EngineTexts`), the same that run over history in the store.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from onshore_pipeline.controls.counts import VIOLATED, Part, count_verdicts
from onshore_pipeline.controls.decisions import decide
from onshore_pipeline.controls.fingerprints import violations_of
from onshore_pipeline.controls.kinds import Batch, Kinds, each_its_own
from onshore_pipeline.controls.load import ControlSet
from onshore_pipeline.controls.texts import FLAG_PREFIX
from onshore_pipeline.domain.event import COLUMNS_BY_NAME, Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onshore_pipeline.controls.compiled import Compiled
    from onshore_pipeline.domain.control import Control


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
    batch = Batch(events, controls.gates.limits_ns)
    executable = controls.gates.could_apply(batch)
    parts = [
        _judged(batch, places, executable, kinds)
        for places, kinds in (_by_kind(batch, executable), _one_by_one(batch, executable))
        if places
    ]
    return Judged(count_verdicts(batch, parts, executable), violations_of(events, _violated(parts, executable)))


def _by_kind(batch: Batch, executable: Sequence[Compiled]) -> tuple[list[int], Kinds]:
    """Controls that read only what repeats, and the kinds of events that they can tell apart."""
    places = [place for place, compiled in enumerate(executable) if compiled.limits_ns is not None]
    some = [executable[place] for place in places]
    return places, batch.kinds([*_columns(some), *_flags(some)])


def _one_by_one(batch: Batch, executable: Sequence[Compiled]) -> tuple[list[int], Kinds]:
    places = [place for place, compiled in enumerate(executable) if compiled.limits_ns is None]
    return places, each_its_own(batch.events.height)


def _judged(batch: Batch, places: Sequence[int], executable: Sequence[Compiled], kinds: Kinds) -> Part:
    """Verdicts of some controls on one event of each kind."""
    some = [executable[place] for place in places]
    facts = batch.columns([*_columns(some), *_flags(some)])
    if len(kinds.example) < facts.height:
        facts = facts[kinds.example]
    # Words become categories, which compare as integers. The categories are of this batch alone and are freed with it:
    # no cache of strings grows over weeks.
    categories = pl.Categorical(pl.Categories.random())
    words = [name for name in _columns(some) if COLUMNS_BY_NAME[name].kind is Kind.WORD]
    facts = facts.with_columns(pl.col(words).cast(categories))
    return Part(tuple(places), kinds.of_event, tuple(decide(facts, some)))


def _columns(some: Sequence[Compiled]) -> list[str]:
    return sorted({column.name for compiled in some for column in compiled.columns})


def _flags(some: Sequence[Compiled]) -> list[str]:
    return sorted({FLAG_PREFIX + party for compiled in some for party in compiled.parties})


def _violated(parts: Sequence[Part], executable: Sequence[Compiled]) -> list[tuple[Control, pl.Series]]:
    """Each control that an event violates, in their order, with the positions of those events."""
    found: dict[int, pl.Series] = {}
    for part in parts:
        for place, decided in zip(part.places, part.decided, strict=True):
            is_so = decided.verdict == VIOLATED
            if is_so.any():
                found[place] = pl.Series(np.flatnonzero(is_so[part.kind_of]).astype(np.uint32))
    return [(executable[place].control, found[place]) for place in sorted(found)]


__all__ = ["ControlSet", "Judged", "judge"]
