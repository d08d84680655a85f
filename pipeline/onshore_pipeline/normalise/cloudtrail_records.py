"""The fields of CloudTrail records: of the raw record, in a wrapper or not, else of the decoder's attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.distinct import nulls
from onshore_pipeline.normalise import aws_envelopes
from onshore_pipeline.normalise.cloudtrail_paths import (
    LOWER_PATHS,
    ONE_RULE_PATHS,
    RARE_MARKS,
    RARE_PATHS,
    RARE_REQUEST_PATHS,
    RECORD_PATHS,
    REPLICATION_PATHS,
    REQUEST_PATHS,
)
from onshore_pipeline.normalise.described import known
from onshore_pipeline.normalise.json_fields import read_fields
from onshore_pipeline.normalise.oddities import oddities

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onshore_pipeline.normalise.fields import Records

_KNOWN_VERSION: Final = "1."
_NO_TEXTS: Final = ("readOnly", "bytesTransferredIn", "bytesTransferredOut")  # of the fields that columns are made of
_REQUEST_KEY: Final = "aws.request.parameters"
# Field → the attribute that the Collector's decoder writes, and that a raw record's field becomes.
ATTRIBUTES: Final = {
    "event_name": "rpc.method",
    "event_source": "rpc.service",
    "event_id": "aws.cloudtrail.event_id",
    "vpc_endpoint": "aws.cloudtrail.vpc_endpoint_id",
    "error_code": "aws.error.code",
    "read_only": "aws.event.read_only",
    "shared_event": "aws.shared_event_id",
    "category": "aws.event.category",
    "tls_version": "tls.protocol.version",
    "tls_cipher": "tls.cipher",
    "tls_host": "server.address",
    "user_agent": "user_agent.original",
}
_DECODER_ONLY: Final = {
    "source": "source.address",
    "error_message": "aws.error.message",
    "actor_type": "aws.principal.type",
    "actor_arn": "aws.principal.arn",
    "actor_principal": "aws.principal.id",
    "actor_account": "aws.user_identity.account_id",
    "actor_service": "aws.user_identity.invoked_by",
}
KEYS: Final = (_REQUEST_KEY, *ATTRIBUTES.values(), *_DECODER_ONLY.values())


def read(records: Records) -> pl.DataFrame:
    """The record's fields, row by row: of the raw record, else of the decoder's attributes; whether it is decoded."""
    sent = records.select(
        *(records.text(key).alias(name) for name, key in (ATTRIBUTES | _DECODER_ONLY).items()),
        records.text(_REQUEST_KEY).alias("request"),
    )
    request = sent["request"]
    sent = sent.hstack([*read_fields(request, REQUEST_PATHS), *_rare(request, RARE_REQUEST_PATHS)])
    bodies = aws_envelopes.unwrapped(records.frame["body"])
    raw = known(read_fields(bodies, RECORD_PATHS))
    if raw["event_name"].null_count():
        lower = _where(bodies, raw["event_name"].is_null() & bodies.str.contains('"eventname"', literal=True))
        spelled = known(read_fields(lower, LOWER_PATHS)).rename(lambda name: f"lower {name}")
        raw = raw.hstack(spelled).select(pl.coalesce(name, f"lower {name}").alias(name) for name in RECORD_PATHS)
    raw = raw.hstack(_rare(bodies, RARE_PATHS).get_columns())
    beside = raw.hstack([column.alias(f"sent {column.name}") for column in sent.get_columns()])
    places = {name: [name, f"sent {name}"] if name in sent.columns else [name] for name in raw.columns}
    fields = beside.select(
        *(pl.coalesce(*those).alias(name) for name, those in places.items()),
        (pl.col("event_name").is_null() & pl.col("sent event_name").is_not_null()).alias("decoded"),
    )
    odd = oddities(fields["event_version"].alias("eventVersion"), _KNOWN_VERSION, bodies, _NO_TEXTS)
    return fields.hstack([odd, *_replication(bodies)])


def _rare(texts: pl.Series, paths: Mapping[str, tuple[str, ...]]) -> pl.DataFrame:
    # Looking for one text after another is fifty times faster than `contains_any`.
    marked = pl.any_horizontal(pl.col("text").str.contains(mark, literal=True) for mark in RARE_MARKS)
    named = texts.alias("text").to_frame().select(marked.fill_null(False)).to_series()
    if not named.any():
        return nulls(len(texts), dict.fromkeys(paths, pl.List(pl.String)))
    found = read_fields(texts.filter(named), paths)
    which = (named.cast(pl.UInt32).cum_sum() - 1).zip_with(named, nulls(len(named), {"at": pl.UInt32()})["at"])
    return pl.DataFrame([column.gather(which) for column in found])


def _where(texts: pl.Series, named: pl.Series) -> pl.Series:
    """The texts where `named` is true, null elsewhere."""
    return texts.zip_with(named.fill_null(False), pl.Series([None], dtype=pl.String).new_from_index(0, len(texts)))


def _replication(bodies: pl.Series) -> pl.DataFrame:
    """The buckets and accounts that rules send to; read apart, because one rule may stand without a list."""
    named = bodies.str.contains('"PutBucketReplication"', literal=True).fill_null(False)
    if not named.any():
        return nulls(len(bodies), dict.fromkeys(REPLICATION_PATHS, pl.List(pl.String)))
    rules = _where(bodies, named)
    one = read_fields(rules, ONE_RULE_PATHS).rename(lambda name: f"one {name}")
    listed = read_fields(rules, REPLICATION_PATHS).hstack(one)
    only = {
        name: pl.when(pl.col(f"one {name}") != "").then(pl.concat_list(f"one {name}")) for name in REPLICATION_PATHS
    }
    return listed.select(pl.coalesce(name, single).alias(name) for name, single in only.items())
