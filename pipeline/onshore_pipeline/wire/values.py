"""OTLP values in bulk: Arrow columns of AnyValue → text and integer columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from opentelemetry.proto.common.v1.common_pb2 import ArrayValue, KeyValueList

from onshore_pipeline.wire.any_value import json_text
from onshore_pipeline.wire.descriptor import unreadable
from onshore_pipeline.wire.elements import column

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_SCALARS: Final = ("string_value", "bool_value", "int_value", "double_value", "bytes_value", "string_value_strindex")
# Polars prints some doubles otherwise than Python does (1e-7 for 1e-07).
_SPELL: Final[dict[str, Callable[[pl.Series], pl.Series]]] = {
    "string_value": lambda strings: strings,
    "bool_value": lambda flags: flags.cast(pl.String),
    "int_value": lambda integers: integers.cast(pl.String),
    "double_value": lambda doubles: pl.Series(
        [None if number is None else repr(number) for number in doubles.to_list()], dtype=pl.String
    ),
    "bytes_value": lambda blobs: blobs.bin.encode("base64"),
    # An index into a string table that only profiles have says nothing here.
    "string_value_strindex": lambda indexes: indexes.clear(len(indexes)).cast(pl.String),
}
INT64_MAX: Final = 2**63 - 1
_NESTED: Final[dict[str, Any]] = {"array_value": ArrayValue, "kvlist_value": KeyValueList}


def twice_set(values: pa.StructArray) -> Iterable[int]:
    """Rows in which more than one member of the value is set, or an array or map came in two parts."""
    members = [values.field(name) for name in _SCALARS]
    parts = [pc.list_value_length(values.field(name)) for name in _NESTED]
    used = [member.is_valid() for member in members if member.null_count < len(member)]
    counts = [pc.cast(flags, pa.int32()) for flags in used] + [part for part in parts if pc.max(part).as_py()]
    if not counts:
        return ()
    total = counts[0]
    for count in counts[1:]:
        total = pc.add(total, count)
    if pc.max(total).as_py() <= 1:
        return ()
    rows: list[int] = pc.indices_nonzero(pc.greater(total, 1)).to_pylist()
    return rows


def texts(values: pa.StructArray) -> tuple[pl.DataFrame, dict[int, str]]:
    """Spell values; each has at most one member set.

    Returns:
        A frame with a row for every value: `text` String (null when no member is set; see `any_value.text_of`) and
        `int_value` Int64 (set when the member is an int). And row → reason for arrays and maps that cannot be read.
    """
    height = len(values)
    members = {name: values.field(name) for name in _SCALARS}
    nested, bad = _nested_texts(values)
    spelled = {name: _SPELL[name](column(member)) for name, member in members.items() if member.null_count < height} | {
        "nested": _scattered(nested, height)
    }
    integers = column(members["int_value"]).cast(pl.Int64)
    text = pl.coalesce(*spelled)
    return pl.DataFrame(spelled | {"integer": integers}).select(text=text, int_value="integer"), bad


def text_or_null(name: str) -> pl.Expr:
    """A proto3 string: unset and empty are the same, and null here."""
    text = pl.col(name).cast(pl.String)
    return pl.when(text != "").then(text)


def number_or_null(name: str) -> pl.Expr:
    """A proto3 enum: unset and zero are the same, and null here."""
    return pl.when(pl.col(name) != 0).then(pl.col(name))


def time_or_null(name: str) -> pl.Expr:
    """Nanoseconds as Int64; null for zero (unset) and beyond Int64."""
    return pl.when((pl.col(name) > 0) & (pl.col(name) <= INT64_MAX)).then(pl.col(name)).cast(pl.Int64)


def _nested_texts(values: pa.StructArray) -> tuple[dict[int, str], dict[int, str]]:
    found: dict[int, str] = {}
    bad: dict[int, str] = {}
    for name, kind in _NESTED.items():
        lists = values.field(name)
        rows, parts = pc.list_parent_indices(lists), lists.flatten()
        for row, encoded in zip(rows.to_pylist(), parts.to_pylist(), strict=True):
            try:
                found[row] = json_text(kind.FromString(encoded))
            except Exception as error:  # noqa: BLE001 - protobuf's implementations raise different classes
                bad[row] = unreadable("array or map", error)
    return found, bad


def _scattered(texts_by_row: dict[int, str], length: int) -> pl.Series:
    empty = pl.Series([None], dtype=pl.String).new_from_index(0, length)
    return empty.scatter(list(texts_by_row), list(texts_by_row.values()))
