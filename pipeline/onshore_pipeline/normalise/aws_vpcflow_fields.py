"""The fields of VPC flow logs: of a line by its header, of a JSON object, of the attributes of the Collector's decoder.

Fields up to version 10, and those of transit gateways. A header names fields in any order, as the log's file does, as a
`log_format` (`${srcaddr}`) or with underscores; what it names that is not known stays in the line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.normalise.json_fields import read_fields

if TYPE_CHECKING:
    from onshore_pipeline.normalise.fields import Records

VERSION_2: Final = (
    *("version", "account-id", "interface-id", "srcaddr", "dstaddr", "srcport", "dstport", "protocol"),
    *("packets", "bytes", "start", "end", "action", "log-status"),
)
_TRANSIT_GATEWAY: Final = (
    *("version", "resource-type", "account-id", "tgw-id", "tgw-attachment-id", "tgw-src-vpc-account-id"),
    *("tgw-dst-vpc-account-id", "tgw-src-vpc-id", "tgw-dst-vpc-id", "tgw-src-subnet-id", "tgw-dst-subnet-id"),
    *("tgw-src-eni", "tgw-dst-eni", "tgw-src-az-id", "tgw-dst-az-id", "tgw-pair-attachment-id", "srcaddr"),
    *("dstaddr", "srcport", "dstport", "protocol", "packets", "bytes", "start", "end", "log-status", "type"),
    *("packets-lost-no-route", "packets-lost-blackhole", "packets-lost-mtu-exceeded"),
    *("packets-lost-ttl-expired", "tcp-flags", "region", "flow-direction", "pkt-src-aws-service"),
    *("pkt-dst-aws-service",),
)
# Field → the attribute that the Collector's decoder writes, and that a line's field becomes.
ATTRIBUTES: Final = {
    "interface-id": "network.interface.name",
    "srcport": "source.port",
    "dstport": "destination.port",
    "protocol": "network.protocol.name",
    "packets": "aws.vpc.flow.packets",
    "action": "aws.vpc.flow.action",
    "log-status": "aws.vpc.flow.status",
    "vpc-id": "aws.vpc.id",
    "subnet-id": "aws.vpc.subnet.id",
    "instance-id": "host.id",
    "tcp-flags": "network.tcp.flags",
    "type": "network.type",
    "az-id": "aws.az.id",
    "sublocation-type": "aws.sublocation.type",
    "sublocation-id": "aws.sublocation.id",
    "pkt-src-aws-service": "aws.vpc.flow.source.service",
    "pkt-dst-aws-service": "aws.vpc.flow.destination.service",
    "flow-direction": "network.io.direction",
    "traffic-path": "aws.vpc.flow.traffic_path",
    "ecs-cluster-arn": "aws.ecs.cluster.arn",
    "ecs-cluster-name": "aws.ecs.cluster.name",
    "ecs-container-instance-arn": "aws.ecs.container.instance.arn",
    "ecs-container-instance-id": "aws.ecs.container.instance.id",
    "ecs-container-id": "aws.ecs.container.id",
    "ecs-second-container-id": "aws.ecs.second.container.id",
    "ecs-service-name": "aws.ecs.service.name",
    "ecs-task-definition-arn": "aws.ecs.task.definition.arn",
    "ecs-task-arn": "aws.ecs.task.arn",
    "ecs-task-id": "aws.ecs.task.id",
    "tgw-id": "aws.tgw.id",
    "tgw-attachment-id": "aws.tgw.attachment.id",
    "tgw-pair-attachment-id": "aws.tgw.attachment.pair.id",
    "tgw-src-vpc-id": "aws.tgw.source.vpc.id",
    "tgw-dst-vpc-id": "aws.tgw.destination.vpc.id",
    "tgw-src-subnet-id": "aws.tgw.source.vpc.subnet.id",
    "tgw-dst-subnet-id": "aws.tgw.destination.vpc.subnet.id",
    "tgw-src-eni": "aws.tgw.source.eni.id",
    "tgw-dst-eni": "aws.tgw.destination.eni.id",
    "tgw-src-az-id": "aws.tgw.source.az.id",
    "tgw-dst-az-id": "aws.tgw.destination.az.id",
    "packets-lost-no-route": "aws.vpc.flow.packets_lost_no_route",
    "packets-lost-blackhole": "aws.vpc.flow.packets_lost_blackhole",
    "packets-lost-mtu-exceeded": "aws.vpc.flow.packets_lost_mtu_exceeded",
    "packets-lost-ttl-expired": "aws.vpc.flow.packets_lost_ttl_expired",
}
# The same for fields that have a column of their own, or that the decoder knows nothing of.
_DECODED: Final = {
    "srcaddr": "source.address",
    "dstaddr": "destination.address",
    "bytes": "aws.vpc.flow.bytes",
    "start": "aws.vpc.flow.start",
    "reject-reason": "aws.vpc.flow.reject_reason",
}
OURS: Final = {
    "account-id": "aws.vpc.flow.account_id",
    "region": "aws.vpc.flow.region",
    "end": "aws.vpc.flow.end",
    "resource-id": "aws.vpc.resource.id",
    "encryption-status": "aws.vpc.flow.encryption_status",
}
KEYS: Final = (*ATTRIBUTES.values(), *_DECODED.values(), "network.local.address")
FIELDS: Final = tuple(
    dict.fromkeys([*VERSION_2, *_TRANSIT_GATEWAY, *ATTRIBUTES, *_DECODED, *OURS, "pkt-srcaddr", "pkt-dstaddr"])
)
MIDDLE: Final = "middle"  # the decoder's word for an address that passes on
# Spellings in JSON objects that are more than another way to divide words, OCSF's among them.
_OTHER_SPELLINGS: Final = {
    "srcaddr": "srcAddr | src_endpoint ip",
    "dstaddr": "dstAddr | dst_endpoint ip",
    "srcport": "srcPort | src_endpoint port",
    "dstport": "dstPort | dst_endpoint port",
    "account-id": "account | cloud account uid",
    "subnet-id": "subNetId",
    "log-status": "status | status_code",
    "pkt-srcaddr": "pktSrcAddr",
    "pkt-dstaddr": "pktDstAddr",
    "region": "cloud region",
    "bytes": "traffic bytes",
    "packets": "traffic packets",
    "protocol": "connection_info protocol_num",
}
_DASH: Final = "-"
_SECONDS: Final = r"^\d{1,10}$"


def read(records: Records, bodies: pl.Series, header_key: str) -> pl.DataFrame:
    """One text column a field of `FIELDS`, row by row, and `written`: 'line', 'json' or null where a decoder sent it.

    What a source marks as missing ('-', 'null') is null.
    """
    frame = records.select(records.text(header_key).alias("header")).with_columns(
        bodies.str.strip_chars().alias("body"), pl.Series("at", range(len(bodies)), dtype=pl.UInt32)
    )
    kind = (
        pl.when(pl.col("body").str.starts_with("{"))
        .then(pl.lit("json"))
        .when(pl.col("body") != "")
        .then(pl.lit("line"))
    )
    parts = [
        _read_kind(str(written) if written is not None else None, rows, records)
        for (written,), rows in frame.with_columns(kind.alias("written")).group_by("written", maintain_order=True)
    ]
    fields = pl.concat(parts, how="diagonal_relaxed").sort("at").drop("at") if parts else pl.DataFrame()
    return fields.select(
        "written",
        *(
            pl.when(~pl.col(name).is_in([_DASH, "", "null"])).then(pl.col(name)).alias(name)
            if name in fields.columns
            else pl.lit(None, pl.String).alias(name)
            for name in (*FIELDS, MIDDLE)
        ),
    )


def _read_kind(written: str | None, rows: pl.DataFrame, records: Records) -> pl.DataFrame:
    if written == "line":
        return _lines(rows)
    if written == "json":
        return _objects(rows)
    sent = records.select(
        *(records.text(key).alias(name) for name, key in (ATTRIBUTES | _DECODED).items()),
        records.text("network.local.address").alias(MIDDLE),
    )
    return rows.select("at", "written").hstack(sent[rows["at"].to_list()].get_columns())


def _lines(rows: pl.DataFrame) -> pl.DataFrame:
    rows = rows.with_columns(pl.col("body").str.extract_all(r"\S+").alias("words"))
    default = (
        pl.when(pl.col("words").list.get(1, null_on_oob=True) == "TransitGateway")
        .then(pl.lit(" ".join(_TRANSIT_GATEWAY)))
        .when((pl.col("words").list.len() == len(VERSION_2)) & (pl.col("words").list.first() == "2"))
        .then(pl.lit(" ".join(VERSION_2)))
    )
    headed = rows.with_columns(header=pl.coalesce("header", default))
    return pl.concat(
        [
            group.select(
                *("at", "written"),
                *(
                    pl.col("words").list.get(place, null_on_oob=True).alias(name)
                    for name, place in _places(None if header is None else str(header)).items()
                ),
            )
            for (header,), group in headed.group_by("header", maintain_order=True)
        ],
        how="diagonal_relaxed",
    )


def _places(header: str | None) -> dict[str, int]:
    """Where in a line each known field stands."""
    names = [name.strip("${},").lower().replace("_", "-") for name in (header or "").split()]
    return {name: names.index(name) for name in FIELDS if name in names}


def _objects(rows: pl.DataFrame) -> pl.DataFrame:
    paths = {f"{name} {number}": path for name in FIELDS for number, path in enumerate(_spellings(name))}
    found = read_fields(rows["body"], paths)
    columns = [
        pl.coalesce(f"{name} {number}" for number, _ in enumerate(_spellings(name))).alias(name) for name in FIELDS
    ]
    return rows.select("at", "written").hstack(found.select(columns).get_columns())


def _spellings(name: str) -> list[tuple[str, ...]]:
    first, *rest = name.split("-")
    camel = first + "".join(word.capitalize() for word in rest)
    others = [tuple(path.split()) for path in _OTHER_SPELLINGS.get(name, "").split(" | ") if path]
    return list(dict.fromkeys([(name,), (name.replace("-", "_"),), (camel,), *others]))


def seconds(text: pl.Expr) -> pl.Expr:
    """Datetime (ns, UTC) of whole seconds since the epoch; null for anything else."""
    number = pl.when(text.str.contains(_SECONDS)).then(text.cast(pl.Int64, strict=False))
    return (number * 1_000_000_000).cast(pl.Datetime("ns", "UTC"))
