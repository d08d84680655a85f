"""Rows of the store as the frames that were sealed, so that lines and leaves can be made again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import polars as pl

from onshore_pipeline.domain.event import EVENT_COLUMNS, InLine, Kind
from onshore_pipeline.errors import EvidenceAltered
from onshore_pipeline.event_frame import POLARS_TYPES
from onshore_pipeline.evidence.salts import salt_key
from onshore_pipeline.evidence.seal import SealedMessage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from onshore_pipeline.store.reader import Reader

# Columns that a frame of sealed events has; maps apart.
_PLAIN: Final = tuple(
    column for column in EVENT_COLUMNS if column.line is not InLine.OUTSIDE and column.kind is not Kind.TEXT_MAP
)
_STEP: Final = "6"


def _asked(name: str, kind: Kind) -> str:
    if kind is Kind.TIME:  # beyond what a nanosecond clock of 64 bits can show, nothing is stored
        return f"toUnixTimestamp64Nano({name}) AS {name}"
    return f"IPv6StringToNum(toString({name})) AS {name}" if kind is Kind.ADDRESS else name


# Rows of some entries' messages; where many share an attempt, of no more than lie between the first and the last.
OF_MESSAGES: Final = """
attempt_id IN {attempts:Array(UUID)} AND kafka_offset BETWEEN {lowest:UInt64} AND {highest:UInt64} AND arrayExists(
    (t, p, a, b) -> toString(topic_id) = t AND kafka_partition = p AND kafka_offset BETWEEN a AND b,
    {topics:Array(String)}, {partitions:Array(UInt32)}, {firsts:Array(UInt64)}, {lasts:Array(UInt64)}
)
"""
_EVENTS: Final = f"""
SELECT indexOf({{attempts:Array(UUID)}}, attempt_id) - 1 AS attempt, toString(topic_id) AS topic_id,
    kafka_partition, kafka_offset, toString(event_id) AS event_id,
    {", ".join(_asked(column.name, column.kind) for column in _PLAIN)},
    attributes, resource_attributes
FROM events_current WHERE {OF_MESSAGES}
"""  # noqa: S608 - names of ours
_KEYS: Final = ("attempt", "topic_id", "kafka_partition", "kafka_offset")


@dataclass(frozen=True, slots=True)
class SealedRows:
    """Events of some entries, in the order of the entries and of their record indexes.

    Attributes:
        events: `row`, `message` (index into `messages`, which is that of the entry), `resource`, `event_id` (text) and
            every column of the line but the maps.
        attributes, resource_attributes: as `seal.leaf_hashes` takes them.
        messages: what identifies each entry's message to its seal.
    """

    events: pl.DataFrame
    attributes: pl.DataFrame
    resource_attributes: pl.DataFrame
    messages: tuple[SealedMessage, ...]

    def only(self, keep: pl.Series) -> SealedRows:
        """The events where `keep` is true."""
        if keep.all():
            return self
        kept = self.events.filter(keep).drop("row").with_row_index("row")
        numbers = self.events.filter(keep).select("row", new=pl.int_range(pl.len(), dtype=pl.UInt32))
        attributes = self.attributes.join(numbers, on="row", how="inner", maintain_order="left").select(
            pl.col("new").alias("row"), "key", "text"
        )
        resources = self.resource_attributes.filter(pl.col("resource").is_in(kept["resource"].unique().implode()))
        return SealedRows(kept, attributes, resources, self.messages)


def of_messages(entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The parameters of `OF_MESSAGES` for these entries of the log, each of which names its attempt."""
    bounds: dict[tuple[str, int], tuple[int, int]] = {}
    for entry in entries:
        place, offset = (str(entry["topic_id"]), int(entry["partition"])), int(entry["offset"])
        first, last = bounds.get(place, (offset, offset))
        bounds[place] = min(first, offset), max(last, offset)
    return {
        "attempts": list(dict.fromkeys(str(entry["attempt"]) for entry in entries)),
        "topics": [topic for topic, _ in bounds],
        "partitions": [partition for _, partition in bounds],
        "firsts": [first for first, _ in bounds.values()],
        "lasts": [last for _, last in bounds.values()],
        "lowest": min(first for first, _ in bounds.values()),
        "highest": max(last for _, last in bounds.values()),
    }


def sealed_rows(reader: Reader, entries: Sequence[Mapping[str, Any]], salt_master: bytes) -> SealedRows:
    """The stored events of these entries of the log, each of which names its attempt.

    Raises:
        EvidenceAltered: a text in the store is no UTF-8, which nothing that was sealed can be.
        StoreUnavailable, StoreRefused: as `Reader.frame`.
    """
    asked = of_messages(entries)
    number = {attempt: index for index, attempt in enumerate(asked["attempts"])}
    places = pl.DataFrame(
        {
            "attempt": pl.Series([number[str(entry["attempt"])] for entry in entries], dtype=pl.UInt64),
            "topic_id": pl.Series([str(entry["topic_id"]) for entry in entries], dtype=pl.String),
            "kafka_partition": pl.Series([entry["partition"] for entry in entries], dtype=pl.UInt32),
            "kafka_offset": pl.Series([entry["offset"] for entry in entries], dtype=pl.UInt64),
            "message": pl.Series(range(len(entries)), dtype=pl.UInt32),
        }
    )
    found = reader.frame(_EVENTS, asked).with_columns(pl.col("attempt").cast(pl.UInt64))
    joined = found.join(places, on=_KEYS, how="inner").sort("message", "record_index")
    joined = joined.drop(*_KEYS).with_row_index("row")
    _refuse_bytes(joined)
    events = joined.select(
        "row",
        "message",
        "event_id",
        *(_typed(column.name, column.kind) for column in _PLAIN if column.name in joined.columns),
    )
    resource, resource_attributes = _resources(joined)
    keys = {each: salt_key(salt_master, each[0], each[1]) for each in {_salted(entry) for entry in entries}}
    messages = tuple(
        SealedMessage(UUID(str(entry["topic_id"])), entry["partition"], entry["offset"], keys[_salted(entry)])
        for entry in entries
    )
    return SealedRows(events.with_columns(resource), _pairs(joined, "row", "attributes"), resource_attributes, messages)


def _salted(entry: Mapping[str, Any]) -> tuple[str, int]:
    return str(entry["tenant"]), int(entry["timestamp"])


def _typed(name: str, kind: Kind) -> pl.Expr:
    return pl.col(name).cast(POLARS_TYPES[kind])


def _refuse_bytes(rows: pl.DataFrame) -> None:
    for column in _PLAIN:
        if column.kind in {Kind.TEXT, Kind.WORD} and rows[column.name].dtype == pl.Binary:
            raise EvidenceAltered(_STEP, f"column {column.name} of events holds bytes that are no text")


def _pairs(rows: pl.DataFrame, owner: str, name: str) -> pl.DataFrame:
    """A map's pairs, sorted by their owner and the bytes of their keys."""
    exploded = rows.select(owner, pair=pl.col(name)).filter(pl.col("pair").list.len() > 0).explode("pair")
    if exploded.is_empty():
        return pl.DataFrame(schema={owner: pl.UInt32, "key": pl.String, "text": pl.String})
    pairs = exploded.select(owner, key=pl.col("pair").struct.field("key"), text=pl.col("pair").struct.field("value"))
    if pl.Binary in pairs.dtypes:
        raise EvidenceAltered(_STEP, f"column {name} of events holds bytes that are no text")
    return pairs.sort(owner, "key", maintain_order=True)


def _resources(rows: pl.DataFrame) -> tuple[pl.Series, pl.DataFrame]:
    """Which resource each event has (those of one message with the same attributes share one), and their attributes."""
    pairs = _pairs(rows, "row", "resource_attributes")
    told = pairs.group_by("row", maintain_order=True).agg(
        (pl.col("key") + "\x00" + pl.col("text") + "\x01").str.join("").alias("told")
    )
    keyed = rows.select("row", "message").join(told, on="row", how="left", maintain_order="left")
    distinct = keyed.unique(["message", "told"], maintain_order=True).with_row_index("resource")
    resource = keyed.join(
        distinct.select("resource", "message", "told"), on=["message", "told"], how="left", nulls_equal=True,
        maintain_order="left",
    )["resource"]  # fmt: skip
    attributes = pairs.join(distinct.select("row", "resource"), on="row", how="inner", maintain_order="left")
    return resource.cast(pl.UInt32), attributes.select("resource", "key", "text").sort(
        "resource", "key", maintain_order=True
    )
