"""AWS VPC and transit gateway flow logs: lines, JSON objects, and records as the Collector's decoder spells them.

A line's fields are named by the record attribute `aws.vpcflow.fields`, the header of the file or the log's format;
without it a line must be of the default format of version 2, or of a transit gateway.

    column                 from
    action                 network.flow; log-status NODATA: telemetry.heartbeat, SKIPDATA: telemetry.skipped
    occurred_at            start, else end
    outcome, reason        action: ACCEPT, REJECT (denied); of a transit gateway the log-status OK; reject-reason
    source_, destination_address   pkt-srcaddr, pkt-dstaddr: who really speaks; else srcaddr, dstaddr. Where they
                           differ, the middle one becomes network.local.address
    source_, destination_id, _account, _region, _provider   instance-id (or resource-id, interface-id), account-id and
                           region, of the source of egress and the destination of ingress. Which side the interface is
                           on is known by flow-direction only; without it they stay attributes. A sub-location (a local
                           zone, a Wavelength zone, an Outpost) stands elsewhere than its region: then the region is
                           unknown; so is all of this where the interface passes on what others say. Transit
                           gateways name both sides' accounts and interfaces
    *_provider             also aws where pkt-src-, pkt-dst-aws-service name a service
    bytes                  bytes
    encrypted_in_transit   encryption-status: 0 is not, 1 to 3 are

Fields without a column become attributes under the decoder's names. The decoder puts one account and one region on a
whole file, and drops resource-id and encryption-status.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.normalise import aws_envelopes, values
from onshore_pipeline.normalise.addresses import split_addresses
from onshore_pipeline.normalise.aws_vpcflow_fields import ATTRIBUTES, KEYS, OURS, read, seconds
from onshore_pipeline.normalise.described import KEPT
from onshore_pipeline.normalise.shape import Shape
from onshore_pipeline.normalise.source_fields import ODDITIES, added

if TYPE_CHECKING:
    from onshore_pipeline.normalise.fields import Records

FORMAT: Final = "aws.vpcflow"
FIELDS_KEY: Final = "aws.vpcflow.fields"
_LOSSES: Final = "account-id,encryption-status,pkt-dstaddr,pkt-srcaddr,region,resource-id"
_OUTCOMES: Final = {"ACCEPT": "success", "REJECT": "denied"}
_ENCRYPTED: Final = {"0": False, "1": True, "2": True, "3": True}
_DIRECTIONS: Final = {"ingress": "receive", "egress": "transmit"}
_PROTOCOLS: Final = {
    "1": "icmp",
    "2": "igmp",
    "6": "tcp",
    "17": "udp",
    "41": "ipv6",
    "47": "gre",
    "50": "esp",
    "51": "ah",
    "58": "ipv6-icmp",
    "89": "ospf",
    "132": "sctp",
}
_NOTHING_SEEN: Final = {
    "NODATA": ("telemetry.heartbeat", "success", "NODATA: no traffic in this window"),
    "SKIPDATA": ("telemetry.skipped", "failure", "SKIPDATA: flows of this window were not recorded"),
}
_COVERAGE: Final = {
    "coverage_source": "onshore.coverage.source",
    "coverage_from": "onshore.coverage.from",
    "coverage_to": "onshore.coverage.to",
    "coverage_reason": "onshore.coverage.reason",
}
_NEWEST_VERSION: Final = 10  # that these fields are known of
_NEEDED: Final = ("srcaddr", "dstaddr", "log-status", "bytes")  # without any of these it is no flow
_TIME: Final = pl.Datetime("ns", "UTC")
_HEAD: Final = "^(version|srcaddr|account-id)$"


def describe(records: Records) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The columns of flows, row by row, and attributes to add where the sender set none of that name."""
    fields = read(records, aws_envelopes.unwrapped(records.frame["body"]), FIELDS_KEY)
    known = pl.any_horizontal(pl.col(name).is_not_null() for name in _NEEDED)
    fields = fields.with_columns(known=known)
    flows = _flows(records.frame.select(*KEPT, "time_ns", "observed_ns").hstack(fields.get_columns()))
    columns = flows.select(*KEPT, *_what(), *_sides(), *_data())
    return columns, added(
        flows.with_columns(raw=pl.col("written").is_not_null() | ~pl.col("known")),
        {**ATTRIBUTES, **OURS, "middle": "network.local.address", "oddities": ODDITIES, **_COVERAGE},
        _LOSSES,
    )


def _flows(fields: pl.DataFrame) -> pl.DataFrame:
    """The fields, and what several columns are made of."""
    ends = {}
    for end, plain in (("source", "srcaddr"), ("destination", "dstaddr")):
        said = fields.select(pl.coalesce(f"pkt-{plain}", plain).alias(end)).to_series()
        ends[f"{end}_address"], ends[f"{end}_host"] = split_addresses(said)
    status = pl.col("log-status").str.to_uppercase()
    nothing = pl.when(status.is_in(list(_NOTHING_SEEN))).then(status)
    is_head = pl.col("srcaddr").str.contains(_HEAD) | pl.col("version").str.contains(_HEAD)
    direction = pl.col("flow-direction").str.to_lowercase()
    return fields.with_columns(
        *(pl.Series(name, column) for name, column in ends.items()),
        nothing=nothing,
        flow=pl.col("known") & ~is_head.fill_null(False),
        began=_time("start"),
        ended=_time("end"),
        direction=direction.replace(_DIRECTIONS),
        protocol=pl.col("protocol").replace(_PROTOCOLS),
        type=pl.col("type").str.to_lowercase(),
        middle=_middle(),
        oddities=_of_a_version_to_come(),
        coverage_source=pl.when(nothing.is_not_null()).then(
            pl.concat_str(pl.lit(f"{FORMAT}:"), pl.coalesce("interface-id", "resource-id", "tgw-attachment-id"))
        ),
    ).with_columns(
        *(_instant(column).alias(name) for name, column in (("coverage_from", "began"), ("coverage_to", "ended"))),
        coverage_reason=_of_nothing(2),
        **{"flow-direction": pl.col("direction")},
    )


def _time(name: str) -> pl.Expr:
    return pl.coalesce(seconds(pl.col(name)), values.time_of(pl.col(name)))


def _instant(column: str) -> pl.Expr:
    text = pl.col(column).dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    return pl.when(pl.col("nothing").is_not_null()).then(text)


def _of_nothing(what: int) -> pl.Expr:
    told = {status: told[what] for status, told in _NOTHING_SEEN.items()}
    return pl.col("nothing").replace_strict(told, default=None, return_dtype=pl.String)


def _of_a_version_to_come() -> pl.Expr:
    later = pl.col("version").cast(pl.UInt32, strict=False) > _NEWEST_VERSION
    return pl.when(later).then(pl.lit("version ") + pl.col("version"))


def _middle() -> pl.Expr:
    """The interface's own address where it passes on what others say to each other."""
    differ = [pl.when(pl.col(f"pkt-{plain}") != pl.col(plain)).then(plain) for plain in ("srcaddr", "dstaddr")]
    return pl.coalesce(*differ, "middle")


def _what() -> list[pl.Expr]:
    own = pl.coalesce("time_ns", "observed_ns").cast(_TIME)
    transits = (pl.col("resource-type") == "TransitGateway") & (pl.col("log-status") == "OK")
    return [
        pl.lit(FORMAT).alias("source_format"),
        pl.coalesce("began", "ended", own).alias("occurred_at"),
        pl.col("observed_ns").cast(_TIME).alias("observed_at"),
        pl.coalesce(_of_nothing(0), pl.when("flow").then(pl.lit("network.flow")), pl.lit("log.record")).alias("action"),
        pl.coalesce(
            _of_nothing(1),
            pl.col("action").str.to_uppercase().replace_strict(_OUTCOMES, default=None, return_dtype=pl.String),
            pl.when(transits).then(pl.lit("success")),
            pl.lit("unknown"),
        ).alias("outcome"),
        pl.coalesce(_of_nothing(2), "reject-reason").alias("reason"),
        pl.when(pl.col("nothing").is_not_null()).then(pl.lit("infrastructure")).alias("domain"),
    ]


def _sides() -> list[pl.Expr]:
    interface = pl.coalesce("instance-id", "resource-id", "interface-id")
    region = pl.when(pl.col("sublocation-type").is_null()).then("region")
    sides = []
    for end, direction, short in (("source", "transmit", "src"), ("destination", "receive", "dst")):
        speaks = pl.col("middle").is_null() & pl.col("resource-type").is_null()
        here = pl.when((pl.col("direction") == direction) & speaks)
        stands = here.then(region)
        service = pl.col(f"pkt-{short}-aws-service").is_not_null()
        aws = service | here.then(pl.lit(True)).fill_null(False) | pl.col(f"tgw-{short}-eni").is_not_null()
        sides += [
            pl.coalesce(here.then(interface), f"tgw-{short}-eni").alias(f"{end}_id"),
            pl.coalesce(here.then("account-id"), f"tgw-{short}-vpc-account-id").alias(f"{end}_account"),
            stands.alias(f"{end}_region"),
            pl.when(aws).then(pl.lit("aws")).alias(f"{end}_provider"),
            *(pl.when("flow").then(f"{end}_{what}").alias(f"{end}_{what}") for what in ("address", "host")),
        ]
    return sides


def _data() -> list[pl.Expr]:
    status = pl.col("encryption-status")
    return [
        values.count_of(pl.col("bytes")).alias("bytes"),
        status.replace_strict(_ENCRYPTED, default=None, return_dtype=pl.Boolean).alias("encrypted_in_transit"),
    ]


SHAPE: Final = Shape(FORMAT, (FIELDS_KEY, *KEYS), describe)
