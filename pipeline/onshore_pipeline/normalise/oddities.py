"""What is odd about JSON records that are read all the same: a version to come, numbers and flags as texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.distinct import nulls

if TYPE_CHECKING:
    from collections.abc import Sequence

_AS_TEXT: Final = ('":"', '": "')  # as sources write members, and as most programs do that rewrite them


def oddities(versions: pl.Series, known: str, bodies: pl.Series, no_texts: Sequence[str] = ()) -> pl.Series:
    """What is odd about each record, for `onshore.source.oddities`; null where nothing is.

    Args:
        versions: what each record says is its version; the series' name is the member's.
        known: how the versions begin that the record's format is known of.
        bodies: the records' texts.
        no_texts: members that columns of numbers or flags are made of, and that no other member is called.
    """
    text, version = pl.col("text"), pl.col("version")
    # Looking for one text after another is faster than a pattern.
    marks = {name: [text.str.contains(name + mark, literal=True) for mark in _AS_TEXT] for name in no_texts}
    found = pl.DataFrame([bodies.alias("text"), versions.alias("version")]).select(
        pl.when(~version.str.starts_with(known)).then(pl.lit(f"{versions.name} ") + version).alias("version"),
        *(
            pl.when(pl.any_horizontal(those)).then(pl.lit(f"{name} as text")).alias(name)
            for name, those in marks.items()
        ),
    )
    if all(column.null_count() == len(column) for column in found):
        return nulls(len(bodies), {"oddities": pl.String()}).to_series()
    told = pl.concat_str(pl.all(), separator=", ", ignore_nulls=True)
    return found.select(pl.when(told != "").then(told).alias("oddities")).to_series()
