"""Arrow schemas of the fact tables that a worker and the sequencer write; the SQL stands in migrations/."""

from __future__ import annotations

from typing import Final

import polars as pl
import pyarrow as pa

from onshore_pipeline.event_frame import EVENT_ARROW_SCHEMA

_UUID: Final = pa.binary(16)
_DIGEST: Final = pa.binary(32)
_TEXT: Final = pa.string()
_U32: Final = pa.uint32()
_U64: Final = pa.uint64()
_I64: Final = pa.int64()
_TIME: Final = pa.timestamp("ns", "UTC")
_HOUR: Final = pa.timestamp("s", "UTC")
_MOMENT: Final = pa.timestamp("ms", "UTC")
_TEXT_MAP: Final = pa.map_(_TEXT, _TEXT)


def _schema(columns: dict[str, pa.DataType], nullable: frozenset[str] = frozenset()) -> pa.Schema:
    return pa.schema([pa.field(name, kind, nullable=name in nullable) for name, kind in columns.items()])


SCHEMAS: Final[dict[str, pa.Schema]] = {
    "events": EVENT_ARROW_SCHEMA,
    "violations": _schema(
        {
            "attempt_id": _UUID,
            "event_id": _UUID,
            "finding_id": _UUID,
            "tenant": _TEXT,
            "domain": _TEXT,
            "control_id": _TEXT,
            "control_version": _U32,
            "kind": _TEXT,
            "severity": _TEXT,
            "fingerprint": _TEXT_MAP,
            "occurred_at": _TIME,
            "ingested_at": _TIME,
            "bytes": _U64,
        },
        frozenset({"ingested_at", "bytes"}),
    ),
    "finding_states": _schema(
        {
            "finding_id": _UUID,
            "told_at": _MOMENT,
            "status": _TEXT,
            "severity": _TEXT,
            "owner": _TEXT,
            "due": _MOMENT,
            "waiver_id": _TEXT,
            "control_version": _U32,
            "events": _U64,
            "bytes": _U64,
            "last_seen": _TIME,
        },
        frozenset({"due"}),
    ),
    "windowed_verdicts_built": _schema(
        {
            "rule": _TEXT,
            "unit_id": _UUID,
            "generation": _U64,
            "finding_id": _UUID,
            "tenant": _TEXT,
            "control_id": _TEXT,
            "control_version": _U32,
            "looks_at": _TEXT,
            "key": _TEXT_MAP,
            "fingerprint": _TEXT_MAP,
            "since": _TIME,
            "until": _TIME,
            "stated_at": _TIME,
            "before": _TEXT,
            "verdict": _TEXT,
            "missing": _TEXT,
            "known": _TEXT_MAP,
            "first_at": _TIME,
            "last_at": _TIME,
            "events": _U64,
            "sample_event_ids": pa.list_(_UUID),
            "key_hash": _U64,
        }
    ),
    "windowed_panes_built": _schema(
        {
            "rule": _TEXT,
            "key_hash": _U64,
            "pane": _I64,
            "generation": _U64,
            "key_texts": pa.list_(_TEXT),
            "key_lacks": pa.list_(pa.bool_()),
            "keyless": pa.bool_(),
            "events": _U64,
            "first_at": _I64,
            "last_at": _I64,
            "first_arrival": _I64,
            "sample_at": pa.list_(_I64),
            "samples": pa.list_(_UUID),
            "sums": pa.list_(_TEXT),
            "opens": pa.list_(pa.bool_()),
            "seen": pa.list_(_TEXT),
            "seen_of": pa.list_(pa.uint8()),
            "scope": pa.bool_(),
            "disputed": pa.bool_(),
            "word": _TEXT,
            "word_arrival": _I64,
            "word_at": _I64,
            "word_event": _UUID,
        }
    ),
    "message_verdicts": _schema(
        {
            "attempt_id": _UUID,
            "topic_id": _UUID,
            "kafka_partition": _U32,
            "kafka_offset": _U64,
            "tenant": _TEXT,
            "source_format": _TEXT,
            "control_id": _TEXT,
            "control_version": _U32,
            "hour": _HOUR,
            "verdict": _TEXT,
            "missing": _TEXT,
            "events": _U64,
        }
    ),
    "message_flows": _schema(
        {
            "attempt_id": _UUID,
            "tenant": _TEXT,
            "hour": _HOUR,
            "domain": _TEXT,
            "action": _TEXT,
            "source_country": _TEXT,
            "destination_country": _TEXT,
            "destination_basis": _TEXT,
            "destination_control_country": _TEXT,
            "events": _U64,
            "bytes": _U64,
        },
        frozenset({"source_country", "destination_country", "destination_control_country"}),
    ),
    "message_access": _schema(
        {
            "attempt_id": _UUID,
            "tenant": _TEXT,
            "hour": _HOUR,
            "model_requested": _TEXT,
            "model_served": _TEXT,
            "model_endpoint": _TEXT,
            "destination_country": _TEXT,
            "destination_control_country": _TEXT,
            "calls": _U64,
            "input_tokens": _U64,
            "output_tokens": _U64,
        },
        frozenset(
            {
                "model_requested",
                "model_served",
                "model_endpoint",
                "destination_country",
                "destination_control_country",
            }
        ),
    ),
    "message_collectors": _schema(
        {
            "attempt_id": _UUID,
            "tenant": _TEXT,
            "collector_id": _TEXT,
            "source_format": _TEXT,
            "received_at": _TIME,
            "last_occurred": _TIME,
            "events": _U64,
            "dropped": _U64,
            "kafka_topic": _TEXT,
            "resource": _TEXT,
            "losses": _TEXT,
            "hour": _HOUR,
            "minutes": _U64,
            "heartbeats": _U64,
            "least_delay_ms": _I64,
            "least_heartbeat_delay_ms": _I64,
        },
        frozenset({"least_delay_ms", "least_heartbeat_delay_ms"}),
    ),
    "message_sequences": _schema(
        {
            "attempt_id": _UUID,
            "tenant": _TEXT,
            "collector_id": _TEXT,
            "run": _TEXT,
            "first": _U64,
            "last": _U64,
            "records": _U64,
            "topic_id": _UUID,
            "kafka_topic": _TEXT,
            "kafka_partition": _U32,
            "kafka_offset": _U64,
            "received_at": _TIME,
            "hour": _HOUR,
        }
    ),
    "message_statements": _schema(
        {
            "attempt_id": _UUID,
            "event_id": _UUID,
            "tenant": _TEXT,
            "collector_id": _TEXT,
            "action": _TEXT,
            "source": _TEXT,
            "since": _TIME,
            "until": _TIME,
            "why": _TEXT,
            "items": _U64,
            "received_at": _TIME,
            "object": _TEXT,
            "listed_by": _TEXT,
        }
    ),
    "message_actions": _schema(
        {
            "attempt_id": _UUID,
            "event_id": _UUID,
            "action_id": _TEXT,
            "tenant": _TEXT,
            "action": _TEXT,
            "who": _TEXT,
            "reason": _TEXT,
            "attributes": _TEXT_MAP,
            "topic_id": _UUID,
            "kafka_offset": _U64,
            "record_index": _U32,
            "received_at": _TIME,
        }
    ),
    "metric_points": _schema(
        {
            "attempt_id": _UUID,
            "tenant": _TEXT,
            "event_id": _UUID,
            "metric": _TEXT,
            "unit": _TEXT,
            "attributes": _TEXT_MAP,
            "at": _TIME,
            "value": pa.float64(),
            "sum": pa.float64(),
            "count": _U64,
            "ingested_at": _TIME,
        },
        frozenset({"value", "sum", "count", "ingested_at"}),
    ),
    "dead_letters": _schema(
        {
            "attempt_id": _UUID,
            "dead_letter_id": _UUID,
            "tenant": _TEXT,
            "topic": _TEXT,
            "topic_id": _UUID,
            "kafka_partition": _U32,
            "kafka_offset": _U64,
            "record_indexes": pa.list_(_U32),
            "stage": _TEXT,
            "reason": _TEXT,
            "received_at": _TIME,
            "payload": pa.binary(),
            "headers": _TEXT,
            "clock": _TEXT,
            "headers_trusted": pa.bool_(),
        }
    ),
    "dead_letter_actions": _schema(
        {
            "action_id": _UUID,
            "dead_letter_id": _UUID,
            "at": _MOMENT,
            "action": _TEXT,
            "outcome": _TEXT,
            "reason": _TEXT,
            "who": _TEXT,
            "why": _TEXT,
            "attempt_id": _UUID,
        }
    ),
    "attempts": _schema(
        {
            "attempt_id": _UUID,
            "worker": _TEXT,
            "registered_at": _MOMENT,
            "pipeline": _TEXT,
            "context_digest": _TEXT,
            "controls_digest": _TEXT,
            "topic_ids": pa.list_(_UUID),
            "partitions": pa.list_(_U32),
            "first_offsets": pa.list_(_U64),
            "end_offsets": pa.list_(_U64),
        }
    ),
    "evidence_log": _schema(
        {
            "log_partition": _U32,
            "log_position": _U64,
            "appended_at": _TIME,
            "kind": _TEXT,
            "topic": _TEXT,
            "topic_id": _UUID,
            "partition": _U32,
            "offset": _U64,
            "log_index": _U64,
            "attempt_id": _UUID,
            "tenant": _TEXT,
            "records": _U64,
            "events": _U64,
            "dead_lettered": _U64,
            "entry_hash": _DIGEST,
            "entry": _TEXT,
            "log_id": _UUID,
            "end_offset": _U64,
        },
        frozenset({"attempt_id"}),
    ),
    "controls": _schema(
        {
            "control_id": _TEXT,
            "version": _U32,
            "digest": _DIGEST,
            "jurisdiction": _TEXT,
            "title": _TEXT,
            "instrument": _TEXT,
            "kind": _TEXT,
            "severity": _TEXT,
            "confidence": _TEXT,
            "status": _TEXT,
            "domain": _TEXT,
            "effective_from": pa.date32(),
            "effective_to": pa.date32(),
            "checked_on": pa.date32(),
            "rationale": _TEXT,
            "needs": _TEXT,
            "evidence": _TEXT,
            "remediation": _TEXT,
            "text": _TEXT,
            "loaded_at": _MOMENT,
        },
        frozenset({"effective_from", "effective_to", "checked_on"}),
    ),
    "rule_files": _schema({"sha256": _DIGEST, "content": _TEXT}),
    "rule_sets": _schema(
        {"digest": _DIGEST, "kind": _TEXT, "name": _TEXT, "version": _TEXT, "sha256": _DIGEST, "loaded_at": _MOMENT}
    ),
}


def to_table(name: str, frame: pl.DataFrame) -> pa.Table:
    """A frame as the named table's Arrow table: columns in the table's order, cast to its exact types.

    Raises:
        pa.ArrowInvalid: a value does not fit its column's type.
    """
    schema = SCHEMAS[name]
    arrow = frame.select(schema.names).to_arrow(compat_level=pl.CompatLevel.oldest())
    return pa.table([_cast(arrow[field.name], field.type) for field in schema], schema=schema)


def _cast(values: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if not pa.types.is_map(kind):
        return values.cast(kind)
    # Polars has no map type: a list of (key, value) structs has the same layout.
    return pa.chunked_array([_to_map(chunk, kind) for chunk in values.chunks], type=kind)


def _to_map(pairs: pa.Array, kind: pa.MapType) -> pa.Array:
    lists = pairs.cast(pa.list_(pa.struct([("key", kind.key_type), ("value", kind.item_type)])))
    entries = lists.flatten()
    offsets = lists.offsets.cast(pa.int32())
    if len(offsets) and offsets[0].as_py():
        offsets = pa.compute.subtract(offsets, offsets[0])
    return pa.MapArray.from_arrays(offsets, entries.field("key"), entries.field("value"))
