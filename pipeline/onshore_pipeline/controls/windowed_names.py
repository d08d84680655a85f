"""Windows, sequences and absences by name: the same unit has the same id in every run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl
import polars_hash as plh

if TYPE_CHECKING:
    from onshore_pipeline.controls.windowed import WindowedControl

_HEX_DIGITS: Final = 32


def unit_ids(control: WindowedControl, units: pl.DataFrame) -> pl.Series:
    """The first 16 bytes of SHA-256 over the rule, the key, the beginning and (of a sequence) the first event.

    Args:
        control: the control.
        units: a text column for each key column of the control, `since` and `event_id`.
    """
    named = units.select(_named(control).alias("name"))
    hashed = plh.col("name").chash.sha2_256().str.head(_HEX_DIGITS).str.decode("hex").alias("unit_id")
    return named.select(hashed).to_series()


def _named(control: WindowedControl) -> pl.Expr:
    # Each part tells its length, so that no two keys can be written alike.
    parts = [pl.lit(f"{control.rule}:")]
    for column in control.key:
        text = pl.col(column.name)
        length = text.str.len_bytes().cast(pl.String).fill_null("-")
        parts += [length, pl.lit(":"), text.fill_null("")]
    parts += [pl.col("since").cast(pl.String), pl.lit(":"), pl.col("event_id").bin.encode("hex").fill_null("")]
    return pl.concat_str(parts)
