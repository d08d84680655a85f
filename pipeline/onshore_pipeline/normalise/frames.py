"""What normalising a batch gives: events in the one shape, their attributes, and metric points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.domain.event import EVENT_COLUMNS, PARTIES
from onshore_pipeline.event_frame import POLARS_TYPES

if TYPE_CHECKING:
    from onshore_pipeline.wire.frames import Failure

# Filled before (per message, by the worker) or after (by locate and seal) the batch is normalised.
_FILLED_ELSEWHERE: Final = frozenset(
    {"event_id", "tenant", "ingested_at", "kafka_topic", "topic_id", "kafka_partition", "kafka_offset", "attempt_id"}
    | {"transit_basis", "key_country_basis", "contradictions", "provenance"}
    | {f"{party}_{what}" for party in PARTIES for what in ("country", "country_basis", "country_candidates")}
    | {f"{party}_{what}" for party in PARTIES for what in ("entity_country", "control_country")}
    | {"resource_attributes", "attributes", "leaf_hash"}
)

# What a source claims about a party's place, and an object's; `locate` weighs these and drops them.
CLAIM_COLUMNS: Final[dict[str, pl.DataType]] = {
    f"{party}_{claim}": dtype
    for party in PARTIES
    for claim, dtype in (("declared_country", pl.String()), ("provider", pl.String()))
} | {
    "attestation": pl.String(),  # a signed statement about a place, as sent
    "rtt_ms": pl.Float64(),  # round trip between source and destination
    "object_place": pl.String(),  # where the object lies, as `domain.object_place` spells it
}

EVENTS_SCHEMA: Final = pl.Schema(
    {"row": pl.UInt32(), "message": pl.UInt32(), "resource": pl.UInt32()}
    | {column.name: POLARS_TYPES[column.kind] for column in EVENT_COLUMNS if column.name not in _FILLED_ELSEWHERE}
    | CLAIM_COLUMNS
)
EVENT_ATTRIBUTES_SCHEMA: Final = pl.Schema({"row": pl.UInt32(), "key": pl.String(), "text": pl.String()})
EVENT_RESOURCE_ATTRIBUTES_SCHEMA: Final = pl.Schema({"resource": pl.UInt32(), "key": pl.String(), "text": pl.String()})


@dataclass(frozen=True, slots=True)
class Normalised:
    """A batch of events; every frame stays joined to `events` by `row`, `resource` or `point`.

    Attributes:
        events: one row an event, `EVENTS_SCHEMA`, sorted by (message, record_index); `row` is dense from 0. Texts are
            never '' and lists are never null: null and [] are unknown.
        attributes: `EVENT_ATTRIBUTES_SCHEMA`, sorted by (row, key bytes), unique: everything that was sent, mapped to a
            column or not; for state events the last value of each metric that has one series; for CloudTrail the
            record's fields that have no column, under the collector decoder's names.
        resource_attributes: `EVENT_RESOURCE_ATTRIBUTES_SCHEMA`, as decoded.
        points: as decoded (`wire.frames.POINTS_SCHEMA`) and `row` UInt32, the state event a point belongs to.
        point_attributes: as decoded (`wire.frames.POINT_ATTRIBUTES_SCHEMA`), keyed by `point`.
        failures: messages and records that could not be read, decoding's included.
        record_counts: records in, one number a message: log records and spans sent, and resource-minutes of metrics.
            Equals the message's events plus its failed records.
    """

    events: pl.DataFrame
    attributes: pl.DataFrame
    resource_attributes: pl.DataFrame
    points: pl.DataFrame
    point_attributes: pl.DataFrame
    failures: tuple[Failure, ...]
    record_counts: tuple[int, ...]
