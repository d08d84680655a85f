"""Small batches of events, once as frames for the pipeline and once as plain values for the reference."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import polars as pl

import evidence_reference as reference
from onshore_pipeline.domain.event import EVENT_COLUMNS, Column, InLine, Kind
from onshore_pipeline.event_frame import EVENT_POLARS_SCHEMA
from onshore_pipeline.evidence.salts import SaltKey, salt_key
from onshore_pipeline.evidence.seal import SealedMessage

MASTER = b"0123456789abcdef0123456789abcdef"
TOPIC_ID = UUID("6f1c1c4e-5a0b-4f57-9d6e-2f6c0a1b2c3d")
TIMESTAMP_NS = 1_763_700_000_000_000_000  # 2025-11-21
REQUIRED: dict[str, Any] = {
    "domain": "data_movement",
    "action": "data.copy",
    "outcome": "success",
    "occurred_at": TIMESTAMP_NS,
    "source_format": "otlp.log",
    "actor_country_basis": "unknown",
    "source_country_basis": "unknown",
    "destination_country_basis": "unknown",
    "transit_basis": "unknown",
    "key_country_basis": "unknown",
}
LINE_COLUMNS = [column for column in EVENT_COLUMNS if column.line is not InLine.OUTSIDE]
LINE_NAMES = [column.name for column in LINE_COLUMNS]


@dataclass(frozen=True)
class Event:
    """One event: values by column (times in ns, binary as bytes), its message and the maps."""

    message: int
    record_index: int
    values: dict[str, Any]
    attributes: dict[str, str]
    resource: int
    resource_attributes: dict[str, str]


def key_of(tenant: str = "default") -> SaltKey:
    return salt_key(MASTER, tenant, TIMESTAMP_NS)


def messages(count: int) -> list[SealedMessage]:
    return [SealedMessage(TOPIC_ID, 3, 1000 + number, key_of()) for number in range(count)]


def frames(events: list[Event]) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    columns: dict[str, pl.Series] = {
        "row": pl.Series(range(len(events)), dtype=pl.UInt32),
        "message": pl.Series([event.message for event in events], dtype=pl.UInt32),
        "resource": pl.Series([event.resource for event in events], dtype=pl.UInt32),
        "record_index": pl.Series([event.record_index for event in events], dtype=pl.UInt32),
    }
    for column in LINE_COLUMNS:
        if column.line is InLine.SUBTREE or column.name == "record_index":
            continue
        values = [{**REQUIRED, **event.values}.get(column.name) for event in events]
        columns[column.name] = _series(column, values)
    resources = {event.resource: event.resource_attributes for event in events}
    return (
        pl.DataFrame(columns),
        _long("row", {row: event.attributes for row, event in enumerate(events)}),
        _long("resource", resources),
    )


def _series(column: Column, values: list[Any]) -> pl.Series:
    kind = EVENT_POLARS_SCHEMA[column.name]
    if column.kind is Kind.TIME:
        return pl.Series(values, dtype=pl.Int64).cast(kind)
    if column.kind is Kind.WORDS:
        return pl.Series([value or [] for value in values], dtype=kind)
    return pl.Series(values, dtype=kind)


def _long(owner: str, maps: dict[int, dict[str, str]]) -> pl.DataFrame:
    rows = [
        (number, key, text)
        for number in sorted(maps)
        for key, text in sorted(maps[number].items(), key=lambda item: item[0].encode())
    ]
    schema = {owner: pl.UInt32, "key": pl.String, "text": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


def reference_line(event: Event, message: SealedMessage) -> bytes:
    key = reference.salt_key(MASTER, "default", datetime.fromtimestamp(TIMESTAMP_NS // 10**9, UTC).strftime("%Y-%m"))
    named = reference.identity(message.topic_id, message.partition, message.offset, event.record_index)
    values = {**REQUIRED, **event.values}
    ready: dict[str, Any] = {
        name: value.hex() if isinstance(value, bytes) else value for name, value in values.items() if name in LINE_NAMES
    }
    ready |= {
        "record_index": event.record_index,
        "attributes": event.attributes,
        "resource_attributes": event.resource_attributes,
    }
    of_resource = reference.resource_salt(
        key, message.topic_id, message.partition, message.offset, event.resource_attributes
    )
    return reference.line(LINE_NAMES, ready, reference.event_salt(key, named), of_resource)
