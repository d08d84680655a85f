"""What a host's name says: whose it is and, where the name carries a region, the country."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.distinct import by_distinct, looked_up

if TYPE_CHECKING:
    from onshore_pipeline.context import Context

SCHEMA: Final[dict[str, pl.DataType]] = {
    "host_entity": pl.String(),
    "host_provider": pl.String(),
    "host_label": pl.String(),
    "host": pl.String(),
    "host_set": pl.List(pl.String),
    "host_basis": pl.String(),
    "reroutes": pl.Boolean(),
    "has_profiles": pl.Boolean(),
}
_NAME: Final = r"^(?:[a-z][a-z0-9+.-]*://)?(?:[^/@]*@)?([^/:?#\s]+)"  # the host of a URL, of host:port, or of itself


def host_places(hosts: pl.Series, context: Context) -> pl.DataFrame:
    """Match hosts with the host patterns, each distinct one once.

    Args:
        hosts: names, host:port or URLs, in any case; null where there is none.
        context: the registries.

    Returns:
        In order, a row a host: host_entity (owner), host_provider, host_label (the region in the name, else the
        country), host (country), host_set (where it may be in several), host_basis ('asserted' by the user's own
        registry, else 'inferred'), reroutes, has_profiles. All null for a host that no pattern matches; an empty
        pattern says nothing about its place.
    """

    def answer(distinct: pl.Series) -> pl.DataFrame:
        return _match(distinct, context)

    return by_distinct(hosts, answer, SCHEMA)


def _match(distinct: pl.Series, context: Context) -> pl.DataFrame:
    names = distinct.str.to_lowercase().str.extract(_NAME, 1).str.strip_chars_end(".")
    found = context.hosts.match(names)
    keys = found.select(pl.concat_str("provider", pl.lit("/"), "region")).to_series()
    regions = looked_up(keys, context.regions, "key")
    found = found.with_columns(regions)
    by_region = pl.when(pl.col("countries").list.len() == 1).then(pl.col("countries").list.first())
    several = pl.when(pl.col("candidates").list.len() > 0).then("candidates").otherwise("countries")
    is_placed = ~pl.col("reroutes")
    return found.select(
        # Some regions of a cloud are run by another company.
        pl.coalesce("operator", "owner").alias("host_entity"),
        pl.col("provider").alias("host_provider"),
        pl.coalesce("country", "region", pl.when(several.list.len() > 1).then(names)).alias("host_label"),
        pl.when(is_placed).then(pl.coalesce("country", by_region)).alias("host"),
        pl.when(is_placed & pl.col("country").is_null() & (several.list.len() > 1)).then(several).alias("host_set"),
        pl.when("is_asserted").then(pl.lit("asserted")).otherwise(pl.lit("inferred")).alias("host_basis"),
        "reroutes",
        "has_profiles",
    )
