"""Lists of encoded key-values → one long frame, sorted and unique."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from onshore_pipeline.wire.descriptor import KEY_VALUE
from onshore_pipeline.wire.elements import column, read_elements
from onshore_pipeline.wire.frames import ATTRIBUTES_SCHEMA
from onshore_pipeline.wire.values import texts, twice_set

if TYPE_CHECKING:
    from collections.abc import Iterable

_UINT64_BITS: Final = 64
_EMPTY: Final = ATTRIBUTES_SCHEMA.to_frame()


@dataclass(frozen=True, slots=True)
class LongAttributes:
    """Attributes of many owners.

    Attributes:
        frame: `row` UInt32 (the owner's position), `key` String, `text` String not null, `int_value` Int64; sorted by
            (row, key bytes), of duplicate keys the last one.
        bad: owner → reason, for owners with an attribute that cannot be read; they have no rows.
    """

    frame: pl.DataFrame
    bad: dict[int, str]


def read_attributes(lists: pa.ListArray) -> LongAttributes:
    """Decode the attributes of every owner; `lists` is List(Binary) of encoded KeyValues, one list an owner.

    The same few key-values come again and again, so each distinct one is decoded, spelled and ranked once. Raises
    `FastPathRefused`.
    """
    flat = lists.flatten()
    if not len(flat):
        return LongAttributes(_EMPTY, {})
    encoded = pc.dictionary_encode(flat)
    distinct, bad_codes = _read_distinct(encoded.dictionary)
    owners = column(pc.list_parent_indices(lists)).cast(pl.UInt32)
    codes = column(encoded.indices).cast(pl.UInt32)
    order = _sorted_unique(owners, distinct["rank"].gather(codes))
    codes, rows = codes.gather(order), owners.gather(order)
    frame = distinct.drop("rank")[codes].insert_column(0, rows.alias("row"))
    bad = _owners_of(bad_codes, owners, encoded.indices)
    return LongAttributes(frame.filter(~pl.col("row").is_in(list(bad))) if bad else frame, bad)


def _read_distinct(encoded: pa.Array) -> tuple[pl.DataFrame, dict[int, str]]:
    batch, bad = read_elements(KEY_VALUE, encoded, _twice_set)
    spelled, bad_values = texts(_value_members(batch))
    keys = column(batch.column("key")).cast(pl.String)
    ranked = keys.unique().sort()  # strings sort by their UTF-8 bytes
    ranks = pl.DataFrame({"key": ranked}).with_row_index("rank")
    frame = pl.DataFrame({"key": keys}).join(ranks, on="key", how="left", maintain_order="left")
    return frame.hstack(spelled.with_columns(pl.col("text").fill_null(""))), bad | bad_values


def _twice_set(batch: pa.RecordBatch) -> Iterable[int]:
    return twice_set(_value_members(batch))


def _value_members(batch: pa.RecordBatch) -> pa.StructArray:
    value = batch.column("value")
    return pa.StructArray.from_arrays(value.flatten(), fields=list(value.type))


def _sorted_unique(owners: pl.Series, ranks: pl.Series) -> pl.Series:
    """Positions sorted by (owner, rank), of equal pairs the last position only."""
    position_bits = len(owners).bit_length()
    rank_bits = int(ranks.max()).bit_length()  # type: ignore[arg-type]
    pairs = pl.DataFrame({"owner": owners, "rank": ranks})
    if position_bits + rank_bits + int(owners.max()).bit_length() > _UINT64_BITS:  # type: ignore[arg-type]
        ordered = pairs.with_row_index("position").unique(["owner", "rank"], keep="last").sort("owner", "rank")
        return ordered["position"]
    # One integer that sorts like (owner, rank, position): sorting integers is five times faster than sorting rows.
    packed = pairs.select(
        pl.col("owner").cast(pl.UInt64) * pl.lit(2 ** (position_bits + rank_bits), pl.UInt64)
        + pl.col("rank").cast(pl.UInt64) * pl.lit(2**position_bits, pl.UInt64)
        + pl.int_range(pl.len(), dtype=pl.UInt64).alias("packed")
    ).to_series()
    ordered = pl.DataFrame({"packed": packed.sort()})
    pair = pl.col("packed") // 2**position_bits
    last_of_pair = (pair != pair.shift(-1)).fill_null(True)
    return ordered.filter(last_of_pair).select((pl.col("packed") % 2**position_bits).cast(pl.UInt32)).to_series()


def _owners_of(bad_codes: dict[int, str], owners: pl.Series, codes: pa.Array) -> dict[int, str]:
    if not bad_codes:
        return {}
    named = pl.DataFrame({"owner": owners, "code": column(codes)}).filter(pl.col("code").is_in(list(bad_codes)))
    return {owner: bad_codes[code] for owner, code in named.unique("owner", keep="first").iter_rows()}
