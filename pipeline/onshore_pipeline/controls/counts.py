"""How many events got which verdict: the denominators of every statement about compliance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import polars as pl

from onshore_pipeline.controls.compiled import MISSING_AGREEMENT, MISSING_OUTCOME
from onshore_pipeline.domain.event import EVENT_COLUMNS
from onshore_pipeline.domain.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from onshore_pipeline.controls.compiled import Compiled
    from onshore_pipeline.controls.kinds import Batch

COUNTS_SCHEMA: Final = pl.Schema(
    {
        "message": pl.UInt32(),
        "tenant": pl.String(),
        "source_format": pl.String(),
        "hour": pl.Datetime("ms", "UTC"),
        "control_id": pl.String(),
        "control_version": pl.UInt32(),
        "verdict": pl.String(),
        "missing": pl.String(),
        "events": pl.UInt64(),
    }
)

_CELL: Final = ("message", "tenant", "source_format", "hour")

# What a count can name as missing; nothing, for a verdict that is not undetermined.
_NOTHING: Final = ""
_MISSING: Final = dict.fromkeys(
    (_NOTHING, MISSING_OUTCOME, MISSING_AGREEMENT, *(column.name for column in EVENT_COLUMNS))
)
MISSING_NAMES: Final = pl.Enum(list(_MISSING))

# Verdicts as numbers. An undetermined one always lacks something, and what it lacks is told apart from there on.
NOT_APPLICABLE, SATISFIED, VIOLATED, UNDETERMINED = range(4)
_WORDS: Final = (Verdict.SATISFIED, Verdict.VIOLATED, Verdict.UNDETERMINED)
# Above this, counting in a table costs more than sorting.
_MOST_CODES: Final = 1 << 22


class Decided(NamedTuple):
    """What one control says about each kind of event.

    Attributes:
        verdict: NOT_APPLICABLE, SATISFIED, VIOLATED or UNDETERMINED.
        missing: for an undetermined one, the place among `MISSING_NAMES` of what was missing first; else 0.
    """

    verdict: NDArray[np.uint8]
    missing: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Part:
    """The verdicts of some controls, by kind of event.

    Attributes:
        places: where these controls stand among all.
        kind_of: by event, the number of its kind.
        decided: what each of these controls says.
    """

    places: tuple[int, ...]
    kind_of: NDArray[np.int64]
    decided: tuple[Decided, ...]


class _Groups(NamedTuple):
    """How many events of a cell are of a kind, for those that are."""

    cell: NDArray[np.int64]
    kind: NDArray[np.int64]
    events: NDArray[np.int64]


def count_verdicts(batch: Batch, parts: Sequence[Part], executable: Sequence[Compiled]) -> pl.DataFrame:
    """Count verdicts by message, tenant, source format, hour, control, verdict and what was missing.

    Args:
        batch: events with `message`, `tenant`, `source_format` and `occurred_at`.
        parts: the verdicts, each control in one part.
        executable: the controls.

    Returns:
        A frame of `COUNTS_SCHEMA`, ordered by message, control and verdict; the same in every run.
    """
    grouped = batch.groups(_CELL)
    order = np.argsort(grouped.example)  # by first appearance, and so by message
    cells = batch.columns(_CELL)[grouped.example[order]]
    cell_of = np.argsort(order)[grouped.of_event]
    rows: list[tuple[int, NDArray[np.int64]]] = []
    for part in parts:
        groups = _groups(cell_of, cells.height, part)
        rows += [
            (place, _count(groups, decided, place)) for place, decided in zip(part.places, part.decided, strict=True)
        ]
    rows.sort(key=lambda row: row[0])
    table = np.concatenate([np.empty((0, 5), dtype=np.int64), *(counted for _, counted in rows)])
    table = table[np.argsort(table[:, 0], kind="stable")]
    cell, control, word, lacked, counted = table.T
    ids = pl.Series("control_id", [each.control.id for each in executable], dtype=pl.String)
    versions = pl.Series("control_version", [each.control.version for each in executable], dtype=pl.UInt32)
    frame = pl.DataFrame(
        [
            *(cells[name][cell] for name in _CELL),
            ids[control],
            versions[control],
            pl.Series("verdict", [each.value for each in _WORDS])[word],
            pl.Series("missing", list(_MISSING))[lacked],
            pl.Series("events", counted),
        ]
    )
    return frame.cast(COUNTS_SCHEMA)


def _groups(cell_of: NDArray[np.int64], cells: int, part: Part) -> _Groups:
    kinds = len(part.decided[0].verdict)
    if kinds == cell_of.size:
        return _Groups(cell_of, part.kind_of, np.ones(cell_of.size, dtype=np.int64))
    codes = cell_of * kinds + part.kind_of
    if cells * kinds <= _MOST_CODES:
        counted = np.bincount(codes)
        hit = np.flatnonzero(counted > 0)
        return _Groups(hit // kinds, hit % kinds, counted[hit])
    hit, counted = np.unique(codes, return_counts=True)
    return _Groups(hit // kinds, hit % kinds, counted)


def _count(groups: _Groups, decided: Decided, place: int) -> NDArray[np.int64]:
    """Rows of (cell, control, verdict, missing, events), by cell, verdict and missing."""
    # Few names are missing at a time: number those, so that the table of cells and names stays small.
    names = np.flatnonzero(np.bincount(decided.missing, minlength=1)[1:]) + 1
    code = decided.verdict.astype(np.int64)
    if names.size:
        is_open = decided.verdict == UNDETERMINED
        code[is_open] = UNDETERMINED + np.searchsorted(names, decided.missing[is_open])
    codes = UNDETERMINED + max(1, names.size)
    of_group = code[groups.kind]
    told = np.flatnonzero(of_group)
    weights = groups.events[told]
    counted = np.bincount(groups.cell[told] * codes + of_group[told], weights=weights).astype(np.int64)
    hit = np.flatnonzero(counted)
    said = hit % codes
    same = np.ones_like(hit)
    named = np.concatenate([np.zeros(UNDETERMINED, dtype=np.int64), names])
    return np.stack([hit // codes, same * place, np.minimum(said, UNDETERMINED) - 1, named[said], counted[hit]], axis=1)
