"""Country codes as sent → upper-case alpha-2; what names no country becomes unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.distinct import by_distinct
from onshore_pipeline.views import numbered

if TYPE_CHECKING:
    from onshore_pipeline.context import Countries

NONE: Final = "none"  # the explicit statement that there is no such country
_LIST: Final = pl.List(pl.String)


def country_codes(column: pl.Series, countries: Countries) -> pl.Series:
    """A column of codes or names in any spelling → alpha-2, null where it names no country."""

    def spelled(values: pl.Series) -> pl.DataFrame:
        return pl.Series("code", [_code(text, countries) for text in values], dtype=pl.String).to_frame()

    return by_distinct(column, spelled, {"code": pl.String()}).to_series().alias(column.name)


def country_lists(column: pl.Series, countries: Countries) -> pl.Series:
    """A column of lists of codes → lists of alpha-2 in the order sent.

    One element that names no country makes the whole list unknown (empty): the countries left would look complete.
    ['none'] is an explicit statement and stays; 'none' beside countries contradicts itself and makes the list unknown.
    """
    empty = pl.lit([], dtype=_LIST)
    name = column.name
    elements = column.explode(empty_as_null=False, keep_nulls=False)
    sent = elements[numbered(elements).firsts].to_list()
    if not sent and not column.null_count() and not len(elements):
        return column
    if not sent:
        return pl.Series(name, [[]], dtype=_LIST).new_from_index(0, len(column))
    code_of = {text: NONE if text.strip().upper() == NONE.upper() else _code(text, countries) for text in sent}
    is_whole = not column.null_count() and not elements.null_count()
    if is_whole and all(code == text != NONE for text, code in code_of.items()):
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


def _code(text: str, countries: Countries) -> str | None:
    """What a text stands for: of few texts and many spellings Polars would build a table every time."""
    return countries.by_spelling.get(text.strip().upper())
