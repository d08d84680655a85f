"""Google Cloud VPC flow logs: log entries in the body, and flows as the Collector's decoder spells them.

    column                     from jsonPayload (S is src or dest)
    occurred_at                start_time, else end_time, else the entry's timestamp
    action, outcome            network.flow, success: what a firewall refused is another log
    source_*, destination_*    of S:
      address                  connection.S_ip
      host                     S_google_service.service_name, else S_instance.vm_name
      region                   S_instance.region, else S_vpc.subnetwork_region, else S_gke_details.cluster's location,
                               else S_gateway.location; then the provider is gcp
      account                  S_instance.project_id, else S_vpc.project_id
      asn                      S_location.asn
      declared_country         S_location.country (alpha-3): what Google believes, asserted
    bytes                      bytes_sent
    rtt_ms                     rtt_msec

Added attributes: the decoder's names; network.rtt_ms, the round trip in milliseconds (a place that light cannot reach
in that time is contradicted); network.transit.as_path, AS numbers from source to destination, comma-separated, of
several paths one after another (whose networks carry it, not where); GKE cluster, namespace and pod of both sides.

A flow is one direction as one side saw it (gcp.vpc.flow.reporter: SRC or DEST), so that a connection within Google
Cloud is logged twice. The decoder drops Google services, GKE details, gateways, load balancing and Private Service
Connect.
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

FORMAT: Final = "gcp.vpcflow"
_SIDES: Final = {"source": "src", "destination": "dest"}
_LOSSES: Final = (
    "dest_gateway,dest_gke_details,dest_google_service,load_balancing,psc,src_gateway,src_gke_details,"
    "src_google_service"
)
_FLOW: Final = {
    "reporter": "reporter",
    "bytes": "bytes_sent",
    "packets": "packets_sent",
    "start": "start_time",
    "end": "end_time",
    "rtt": "rtt_msec",
    "protocol": "connection protocol",
    "source_port": "connection src_port",
    "destination_port": "connection dest_port",
    "hops": "internet_routing_details egress_as_path [] as_details [] asn",
}
# Of one side, {s} being src or dest.
_SIDE: Final = {
    "address": "connection {s}_ip",
    "vm": "{s}_instance vm_name",
    "vm_region": "{s}_instance region",
    "vm_project": "{s}_instance project_id",
    "subnet_region": "{s}_vpc subnetwork_region",
    "vpc_project": "{s}_vpc project_id",
    "vpc": "{s}_vpc vpc_name",
    "google_service": "{s}_google_service service_name",
    "gateway": "{s}_gateway location",
    "cluster": "{s}_gke_details cluster cluster_name",
    "cluster_location": "{s}_gke_details cluster cluster_location",
    "namespace": "{s}_gke_details pod pod_namespace",
    "pod": "{s}_gke_details pod pod_name",
    "asn": "{s}_location asn",
    "country": "{s}_location country",
}
_SPELLED: Final = {
    **{name: f"jsonPayload {path}" for name, path in _FLOW.items()},
    **{
        f"{side}_{name}": f"jsonPayload {path.format(s=short)}"
        for side, short in _SIDES.items()
        for name, path in _SIDE.items()
    },
    "insert_id": "insertId",
    "time": "timestamp",
}
# Field → the attribute that the Collector's decoder writes, and that a raw record's field becomes.
_ATTRIBUTES: Final = {
    "reporter": "gcp.vpc.flow.reporter",
    "packets": "gcp.vpc.flow.packets_sent",
    "source_port": "source.port",
    "destination_port": "destination.port",
    "insert_id": "log.record.uid",
    **{f"{side}_vpc": f"gcp.vpc.flow.{side}.vpc.name" for side in _SIDES},
}
_OURS: Final = {
    "rtt": "network.rtt_ms",
    "path": "network.transit.as_path",
    "protocol": "network.protocol.number",
    **{
        f"{side}_{name}": f"gcp.vpc.flow.{side}.gke.{key}"
        for side in _SIDES
        for name, key in (("cluster", "cluster.name"), ("namespace", "pod.namespace"), ("pod", "pod.name"))
    },
}
_AS_PATHS: Final = "gcp.vpc.flow.egress.as_paths"
_DECODER_ONLY: Final = {
    "bytes": "gcp.vpc.flow.bytes_sent",
    "rtt": "gcp.vpc.flow.network.rtt_ms",
    **{
        f"{side}_{name}": key.format(side=side)
        for side in _SIDES
        for name, key in (
            ("address", "{side}.address"),
            ("vm", "gcp.vpc.flow.{side}.instance.vm.name"),
            ("vm_region", "gcp.vpc.flow.{side}.instance.vm.region"),
            ("vm_project", "gcp.vpc.flow.{side}.instance.project.id"),
            ("subnet_region", "gcp.vpc.flow.{side}.subnet.region"),
            ("vpc_project", "gcp.vpc.flow.{side}.project.id"),
            ("asn", "gcp.vpc.flow.{side}.asn"),
            ("country", "gcp.vpc.flow.{side}.geo.country.iso_code.alpha3"),
        )
    },
}
_STARTED, _ENDED = "gcp.vpc.flow.start_time", "gcp.vpc.flow.end_time"  # nanoseconds since the epoch
KEYS: Final = (*_ATTRIBUTES.values(), *_DECODER_ONLY.values(), _AS_PATHS, _STARTED, _ENDED)
_TIME: Final = pl.Datetime("ns", "UTC")


def describe(records: Records) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The columns of flows, row by row, and attributes to add where the sender set none of that name."""
    sent = {name: records.text(key) for name, key in (_ATTRIBUTES | _DECODER_ONLY).items()}
    sent |= {"started": records.text(_STARTED), "ended": records.text(_ENDED), "sent_paths": records.text(_AS_PATHS)}
    fields = source_fields(records, _SPELLED, sent)
    flows = fields.with_columns(
        source_bare=split_addresses(fields["source_address"])[0],
        destination_bare=split_addresses(fields["destination_address"])[0],
        path=_path(),
    )
    stated = [pl.col(name).str.to_integer(strict=False).cast(_TIME) for name in ("started", "ended")]
    columns = flows.select(
        *begun(FORMAT, pl.coalesce(first_time("start", "end", "time"), *stated)),
        *_what(),
        *_side("source"),
        *_side("destination"),
    )
    return columns, added(flows, _ATTRIBUTES | _OURS, _LOSSES)


def _path() -> pl.Expr:
    raw = pl.col("hops").list.join(",")
    numbers = pl.col("sent_paths").str.extract_all(r"\d+").list.join(",")
    return pl.coalesce(pl.when(raw != "").then(raw), pl.when(numbers != "").then(numbers))


def _what() -> list[pl.Expr]:
    flow = pl.any_horizontal(pl.col(f"{side}_bare").is_not_null() for side in _SIDES)
    return [
        pl.when(flow).then(pl.lit("network.flow")).otherwise(pl.lit("log.record")).alias("action"),
        pl.when(flow).then(pl.lit("success")).otherwise(pl.lit("unknown")).alias("outcome"),
        values.count_of(pl.col("bytes")).alias("bytes"),
        pl.col("rtt").cast(pl.Float64, strict=False).alias("rtt_ms"),
    ]


def _side(side: str) -> list[pl.Expr]:
    region = pl.coalesce(f"{side}_{name}" for name in ("vm_region", "subnet_region", "cluster_location", "gateway"))
    of_google = region.is_not_null() | pl.col(f"{side}_google_service").is_not_null()
    return [
        pl.col(f"{side}_bare").alias(f"{side}_address"),
        pl.coalesce(f"{side}_google_service", f"{side}_vm").alias(f"{side}_host"),
        region.alias(f"{side}_region"),
        pl.when(of_google).then(pl.lit("gcp")).alias(f"{side}_provider"),
        pl.coalesce(f"{side}_vm_project", f"{side}_vpc_project").alias(f"{side}_account"),
        values.count_of(pl.col(f"{side}_asn")).cast(pl.UInt32, strict=False).alias(f"{side}_asn"),
        pl.col(f"{side}_country").alias(f"{side}_declared_country"),
    ]


SHAPE: Final = Shape(
    FORMAT, KEYS, describe, lambda records: records.any_of("gcp.vpc.flow.reporter", "gcp.vpc.flow.bytes_sent")
)
