"""Country codes as sent → upper-case alpha-2; what names no country becomes unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.distinct import by_distinct

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onshore_pipeline.context import Countries

NONE: Final = "none"  # the explicit statement that there is no such country
_LIST: Final = pl.List(pl.String)


def country_codes(column: pl.Series, countries: Countries) -> pl.Series:
    """A column of codes or names in any spelling → alpha-2, null where it names no country."""

    def spelled(values: pl.Series) -> pl.DataFrame:
        return pl.Series("code", _spelled(values, countries.by_spelling), dtype=pl.String).to_frame()

    return by_distinct(column, spelled, {"code": pl.String()}).to_series().alias(column.name)


def country_lists(column: pl.Series, countries: Countries) -> pl.Series:
    """A column of lists of codes → lists of alpha-2 in the order sent.

    One element that names no country makes the whole list unknown (empty): the countries left would look complete.
    ['none'] is an explicit statement and stays; 'none' beside countries contradicts itself and makes the list unknown.
    """
    empty = pl.lit([], dtype=_LIST)
    name = column.name
    lengths = column.list.len()
    if not lengths.sum():
        return pl.Series(name, [[]], dtype=_LIST).new_from_index(0, len(column))
    spellings = countries.by_spelling | {NONE.upper(): NONE}
    sent = column.explode().drop_nulls().unique()
    code_of = dict(zip(sent.to_list(), _spelled(sent, spellings), strict=True))
    single = column.list.first()
    if lengths.max() == 1 and single.is_in(list(countries.codes)).all():
        return column  # spelled as they are stored
    codes = pl.col(name).list.eval(pl.element().replace_strict(code_of, default=None, return_dtype=pl.String))
    known = ~pl.col("codes").list.eval(pl.element().is_null()).list.any()
    consistent = ~pl.col("codes").list.contains(NONE) | (pl.col("codes").list.len() == 1)
    return (
        column.to_frame()
        .select(codes.alias("codes"))
        .select(pl.when(known & consistent).then("codes").otherwise(empty).alias(name))
        .to_series()
    )


def _spelled(texts: pl.Series, spellings: Mapping[str, str]) -> list[str | None]:
    """What each text stands for; for few texts and many spellings, of which Polars would build a table every time."""
    return [spellings.get(text) for text in texts.str.strip_chars().str.to_uppercase().to_list()]
