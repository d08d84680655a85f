"""Google Cloud firewall rules logging: log entries in the body, of VPC firewall rules and of firewall policies.

    column                     from jsonPayload
    occurred_at                the entry's timestamp
    action, outcome            network.flow; disposition: ALLOWED success, DENIED denied; INTERCEPTED (handed on to an
                               inspection that decides) unknown
    source_, destination_address   connection.src_ip, connection.dest_ip
    the side of the rule       destination of an INGRESS rule, source of an EGRESS rule (rule_details.direction):
      host, account            instance.vm_name; instance.project_id, else resource.labels.project_id
      region                   instance.region, else that of the zone that resource.labels.location names; then the
                               provider is gcp
    the other side             remote_instance the same way, where it is a machine of Google Cloud; else
      declared_country         remote_location.country (alpha-3): what Google believes, asserted

A record is of one connection, without an amount. Which side is whose is unknown without the rule's direction. Rules
write only when logging is switched on for them, and only of TCP and UDP.

Checked against Google's "VPC firewall rules logging format" and "Firewall policy rules logging format" (2026).
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

FORMAT: Final = "gcp.firewall"

_PAYLOAD: Final = {
    "disposition": "disposition",
    "source_at": "connection src_ip",
    "destination_at": "connection dest_ip",
    "source_port": "connection src_port",
    "destination_port": "connection dest_port",
    "protocol": "connection protocol",
    "rule": "rule_details reference",
    "priority": "rule_details priority",
    "rule_action": "rule_details action",
    "direction": "rule_details direction",
    "near_vm": "instance vm_name",
    "near_region": "instance region",
    "near_project": "instance project_id",
    "near_zone": "instance zone",
    "network": "vpc vpc_name",
    "subnet": "vpc subnetwork_name",
    "far_vm": "remote_instance vm_name",
    "far_region": "remote_instance region",
    "far_project": "remote_instance project_id",
    "far_network": "remote_vpc vpc_name",
    "far_country": "remote_location country",
}
_SPELLED: Final = {
    **{name: f"jsonPayload {path}" for name, path in _PAYLOAD.items()},
    "project": "resource labels project_id",
    "zone": "resource labels location",
    "insert_id": "insertId",
    "time": "timestamp",
}
_ATTRIBUTES: Final = {
    "rule": "security_rule.name",
    "priority": "gcp.firewall.rule.priority",
    "rule_action": "gcp.firewall.rule.action",
    "disposition": "gcp.firewall.disposition",
    "way": "network.io.direction",
    "protocol": "network.protocol.number",
    "source_port": "source.port",
    "destination_port": "destination.port",
    "near_zone": "cloud.availability_zone",
    "network": "gcp.firewall.vpc.name",
    "subnet": "gcp.firewall.subnet.name",
    "far_network": "gcp.firewall.remote.vpc.name",
    "insert_id": "log.record.uid",
}
_OUTCOMES: Final = {"ALLOWED": "success", "DENIED": "denied"}
_WAYS: Final = {"INGRESS": "receive", "EGRESS": "transmit"}
_ZONE: Final = r"^([a-z]+(?:-[a-z]+)+\d+)-[a-z]$"
# Our side is the destination of what comes in, and the source of what goes out.
_NEAR: Final = {"source": "EGRESS", "destination": "INGRESS"}


def describe(records: Records) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The columns of firewall log entries, row by row, and their fields without a column as attributes."""
    fields = source_fields(records, _SPELLED, {})
    told = fields.with_columns(
        source_bare=split_addresses(fields["source_at"])[0],
        destination_bare=split_addresses(fields["destination_at"])[0],
        near_region=pl.coalesce("near_region", pl.col("zone").str.extract(_ZONE)),
        near_project=pl.coalesce("near_project", "project"),
        near_country=pl.lit(None, pl.String),
        way=pl.col("direction").replace_strict(_WAYS, default=None, return_dtype=pl.String),
    )
    columns = told.select(*begun(FORMAT, first_time("time")), *_what(), *_side("source"), *_side("destination"))
    return columns, added(told, _ATTRIBUTES)


def _what() -> list[pl.Expr]:
    flow = pl.col("source_bare").is_not_null() | pl.col("destination_bare").is_not_null()
    said = pl.col("disposition").replace_strict(_OUTCOMES, default=None, return_dtype=pl.String)
    return [
        pl.when(flow).then(pl.lit("network.flow")).otherwise(pl.lit("log.record")).alias("action"),
        pl.coalesce(said, pl.lit("unknown")).alias("outcome"),
    ]


def _side(side: str) -> list[pl.Expr]:
    near = pl.col("direction") == _NEAR[side]
    region, host, account, country = (
        pl.when(near).then(f"near_{what}").when(~near).then(f"far_{what}")
        for what in ("region", "vm", "project", "country")
    )
    return [
        pl.col(f"{side}_bare").alias(f"{side}_address"),
        host.alias(f"{side}_host"),
        region.alias(f"{side}_region"),
        pl.when(region.is_not_null()).then(pl.lit("gcp")).alias(f"{side}_provider"),
        account.alias(f"{side}_account"),
        country.alias(f"{side}_declared_country"),
    ]


SHAPE: Final = Shape(FORMAT, (), describe)
