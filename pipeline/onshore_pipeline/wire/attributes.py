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
from onshore_pipeline.wire.ordering import sorted_unique
from onshore_pipeline.wire.values import texts, twice_set

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    order = sorted_unique(owners, distinct["rank"].gather(codes))
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
    rank = pl.DataFrame({"key": keys}).join(ranks, on="key", how="left", maintain_order="left").get_column("rank")
    # Each key from one place, not from each of its values': who looks for a key touches less memory.
    frame = pl.DataFrame([ranked[rank].alias("key"), rank])
    return frame.hstack(spelled.with_columns(pl.col("text").fill_null(""))), bad | bad_values


def _twice_set(batch: pa.RecordBatch) -> Iterable[int]:
    return twice_set(_value_members(batch))


def _value_members(batch: pa.RecordBatch) -> pa.StructArray:
    value = batch.column("value")
    return pa.StructArray.from_arrays(value.flatten(), fields=list(value.type))


def _owners_of(bad_codes: dict[int, str], owners: pl.Series, codes: pa.Array) -> dict[int, str]:
    if not bad_codes:
        return {}
    named = pl.DataFrame({"owner": owners, "code": column(codes)}).filter(pl.col("code").is_in(list(bad_codes)))
    return {owner: bad_codes[code] for owner, code in named.unique("owner", keep="first").iter_rows()}
