"""What a region's name says about the country, and who runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.distinct import by_distinct, looked_up, nulls

if TYPE_CHECKING:
    from onshore_pipeline.context import Context

SCHEMA: Final[dict[str, pl.DataType]] = {
    "region": pl.String(),
    "region_set": pl.List(pl.String),
    "region_operator": pl.String(),
}
_RESOURCE_SCHEMA: Final[dict[str, pl.DataType]] = {
    "resource": pl.String(),
    "resource_set": pl.List(pl.String),
    "resource_label": pl.String(),
}
_PROFILE_SCHEMA: Final[dict[str, pl.DataType]] = {"profile": pl.String(), "profile_set": pl.List(pl.String)}
_SEPARATOR: Final = "/"
# Availability zones: ap-southeast-2a, australia-southeast1-b. Local zones (us-east-1-bue-1a) stand elsewhere.
_ZONE: Final = r"^([a-z]+(?:-[a-z]+)*-?\d+)-?[a-z]$|^([a-z]+(?:-[a-z]+)+-\d+)[a-z]$"
# apac.anthropic.claude-... or an ARN that ends with such a name.
_PROFILE: Final = r"(?:^|/)([a-z]{2}(?:-gov)?|apac|global)\.[a-z0-9-]+\."

_ARN: Final = r"^arn:aws[a-z-]*:[a-z0-9-]+:([a-z]{2}(?:-[a-z]+)+-\d+):"
# Such a name says where a call enters; it is served elsewhere.
_ENTRY_NAMES: Final = r":(?:application-)?inference-profile/|:(?:default-)?prompt-router/"
_GOOGLE: Final = r"^(?:.*/)?projects/[^/]+/(?:locations|zones|regions)/([a-z0-9-]+)(?:/|$)"


def region_places(providers: pl.Series, regions: pl.Series, context: Context) -> pl.DataFrame:
    """Look regions up, each distinct pair of provider and region once.

    Args:
        providers: cloud providers as `provider_places` spells them; null where the sender named none.
        regions: region or zone names as sent, null where there is none.
        context: the registries.

    Returns:
        In order: region (country), region_set (where the name stands for several countries), region_operator (who
        runs it where that is not the provider). A name without provider is used only where all providers that have
        such a region agree on the country.
    """
    if regions.null_count() == len(regions):
        return nulls(len(regions), SCHEMA)
    keys = pl.select(pl.concat_str(providers.fill_null(""), pl.lit(_SEPARATOR), regions)).to_series()

    def answer(distinct: pl.Series) -> pl.DataFrame:
        return _look_up(distinct, context)

    return by_distinct(keys, answer, SCHEMA)


def _look_up(keys: pl.Series, context: Context) -> pl.DataFrame:
    parts = keys.str.split_exact(_SEPARATOR, 1).struct.unnest()
    provider, name = parts.to_series(0), parts.to_series(1).str.to_lowercase().str.replace_all(" ", "", literal=True)
    zone = name.str.extract_groups(_ZONE).struct.unnest()
    in_zone = zone.select(pl.coalesce(pl.all())).to_series()
    found = looked_up(provider + _SEPARATOR + name, context.regions, "key")
    around = looked_up(provider + _SEPARATOR + in_zone, context.regions, "key")
    both = found.with_columns(around.rename(lambda column: f"zone {column}"))
    countries = pl.coalesce("countries", "zone countries")
    return both.select(
        pl.when(countries.list.len() == 1).then(countries.list.first()).alias("region"),
        pl.when(countries.list.len() > 1).then(countries).alias("region_set"),
        pl.coalesce("operator", "zone operator").alias("region_operator"),
    )


def resource_places(resources: pl.Series, context: Context) -> pl.DataFrame:
    """Regions in names of resources (`resource_regions`) → resource (country), resource_set, resource_label."""
    if resources.null_count() == len(resources):
        return nulls(len(resources), _RESOURCE_SCHEMA)
    found = by_distinct(resources, lambda distinct: _look_up(distinct, context), SCHEMA)
    return pl.DataFrame(
        [
            found["region"].alias("resource"),
            found["region_set"].alias("resource_set"),
            resources.str.extract("/(.*)$", 1).alias("resource_label"),
        ]
    )


def resource_regions(names: pl.Series) -> pl.Series | None:
    """The region that a resource's own name carries, as provider/region; None where none does.

    ARNs and full names of Google resources carry one; a bucket's ARN does not, and what is global neither.
    """
    if names.null_count() == len(names):
        return None
    named = names.str.starts_with("arn:") | names.str.contains("/locations/|/zones/|/regions/")
    if not named.any():
        return None
    aws = pl.lit("aws/") + pl.when(~pl.col("name").str.contains(_ENTRY_NAMES)).then(pl.col("name").str.extract(_ARN, 1))
    gcp = pl.lit("gcp/") + pl.col("name").str.extract(_GOOGLE, 1)
    return names.to_frame("name").select(pl.coalesce(aws, gcp).alias("resource")).to_series()


def provider_names(providers: pl.Series, context: Context) -> pl.Series:
    """Cloud providers in any spelling → the name the region table uses; unknown ones in lower case."""
    return by_distinct(
        providers,
        lambda distinct: distinct.str.strip_chars().str.to_lowercase().replace(context.provider_names).to_frame("name"),
        {"name": pl.String()},
    ).to_series()


def profile_places(models: pl.Series, context: Context) -> pl.DataFrame:
    """Model names that carry a cross-region profile → profile (null: none), profile_set (empty: countries unknown)."""

    def answer(distinct: pl.Series) -> pl.DataFrame:
        profile = distinct.str.to_lowercase().str.extract(_PROFILE, 1).alias("profile")
        sets = looked_up(profile, context.profiles, "profile").to_series()
        # A prefix that we do not know yet routes somewhere, too.
        unknown = pl.when(pl.col("profile").is_not_null()).then(pl.lit([], dtype=pl.List(pl.String)))
        frame = pl.DataFrame([profile, sets.alias("profile_set")])
        return frame.with_columns(pl.coalesce("profile_set", unknown).alias("profile_set"))

    return by_distinct(models, answer, _PROFILE_SCHEMA)
