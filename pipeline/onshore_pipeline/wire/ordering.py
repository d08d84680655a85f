"""The order in which attributes are kept: by owner, then by key, of equal keys the last one sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from onshore_pipeline.compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

_UINT64_BITS: Final = 64
# Sorting by insertion takes the square of an owner's attributes: quick for what people send, not for what enemies do.
_FEW: Final = 64


def sorted_unique(owners: pl.Series, ranks: pl.Series) -> pl.Series:
    """Positions sorted by (owner, rank), of equal pairs the last position only; UInt32.

    `owners` rise and `ranks` do not, both UInt32 without nulls and not empty. Owner by owner in compiled code, which
    takes 0.2 us of CPU an event less than one sort over all; owners of very many attributes are sorted all at once.
    """
    order = np.empty(len(owners), np.uint32)
    kept = _order(_fixed(owners), _fixed(ranks), order)
    return pl.Series(order[:kept]) if kept >= 0 else _all_at_once(owners, ranks)


def _fixed(values: pl.Series) -> NDArray[np.uint32]:
    """As an array that nobody writes to: one type of argument, so that one version is compiled."""
    array = values.to_numpy()
    array.flags.writeable = False
    return array


@compiled
def _order(owners: NDArray[np.uint32], ranks: NDArray[np.uint32], order: NDArray[np.uint32]) -> int:
    """Fill `order` and return how many positions it holds; -1 where an owner has more than a few."""
    kept, first, begun = 0, 0, 0
    for position in range(len(owners)):
        if owners[position] != owners[begun]:
            first, begun = kept, position
        elif position - begun >= _FEW:
            return -1
        rank = ranks[position]
        place = kept
        while place > first and ranks[order[place - 1]] > rank:
            place -= 1
        if place > first and ranks[order[place - 1]] == rank:
            order[place - 1] = position
            continue
        for later in range(kept, place, -1):
            order[later] = order[later - 1]
        order[place] = position
        kept += 1
    return kept


def _all_at_once(owners: pl.Series, ranks: pl.Series) -> pl.Series:
    position_bits = len(owners).bit_length()
    rank_bits = int(ranks.max()).bit_length()  # type: ignore[arg-type]
    pairs = pl.DataFrame({"owner": owners, "rank": ranks})
    if position_bits + rank_bits + int(owners.max()).bit_length() > _UINT64_BITS:  # type: ignore[arg-type]
        ordered = pairs.with_row_index("position").unique(["owner", "rank"], keep="last").sort("owner", "rank")
        return ordered["position"]
    # One integer that sorts like (owner, rank, position): sorting integers is five times faster than sorting rows.
    packed = pairs.select(
        pl.col("owner").cast(pl.UInt64) * pl.lit(2 ** (position_bits + rank_bits), pl.UInt64)
        + pl.col("rank").cast(pl.UInt64) * pl.lit(2**position_bits, pl.UInt64)
        + pl.int_range(pl.len(), dtype=pl.UInt64).alias("packed")
    ).to_series()
    ordered = pl.DataFrame({"packed": packed.sort()})
    pair = pl.col("packed") // 2**position_bits
    last_of_pair = (pair != pair.shift(-1)).fill_null(True)
    return ordered.filter(last_of_pair).select((pl.col("packed") % 2**position_bits).cast(pl.UInt32)).to_series()
