"""Vendors' support tickets in a small form of our own: one JSON object a step, docs/schemas/vendor-ticket.schema.json.

    column                 from
    occurred_at            time
    action                 step: access.request, access.approve, access.deny, access.revoke, access.expire, access.end;
                           access.start is admin.session, data.send is data.export, anything else support.ticket
    outcome                access.deny is denied; every other step a success
    reason                 reason
    actor_*                'vendor'; id person.id, employer person.employer, else vendor; nationality and country as
                           stated; address person.address; entity vendor
    approval_*             approval.id, .by, .expires; 'none' states that there is none
    destination_*          the system: id, host, region, facility, account, country. Of data.send: the vendor, by host
                           recipient.host and country recipient.country
    source_*               the person's address; of data.send the system
    dataset, bytes         data.set, data.bytes; categories and classification as stated

Added attributes: vendor.ticket.id, vendor.ticket.step, vendor.ticket.channel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.normalise import values
from onshore_pipeline.normalise.addresses import split_addresses
from onshore_pipeline.normalise.described import begun
from onshore_pipeline.normalise.shape import Shape
from onshore_pipeline.normalise.source_fields import added, first_time, source_fields

if TYPE_CHECKING:
    from onshore_pipeline.normalise.fields import Records

FORMAT: Final = "vendor.ticket"
_SYSTEM: Final = ("id", "host", "region", "facility", "account", "country")
_SPELLED: Final = {
    "ticket": "ticket",
    "vendor": "vendor",
    "step": "step",
    "time": "time",
    "channel": "channel",
    "why": "reason",
    "person": "person id",
    "employer": "person employer",
    "nationality": "person nationality",
    "person_country": "person country",
    "person_address": "person address",
    "approval": "approval id",
    "approver": "approval by",
    "until": "approval expires",
    "recipient_host": "recipient host",
    "recipient_country": "recipient country",
    "set": "data set",
    "size": "data bytes",
    "class": "data classification",
    "kinds": "data categories []",
    **{f"system_{name}": f"system {name}" for name in _SYSTEM},
}
_ATTRIBUTES: Final = {"ticket": "vendor.ticket.id", "step": "vendor.ticket.step", "channel": "vendor.ticket.channel"}
_ACTIONS: Final = {
    "access.request": "access.request",
    "access.approve": "access.approve",
    "access.deny": "access.deny",
    "access.revoke": "access.revoke",
    "access.expire": "access.expire",
    "access.end": "access.end",
    "access.start": "admin.session",
    "data.send": "data.export",
}


def describe(records: Records) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The columns of ticket steps, row by row, and attributes to add where the sender set none of that name."""
    fields = source_fields(records, _SPELLED, {})
    address, named = split_addresses(fields["person_address"])
    word = pl.col("step").str.to_lowercase()
    steps = fields.with_columns(
        address=address,
        named=named,
        read=pl.coalesce("ticket", "step", "vendor").is_not_null(),
        action=word.replace_strict(_ACTIONS, default="support.ticket", return_dtype=pl.String).fill_null(
            "support.ticket"
        ),
    ).with_columns(sends=(pl.col("action") == "data.export"))
    columns = steps.select(*begun(FORMAT, first_time("time")), *_what(), *_who(), *_where(), *_data())
    return columns, added(fields, _ATTRIBUTES)


def _what() -> list[pl.Expr]:
    return [
        pl.when("read").then("action").otherwise(pl.lit("log.record")).alias("action"),
        pl.when(~pl.col("read"))
        .then(pl.lit("unknown"))
        .when(pl.col("action") == "access.deny")
        .then(pl.lit("denied"))
        .otherwise(pl.lit("success"))
        .alias("outcome"),
        pl.col("why").alias("reason"),
        values.statement_of(pl.col("approval")).alias("approval_id"),
        values.statement_of(pl.col("approver")).alias("approval_by"),
        values.time_of(pl.col("until")).alias("approval_expires_at"),
    ]


def _who() -> list[pl.Expr]:
    return [
        pl.col("person").alias("actor_id"),
        pl.when("read").then(pl.lit("vendor")).alias("actor_type"),
        pl.coalesce("employer", "vendor").alias("actor_employer"),
        pl.col("nationality").alias("actor_nationality"),
        pl.col("person_country").alias("actor_declared_country"),
        pl.col("address").alias("actor_address"),
        pl.col("vendor").alias("actor_entity"),
    ]


def _where() -> list[pl.Expr]:
    sends = pl.col("sends")
    names = {"country": "declared_country"}
    of_system = [(name, names.get(name, name)) for name in _SYSTEM if name not in {"host", "country"}]
    return [
        *(pl.when(sends).then(f"system_{name}").alias(f"source_{column}") for name, column in of_system),
        *(pl.when(~sends).then(f"system_{name}").alias(f"destination_{column}") for name, column in of_system),
        pl.when(sends).then("system_country").alias("source_declared_country"),
        pl.when(~sends).then("address").alias("source_address"),
        pl.when(sends).then("system_host").otherwise("named").alias("source_host"),
        pl.when(sends).then("recipient_host").otherwise("system_host").alias("destination_host"),
        pl.when(sends).then("recipient_country").otherwise("system_country").alias("destination_declared_country"),
        pl.when(sends).then("vendor").alias("destination_entity"),
    ]


def _data() -> list[pl.Expr]:
    return [
        pl.col("set").alias("dataset"),
        values.count_of(pl.col("size")).alias("bytes"),
        pl.col("class").alias("classification"),
        pl.col("kinds").list.eval(pl.element().str.to_lowercase()).alias("categories"),
    ]


SHAPE: Final = Shape(FORMAT, (), describe)
