"""Writes the event's column `provenance`, which `domain.provenance` describes and reads."""

from __future__ import annotations

import polars as pl

from onshore_pipeline.domain.provenance import UNKNOWN


def party_text(subject: str, place: pl.Expr, owner: pl.Expr) -> pl.Expr:
    """`destination=region/provider` of the names of claims; null where both are."""
    known = place.is_not_null() | owner.is_not_null()
    parts = (pl.lit(f"{subject}="), place.fill_null(UNKNOWN), pl.lit("/"), owner.fill_null(UNKNOWN))
    return pl.when(known).then(pl.concat_str(parts))
