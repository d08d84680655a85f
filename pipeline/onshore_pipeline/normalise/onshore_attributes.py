"""Onshore's own attributes, which win over everything else a record says.

The names, types and meanings are published in docs/semantic-conventions.yaml; a test holds the two together. A value
of the wrong type leaves its column unknown; its text stays in `attributes`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.domain.event import DOMAINS, OUTCOMES
from onshore_pipeline.normalise import values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from onshore_pipeline.normalise.fields import Records

# Columns that take a text as it was sent.
TEXTS: Final = {
    "reason": "onshore.reason",
    "actor_id": "onshore.actor.id",
    "actor_declared_country": "onshore.actor.country",
    "actor_nationality": "onshore.actor.nationality",
    "actor_entity": "onshore.actor.entity",
    "actor_employer": "onshore.actor.employer",
    "source_declared_country": "onshore.source.country",
    "source_entity": "onshore.source.entity",
    "source_facility": "onshore.source.facility",
    "source_region": "onshore.source.region",
    "destination_declared_country": "onshore.destination.country",
    "destination_entity": "onshore.destination.entity",
    "destination_facility": "onshore.destination.facility",
    "destination_region": "onshore.destination.region",
    "object_type": "onshore.object.type",
    "object_digest": "onshore.object.digest",
    "dataset": "onshore.data.set",
    "classification": "onshore.data.classification",
    "key_id": "onshore.key.id",
    "key_custodian": "onshore.key.custodian",
    "key_country": "onshore.key.country",
    "attestation": "onshore.location.attestation",  # checked where places are worked out
}
# Columns where 'none' states an absence.
STATEMENTS: Final = {
    "transfer_basis": "onshore.transfer.basis",
    "approval_id": "onshore.approval.id",
    "approval_by": "onshore.approval.by",
}
COUNTS: Final = {"bytes": "onshore.data.bytes", "item_count": "onshore.data.count"}
FLAGS: Final = {
    "encrypted_at_rest": "onshore.encrypted.at_rest",
    "encrypted_in_transit": "onshore.encrypted.in_transit",
}
TIMES: Final = {"approval_expires_at": "onshore.approval.expires"}
LISTS: Final = {
    "transit_countries": "onshore.transit.countries",
    "categories": "onshore.data.categories",
    "home_jurisdictions": "onshore.data.home",
}
# Stated by the record, else by its resource: a collector names itself once.
_COLLECTOR_ID, _COLLECTOR_SEQUENCE = "onshore.collector.id", "onshore.collector.sequence"
_DOMAIN, _ACTION, _OUTCOME, _ACTOR_TYPE = "onshore.domain", "onshore.action", "onshore.outcome", "onshore.actor.type"

_ACTOR_TYPES: Final = ("user", "service", "operator", "vendor")  # 'unknown' is null: no condition may decide by it

KEYS: Final = (
    *(*TEXTS.values(), *STATEMENTS.values(), *COUNTS.values(), *FLAGS.values(), *TIMES.values(), *LISTS.values()),
    *(_COLLECTOR_ID, _COLLECTOR_SEQUENCE, _DOMAIN, _ACTION, _OUTCOME, _ACTOR_TYPE),
)
RESOURCE_KEYS: Final = (_COLLECTOR_ID, _COLLECTOR_SEQUENCE)


def declared(records: Records) -> pl.Expr:
    """Whether a record uses Onshore's own attributes; never null."""
    return records.any_of(*KEYS)


def overlay(records: Records, columns: pl.DataFrame) -> pl.DataFrame:
    """Put what the records' onshore.* attributes state over `columns`, row by row.

    A `domain` that is none of the three known ones is null; an `outcome` that is none of the four is 'unknown'.
    """
    over = records.select(*_stated(records)).hstack(list(_worded(records)))
    below, above = frozenset(columns.columns), frozenset(over.columns)
    beside = columns.hstack([column.alias(f"stated {column.name}") for column in over.get_columns()])
    merged = beside.select(
        *(name for name in columns.columns if name not in above),
        *(pl.coalesce(f"stated {name}", *({name} & below)).alias(name) for name in over.columns),
    )
    return merged.hstack(
        [
            values.lists_of(records.frame[key], lower=column == "categories").alias(column)
            for column, key in LISTS.items()
            if records.has(key)
        ]
    )


def _stated(records: Records) -> list[pl.Expr]:
    """Columns that the records state, only those that a record of the batch does, and that differ from row to row."""

    def each(table: Mapping[str, str], read: Callable[[pl.Expr], pl.Expr]) -> list[pl.Expr]:
        return [read(pl.col(key)).alias(column) for column, key in table.items() if records.has(key)]

    def collector(key: str) -> pl.Expr:
        return pl.coalesce(records.text(key), records.resource(key))

    return [
        *each(TEXTS, lambda text: text),
        *each(COUNTS, values.count_of),
        collector(_COLLECTOR_ID).alias("collector_id"),
        values.count_of(collector(_COLLECTOR_SEQUENCE)).alias("collector_sequence"),
    ]


def _worded(records: Records) -> Iterator[pl.Series]:
    """The same of columns that have few distinct texts, each of which is read once."""
    for table, read in _WORDED:
        for column, key in table.items():
            if records.has(key):
                yield values.each_distinct(records.frame[key], read).alias(column)


def _one_of(text: pl.Expr, known: tuple[str, ...], otherwise: str | None = None) -> pl.Expr:
    word = values.word_of(text)
    fallback = pl.lit(otherwise, pl.String)
    return pl.when(word.is_in(known)).then(word).when(text.is_not_null()).then(fallback)


_WORDED: Final[tuple[tuple[Mapping[str, str], Callable[[pl.Expr], pl.Expr]], ...]] = (
    (STATEMENTS, values.statement_of),
    (FLAGS, values.flag_of),
    (TIMES, values.time_of),
    ({"action": _ACTION}, values.word_of),
    ({"domain": _DOMAIN}, lambda text: _one_of(text, DOMAINS)),
    ({"outcome": _OUTCOME}, lambda text: _one_of(text, OUTCOMES, otherwise="unknown")),
    ({"actor_type": _ACTOR_TYPE}, lambda text: _one_of(text, _ACTOR_TYPES)),
)
