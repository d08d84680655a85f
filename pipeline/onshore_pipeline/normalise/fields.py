"""Records with the attributes that columns are made of beside them, one column an attribute.

Only known keys become columns, and of those only the ones a batch really has: the rest read as null literals, which
cost nothing. Record and resource attributes keep separate names, because they describe different things.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from onshore_pipeline.compiled import compiled
from onshore_pipeline.views import numbered

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

_RESOURCE: Final = "resource:"


@dataclass(frozen=True, slots=True)
class Records:
    """Records of a batch, row by row, and how to read their attributes.

    Attributes:
        frame: the columns of `wire.frames.RECORDS_SCHEMA`, a column `KEY` for every known attribute that a record has
            and a column `resource:KEY` for every known attribute of its resource. Empty texts are null.
    """

    frame: pl.DataFrame
    columns: frozenset[str] = field(init=False)  # asked for often, and slow to ask the frame for

    def __post_init__(self) -> None:
        """Note the columns."""
        object.__setattr__(self, "columns", frozenset(self.frame.columns))

    def text(self, key: str) -> pl.Expr:
        """The record's own attribute `key` as text; null where it is absent or empty."""
        return self._column(key)

    def resource(self, key: str) -> pl.Expr:
        """The attribute `key` of the record's resource as text; null where it is absent or empty."""
        return self._column(_RESOURCE + key)

    def has(self, *keys: str) -> bool:
        """Whether any record of the batch has one of the attributes."""
        return any(key in self.columns for key in keys)

    def first(self, *keys: str) -> pl.Expr:
        """The first of the attributes that a record has."""
        return pl.coalesce([self.text(key) for key in keys])

    def any_of(self, *keys: str) -> pl.Expr:
        """Whether a record has any of the attributes; never null."""
        present = [pl.col(key).is_not_null() for key in keys if key in self.columns]
        return pl.any_horizontal(present) if present else pl.lit(False)

    def select(self, *expressions: pl.Expr) -> pl.DataFrame:
        """The expressions record by record, even where all of them are literals."""
        return self.frame.select("row", *expressions).drop("row")

    def filtered(self, keep: pl.Series) -> Records:
        """The records where `keep` is true."""
        return self if keep.all() else Records(self.frame.filter(keep))

    def _column(self, name: str) -> pl.Expr:
        return pl.col(name) if name in self.columns else pl.lit(None, pl.String)


def widen(
    records: pl.DataFrame,
    *,
    attributes: pl.DataFrame,
    resource_attributes: pl.DataFrame,
    resources: int,
    keys: frozenset[str],
    resource_keys: frozenset[str],
) -> Records:
    """Put the known attributes beside the records.

    Args:
        records: `wire.frames.RECORDS_SCHEMA` or more, `row` dense from 0.
        attributes: columns row, key, text; unique by (row, key).
        resource_attributes: columns resource, key, text; unique by (resource, key).
        resources: how many resources the batch has; their ids are dense from 0.
        keys: the record attributes that columns are made of.
        resource_keys: the same for resource attributes.
    """
    own = list(_columns(attributes, "row", keys, records.height))
    emitter = (
        column.gather(records["resource"]).alias(_RESOURCE + column.name)
        for column in _columns(resource_attributes, "resource", resource_keys, resources)
    )
    return Records(records.hstack([*own, *emitter]))


def _columns(attributes: pl.DataFrame, index: str, keys: frozenset[str], height: int) -> Iterable[pl.Series]:
    """One text column of `height` a known key that occurs, its values at the places that `index` names."""
    numbers, firsts, _ = numbered(attributes["key"])
    held = [None, *attributes["key"][firsts]]
    places, texts = attributes[index], attributes["text"]
    says = (texts != "").to_numpy() & (places < height).to_numpy()
    # Groups of positions, not a pivot: a pivot pays for every known key, this only for the ones that occur.
    ends, order = np.zeros(len(held), np.int64), np.empty(len(numbers), np.uint32)
    _group(numbers, says, np.array([key in keys for key in held]), ends, order)
    groups = pl.Series(order)
    for key, begin, end in zip(held[1:], ends[:-1], ends[1:], strict=True):
        if begin == end:
            continue
        own = groups.slice(begin, end - begin)
        if len(own) == height:
            yield texts.gather(own).alias(key)
            continue
        where = pl.repeat(None, height, dtype=pl.UInt32, eager=True)
        yield texts.gather(where.scatter(places.gather(own), own)).alias(key)


@compiled
def _group(
    numbers: NDArray[np.uint32],
    says: NDArray[np.bool_],
    is_wanted: NDArray[np.bool_],
    ends: NDArray[np.int64],
    order: NDArray[np.uint32],
) -> None:
    """The positions of what says something of each wanted number, one number after another: where each one's end."""
    for at in range(len(numbers)):
        if says[at] and is_wanted[numbers[at]]:
            ends[numbers[at]] += 1
    begins = np.empty(len(ends), np.int64)
    before = np.int64(0)
    for number in range(len(ends)):
        begins[number] = before
        before += ends[number]
        ends[number] = before
    for at in range(len(numbers)):
        if says[at] and is_wanted[numbers[at]]:
            order[begins[numbers[at]]] = at
            begins[numbers[at]] += 1
