"""Texts of attributes as the types of event columns; what does not fit is null, never a guess."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.distinct import mapped

if TYPE_CHECKING:
    from collections.abc import Callable

NONE: Final = "none"  # absence stated on purpose: a value, not an unknown

# DateTime64(9) ends here (2262-04-11T23:47:16.854775807Z); 'expires in 9999' must not wrap into the past.
_LAST_NS: Final = 2**63 - 1
_TIME: Final = pl.Datetime("ns", "UTC")
_RFC_3339: Final = "%+"

_EMPTY: Final = pl.List(pl.String())


def count_of(text: pl.Expr) -> pl.Expr:
    """UInt64 of an unsigned decimal integer; null for '-1', '1.5', '12kB', '+5' and what exceeds 64 bits."""
    return pl.when(~text.str.starts_with("+")).then(text.cast(pl.UInt64, strict=False))


def flag_of(text: pl.Expr) -> pl.Expr:
    """Boolean of 'true' or 'false' in any case; null otherwise."""
    lower = text.str.to_lowercase()
    return pl.when(lower == "true").then(True).when(lower == "false").then(False)


def word_of(text: pl.Expr) -> pl.Expr:
    """The text trimmed and in lower case; null when nothing is left."""
    word = text.str.strip_chars().str.to_lowercase()
    return pl.when(word != "").then(word)


def statement_of(text: pl.Expr) -> pl.Expr:
    """The text as sent, but an explicit 'none' of any case as 'none'."""
    return pl.when(word_of(text) == NONE).then(pl.lit(NONE)).otherwise(text)


def time_of(text: pl.Expr) -> pl.Expr:
    """Datetime (ns, UTC) of RFC 3339 text; a bare date is its midnight in UTC. Outside 1678 to 2262: the nearest end.

    A time without an offset is null: its zone is unknown.
    """
    # Parsed in µs first: strptime to ns wraps around silently beyond 2262.
    coarse = pl.coalesce(
        text.str.to_datetime(_RFC_3339, time_unit="us", time_zone="UTC", strict=False),
        text.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us", "UTC")),
    )
    microseconds = coarse.dt.epoch("us")
    last = _LAST_NS // 1000
    fine = text.str.to_datetime(_RFC_3339, time_unit="ns", time_zone="UTC", strict=False)
    return (
        pl.when(microseconds >= last)
        .then(pl.lit(_LAST_NS).cast(_TIME))
        .when(microseconds <= -last)
        .then(pl.lit(-_LAST_NS).cast(_TIME))
        .otherwise(pl.coalesce(fine, (microseconds.clip(-last, last) * 1000).cast(_TIME)))
    )


def seconds_of(text: pl.Expr) -> pl.Expr:
    """Datetime (ns, UTC) of seconds since 1970, to the microsecond; null for what is no number or past 2262."""
    microseconds = (text.cast(pl.Float64, strict=False) * 1e6).round()
    within = microseconds.abs() <= _LAST_NS // 1000
    return (pl.when(within).then(microseconds).cast(pl.Int64, strict=False) * 1000).cast(_TIME)


def each_distinct(texts: pl.Series, read: Callable[[pl.Expr], pl.Expr]) -> pl.Series:
    """What `read`, one of the functions above, makes of each text; it is asked for each distinct one once."""
    return mapped(texts, lambda distinct: distinct.to_frame().select(read(pl.col(distinct.name))).to_series())


def lists_of(texts: pl.Series, *, lower: bool) -> pl.Series:
    """Lists of words from JSON arrays or comma-separated text; [] where there is none or the list makes no sense.

    Words are trimmed, doubles dropped, order kept. 'none' in any case is ['none'], and contradicts anything beside it.
    """
    found = mapped(
        texts, lambda distinct: pl.Series([_words(text, lower=lower) for text in distinct.to_list()], dtype=_EMPTY)
    )
    return found.fill_null(pl.Series([[]], dtype=_EMPTY)) if found.null_count() else found


def _words(text: str, *, lower: bool) -> list[str]:
    """The words of one text."""
    if text.lstrip().startswith("{"):  # a map names nothing
        return []
    items: object = text.split(",")
    if text.lstrip().startswith("["):
        try:
            items = json.loads(text)
        except ValueError:
            return []
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        return []
    stripped = (word.strip() for word in items)
    unique = dict.fromkeys(word.lower() if lower or word.lower() == NONE else word for word in stripped if word)
    return [] if NONE in unique and len(unique) > 1 else list(unique)
