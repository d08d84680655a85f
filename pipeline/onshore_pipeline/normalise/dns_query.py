"""DNS queries: CoreDNS's log lines in their default form, and Route 53 Resolver's query logs.

    10.0.1.4:51234 - 4711 "A IN api.example.com. udp 50 false 1232" NOERROR qr,rd,ra 106 0.002s

    column              from (CoreDNS; Route 53)
    occurred_at         the log record's time; query_timestamp
    action              dns.query; another line stays a log record
    outcome, reason     the response code: NOERROR is a success, REFUSED denied, any other a failure. What a rule of the
                        DNS Firewall blocked (firewall_rule_action BLOCK) is denied, whatever code it was answered with
    source_address      the client; srcaddr; also actor_address
    source_id, _region, _account    srcids.instance, region, account_id of Route 53; provider aws
    destination_*       the resolver, where the resource or the record names it (see `writer`)

The name that was asked for is no party: it becomes the attribute dns.question.name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.normalise import writer
from onshore_pipeline.normalise.addresses import split_addresses
from onshore_pipeline.normalise.described import begun
from onshore_pipeline.normalise.oddities import oddities
from onshore_pipeline.normalise.shape import Shape
from onshore_pipeline.normalise.source_fields import ODDITIES, added, first_time, source_fields

if TYPE_CHECKING:
    from onshore_pipeline.normalise.fields import Records

FORMAT: Final = "dns.query"

_SPELLED: Final = {
    "version": "version",
    "time": "query_timestamp",
    "name": "query_name",
    "type": "query_type",
    "code": "rcode",
    "client": "srcaddr",
    "transport": "transport",
    "instance": "srcids instance",
    "region": "region",
    "account": "account_id",
    "network": "vpc_id",
    "blocked": "firewall_rule_action",
    "rule_group": "firewall_rule_group_id",
    "domain_list": "firewall_domain_list_id",
    "answers": "answers [] Rdata",
}
_ATTRIBUTES: Final = {
    "oddities": ODDITIES,
    "name": "dns.question.name",
    "type": "dns.question.type",
    "code": "dns.response_code",
    "answers": "dns.answers",
    "transport": "network.transport",
    "network": "aws.vpc.id",
    "blocked": "aws.dns.firewall_rule_action",
    "rule_group": "aws.dns.firewall_rule_group_id",
    "domain_list": "aws.dns.firewall_domain_list_id",
}
_KNOWN_VERSION: Final = "1."  # of Route 53 Resolver
_LINE: Final = r'(\S+) - \d+ "(\S+) \S+ (\S+) (\S+) \d+ \S+ \d+" (\S+) '
_OF_LINE: Final = ("client", "type", "name", "transport", "code")


def describe(records: Records) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The columns of DNS queries, row by row, and their fields without a column as attributes."""
    fields = source_fields(records, _SPELLED, {}).hstack(writer.of(records).get_columns())
    parts = pl.when(~pl.col("raw")).then("body").str.extract_groups(_LINE).struct
    told = fields.with_columns(pl.coalesce(name, parts[place]).alias(name) for place, name in enumerate(_OF_LINE))
    address, host = split_addresses(told["client"])
    code = pl.col("code").str.to_uppercase()
    # A rule answers in the name's stead, as often as not with NOERROR and no data.
    blocked = (pl.col("blocked").str.to_uppercase() == "BLOCK").fill_null(False)
    route_53 = pl.col("region").is_not_null()
    columns = told.with_columns(source_address=address, source_host=host).select(
        *begun(FORMAT, first_time("time")),
        pl.when(pl.col("name").is_not_null()).then(pl.lit("dns.query")).otherwise(pl.lit("log.record")).alias("action"),
        pl.when(blocked)
        .then(pl.lit("denied"))
        .when(code == "NOERROR")
        .then(pl.lit("success"))
        .when(code == "REFUSED")
        .then(pl.lit("denied"))
        .when(code.is_not_null())
        .then(pl.lit("failure"))
        .otherwise(pl.lit("unknown"))
        .alias("outcome"),
        pl.coalesce(
            pl.when(blocked).then(pl.lit("blocked by a DNS Firewall rule")), pl.when(code != "NOERROR").then("code")
        ).alias("reason"),
        pl.col("source_address").alias("actor_address"),
        "source_address",
        "source_host",
        pl.col("instance").alias("source_id"),
        pl.col("region").alias("source_region"),
        pl.col("account").alias("source_account"),
        pl.when(route_53).then(pl.lit("aws")).alias("source_provider"),
        pl.col("writer_host").alias("destination_host"),
        *writer.as_party("destination"),
    )
    return columns, added(told.with_columns(oddities(told["version"], _KNOWN_VERSION, told["body"])), _ATTRIBUTES)


SHAPE: Final = Shape(FORMAT, writer.KEYS, describe, resource_keys=writer.RESOURCE_KEYS)
