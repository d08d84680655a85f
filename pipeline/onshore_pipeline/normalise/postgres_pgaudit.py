"""PostgreSQL's log with pgAudit's entries: csvlog, jsonlog, and lines of the error log with Amazon RDS's prefix.

csvlog has 23 cells up to PostgreSQL 12, 24 in 13 (backend_type), 26 since 14 (leader_pid, query_id). An entry of
pgAudit is the message: AUDIT: type, statement id, substatement id, class, command, object type, object name, statement,
parameters, and rows where pgaudit.log_rows is on.

    column                 from
    occurred_at            log_time, where its zone is UTC, a number or an abbreviation that means one zone only (CST,
                           IST and BST do not)
    action                 class and command (`_ACTIONS`); a connection that was authorized or refused is db.session;
                           other messages are log records
    outcome                an entry is written when the statement is allowed and begins, which is a success though its
                           transaction may yet be rolled back; for messages the error state: 28 and 42501 are denied
    actor_id               user_name
    source_address, _host  connection_from; also actor_address. [local] is a socket of the server's own machine
    destination_*          the server, where the resource or the record names it (see `writer`)
    dataset                database_name.object_name, else database_name
    object_type            object type in lower case
    item_count             rows
    encrypted_in_transit   of a connection that was authorized: whether with SSL
    reason                 the message of what did not go well
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.normalise import values, writer
from onshore_pipeline.normalise.addresses import split_addresses
from onshore_pipeline.normalise.csv_cells import read_cells
from onshore_pipeline.normalise.described import as_attributes, begun, beside, known
from onshore_pipeline.normalise.json_fields import read_fields
from onshore_pipeline.normalise.shape import Shape

if TYPE_CHECKING:
    from onshore_pipeline.normalise.fields import Records

FORMAT: Final = "postgres.pgaudit"

_CSV: Final = (
    *("log_time", "user", "database", "process", "client", "session", "session_line", "command_tag", "session_start"),
    *("virtual_transaction", "transaction", "severity", "state", "said"),
    *("detail", "hint", "internal_query", "internal_position", "context", "query", "query_position", "location"),
    *("application", "backend", "leader", "query_id"),
)
_CSV_BEGINS: Final = r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)? [^ ,:]+,"
_JSON: Final[dict[str, tuple[str, ...]]] = {
    "log_time": ("timestamp",),
    "user": ("user",),
    "database": ("dbname",),
    "client": ("remote_host",),
    "session": ("session_id",),
    "severity": ("error_severity",),
    "state": ("state_code",),
    "said": ("message",),
    "application": ("application_name",),
}
# %t:%r:%u@%d:[%p]: is what Amazon RDS sets; it cannot be changed there.
_RDS: Final = r"^(\S+ \S+ \S+?):([^()]*)(?:\(\d+\))?:([^@]*)@([^:]*):\[\d+\]:([A-Z]+): +(?s:(.*))$"
_RDS_FIELDS: Final = ("log_time", "client", "user", "database", "severity", "said")
_AUDIT: Final = (
    *("type", "statement_id", "substatement_id", "class", "command", "object_type", "object", "statement"),
    *("parameters", "rows"),
)
_FIELDS: Final = tuple(_JSON)
_ATTRIBUTES: Final = {
    "class": "pgaudit.class",
    "command": "db.operation.name",
    "object": "db.collection.name",
    "database": "db.namespace",
    "state": "db.response.status_code",
    "session": "postgresql.session_id",
    "application": "postgresql.application_name",
    "statement_id": "pgaudit.statement_id",
}

# class and command → action; a class alone decides for the commands that are not listed.
_ACTIONS: Final = {
    "READ": "data.read",
    "READ COPY": "data.export",
    "WRITE": "data.write",
    "WRITE DELETE": "data.delete",
    "WRITE TRUNCATE TABLE": "data.delete",
    "FUNCTION": "admin.command",
    "ROLE": "config.change",
    "DDL": "config.change",
    "DDL DROP TABLE": "data.delete",
    "DDL DROP SCHEMA": "data.delete",
    "DDL DROP DATABASE": "data.delete",
    "DDL CREATE SUBSCRIPTION": "data.replicate",
    "DDL CREATE PUBLICATION": "data.replicate",
    "MISC": "admin.command",
    "MISC_SET": "admin.command",
}
# Abbreviations that log_timezone prints and that mean one offset wherever they are used.
_ZONES: Final = {
    "UTC": "+00:00",
    "GMT": "+00:00",
    "JST": "+09:00",
    "KST": "+09:00",
    "HKT": "+08:00",
    "SGT": "+08:00",
    "AEST": "+10:00",
    "AEDT": "+11:00",
    "ACST": "+09:30",
    "ACDT": "+10:30",
    "AWST": "+08:00",
    "NZST": "+12:00",
    "NZDT": "+13:00",
    "CET": "+01:00",
    "CEST": "+02:00",
    "EST": "-05:00",
    "EDT": "-04:00",
    "PST": "-08:00",
    "PDT": "-07:00",
    "MDT": "-06:00",
    "CDT": "-05:00",
}
_LOCAL: Final = "[local]"
_SESSION: Final = (
    r"^(connection authorized: |password authentication failed|no pg_hba\.conf entry|pg_hba\.conf rejects)"
)


def describe(records: Records) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The columns of log records, row by row, and their fields without a column as attributes."""
    fields = _fields(records)
    address, host = split_addresses(fields.select(pl.when(pl.col("client") != _LOCAL).then("client")).to_series())
    local = pl.when(pl.col("client") == _LOCAL).then("writer_host")
    placed = beside(records, fields).with_columns(source_address=address, source_host=pl.coalesce(host, local))
    columns = placed.select(
        *begun(FORMAT, _occurred()),
        *_what(),
        pl.col("user").alias("actor_id"),
        pl.col("source_address").alias("actor_address"),
        "source_address",
        "source_host",
        pl.col("writer_host").alias("destination_host"),
        *writer.as_party("destination"),
    )
    return columns, as_attributes(records, fields, _ATTRIBUTES)


def _fields(records: Records) -> pl.DataFrame:
    body = records.frame["body"].str.strip_chars_end("\r\n")
    logged = known(read_fields(body, _JSON))
    line = body.set(body.str.starts_with("{"), None)
    rows = read_cells(line.set(~line.str.contains(_CSV_BEGINS), None), _CSV)
    rest = line.set(line.str.contains(_CSV_BEGINS), None).to_frame("line")
    prefixed = rest.select(pl.col("line").str.extract_groups(_RDS).struct.rename_fields(_RDS_FIELDS)).unnest("line")
    bare = rest.select(said=pl.col("line").str.extract(r"(?s)(AUDIT: (?:SESSION|OBJECT),.*)$"))
    told = pl.DataFrame([_first(name, logged, rows, known(prefixed), bare) for name in _FIELDS])
    entry = pl.when(pl.col("said").str.starts_with("AUDIT: ")).then(pl.col("said").str.strip_prefix("AUDIT: "))
    audited = read_cells(told.select(entry).to_series(), _AUDIT)
    return told.hstack(audited.get_columns()).hstack(writer.of(records).get_columns())


def _first(name: str, *frames: pl.DataFrame) -> pl.Series:
    """The column `name` of the first frame that has a value, row by row."""
    found = [frame[name] for frame in frames if name in frame.columns]
    first = found[0]
    for other in found[1:]:
        first = first.zip_with(first.is_not_null(), other)
    return first.alias(name)


def _occurred() -> pl.Expr:
    parts = pl.col("log_time").str.extract_groups(r"^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?) (\S+)$").struct
    number = parts[2].str.extract(r"^([+-]\d\d)(?::?(\d\d))?$")
    minutes = parts[2].str.extract(r"^[+-]\d\d:?(\d\d)$").fill_null("00")
    zone = pl.coalesce(
        parts[2].replace_strict(_ZONES, default=None, return_dtype=pl.String),
        pl.concat_str(number, pl.lit(":"), minutes),
    )
    return values.time_of(pl.concat_str(parts[0], pl.lit("T"), parts[1], zone))


def _what() -> list[pl.Expr]:
    audited = pl.col("class").is_not_null()
    session = pl.col("said").str.contains(_SESSION)
    exact = pl.concat_str("class", "command", separator=" ")
    went_well = audited | pl.col("said").str.starts_with("connection authorized: ")
    denied = pl.col("state").str.contains(r"^(28|42501$)").fill_null(False)
    failed = pl.col("severity").is_in(["ERROR", "FATAL", "PANIC"]).fill_null(False)
    return [
        pl.coalesce(
            exact.replace_strict(_ACTIONS, default=None, return_dtype=pl.String),
            pl.col("class").replace_strict(_ACTIONS, default=None, return_dtype=pl.String),
            pl.when(audited).then(pl.lit("admin.command")),
            pl.when(session).then(pl.lit("db.session")),
            pl.lit("log.record"),
        ).alias("action"),
        pl.when(denied)
        .then(pl.lit("denied"))
        .when(failed)
        .then(pl.lit("failure"))
        .when(went_well)
        .then(pl.lit("success"))
        .otherwise(pl.lit("unknown"))
        .alias("outcome"),
        pl.when(denied | failed).then("said").alias("reason"),
        pl.col("object_type").str.to_lowercase(),
        pl.concat_str("database", "object", separator=".", ignore_nulls=True).replace("", None).alias("dataset"),
        values.count_of(pl.col("rows")).alias("item_count"),
        pl.when(pl.col("said").str.starts_with("connection authorized: "))
        .then(pl.col("said").str.contains("SSL enabled", literal=True))
        .alias("encrypted_in_transit"),
    ]


SHAPE: Final = Shape(FORMAT, writer.KEYS, describe, resource_keys=writer.RESOURCE_KEYS)
