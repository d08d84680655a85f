"""Whose a party is: the organisation, the country it is registered in, and the country that controls it."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.distinct import looked_up, mapped, nulls

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onshore_pipeline.context import Context

SCHEMA: Final[dict[str, pl.DataType]] = {"country": pl.String(), "control_country": pl.String()}
_ALWAYS: Final = (pl.col("effective_from") == date.min) & (pl.col("effective_to") == date.max)


def entity_countries(entities: pl.Series, when: pl.Series, context: Context) -> pl.DataFrame:
    """Look organisations up in the entity registry.

    Args:
        entities: names as sent, compared without case; null where unknown.
        when: Datetime in UTC; a registry row counts on the days it is effective. An event without a time meets only
            rows that always were and always will be.
        context: the registries.

    Returns:
        In order: country (where it is registered), control_country (of the ultimate parent); null where unknown.
    """
    if entities.null_count() == len(entities):
        return nulls(len(entities), SCHEMA)
    registry = context.entities
    undated = context.memory.get("undated entities", lambda: registry.filter(_ALWAYS).select("entity", *SCHEMA))
    if undated.height == registry.height:
        return looked_up(entities.str.to_lowercase(), undated, "entity")
    asked = pl.DataFrame({"entity": entities.str.to_lowercase(), "day": when.dt.date()})
    on_day = pl.col("day").is_between("effective_from", "effective_to").fill_null(False)
    pairs = asked.drop_nulls("entity").unique()
    found = pairs.join(registry, on="entity").filter(_ALWAYS | on_day).select("entity", "day", *SCHEMA)
    return asked.join(found, on=["entity", "day"], how="left", maintain_order="left", nulls_equal=True).select(
        list(SCHEMA)
    )


def provider_operators(providers: pl.Series, context: Context) -> pl.Series:
    """The organisation behind a cloud provider, null where unknown."""
    return mapped_texts(providers, context.provider_operators)


def mapped_texts(names: pl.Series, of: Mapping[str, str]) -> pl.Series:
    """What `of` says of each name, null where it says nothing."""
    if names.null_count() == len(names):
        return pl.Series(names.name, [None], dtype=pl.String).new_from_index(0, len(names))
    return mapped(names, lambda distinct: pl.Series([of.get(name) for name in distinct], dtype=pl.String))
