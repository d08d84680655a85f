"""How many events got which verdict: the denominators of every statement about compliance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from onshore_pipeline.controls.compiled import MISSING_AGREEMENT, MISSING_OUTCOME
from onshore_pipeline.domain.event import EVENT_COLUMNS
from onshore_pipeline.domain.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from onshore_pipeline.controls.compiled import Compiled

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


def count_verdicts(
    events: pl.DataFrame, verdicts: pl.DataFrame, missing: Mapping[int, pl.Series], executable: Sequence[Compiled]
) -> pl.DataFrame:
    """Count verdicts by message, tenant, source format, hour, control, verdict and what was missing.

    Args:
        events: the batch, with `message`, `tenant`, `source_format` and `occurred_at`.
        verdicts: for the control at position k the boolean columns `sk`, `vk`, `uk`.
        missing: by position, what each undetermined event lacked, as `MISSING_NAMES`.
        executable: the controls.

    Returns:
        A frame of `COUNTS_SCHEMA`, ordered by message, control and verdict; the same in every run.
    """
    cells, cell_of = _cells(events)
    words = (Verdict.SATISFIED, Verdict.VIOLATED, Verdict.UNDETERMINED)
    rows: list[NDArray[np.int64]] = []
    for control in range(len(executable)):
        for word, letter in enumerate("svu"):
            at = np.flatnonzero(verdicts[f"{letter}{control}"].to_numpy())  # as arg_true, without a plan for each
            if at.size:
                lacked = missing[control].to_physical().to_numpy() if letter == "u" else None
                rows.append(_count(control, word, cell_of[at], lacked))
    table = np.concatenate([np.empty((0, 5), dtype=np.int64), *rows])
    table = table[np.argsort(table[:, 0], kind="stable")]
    cell, control, word, lacked, counted = table.T
    ids = pl.Series([each.control.id for each in executable], dtype=pl.String)
    versions = pl.Series([each.control.version for each in executable], dtype=pl.UInt32)
    frame = pl.DataFrame(
        [
            *(cells[name].gather(cell) for name in _CELL),
            ids.gather(control).alias("control_id"),
            versions.gather(control).alias("control_version"),
            pl.Series("verdict", [each.value for each in words]).gather(word),
            pl.Series("missing", list(_MISSING)).gather(lacked),
            pl.Series("events", counted),
        ]
    )
    return frame.cast(COUNTS_SCHEMA)


def _count(control: int, word: int, cells: NDArray[np.int64], lacked: NDArray[np.uint8] | None) -> NDArray[np.int64]:
    """Rows of (cell, control, verdict, missing, events)."""
    # Few names are missing at a time: number those, so that the table of cells and names stays small.
    names = np.zeros(1, dtype=np.int64) if lacked is None else np.flatnonzero(np.bincount(lacked))
    codes = cells
    if lacked is not None:
        position = np.zeros(len(_MISSING), dtype=np.int64)
        position[names] = np.arange(names.size)
        codes = cells * names.size + position[lacked]
    counted = np.bincount(codes)
    hit = np.flatnonzero(counted)
    same = np.ones_like(hit)
    return np.stack([hit // names.size, same * control, same * word, names[hit % names.size], counted[hit]], axis=1)


def _cells(events: pl.DataFrame) -> tuple[pl.DataFrame, NDArray[np.int64]]:
    """The distinct (message, tenant, source format, hour) of a batch, and the number of each event's own."""
    hour = pl.col("occurred_at").dt.truncate("1h").dt.cast_time_unit("ms").alias("hour")
    keyed = events.select("message", "tenant", "source_format", hour)
    cells = keyed.unique(maintain_order=True).with_row_index("cell")
    joined = keyed.join(cells, on=_CELL, how="left", nulls_equal=True, maintain_order="left")
    return cells, joined["cell"].cast(pl.Int64).to_numpy()
