"""What is odd about CloudTrail records that are read all the same: a version to come, numbers and flags as texts."""

from __future__ import annotations

from typing import Final

import polars as pl

from onshore_pipeline.distinct import nulls

_KNOWN_VERSION: Final = "1."
_NO_TEXTS: Final = ("readOnly", "bytesTransferredIn", "bytesTransferredOut")  # of the fields that columns are made of
_AS_TEXT: Final = ('":"', '": "')  # as AWS writes members, and as most programs do that rewrite them


def oddities(bodies: pl.Series, versions: pl.Series) -> pl.Series:
    """What is odd about each record, for `onshore.source.oddities`; null where nothing is.

    Args:
        bodies: the records' texts.
        versions: their `eventVersion`.
    """
    text, version = pl.col("text"), pl.col("version")
    # Looking for one text after another is faster than a pattern.
    marks = {name: [text.str.contains(name + mark, literal=True) for mark in _AS_TEXT] for name in _NO_TEXTS}
    found = pl.DataFrame([bodies.alias("text"), versions.alias("version")]).select(
        pl.when(~version.str.starts_with(_KNOWN_VERSION)).then(pl.lit("eventVersion ") + version).alias("version"),
        *(
            pl.when(pl.any_horizontal(those)).then(pl.lit(f"{name} as text")).alias(name)
            for name, those in marks.items()
        ),
    )
    if all(column.null_count() == len(column) for column in found):
        return nulls(len(bodies), {"oddities": pl.String()}).to_series()
    told = pl.concat_str(pl.all(), separator=", ", ignore_nulls=True)
    return found.select(pl.when(told != "").then(told).alias("oddities")).to_series()
