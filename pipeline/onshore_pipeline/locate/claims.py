"""Weighs what is claimed about one party's place: a country, a set of candidates, or unknown; and what disagrees.

The claims, strongest first:

    attested     a statement signed by somebody whose key is registered       attested
    sensor       where a collector of ours sits, known by its credential      observed
    declared     what the sender says outright                                asserted
    attestation  a statement whose signature could not be verified            asserted
    registered   the user's registry of keys (about keys)                     asserted
    region       the cloud region the sender names (one country or a set)     asserted
    resource     the region in the resource's own name (ARN, Google's name)   asserted
    facility     the user's facility registry                                 asserted
    person       the user's registry of people (about actors)                 asserted
    network      the user's address registry                                  asserted
    host         the user's host registry, or the region in a host's name     asserted, inferred
    profile      the model name's cross-region profile (a set)                inferred
    geoip        geolocation of the address                                   inferred
    registry     the regional internet registry's answer                      inferred

A set agrees with a country inside it, and two sets agree where they overlap. Where all claims agree, the country has
the basis of the strongest claim that names it alone. Where they disagree the country is unknown, all claimed countries
are candidates, the basis is that of the weakest claim, and the disagreement is recorded with every claim.
"""

from __future__ import annotations

from typing import Final

import polars as pl

CLAIMS: Final = (
    *(
        "attested",
        "sensor",
        "declared",
        "attestation",
        "registered",
        "region",
        "resource",
        "facility",
        "person",
        "network",
    ),
    *("host", "profile", "geoip", "registry"),
)
BASES: Final = ("attested", "observed", "asserted", "inferred")  # strongest first
_COUNTRIES: Final = pl.List(pl.String)


def weigh(claims: pl.DataFrame, party: str) -> pl.DataFrame:
    """Weigh the claims about one party.

    Args:
        claims: for each claim made: `<claim>` String (a country), `<claim>_set` List(String) (several; at most one of
            the two is not null), `<claim>_label` String (as the sender wrote it; the country where absent or null),
            `<claim>_basis` String ('inferred' where absent or null). Absent columns are claims nobody made.
        party: names the party in contradictions.

    Returns:
        In order: country String, basis String (never null), candidates List(String) (never null), contradiction
        String (null: none), such as `destination:region=ap-southeast-2,geoip=US`, claim String (the one that the
        country follows from, all that were weighed joined by `+` where it is open or follows from several; null: none).
    """
    made = [name for name in CLAIMS if f"{name}" in claims.columns]
    sets = [f"{name}_set" for name in CLAIMS if f"{name}_set" in claims.columns]
    if not made and not sets:
        return _unknown(claims.height)
    country = pl.coalesce(made) if made else pl.lit(None, pl.String)
    basis = pl.coalesce(
        *(pl.when(pl.col(name).is_not_null()).then(_basis(name, claims)) for name in made), pl.lit("unknown")
    )
    special = pl.any_horizontal(
        pl.lit(False),
        *(pl.col(name).is_not_null() for name in sets),
        *((pl.col(name) != country).fill_null(False) for name in made[1:]),
    )
    claim = pl.coalesce(*(_named(name, pl.col(name).is_not_null()) for name in made), pl.lit(None, pl.String))
    plain = claims.select(country=country, basis=basis, special=special, claim=claim)
    empty = pl.lit([], dtype=_COUNTRIES)
    if not plain.get_column("special").any():
        nothing = (empty.alias("candidates"), pl.lit(None, pl.String).alias("contradiction"))
        return plain.select("country", "basis", *nothing, "claim")
    rows = plain.get_column("special").arg_true()
    weighed = _weigh_special(claims[rows], party).with_columns(rows.alias("position"))
    joined = plain.with_row_index("position").join(weighed, on="position", how="left", maintain_order="left")
    return joined.select(
        country=pl.when("special").then("country_right").otherwise("country"),
        basis=pl.when("special").then("basis_right").otherwise("basis"),
        candidates=pl.col("candidates").fill_null(empty),
        contradiction="contradiction",
        claim=pl.when("special").then("claim_right").otherwise("claim"),
    )


def _weigh_special(claims: pl.DataFrame, party: str) -> pl.DataFrame:
    """The general way, for the rows whose claims are sets or disagree; each distinct combination once."""
    names = [name for name in CLAIMS if name in claims.columns or f"{name}_set" in claims.columns]
    parts = [
        (pl.col(column).list.join("+") if column.endswith("_set") else pl.col(column)).fill_null("")
        for name in names
        for column in (name, f"{name}_set", f"{name}_basis")
        if column in claims.columns
    ]
    keyed = claims.with_columns(pl.concat_str(parts, separator="|").alias("key"))
    combinations = _weigh_lists(keyed.unique("key"), names)
    spelled = keyed.select(
        "key", pl.concat_str([_spelled(name, claims) for name in names], separator=",", ignore_nulls=True).alias("text")
    )
    joined = spelled.join(combinations, on="key", how="left", maintain_order="left")
    text = pl.when(~pl.col("agree")).then(pl.lit(f"{party}:") + pl.col("text"))
    return joined.select("country", "basis", "candidates", text.alias("contradiction"), "claim")


def _weigh_lists(claims: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    """Every claim as a list of countries → key, agree Boolean, country, basis, candidates, claim."""
    codes = list(range(len(BASES)))
    lists = [_as_list(name, claims).alias(name) for name in names]
    ranks = [
        pl.when(_as_list(name, claims).is_not_null())
        .then(_basis(name, claims).replace_strict(list(BASES), codes, return_dtype=pl.Int8))
        .alias(f"{name} rank")
        for name in names
    ]
    frame = claims.select("key", *lists, *ranks)
    frame = frame.with_columns(
        _folded(frame, names, "set_intersection").alias("common"), _folded(frame, names, "set_union").alias("all")
    )
    agree = pl.col("common").list.len() > 0
    alone = agree & (pl.col("common").list.len() == 1)
    weakest = pl.max_horizontal(f"{name} rank" for name in names)
    naming = pl.min_horizontal(pl.when(pl.col(name).list.len() == 1).then(pl.col(f"{name} rank")) for name in names)
    rank = pl.when(alone).then(pl.coalesce(naming, weakest)).otherwise(weakest)
    several = pl.when(agree).then("common").otherwise("all").list.sort()
    made = [_named(name, pl.col(name).is_not_null()) for name in names]
    first = pl.coalesce(_named(name, alone & (pl.col(name).list.len() == 1)) for name in names)
    return frame.select(
        "key",
        agree=agree,
        country=pl.when(alone).then(pl.col("common").list.first()),
        basis=rank.replace_strict(codes, list(BASES), return_dtype=pl.String),
        candidates=pl.when(alone).then(pl.lit([], dtype=_COUNTRIES)).otherwise(several),
        claim=pl.coalesce(first, pl.concat_str(made, separator="+", ignore_nulls=True)),
    )


def _folded(lists: pl.DataFrame, names: list[str], operation: str) -> pl.Series:
    """Combine the lists that are there, one after another: one expression for all would triple with every claim."""
    one, other = pl.col("one"), pl.col("other")
    both = getattr(one.list, operation)(other)
    combine = pl.when(other.is_null()).then(one).when(one.is_null()).then(other).otherwise(both)
    combined = lists.get_column(names[0])
    for name in names[1:]:
        combined = pl.DataFrame({"one": combined, "other": lists.get_column(name)}).select(combine).to_series()
    return combined


def _as_list(name: str, claims: pl.DataFrame) -> pl.Expr:
    single = pl.when(pl.col(name).is_not_null()).then(pl.concat_list(name)) if name in claims.columns else None
    several = pl.col(f"{name}_set") if f"{name}_set" in claims.columns else None
    return pl.coalesce(expression for expression in (single, several) if expression is not None)


def _named(name: str, made: pl.Expr) -> pl.Expr:
    return pl.when(made).then(pl.lit(name))


def _basis(name: str, claims: pl.DataFrame) -> pl.Expr:
    column = f"{name}_basis"
    return pl.col(column).fill_null("inferred") if column in claims.columns else pl.lit("inferred")


def _spelled(name: str, claims: pl.DataFrame) -> pl.Expr:
    """`region=ap-southeast-2`, null where the claim was not made."""
    columns = [column for column in (f"{name}_label", name) if column in claims.columns]
    made = _as_list(name, claims).is_not_null()
    return pl.when(made).then(pl.lit(f"{name}=") + pl.coalesce(columns))


def _unknown(height: int) -> pl.DataFrame:
    return pl.select(pl.repeat(None, height, dtype=pl.String).alias("country")).with_columns(
        basis=pl.lit("unknown"),
        candidates=pl.lit([], dtype=_COUNTRIES),
        contradiction=pl.lit(None, pl.String),
        claim=pl.lit(None, pl.String),
    )
