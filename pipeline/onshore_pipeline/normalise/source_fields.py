"""The fields of a source's records: of the raw text in the body, else of the attributes that a decoder made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.normalise import values
from onshore_pipeline.normalise.described import KEPT
from onshore_pipeline.normalise.json_fields import ITEMS, read_fields

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onshore_pipeline.normalise.fields import Records

# What a decoder is known to drop, as an attribute of the records that came through it: field names, comma-separated.
LOSSES: Final = "onshore.source.losses"
ODDITIES: Final = "onshore.source.oddities"  # what is not as the source writes it, of a record that was read

_OR: Final = " | "
_TIME: Final = pl.Datetime("ns", "UTC")


def source_fields(records: Records, spelled: Mapping[str, str], sent: Mapping[str, pl.Expr]) -> pl.DataFrame:
    """Columns row, the kept ones, time_ns, observed_ns, raw (whether the body is a JSON object) and one a field.

    Args:
        records: the records.
        spelled: field → where it stands in the raw record: names divided by spaces, '[]' for a list's items; ' | '
            divides places of which the first that holds something counts. Lists give a list of texts, all else a text.
        sent: field → the same as attributes give it; a list's as JSON text. It may name further fields.
    """
    paths = {
        f"{name} {number}": tuple(place.split())
        for name, places in spelled.items()
        for number, place in enumerate(places.split(_OR))
    }
    raw = read_fields(records.frame["body"], paths)
    attributes = records.select(*(value.alias(f"{name} sent") for name, value in sent.items()))
    attributes = attributes.with_columns(
        values.lists_of(attributes[f"{name} sent"], lower=False).alias(f"{name} sent")
        for name, places in spelled.items()
        if ITEMS in places.split() and name in sent
    )
    beside = records.frame.select(*KEPT, "time_ns", "observed_ns").hstack([*raw, *attributes])
    return beside.select(
        *KEPT,
        *("time_ns", "observed_ns"),
        pl.col("body").str.strip_chars_start().str.starts_with("{").fill_null(False).alias("raw"),
        *(_first(beside, name, _columns(name, spelled, sent)) for name in dict.fromkeys([*spelled, *sent])),
    )


def _columns(name: str, spelled: Mapping[str, str], sent: Mapping[str, pl.Expr]) -> list[str]:
    """The columns that a field may be found in, in order."""
    places = spelled[name].split(_OR) if name in spelled else []
    return [f"{name} {number}" for number, _ in enumerate(places)] + ([f"{name} sent"] if name in sent else [])


def _first(frame: pl.DataFrame, name: str, columns: list[str]) -> pl.Expr:
    """The first of the columns that holds something."""
    held = (
        pl.when(pl.col(column).list.len() > 0).then(pl.col(column))
        if isinstance(frame.schema[column], pl.List)
        else pl.when(pl.col(column) != "").then(pl.col(column))
        for column in columns
    )
    return pl.coalesce(*held).alias(name)


def first_time(*stated: str) -> pl.Expr:
    """The first of the named fields that holds a time (RFC 3339)."""
    return pl.coalesce(*(values.time_of(pl.col(name)) for name in stated))


def times(*stated: pl.Expr) -> list[pl.Expr]:
    """occurred_at, the first of the stated times (RFC 3339), else the record's own; and observed_at."""
    own = pl.coalesce("time_ns", "observed_ns").cast(_TIME)
    return [
        pl.coalesce(*(values.time_of(text) for text in stated), own).alias("occurred_at"),
        pl.col("observed_ns").cast(_TIME).alias("observed_at"),
    ]


def added(fields: pl.DataFrame, named: Mapping[str, str], losses: str = "") -> pl.DataFrame:
    """Fields as attributes (long: row, key, text); lists as JSON arrays.

    Args:
        fields: `source_fields` and more, column raw included.
        named: field → attribute.
        losses: what the decoder drops: an attribute of the records that have no raw text.
    """
    parts = [_attribute(fields, pl.col(name), key) for name, key in named.items()]
    if losses:
        parts.append(_attribute(fields, pl.when(~pl.col("raw")).then(pl.lit(losses)), LOSSES))
    return pl.concat(parts)


def _attribute(fields: pl.DataFrame, value: pl.Expr, key: str) -> pl.DataFrame:
    found = fields.select("row", pl.lit(key).alias("key"), value.alias("text")).drop_nulls("text")
    if not isinstance(found.schema["text"], pl.List):
        return found.select("row", "key", pl.col("text").cast(pl.String))
    quoted = pl.col("text").list.eval(pl.lit('"') + pl.element().str.replace_all(r'(["\\])', r"\${1}") + pl.lit('"'))
    return found.select("row", "key", (pl.lit("[") + quoted.list.join(",") + pl.lit("]")).alias("text"))
