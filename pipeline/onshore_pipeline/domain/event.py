"""The event: one row of the `events` table, column by column.

This is the only place where columns are listed. The store's table, the Arrow schema of an insert, the canonical line
and the control language are all made from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Final, Literal


class Kind(Enum):
    """What a column holds, and how it is spelled in ClickHouse when it may be unknown."""

    TEXT = "Nullable(String)"
    WORD = "LowCardinality(Nullable(String))"  # few distinct values
    TIME = "Nullable(DateTime64(9, 'UTC'))"
    ADDRESS = "Nullable(IPv6)"  # v4 addresses are v4-mapped
    U32 = "Nullable(UInt32)"
    U64 = "Nullable(UInt64)"
    BOOL = "Nullable(Bool)"
    WORDS = "Array(LowCardinality(String))"  # an empty array is unknown
    TEXT_MAP = "Map(LowCardinality(String), String)"
    ID = "UUID"
    TRACE_ID = "Nullable(FixedString(16))"
    SPAN_ID = "Nullable(FixedString(8))"
    DIGEST = "FixedString(32)"


class InLine(Enum):
    """How a column enters the canonical line (docs/evidence-format.md)."""

    PLAIN = "plain"  # its value
    COMMITTED = "committed"  # a salted commitment to its value, so that it can be redacted later
    SUBTREE = "subtree"  # a map: the root over one salted leaf a key
    OUTSIDE = "outside"  # constant for the message (in the log entry), or derived from what is inside


@dataclass(frozen=True, slots=True)
class Column:
    """One column of `events`.

    Attributes:
        name: its name in the store, in frames and in control conditions.
        kind: what it holds.
        required: never unknown; the store's type is then not nullable.
        line: how it enters the canonical line.
    """

    name: str
    kind: Kind
    required: bool = False
    line: InLine = InLine.PLAIN

    @property
    def clickhouse_type(self) -> str:
        """The column's ClickHouse type."""
        spelled = self.kind.value
        if not self.required:
            return spelled
        return spelled.replace("Nullable(", "", 1)[:-1] if spelled.startswith("Nullable(") else _plain_word(spelled)


def _plain_word(spelled: str) -> str:
    return "LowCardinality(String)" if spelled == Kind.WORD.value else spelled


PARTIES: Final = ("actor", "source", "destination")
DOMAINS: Final = ("infrastructure", "model_access", "data_movement")
OUTCOMES: Final = ("success", "failure", "denied", "unknown")
BASES: Final = ("attested", "observed", "asserted", "inferred", "unknown")
# What a time can be: 64 bits of nanoseconds since 1970, and the days on which they begin and end.
FIRST_NS: Final = -(2**63)
LAST_NS: Final = 2**63 - 1
FIRST_DAY: Final = date(1677, 9, 21)
LAST_DAY: Final = date(2262, 4, 11)
Basis = Literal["attested", "observed", "asserted", "inferred", "unknown"]


def _party(name: str) -> tuple[Column, ...]:
    return (
        Column(f"{name}_id", Kind.TEXT, line=InLine.COMMITTED),
        Column(f"{name}_address", Kind.ADDRESS, line=InLine.COMMITTED),
        Column(f"{name}_host", Kind.TEXT, line=InLine.COMMITTED),
        Column(f"{name}_asn", Kind.U32),
        Column(f"{name}_country", Kind.WORD),
        Column(f"{name}_country_basis", Kind.WORD, required=True),
        Column(f"{name}_country_candidates", Kind.WORDS),
        Column(f"{name}_region", Kind.WORD),
        Column(f"{name}_facility", Kind.WORD),
        Column(f"{name}_account", Kind.WORD),
        Column(f"{name}_entity", Kind.WORD),
        Column(f"{name}_entity_country", Kind.WORD),
        Column(f"{name}_control_country", Kind.WORD),
    )


_OUTSIDE = InLine.OUTSIDE

EVENT_COLUMNS: Final[tuple[Column, ...]] = (
    # identity
    Column("event_id", Kind.ID, required=True, line=_OUTSIDE),
    Column("tenant", Kind.WORD, required=True, line=_OUTSIDE),
    Column("domain", Kind.WORD, required=True),
    Column("action", Kind.WORD, required=True),
    Column("outcome", Kind.WORD, required=True),
    Column("reason", Kind.TEXT),
    Column("occurred_at", Kind.TIME, required=True),
    Column("observed_at", Kind.TIME),
    Column("ingested_at", Kind.TIME, line=_OUTSIDE),  # the broker's append time; unknown where a sender stamps messages
    # provenance
    Column("source_format", Kind.WORD, required=True),
    Column("schema_url", Kind.WORD),
    Column("collector_id", Kind.WORD),
    Column("collector_sequence", Kind.U64),
    Column("kafka_topic", Kind.WORD, required=True, line=_OUTSIDE),
    Column("topic_id", Kind.ID, required=True, line=_OUTSIDE),
    Column("kafka_partition", Kind.U32, required=True, line=_OUTSIDE),
    Column("kafka_offset", Kind.U64, required=True, line=_OUTSIDE),
    Column("record_index", Kind.U32, required=True),
    Column("trace_id", Kind.TRACE_ID),
    Column("span_id", Kind.SPAN_ID),
    Column("attempt_id", Kind.ID, required=True, line=_OUTSIDE),
    # parties
    *_party("actor"),
    Column("actor_type", Kind.WORD),
    Column("actor_employer", Kind.WORD),
    Column("actor_nationality", Kind.WORD),
    *_party("source"),
    *_party("destination"),
    # path and key
    Column("transit_countries", Kind.WORDS),
    Column("transit_basis", Kind.WORD, required=True),
    Column("key_id", Kind.TEXT),
    Column("key_custodian", Kind.WORD),
    Column("key_country", Kind.WORD),
    Column("key_country_basis", Kind.WORD, required=True),
    Column("encrypted_at_rest", Kind.BOOL),
    Column("encrypted_in_transit", Kind.BOOL),
    # data
    Column("object_type", Kind.WORD),
    Column("object_digest", Kind.TEXT),
    Column("dataset", Kind.WORD),
    Column("classification", Kind.WORD),
    Column("categories", Kind.WORDS),
    Column("home_jurisdictions", Kind.WORDS),
    Column("bytes", Kind.U64),
    Column("item_count", Kind.U64),
    Column("transfer_basis", Kind.WORD),
    Column("approval_id", Kind.TEXT),
    Column("approval_by", Kind.TEXT),
    Column("approval_expires_at", Kind.TIME),
    # model
    Column("model_provider", Kind.WORD),
    Column("model_requested", Kind.WORD),
    Column("model_served", Kind.WORD),
    Column("model_endpoint", Kind.WORD),
    Column("input_tokens", Kind.U64),
    Column("output_tokens", Kind.U64),
    # judgement inputs and the rest
    Column("contradictions", Kind.WORDS, line=InLine.COMMITTED),
    Column("provenance", Kind.WORD),  # what places and owners follow from; unknown of events before it was kept
    Column("resource_attributes", Kind.TEXT_MAP, required=True, line=InLine.SUBTREE),
    Column("attributes", Kind.TEXT_MAP, required=True, line=InLine.SUBTREE),
    Column("body", Kind.TEXT, line=InLine.COMMITTED),
    # integrity
    Column("leaf_hash", Kind.DIGEST, required=True, line=_OUTSIDE),
)

COLUMNS_BY_NAME: Final = {column.name: column for column in EVENT_COLUMNS}
