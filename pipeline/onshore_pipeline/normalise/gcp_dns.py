"""Google Cloud DNS query logs: log entries in the body, and queries as the Collector's decoder spells them.

    column                 from jsonPayload, where no other place is named
    occurred_at            the entry's timestamp
    action                 dns.query
    outcome, reason        responseCode: NOERROR is success, REFUSED denied, others failure; egressError, else the code
    source_address         sourceIP; also actor_address
    source_id, _host       vmInstanceIdString; vmInstanceName
    source_region          vmZoneName, else the monitored resource's location; provider gcp
    source_account         vmProjectId, else the monitored resource's project
    destination_address    destinationIP: the name server that the query was passed on to
    destination_host       the monitored resource's target_name: the zone, policy or peer that answered

The name that was asked for is no party: it becomes the attribute dns.question.name, beside the decoder's other names.
The decoder rounds vmInstanceId and drops vmInstanceIdString.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.normalise.addresses import split_addresses
from onshore_pipeline.normalise.described import begun
from onshore_pipeline.normalise.shape import Shape
from onshore_pipeline.normalise.source_fields import added, first_time, source_fields

if TYPE_CHECKING:
    from onshore_pipeline.normalise.fields import Records

FORMAT: Final = "gcp.dns"
_DECODED: Final = "gcp.dns-query"
_LOSSES: Final = "vmInstanceIdString"
_QUERY: Final = {
    "name": "queryName",
    "type": "queryType",
    "code": "responseCode",
    "answer": "rdata",
    "transport": "protocol",
    "error": "egressError",
    "source": "sourceIP",
    "network": "sourceNetwork",
    "destination": "destinationIP",
    "vm": "vmInstanceName",
    "vm_id": "vmInstanceIdString",
    "vm_project": "vmProjectId",
    "zone": "vmZoneName",
}
_SPELLED: Final = {
    **{name: f"jsonPayload {path}" for name, path in _QUERY.items()},
    "insert_id": "insertId",
    "time": "timestamp",
    "location": "resource labels location",
    "project": "resource labels project_id",
    "target": "resource labels target_name",
    "target_type": "resource labels target_type",
}
# Field → the attribute that the Collector's decoder writes, and that a raw record's field becomes.
_ATTRIBUTES: Final = {
    "name": "dns.question.name",
    "type": "dns.question.type",
    "code": "dns.response_code",
    "answer": "dns.answer.data",
    "network": "gcp.dns.client.vpc.name",
    "target_type": "gcp.dns.server.type",
    "insert_id": "log.record.uid",
}
_DECODER_ONLY: Final = {
    "error": "gcp.dns.egress.error",
    "source": "client.address",
    "destination": "server.address",
    "vm": "host.name",
    "vm_project": "gcp.project.id",
    "zone": "cloud.availability_zone",
    "location": "cloud.region",
    "target": "gcp.dns.server.name",
}
_ON_RESOURCE: Final = {"location": "gcp.label.location", "project": "gcp.project", "target": "gcp.label.target_name"}
KEYS: Final = (*_ATTRIBUTES.values(), *_DECODER_ONLY.values())
RESOURCE_KEYS: Final = tuple(_ON_RESOURCE.values())


def describe(records: Records) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The columns of DNS queries, row by row, and attributes to add where the sender set none of that name."""
    sent = {name: records.text(key) for name, key in (_ATTRIBUTES | _DECODER_ONLY).items()}
    none = pl.lit(None, pl.String)
    sent |= {name: pl.coalesce(sent.get(name, none), records.resource(key)) for name, key in _ON_RESOURCE.items()}
    fields = source_fields(records, _SPELLED, sent)
    source, source_name = split_addresses(fields["source"])
    destination, destination_name = split_addresses(fields["destination"])
    queries = fields.with_columns(
        source_address=source,
        source_named=source_name,
        destination_address=destination,
        destination_named=destination_name,
        region=pl.coalesce("zone", "location"),
    )
    columns = queries.select(
        *begun(FORMAT, first_time("time")),
        *_what(),
        pl.col("source_address").alias("actor_address"),
        pl.col("vm_id").alias("source_id"),
        pl.col("source_address"),
        pl.coalesce("vm", "source_named").alias("source_host"),
        pl.col("region").alias("source_region"),
        pl.when(pl.col("region").is_not_null()).then(pl.lit("gcp")).alias("source_provider"),
        pl.coalesce("vm_project", "project").alias("source_account"),
        pl.col("destination_address"),
        pl.coalesce("target", "destination_named").alias("destination_host"),
    )
    return columns, added(queries, _ATTRIBUTES, _LOSSES)


def _what() -> list[pl.Expr]:
    asked = pl.col("name").is_not_null()
    code = pl.col("code").str.to_uppercase()
    return [
        pl.when(asked).then(pl.lit("dns.query")).otherwise(pl.lit("log.record")).alias("action"),
        pl.when(code == "NOERROR")
        .then(pl.lit("success"))
        .when(code == "REFUSED")
        .then(pl.lit("denied"))
        .when(code.is_not_null())
        .then(pl.lit("failure"))
        .otherwise(pl.lit("unknown"))
        .alias("outcome"),
        pl.coalesce("error", pl.when(code != "NOERROR").then("code")).alias("reason"),
    ]


SHAPE: Final = Shape(
    FORMAT,
    KEYS,
    describe,
    lambda records: (pl.col("encoding_format") == _DECODED) | records.any_of("gcp.dns.client.vpc.name"),
    RESOURCE_KEYS,
)
