"""Events by what they have in common, and the doubt that events cast whose own key is not wholly known.

An event that lacks a key column may belong to every key that agrees with it in the others: none of those can be found
satisfied where it might have mattered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from onshore_pipeline.controls.earliest import NEVER, Earliest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from onshore_pipeline.controls.condition import Column


@dataclass(frozen=True, slots=True)
class Keyed:
    """Facts with the number of their key.

    Attributes:
        facts: `windowed_facts.FACTS_SCHEMA` without keys and with `key`, by (key, at, arrival, event).
        also: other frames with `key` for `keys`, in their order.
        keys: one row a key, at the place of its number: a text column for each of the control's key columns.
        unknown: by key, the name of the first key column that is unknown; '' if none is.
    """

    facts: pl.DataFrame
    also: tuple[pl.DataFrame, ...]
    keys: pl.DataFrame
    unknown: pl.Series


def keyed(facts: pl.DataFrame, key: Sequence[Column], also: Sequence[pl.DataFrame] = ()) -> Keyed:
    """Number the keys of facts and of other frames with `keys`. A fact that was handed over twice counts once."""
    names = [column.name for column in key]
    columns = [f"key_{name}" for name in names]
    parts = [pl.col("keys").list.get(place).alias(column) for place, column in enumerate(columns)]
    frames = [
        frame.select(pl.exclude("keys"), *parts) for frame in (facts.unique(["event_id", "role"], keep="any"), *also)
    ]
    different = pl.concat([frame.select(columns) for frame in frames]).unique().sort(columns)
    keys = different.with_row_index("key").with_columns(pl.col("key").cast(pl.Int64))
    numbered = [
        frame.join(keys, on=columns, how="left", nulls_equal=True, maintain_order="left").drop(columns)
        for frame in frames
    ]
    named = keys.select(
        pl.coalesce(*(pl.when(pl.col(f"key_{name}").is_null()).then(pl.lit(name)) for name in names), pl.lit(""))
    ).to_series()
    found = keys.select(pl.col(f"key_{name}").alias(name) for name in names)
    ordered = numbered[0].sort("key", "at", "arrival", "event_id", "role")
    return Keyed(ordered, tuple(numbered[1:]), found, named)


class Doubts:
    """When the first event that may belong to a key, and lacks the column that would say so, was there."""

    def __init__(self, keyed: Keyed, facts: pl.DataFrame) -> None:
        """Of those of `facts` (key, at, arrival) whose key is not wholly known."""
        self._patterns: list[tuple[str, NDArray[np.int64], Earliest]] = []
        keyless = facts.filter(keyed.unknown.gather(facts["key"]) != "")
        if keyless.is_empty():
            return
        keys = keyed.keys
        known_of = keys.select(pl.concat_list(pl.all().is_not_null()).alias("p")).to_series()
        patterns = known_of.gather(keyless["key"]).unique().sort()
        for pattern in patterns:
            known = [name for name, is_known in zip(keys.columns, pattern, strict=True) if is_known]
            missing = next(name for name, is_known in zip(keys.columns, pattern, strict=True) if not is_known)
            groups = np.zeros(keys.height, dtype=np.int64)
            if known:
                groups = keys.select(pl.struct(known).rank("dense").cast(pl.Int64)).to_series().to_numpy()
            same = keys.select(
                (pl.col(name).is_not_null() == is_known) for name, is_known in zip(keys.columns, pattern, strict=True)
            )
            of_pattern = keyless.filter(same.select(pl.all_horizontal(pl.all())).to_series().gather(keyless["key"]))
            at = groups[of_pattern["key"].to_numpy()]
            points = Earliest(at, of_pattern["at"].to_numpy(), of_pattern["arrival"].to_numpy())
            self._patterns.append((missing, groups, points))

    def between(
        self, key: NDArray[np.int64], low: NDArray[np.int64], high: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], pl.Series]:
        """For keys and times (both ends included): since when there is doubt, else `NEVER`; what was missing."""
        when = np.full(len(key), NEVER, dtype=np.int64)
        missing = np.full(len(key), "", dtype=object)
        for name, groups, points in self._patterns:
            found = points.between(groups[key], low, high)
            sooner = found < when
            when[sooner], missing[sooner] = found[sooner], name
        return when, pl.Series(missing.tolist(), dtype=pl.String)
