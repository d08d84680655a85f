"""Records with the attributes that columns are made of beside them, one column an attribute.

Only known keys become columns, and of those only the ones a batch really has: the rest read as null literals, which
cost nothing. Record and resource attributes keep separate names, because they describe different things.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    keys: pl.Enum,
    resource_keys: pl.Enum,
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


def _columns(attributes: pl.DataFrame, index: str, keys: pl.Enum, height: int) -> Iterable[pl.Series]:
    """One text column of `height` a known key that occurs, its values at the places that `index` names."""
    wanted = attributes.select(pl.col(index), pl.col("text"), pl.col("key").cast(keys, strict=False)).filter(
        pl.col("key").is_not_null() & (pl.col("text") != "") & (pl.col(index) < height)
    )
    # Groups of positions, not a pivot: a pivot pays for every known key, this only for the ones that occur.
    groups = wanted.select("key").with_row_index("at").group_by("key").agg("at")
    places, texts = wanted[index], wanted["text"]
    for key, own in zip(groups["key"], groups["at"], strict=True):
        if len(own) == height:
            yield texts.gather(own).alias(key)
            continue
        where = pl.repeat(None, height, dtype=pl.UInt32, eager=True)
        yield texts.gather(where.scatter(places.gather(own), own)).alias(key)
