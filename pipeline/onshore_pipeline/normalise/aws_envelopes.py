"""What AWS wraps records in on their way: EventBridge, CloudWatch Logs subscriptions, CloudTrail Lake."""

from __future__ import annotations

from typing import Final

import polars as pl

# A wrapper's own field → where the record stands in it.
_WRAPPERS: Final = {
    '"detail-type"': "$.detail",
    '"logEvents"': "$.logEvents[0].message",
    '"eventData"': "$.eventData",
}
_ANOTHER: Final = "$.logEvents[1]"


def unwrapped(texts: pl.Series) -> pl.Series:
    """The records inside their wrappers; other texts as they are.

    A CloudWatch Logs batch of several records stays as it is: whoever reads it must send them one by one.
    """
    text = pl.col("text")
    marked = pl.any_horizontal(text.str.contains(mark, literal=True) for mark in _WRAPPERS)
    found = texts.alias("text").to_frame().select((marked & text.str.starts_with("{")).fill_null(False))
    places = found.to_series().arg_true()
    if not len(places):
        return texts
    wrapped = texts.gather(places).alias("text").to_frame()
    inner = wrapped.select(
        pl.when(text.str.json_path_match(_ANOTHER).is_null()).then(
            pl.coalesce(
                pl.when(text.str.contains(mark, literal=True)).then(text.str.json_path_match(path))
                for mark, path in _WRAPPERS.items()
            )
        )
    ).to_series()
    return texts.scatter(places, inner.zip_with(inner.is_not_null(), wrapped.to_series()))
