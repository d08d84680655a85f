"""Onshore's own JSON form of records, for sources that have no format of their own: a script prints it.

    {"time": "2026-07-10T11:45:00Z", "event": "start", "outcome": "success", "reason": "...", "id": "...",
     "actor": {"id": "...", "type": "user", "address": "203.0.113.9", "country": "JP"},
     "source": {"address": "...", "host": "...", "region": "...", "provider": "...", "account": "...",
                "country": "...", "facility": "...", "entity": "..."},
     "destination": {the same},
     "dataset": "...", "object_type": "...", "digest": "...", "bytes": 1, "items": 1,
     "key": {"id": "..."}, "encrypted": {"at_rest": true, "in_transit": true},
     "approval": {"id": "...", "by": "...", "expires": "..."}}

Every field may be absent, and is unknown then. `event` says what happened, in the words that the module of the record's
format lists. An address with a port is one; what is no address becomes the host. A product's own names stand beside
these: `spelled` puts both together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.domain.event import OUTCOMES
from onshore_pipeline.normalise import values
from onshore_pipeline.normalise.addresses import split_addresses
from onshore_pipeline.normalise.described import begun
from onshore_pipeline.normalise.parties import provider_of
from onshore_pipeline.normalise.source_fields import first_time

if TYPE_CHECKING:
    from collections.abc import Iterable

_ENDS: Final = ("source", "destination")
_PLACE: Final = ("region", "provider", "account", "country", "facility", "entity")
_FIELDS: Final[dict[str, str]] = {
    "time": "time",
    "event": "event",
    "said_outcome": "outcome",
    "reason": "reason",
    "id": "id",
    "actor": "actor id",
    "actor_kind": "actor type",
    "actor_at": "actor address",
    "actor_country": "actor country",
    **{f"{end}_at": f"{end} address" for end in _ENDS},
    **{f"{end}_name": f"{end} host" for end in _ENDS},
    **{f"{end}_{what}": f"{end} {what}" for end in _ENDS for what in _PLACE},
    "dataset": "dataset",
    "object_kind": "object_type",
    "digest": "digest",
    "moved": "bytes",
    "items": "items",
    "key": "key id",
    "at_rest": "encrypted at_rest",
    "in_transit": "encrypted in_transit",
    "approval": "approval id",
    "approver": "approval by",
    "approved_until": "approval expires",
}
_ACTOR_TYPES: Final = ("user", "service", "operator", "vendor")


def spelled(**also: str) -> dict[str, str]:
    """Field → where it stands (`source_fields`): in the plain form, else where it is said; new fields, too."""
    return {
        name: " | ".join(place for place in (_FIELDS.get(name), also.get(name)) if place)
        for name in dict.fromkeys([*_FIELDS, *also])
    }


def word(name: str) -> pl.Expr:
    """The field in lower case and trimmed."""
    return values.word_of(pl.col(name))


def outcome_of(*also: pl.Expr) -> pl.Expr:
    """The outcome as the plain form says it, else the first of the others; unknown without any."""
    said = word("said_outcome")
    return pl.coalesce(pl.when(said.is_in(OUTCOMES)).then(said), *also, pl.lit("unknown"))


def columns(fields: pl.DataFrame, source_format: str, described: Iterable[pl.Expr]) -> pl.DataFrame:
    """The columns of records, row by row.

    Args:
        fields: `source_fields` of `spelled`.
        source_format: their format.
        described: action, outcome and every other column that is made otherwise than from the plain form.
    """
    split = {name: split_addresses(fields[name]) for name in ("actor_at", *(f"{end}_at" for end in _ENDS))}
    beside = fields.with_columns(
        *(address.alias(f"{name}_address") for name, (address, _) in split.items()),
        *(host.alias(f"{name}_host") for name, (_, host) in split.items()),
    )
    own = {expression.meta.output_name(): expression for expression in described}
    plain = {expression.meta.output_name(): expression for expression in _plain()}
    return beside.select(*begun(source_format, first_time("time")), *(plain | own).values())


def _plain() -> list[pl.Expr]:
    actor_type = word("actor_kind")
    return [
        pl.col("reason"),
        pl.col("actor").alias("actor_id"),
        pl.when(actor_type.is_in(_ACTOR_TYPES)).then(actor_type).alias("actor_type"),
        pl.coalesce("actor_at_address", pl.when(pl.col("actor_at").is_null()).then("source_at_address")).alias(
            "actor_address"
        ),
        pl.col("actor_country").alias("actor_declared_country"),
        *(expression for end in _ENDS for expression in _end(end)),
        pl.col("dataset"),
        pl.col("object_kind").alias("object_type"),
        pl.col("digest").alias("object_digest"),
        values.count_of(pl.col("moved")).alias("bytes"),
        values.count_of(pl.col("items")).alias("item_count"),
        pl.col("key").alias("key_id"),
        values.flag_of(pl.col("at_rest")).alias("encrypted_at_rest"),
        values.flag_of(pl.col("in_transit")).alias("encrypted_in_transit"),
        values.statement_of(pl.col("approval")).alias("approval_id"),
        values.statement_of(pl.col("approver")).alias("approval_by"),
        values.time_of(pl.col("approved_until")).alias("approval_expires_at"),
    ]


def _end(end: str) -> list[pl.Expr]:
    return [
        pl.col(f"{end}_at_address").alias(f"{end}_address"),
        pl.coalesce(f"{end}_name", f"{end}_at_host").alias(f"{end}_host"),
        pl.col(f"{end}_region"),
        provider_of(pl.col(f"{end}_provider")).alias(f"{end}_provider"),
        pl.col(f"{end}_account"),
        pl.col(f"{end}_country").alias(f"{end}_declared_country"),
        pl.col(f"{end}_facility"),
        pl.col(f"{end}_entity"),
    ]
