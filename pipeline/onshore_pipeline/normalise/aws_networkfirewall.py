"""AWS Network Firewall flow, alert and TLS logs: JSON records, and records as the Collector's decoder spells them.

    column                from event, where no other place is named
    action                network.flow
    occurred_at           timestamp, else netflow.start, else event_timestamp (epoch seconds or RFC 3339)
    outcome               verdict.action or alert.action: drop and blocked are denied, pass and allowed are success;
                          revocation_check.action DROP is denied; tls_error: failure. A netflow record does not say
                          whether the firewall let the flow through: unknown
    reason                alert.signature; tls_error.error_message; revocation_check.status
    source_, destination_address   src_ip, dest_ip; netflow counts one direction only, from source to destination
    destination_host      the called name: sni, tls.sni, http.hostname, dns.rrname of a question
    bytes                 netflow.bytes
    encrypted_in_transit  a TLS event without error, app_proto tls, quic or ssh, or tls_inspected; app_proto http, ftp,
                          smtp or telnet without tls_inspected is not

The firewall's availability zone is where the flow passed, not where it began or ended: it stays the attribute
cloud.availability_zone. The decoder drops verdict, app_proto, tls.sni, tls.version, direction, dns and tls_inspected,
and puts one zone on a whole file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.normalise import aws_envelopes, values
from onshore_pipeline.normalise.addresses import split_addresses
from onshore_pipeline.normalise.aws_vpcflow_fields import seconds
from onshore_pipeline.normalise.described import KEPT
from onshore_pipeline.normalise.json_fields import read_fields
from onshore_pipeline.normalise.shape import Shape
from onshore_pipeline.normalise.source_fields import added

if TYPE_CHECKING:
    from onshore_pipeline.normalise.fields import Records

FORMAT: Final = "aws.networkfirewall"
_LOSSES: Final = "app_proto,direction,dns,http.http_method,tls.sni,tls.version,tls_inspected,verdict"
# Field → place in the record, and the attribute that the decoder writes and a raw record's field becomes.
_FIELDS: Final = {
    "type": ("event event_type", "aws.networkfirewall.event.type"),
    "flow_id": ("event flow_id", "aws.networkfirewall.flow_id"),
    "source_port": ("event src_port", "source.port"),
    "destination_port": ("event dest_port", "destination.port"),
    "proto": ("event proto", "network.transport"),
    "packets": ("event netflow pkts", "aws.networkfirewall.netflow.packets"),
    "end": ("event netflow end", "aws.networkfirewall.netflow.end"),
    "age": ("event netflow age", "aws.networkfirewall.netflow.age"),
    "alert_action": ("event alert action", "aws.networkfirewall.alert.action"),
    "signature": ("event alert signature", "aws.networkfirewall.alert.signature"),
    "signature_id": ("event alert signature_id", "aws.networkfirewall.alert.signature_id"),
    "rev": ("event alert rev", "aws.networkfirewall.alert.rev"),
    "category": ("event alert category", "aws.networkfirewall.alert.category"),
    "severity": ("event alert severity", "aws.networkfirewall.alert.severity"),
    "sni": ("event sni", "server.address"),
    "subject": ("event tls subject", "tls.client.subject"),
    "issuer": ("event tls issuer", "tls.client.issuer"),
    "resumed": ("event tls session_resumed", "tls.resumed"),
    "tls_error": ("event tls_error error_message", "aws.networkfirewall.tls.error.message"),
    "certificate": (
        "event revocation_check leaf_cert_fpr",
        "aws.networkfirewall.tls.revocation_check.leaf_cert_fpr",
    ),
    "revocation_action": ("event revocation_check action", "aws.networkfirewall.tls.revocation_check.action"),
    "revocation": ("event revocation_check status", "aws.networkfirewall.tls.revocation_check.status"),
    "hostname": ("event http hostname", "url.domain"),
    "url": ("event http url", "url.path"),
    "user_agent": ("event http http_user_agent", "user_agent.original"),
}
# The same for what has a column of its own, and so needs no attribute of a raw record.
_COLUMN_ONLY: Final = {
    "source": ("event src_ip", "source.address"),
    "destination": ("event dest_ip", "destination.address"),
    "bytes": ("event netflow bytes", "aws.networkfirewall.netflow.bytes"),
    "start": ("event netflow start", "aws.networkfirewall.netflow.start"),
}
# What the decoder drops or puts on a resource: the attribute is ours.
_RAW_ONLY: Final = {
    "firewall": ("firewall_name", "aws.networkfirewall.name"),
    "zone": ("availability_zone", "cloud.availability_zone"),
    "app": ("event app_proto", "network.protocol.name"),
    "tls_version": ("event tls version", "tls.protocol.version"),
    "inspected": ("event tls_inspected", "aws.networkfirewall.tls.inspected"),
    "verdict": ("event verdict action", "aws.networkfirewall.verdict.action"),
    "method": ("event http http_method", "http.request.method"),
    "name_type": ("event dns rrtype", "dns.question.type"),
}
_UNNAMED: Final = {
    "logged": "event_timestamp",
    "time": "event timestamp",
    "tls_sni": "event tls sni",
    "question": "event dns rrname",
    "query": "event dns query rrname",
}
_ATTRIBUTES: Final = {name: key for name, (_, key) in (_FIELDS | _RAW_ONLY).items()}
_SENT: Final = {name: key for name, (_, key) in (_FIELDS | _COLUMN_ONLY).items()}
_PATHS: Final = {
    **{name: tuple(path.split()) for name, (path, _) in (_FIELDS | _COLUMN_ONLY | _RAW_ONLY).items()},
    **{name: tuple(path.split()) for name, path in _UNNAMED.items()},
}
_OUTCOMES: Final = {
    **dict.fromkeys(("drop", "blocked", "reject", "rejected"), "denied"),
    **dict.fromkeys(("pass", "allowed", "alert"), "success"),
}
_ENCRYPTED: Final = ("tls", "quic", "ssh")
_OPEN: Final = ("http", "ftp", "smtp", "telnet")
_TIME: Final = pl.Datetime("ns", "UTC")


def describe(records: Records) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The columns of firewall events, row by row, and attributes to add where the sender set none of that name."""
    events = _events(_fields(records))
    return events.select(*KEPT, *_what(), *_where(), *_data()), added(events, _ATTRIBUTES, _LOSSES)


def _fields(records: Records) -> pl.DataFrame:
    found = read_fields(aws_envelopes.unwrapped(records.frame["body"]), _PATHS)
    sent = records.select(*(records.text(key).alias(f"{name} sent") for name, key in _SENT.items()))
    beside = records.frame.select(*KEPT, "time_ns", "observed_ns").hstack([*found, *sent])
    held = {name: [name, f"{name} sent"] if name in _SENT else [name] for name in _PATHS}

    def known(column: str) -> pl.Expr:
        return pl.when(~pl.col(column).is_in(["-", ""])).then(pl.col(column))

    return beside.select(
        *KEPT,
        *("time_ns", "observed_ns"),
        pl.col("body").is_not_null().alias("raw"),
        *(pl.coalesce(*map(known, columns)).alias(name) for name, columns in held.items()),
    )


def _events(fields: pl.DataFrame) -> pl.DataFrame:
    source, destination = (split_addresses(fields[end]) for end in ("source", "destination"))
    lower = {name: pl.col(name).str.to_lowercase() for name in ("verdict", "alert_action", "revocation_action", "app")}
    known = pl.any_horizontal(pl.col(name).is_not_null() for name in ("source", "destination", "type", "signature"))
    asked = pl.when(pl.col("type") == "dns").then(pl.coalesce("question", "query"))
    return fields.with_columns(
        *(expression.alias(name) for name, expression in lower.items()),
        source_address=source[0],
        source_host=source[1],
        destination_address=destination[0],
        named=pl.coalesce("sni", "tls_sni", "hostname", asked, destination[1]),
        flow=known,
        through=values.flag_of(pl.col("inspected")).fill_null(False),
    )


def _what() -> list[pl.Expr]:
    own = pl.coalesce("time_ns", "observed_ns").cast(_TIME)
    said = pl.coalesce("verdict", pl.when(pl.col("revocation_action") == "drop").then(pl.lit("drop")), "alert_action")
    return [
        pl.lit(FORMAT).alias("source_format"),
        pl.coalesce(
            values.time_of(pl.col("time")),
            values.time_of(pl.col("start")),
            seconds(pl.col("logged")),
            values.time_of(pl.col("logged")),
            own,
        ).alias("occurred_at"),
        pl.col("observed_ns").cast(_TIME).alias("observed_at"),
        pl.when("flow").then(pl.lit("network.flow")).otherwise(pl.lit("log.record")).alias("action"),
        pl.coalesce(
            said.replace_strict(_OUTCOMES, default=None, return_dtype=pl.String),
            pl.when(pl.col("tls_error").is_not_null()).then(pl.lit("failure")),
            pl.lit("unknown"),
        ).alias("outcome"),
        pl.coalesce("signature", "tls_error", "revocation").alias("reason"),
    ]


def _where() -> list[pl.Expr]:
    return [
        *(pl.col(name) for name in ("source_address", "source_host", "destination_address")),
        pl.col("named").alias("destination_host"),
    ]


def _data() -> list[pl.Expr]:
    secret = pl.col("app").is_in(_ENCRYPTED) | (pl.col("type") == "tls") & pl.col("tls_error").is_null()
    return [
        values.count_of(pl.col("bytes")).alias("bytes"),
        pl.when(pl.col("through") | secret.fill_null(False))
        .then(True)
        .when(pl.col("app").is_in(_OPEN))
        .then(False)
        .alias("encrypted_in_transit"),
    ]


SHAPE: Final = Shape(FORMAT, tuple(_SENT.values()), describe)
