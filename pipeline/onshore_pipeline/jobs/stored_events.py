"""Events as the store holds them, ready to be sealed again: texts are read as bytes, whatever was written there."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
import pyarrow as pa

from onshore_pipeline.domain.event import EVENT_COLUMNS, Kind
from onshore_pipeline.event_frame import ARROW_TYPES, EVENT_ARROW_SCHEMA, POLARS_TYPES
from onshore_pipeline.store.connect import store_errors
from onshore_pipeline.store.native import native_columns

if TYPE_CHECKING:
    from collections.abc import Collection
    from uuid import UUID

    from clickhouse_connect.driver.client import Client
    from numpy.typing import NDArray

    from onshore_pipeline.domain.event import Column

_NAMES: Final = ", ".join(column.name for column in EVENT_COLUMNS)
_ROWS: Final = f"""
SELECT {_NAMES} FROM events WHERE attempt_id IN {{attempts:Array(UUID)}} %s
ORDER BY attempt_id, topic_id, kafka_partition, kafka_offset, record_index
"""  # noqa: S608 - fixed names
# An audit reads some portions at a time: threads of each would only wait for those of the others.
BESIDE_OTHERS: Final = {"max_threads": "1"}
_PLACE: Final = ("attempt_id", "topic_id", "kafka_partition", "kafka_offset")


@dataclass(frozen=True, slots=True)
class StoredEvents:
    """Rows of some attempts, in the order of their messages and record indexes.

    Attributes:
        events: every column but the maps, as in `event_frame`, and `row`, `message` (index into `places`), `resource`,
            all dense.
        attributes: `row`, `key`, `text`; in order of row and key bytes.
        resource_attributes: `resource`, `key`, `text`; in order of resource and key bytes.
        places: one row a message of an attempt: `attempt_id`, `topic_id` (16 bytes each), `kafka_partition`,
            `kafka_offset`.
        unreadable: by row, the columns that are no UTF-8; what is no UTF-8 is replaced by U+FFFD.
    """

    events: pl.DataFrame
    attributes: pl.DataFrame
    resource_attributes: pl.DataFrame
    places: pl.DataFrame
    unreadable: dict[int, list[str]]


def stored_events(client: Client, attempts: Collection[UUID], *, topic: str | None = None) -> StoredEvents:
    """Read the events of some attempts, all of them or those of one topic. Raises `StoreUnavailable`."""
    sql = _ROWS % ("AND kafka_topic = {topic:String}" if topic is not None else "")
    named = {"attempts": [str(each) for each in attempts], "topic": topic or ""}
    with store_errors():
        # Words come as dictionaries: most rows say what many others say, and each text is looked at once.
        table = native_columns(client.raw_query(sql, parameters=named, settings=BESIDE_OTHERS, fmt="Native"))
    if not table:
        table = {field.name: pa.chunked_array([], field.type) for field in EVENT_ARROW_SCHEMA}
    unreadable: dict[int, list[str]] = {}
    columns = {
        column.name: _read(column, table[column.name], unreadable)
        for column in EVENT_COLUMNS
        if column.kind is not Kind.TEXT_MAP
    }
    maps = {column.name: _whole(table[column.name]) for column in EVENT_COLUMNS if column.kind is Kind.TEXT_MAP}
    events = pl.DataFrame(columns).with_row_index("row")
    places, message = _places(events)
    events = events.with_columns(pl.Series("message", message, pl.UInt32))
    counts, keys, texts = _pairs(maps["resource_attributes"], "resource_attributes", unreadable)
    resource, firsts = _resources(message, counts, keys, texts)
    events = events.with_columns(pl.Series("resource", resource, pl.UInt32))
    is_first = np.repeat(firsts, counts)
    resources = _long("resource", np.repeat(resource, counts)[is_first], keys.filter(is_first), texts.filter(is_first))
    own = _pairs(maps["attributes"], "attributes", unreadable)
    attributes = _long("row", np.repeat(np.arange(len(events), dtype=np.uint32), own[0]), own[1], own[2])
    return StoredEvents(events, attributes, resources, places, unreadable)


def _read(column: Column, values: pa.ChunkedArray, unreadable: dict[int, list[str]]) -> pl.Series:
    """One column, typed as in `event_frame`."""
    kind = POLARS_TYPES[column.kind]
    if len(values) and values.null_count == len(values):
        return pl.Series(column.name, [None], dtype=kind).new_from_index(0, len(values))
    if pa.types.is_dictionary(values.type):
        try:
            return pl.concat([_words(chunk) for chunk in values.chunks] or [pl.Series(dtype=kind)]).alias(column.name)
        except pa.ArrowInvalid:  # one is no UTF-8: which rows have it is found out below
            pass
    read = _cast(_plain(_whole(values)), ARROW_TYPES[column.kind], column.name, unreadable)
    return pl.Series(column.name, pl.from_arrow(read), dtype=kind)


def _words(values: pa.DictionaryArray) -> pl.Series:
    """The texts of a dictionary's rows. Raises `ArrowInvalid` where one is no UTF-8."""
    texts = pl.Series(pl.from_arrow(values.dictionary.cast(pa.string())), dtype=pl.String)
    # Taken at once: `gather` would plan a query for each of some dozen columns.
    return texts[pl.Series(pl.from_arrow(values.indices)).cast(pl.UInt32)]


def _whole(values: pa.ChunkedArray) -> pa.Array:
    """The chunks as one array."""
    whole = values.combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        whole = pa.concat_arrays(whole.chunks) if whole.num_chunks else pa.array([], whole.type)
    return whole


def _plain(values: pa.Array) -> pa.Array:
    """Without dictionaries."""
    if pa.types.is_dictionary(values.type):
        return values.dictionary_decode()
    if pa.types.is_list(values.type) and pa.types.is_dictionary(values.type.value_type):
        return pa.ListArray.from_arrays(values.offsets, values.values.dictionary_decode())
    return values


def _cast(values: pa.Array, kind: pa.DataType, name: str, unreadable: dict[int, list[str]]) -> pa.Array:
    """As `kind`; texts that are no UTF-8 are noted and replaced."""
    try:
        return values.cast(kind)
    except pa.ArrowInvalid:
        if not (pa.types.is_string(kind) or pa.types.is_list(kind)):
            raise
    rows = []
    for row, value in enumerate(values.to_pylist()):
        parts = value if isinstance(value, list) else [value]
        texts = [None if part is None else part.decode("utf-8", "replace") for part in parts]
        if any(part is not None and not _is_utf8(part) for part in parts):
            unreadable.setdefault(row, []).append(name)
        rows.append(texts if isinstance(value, list) else texts[0])
    return pa.array(rows, kind)


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _places(events: pl.DataFrame) -> tuple[pl.DataFrame, NDArray[np.uint32]]:
    """The messages, and which one each row is of."""
    begins = events.select(
        pl.any_horizontal(*(pl.col(name) != pl.col(name).shift(1) for name in _PLACE)).fill_null(True)
    )
    firsts = begins.to_series().to_numpy()
    message = (np.cumsum(firsts) - 1).astype(np.uint32)
    return events.filter(firsts).select(_PLACE), message


def _pairs(
    values: pa.MapArray, name: str, unreadable: dict[int, list[str]]
) -> tuple[NDArray[np.int64], pl.Series, pl.Series]:
    """How many pairs each row has, their keys and their values."""
    offsets = values.offsets.to_numpy().astype(np.int64)
    counts = np.diff(offsets)
    both = []
    for whole in (values.keys, values.items):
        part = whole.slice(offsets[0], offsets[-1] - offsets[0])
        if pa.types.is_dictionary(part.type):
            with contextlib.suppress(pa.ArrowInvalid):
                both.append(_words(part))
                continue
        bad: dict[int, list[str]] = {}
        both.append(pl.Series(pl.from_arrow(_cast(_plain(part), pa.string(), name, bad)), dtype=pl.String))
        owners = np.repeat(np.arange(len(counts)), counts)
        for pair in bad:
            noted = unreadable.setdefault(int(owners[pair]), [])
            noted += [name] if name not in noted else []
    return counts, both[0], both[1]


def _resources(
    message: NDArray[np.uint32], counts: NDArray[np.int64], keys: pl.Series, texts: pl.Series
) -> tuple[NDArray[np.uint32], NDArray[np.bool_]]:
    """A resource for each run of rows of one message that have equal maps; and which rows begin one."""
    if not len(counts):
        return np.zeros(0, np.uint32), np.zeros(0, np.bool_)
    alike = np.zeros(len(counts), np.bool_)
    alike[1:] = (message[1:] == message[:-1]) & (counts[1:] == counts[:-1])
    owners = np.repeat(np.arange(len(counts)), counts)
    asked = np.flatnonzero(alike[owners])
    if len(asked):
        before = asked - counts[owners[asked]]
        differs = (keys.gather(asked) != keys.gather(before)) | (texts.gather(asked) != texts.gather(before))
        alike[owners[asked[differs.to_numpy()]]] = False
    return (np.cumsum(~alike) - 1).astype(np.uint32), ~alike


def _long(owner: str, owners: NDArray[np.uint32], keys: pl.Series, texts: pl.Series) -> pl.DataFrame:
    frame = pl.DataFrame({owner: pl.Series(owners, dtype=pl.UInt32), "key": keys, "text": texts})
    order = frame.select(((pl.col(owner) == pl.col(owner).shift(1)) & (pl.col("key") < pl.col("key").shift(1))).any())
    return frame.sort(owner, "key", maintain_order=True) if order.item() else frame
