"""Redfish: events as a BMC posts them (Event), and entries of its logs (LogEntry).

    column              from (an event in an envelope's Events, or the record itself)
    action              a log-in or log-out that the message tells of admin.session, admin.session.end; a change of
                        accounts, settings, firmware or resources, and a log that was cleared, config.change; else
                        hw.event
    outcome             of a log-in that was let in success, that was not denied; else unknown
    reason              Message
    occurred_at         EventTimestamp, else Created
    actor_id            Username, else whom the message says logged in
    actor_, source_address  OriginAddress of what a user did, else where the message says the log-in came from
    source_host         the BMC as the resource names it (server.address); of sessions and changes destination_host
    object_type         EntryType of log entries, else EventType

Only a lone event of an envelope has its fields in columns: fields of several would be mixed up, as some may be absent.
An envelope of several is one hw.event with how many it holds in item_count and their MessageIds; `onshore collect`
takes envelopes apart, a Collector should do so, too.

Checked against DMTF's schemas Event v1.13.0 and LogEntry v1.21.0, its message registries Base, ResourceEvent, Update,
License, LogService and Platform, and OpenBMC's (openbmc/bmcweb of 2026-08, redfish-core). The words of log-ins are each
vendor's own, which no schema fixes: OpenBMC's stand in its registry, those of iDRAC and iLO were seen in records that
others published.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.normalise import plain_form, writer
from onshore_pipeline.normalise.addresses import split_addresses
from onshore_pipeline.normalise.described import begun
from onshore_pipeline.normalise.shape import Shape
from onshore_pipeline.normalise.source_fields import added, first_time, source_fields

if TYPE_CHECKING:
    from onshore_pipeline.normalise.fields import Records

FORMAT: Final = "redfish.event"

_OWN: Final = {
    "id": ("EventId", "Id", "MemberId"),
    "event_time": ("EventTimestamp",),
    "created": ("Created",),
    "text": ("Message",),
    "message_id": ("MessageId",),
    "severity": ("MessageSeverity", "Severity"),
    "kind": ("EntryType", "EventType"),
    "origin": ("OriginOfCondition @odata.id", "Links OriginOfCondition @odata.id"),
    "user": ("Username",),
    "group": ("EventGroupId",),
    "from_where": ("OriginAddress",),
    "authority": ("UserAuthenticationSource",),
    "resolution": ("Resolution",),
    "entry": ("LogEntry @odata.id",),
}
_IN_ENVELOPE: Final = ("EventId", "EventTimestamp", "Message", "MessageId", "MessageSeverity", "Severity", "EventType")
_BESIDE: Final = ("Username", "EventGroupId", "MemberId", "OriginAddress", "UserAuthenticationSource", "Resolution")
_SPELLED: Final = {
    **{name: " | ".join(places) for name, places in _OWN.items()},
    **{f"in {name}": f"Events [] {name}" for name in (*_IN_ENVELOPE, *_BESIDE)},
    **{f"in {name} @odata.id": f"Events [] {name} @odata.id" for name in ("OriginOfCondition", "LogEntry")},
    "arguments": "MessageArgs []",
    "context": "Context",
}
_ATTRIBUTES: Final = {
    "id": "redfish.event_id",
    "message_id": "redfish.message_id",
    "severity": "redfish.severity",
    "origin": "redfish.origin",
    "group": "redfish.event_group",
    "authority": "redfish.authentication_source",
    "resolution": "redfish.resolution",
    "entry": "redfish.log_entry",
    "arguments": "redfish.message_args",
    "context": "redfish.context",
    "several": "redfish.message_ids",
}
_FROM: Final = r"(?i)\b(?:from|at|ip(?: address)?:?)\s+([0-9a-f]*[.:][0-9a-f.:]*[0-9a-f])"
# As iLO words it, for instance "Browser login: aiko - 198.51.100.9(DNS name not found)."
_DASHED: Final = r"(?i)\blog-?(?:in|out|off): *([^ ]+) - ([0-9a-f]*[.:][0-9a-f.:]*[0-9a-f])"
_USER: Final = r"(?i)(?:log(?:ged)?[ -]?(?:in|on|out)|session)\b.*?\b(?:using|for|by|user)\s+(?:user\s+)?([\w.@\\-]+)"
_REFUSED: Final = (
    r"(?i)unable to log|log[ -]?[io]n (?:attempt )?(?:failed|failure|denied)|failed (?:to )?log"
    r"|unauthorized|authentication fail|invalid username or password"
)
_IN: Final = r"(?i)\blogged[ -]?(?:in|on)\b|\blog-?[io]n(?::| success)|\bsession (?:was )?(?:created|opened|started)\b"
_OUT: Final = (
    r"(?i)\blogged[ -]?(?:out|off)\b|\blog-?(?:out|off)\b|\bsession (?:was )?(?:deleted|closed|ended|expired)\b"
)
_CHANGES: Final = (
    r"(?i)\.(?:Resource(?:Created|Removed|Changed|Deleted)|EventLogCleared|LogServiceCleared|BIOSAttributesChanged"
    r"|SecurityUser\w+|AtScaleDebug\w+|ManufacturingMode\w+|SystemInterface\w+|AccountModified|AccountRemoved"
    r"|\w*(?:Firmware(?:Update|Activation)|FlashUpdate|Account(?:Created|Changed)|Certificate|License|Setting)\w*"
    r"|Update\w+|Apply(?:ing|Failed)\w*|Activate\w+)$"
)


def describe(records: Records) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The columns of Redfish events, row by row, and their fields without a column as attributes."""
    fields = source_fields(records, _SPELLED, {}).hstack(writer.of(records).get_columns())
    held = pl.max_horizontal(pl.col(name).list.len() for name in fields.columns if name.startswith("in "))
    fields = fields.with_columns(held=held.cast(pl.UInt64))
    lone = fields.with_columns(
        pl.coalesce(*(_only(f"in {place}") for place in places if f"in {place}" in fields.columns), name).alias(name)
        for name, places in _OWN.items()
    ).with_columns(several=pl.when(pl.col("held") > 1).then("in MessageId"))
    text = pl.col("text")
    told = lone.with_columns(
        action=_action(), told_from=pl.coalesce("from_where", text.str.extract(_DASHED, 2), text.str.extract(_FROM))
    )
    address, _ = split_addresses(told["told_from"])
    told = told.with_columns(address.alias("from"))
    return told.select(*begun(FORMAT, first_time("event_time", "created")), *_described()), added(told, _ATTRIBUTES)


def _only(name: str) -> pl.Expr:
    """The item of the list of an envelope that holds one event."""
    return pl.when(pl.col("held") == 1).then(pl.col(name).list.first())


def _action() -> pl.Expr:
    text = pl.col("text")
    return (
        pl.when(text.str.contains(_REFUSED) | text.str.contains(_IN))
        .then(pl.lit("admin.session"))
        .when(text.str.contains(_OUT))
        .then(pl.lit("admin.session.end"))
        .when(pl.col("message_id").str.contains(_CHANGES))
        .then(pl.lit("config.change"))
        .when(pl.col("message_id").is_not_null() | text.is_not_null() | (pl.col("held") > 0))
        .then(pl.lit("hw.event"))
        .otherwise(pl.lit("log.record"))
    )


def _described() -> list[pl.Expr]:
    action = pl.col("action")
    session = action.str.starts_with("admin.session")
    reached = session | (action == "config.change")
    refused = pl.col("text").str.contains(_REFUSED)
    return [
        action,
        pl.when((action == "admin.session") & refused)
        .then(pl.lit("denied"))
        .when(session)
        .then(pl.lit("success"))
        .otherwise(pl.lit("unknown"))
        .alias("outcome"),
        pl.col("text").alias("reason"),
        pl.coalesce(
            "user",
            *(pl.when(session).then(pl.col("text").str.extract(pattern)) for pattern in (_DASHED, _USER)),
        ).alias("actor_id"),
        *(
            pl.when(session | pl.col("from_where").is_not_null()).then("from").alias(f"{party}_address")
            for party in ("actor", "source")
        ),
        pl.when(~reached).then("writer_host").alias("source_host"),
        pl.when(reached).then("writer_host").alias("destination_host"),
        *(
            pl.when(reached if party == "destination" else ~reached).then(f"writer_{what}").alias(f"{party}_{what}")
            for party in ("source", "destination")
            for what in ("region", "provider", "account")
        ),
        plain_form.word("kind").alias("object_type"),
        pl.when(pl.col("held") > 1).then("held").alias("item_count"),
    ]


SHAPE: Final = Shape(FORMAT, writer.KEYS, describe, resource_keys=writer.RESOURCE_KEYS)
