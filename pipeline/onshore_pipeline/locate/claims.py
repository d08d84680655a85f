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

from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import polars as pl

from onshore_pipeline.distinct import encoded, positions

if TYPE_CHECKING:
    from collections.abc import Sequence

    Columns = tuple[str, ...]

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
_RANK: Final = pl.Enum(BASES)
_COUNTRIES: Final = pl.List(pl.String)


class _Plan(NamedTuple):
    """The expressions that weigh claims of certain columns: to put them together takes longer than to use them.

    Attributes:
        names: the claims, the strongest first.
        plain: country, basis, claim, and special: whether the general way is needed.
        key: what the general way depends on, as a text.
        text: every claim as it is spelled.
        lists: every claim as a list of countries, and the rank of its basis.
        weighed: what follows from those, once their common part and all of them are there, too.
    """

    names: Columns
    plain: dict[str, pl.Expr]
    key: pl.Expr
    text: pl.Expr
    lists: list[pl.Expr]
    weighed: dict[str, pl.Expr]


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
    columns = tuple(claims.columns)
    if not _made(columns):
        return _unknown(claims.height)
    plan = _plan(columns)
    plain = claims.select_seq(**plan.plain)
    special = plain.get_column("special")
    if not special.any():
        return plain.select_seq(*_PLAIN)
    rows = np.flatnonzero(special.to_numpy())
    said = _weigh_special(claims[rows], plan)
    position = np.full(claims.height, -1, np.int64)
    position[rows] = np.arange(len(rows))
    at = positions(position)
    found = (column[at].alias(f"{column.name}_found") for column in said.get_columns())
    return plain.hstack(list(found)).select_seq(*_either(party))


_EMPTY: Final = pl.lit([], dtype=_COUNTRIES)
_PLAIN: Final = (
    *("country", "basis"),
    _EMPTY.alias("candidates"),
    pl.lit(None, pl.String).alias("contradiction"),
    "claim",
)


@cache
def _either(party: str) -> tuple[pl.Expr, ...]:
    """What the general way found, else what the plain one did."""
    chosen = {
        name: pl.when("special").then(f"{name}_found").otherwise(name).alias(name)
        for name in ("country", "basis", "claim")
    }
    text = pl.lit(f"{party}:") + pl.col("text_found")
    return (
        *(chosen["country"], chosen["basis"]),
        pl.col("candidates_found").fill_null(_EMPTY).alias("candidates"),
        pl.when(~pl.col("agree_found")).then(text).alias("contradiction"),
        chosen["claim"],
    )


def _made(columns: Columns) -> Columns:
    return tuple(name for name in CLAIMS if name in columns or f"{name}_set" in columns)


@lru_cache(256)
def _plan(columns: Columns) -> _Plan:
    names = _made(columns)
    lists = [_as_list(name, columns).alias(name) for name in names]
    ranks = [
        pl.when(_as_list(name, columns).is_not_null())
        .then(_basis(name, columns).cast(_RANK).to_physical())
        .alias(f"{name} rank")
        for name in names
    ]
    parts = [
        (pl.col(column).list.join("+") if column.endswith("_set") else pl.col(column)).fill_null("")
        for name in names
        for column in (name, f"{name}_set", f"{name}_basis")
        if column in columns
    ]
    return _Plan(
        names,
        _plain(columns),
        pl.concat_str(parts, separator="|").alias("key"),
        pl.concat_str([_spelled(name, columns) for name in names], separator=",", ignore_nulls=True).alias("text"),
        [*lists, *ranks],
        _weighed(names),
    )


def _plain(columns: Columns) -> dict[str, pl.Expr]:
    """For rows whose claims are countries that agree."""
    made = [name for name in CLAIMS if name in columns]
    sets = [f"{name}_set" for name in CLAIMS if f"{name}_set" in columns]
    country = pl.coalesce(made) if made else pl.lit(None, pl.String)
    basis = pl.coalesce(
        *(pl.when(pl.col(name).is_not_null()).then(_basis(name, columns)) for name in made), pl.lit("unknown")
    )
    special = pl.any_horizontal(
        pl.lit(False),
        *(pl.col(name).is_not_null() for name in sets),
        *((pl.col(name) != country).fill_null(False) for name in made[1:]),
    )
    claim = pl.coalesce(*(_named(name, pl.col(name).is_not_null()) for name in made), pl.lit(None, pl.String))
    return {"country": country, "basis": basis, "special": special, "claim": claim}


def _weigh_special(claims: pl.DataFrame, plan: _Plan) -> pl.DataFrame:
    """The general way, for the rows whose claims are sets or disagree; each distinct combination once.

    Returns:
        agree Boolean, country, basis, candidates, claim, text.
    """
    told = claims.select_seq(plan.key, plan.text)
    _, which = encoded(told.get_column("key"))
    _, first = np.unique(which.to_numpy(), return_index=True)
    weighed = _weigh_lists(claims[first], plan)
    return pl.DataFrame([*(column[which] for column in weighed.get_columns()), told.get_column("text")])


def _weigh_lists(claims: pl.DataFrame, plan: _Plan) -> pl.DataFrame:
    """Every claim as a list of countries → agree Boolean, country, basis, candidates, claim."""
    frame = claims.select_seq(plan.lists)
    return frame.hstack(_folded(frame, plan.names).get_columns()).select_seq(**plan.weighed)


def _weighed(names: Columns) -> dict[str, pl.Expr]:
    agree = pl.col("common").list.len() > 0
    alone = agree & (pl.col("common").list.len() == 1)
    weakest = pl.max_horizontal(f"{name} rank" for name in names)
    naming = pl.min_horizontal(pl.when(pl.col(name).list.len() == 1).then(pl.col(f"{name} rank")) for name in names)
    rank = pl.when(alone).then(pl.coalesce(naming, weakest)).otherwise(weakest)
    several = pl.when(agree).then("common").otherwise("all").list.eval(pl.element().sort())
    made = [_named(name, pl.col(name).is_not_null()) for name in names]
    first = pl.coalesce(_named(name, alone & (pl.col(name).list.len() == 1)) for name in names)
    return {
        "agree": agree,
        "country": pl.when(alone).then(pl.col("common").list.first()),
        "basis": rank.cat.to(_RANK).cast(pl.String),
        "candidates": pl.when(alone).then(_EMPTY).otherwise(several),
        "claim": pl.coalesce(first, pl.concat_str(made, separator="+", ignore_nulls=True)),
    }


def _combined(so_far: str, operation: str) -> pl.Expr:
    one, other = pl.col(so_far), pl.col("other")
    both = getattr(one.list, operation)(other)
    return pl.when(other.is_null()).then(one).when(one.is_null()).then(other).otherwise(both)


_BOTH: Final = (_combined("common", "set_intersection"), _combined("all", "set_union"))


def _folded(lists: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Columns common, all: what the lists that are there have in common, and all that is in one.

    One after another: one expression for all would triple with every claim.
    """
    combined = pl.DataFrame([lists.get_column(names[0]).alias(name) for name in ("common", "all")])
    for name in names[1:]:
        combined = combined.hstack([lists.get_column(name).alias("other")]).select_seq(*_BOTH)
    return combined


def _as_list(name: str, columns: Columns) -> pl.Expr:
    single = pl.when(pl.col(name).is_not_null()).then(pl.concat_list(name)) if name in columns else None
    several = pl.col(f"{name}_set") if f"{name}_set" in columns else None
    return pl.coalesce(expression for expression in (single, several) if expression is not None)


def _named(name: str, made: pl.Expr) -> pl.Expr:
    return pl.when(made).then(pl.lit(name))


def _basis(name: str, columns: Columns) -> pl.Expr:
    column = f"{name}_basis"
    return pl.col(column).fill_null("inferred") if column in columns else pl.lit("inferred")


def _spelled(name: str, columns: Columns) -> pl.Expr:
    """`region=ap-southeast-2`, null where the claim was not made."""
    labels = [column for column in (f"{name}_label", name) if column in columns]
    return pl.when(_as_list(name, columns).is_not_null()).then(pl.lit(f"{name}=") + pl.coalesce(labels))


def _unknown(height: int) -> pl.DataFrame:
    return pl.select(pl.repeat(None, height, dtype=pl.String).alias("country")).with_columns(
        basis=pl.lit("unknown"),
        candidates=pl.lit([], dtype=_COUNTRIES),
        contradiction=pl.lit(None, pl.String),
        claim=pl.lit(None, pl.String),
    )
