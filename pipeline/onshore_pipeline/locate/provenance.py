"""Writes the event's column `provenance`, which `domain.provenance` describes and reads."""

from __future__ import annotations

import polars as pl

from onshore_pipeline.domain.provenance import UNKNOWN


def party_text(subject: str, place: pl.Series, owner: pl.Series) -> pl.Series:
    """`destination=region/provider` of the names of claims; null where both are."""
    unknown = pl.Series([UNKNOWN])
    has_place, has_owner = place.is_not_null(), owner.is_not_null()
    text = f"{subject}=" + place.zip_with(has_place, unknown) + "/" + owner.zip_with(has_owner, unknown)
    return text.zip_with(has_place | has_owner, pl.Series([None], dtype=pl.String))
