"""vLLM's access log: uvicorn's line, bare or as the message of a JSON record.

    INFO:     10.0.1.4:51234 - "POST /v1/chat/completions HTTP/1.1" 200 OK

    column                   from
    occurred_at              a JSON record's timestamp or asctime with an offset; the line has no time: the log record's
    action, object_type      method and path (`gateway_paths`)
    outcome                  the status
    source_address           the client's address; also actor_address. Behind a proxy it is the proxy's, behind a Unix
                             socket there is none
    destination_*            the server, where the resource names it (see `writer`); model_endpoint, too

The line does not say which model was asked for, by whom, nor how much; the gateway in front of the server does. vLLM's
other lines stay log records.

Checked against vllm-project/vllm (vllm/logging_utils/uvicorn_logging.py, oteljson.py) of 2026, and uvicorn, which puts
host, colon and port together also for IPv6, without brackets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.normalise import values, writer
from onshore_pipeline.normalise.addresses import split_addresses
from onshore_pipeline.normalise.described import as_attributes, begun, beside, known
from onshore_pipeline.normalise.gateway_paths import action_of, object_type_of, outcome_of
from onshore_pipeline.normalise.json_fields import read_fields
from onshore_pipeline.normalise.shape import Shape

if TYPE_CHECKING:
    from onshore_pipeline.normalise.fields import Records

FORMAT: Final = "gateway.vllm"

_PATHS: Final[dict[str, tuple[str, ...]]] = {
    "message_text": ("message",),
    "body_text": ("body",),
    "timestamp": ("timestamp",),
    "asctime": ("asctime",),
}
_LINE: Final = r'(?:(\S+) )?- "([A-Z]+) (\S+) HTTP/[\d.]+" (\d{3})'
_PORT: Final = r":\d+$"
_ATTRIBUTES: Final = {
    "method": "http.request.method",
    "path": "url.path",
    "query": "url.query",
    "status": "http.response.status_code",
}


def describe(records: Records) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The columns of access lines, row by row, and their fields without a column as attributes."""
    fields = _fields(records)
    address, host = split_addresses(fields["client"])
    placed = beside(records, fields).with_columns(source_address=address, source_host=host)
    occurred = pl.coalesce(values.time_of(pl.col("timestamp")), values.time_of(pl.col("asctime")))
    columns = placed.select(
        *begun(FORMAT, occurred),
        pl.coalesce(action_of(pl.col("method"), pl.col("path")), pl.lit("log.record")).alias("action"),
        object_type_of(pl.col("path")).alias("object_type"),
        outcome_of(pl.col("status")).alias("outcome"),
        pl.col("source_address").alias("actor_address"),
        "source_address",
        "source_host",
        pl.col("writer_host").alias("destination_host"),
        *writer.as_party("destination"),
        pl.when(pl.col("path").is_not_null()).then("writer_host").alias("model_endpoint"),
    )
    return columns, as_attributes(records, fields, _ATTRIBUTES)


def _fields(records: Records) -> pl.DataFrame:
    body = records.frame["body"]
    wrapped = known(read_fields(body, _PATHS))
    line = pl.coalesce("message_text", "body_text", pl.lit(body))
    parts = line.str.extract_groups(_LINE).struct
    return wrapped.with_columns(
        client=parts[0].str.replace(_PORT, ""),
        method=parts[1],
        path=parts[2].str.extract(r"^([^?]+)"),
        query=parts[2].str.extract(r"\?(.+)$"),
        status=parts[3],
    ).hstack(writer.of(records).get_columns())


SHAPE: Final = Shape(FORMAT, writer.KEYS, describe, resource_keys=writer.RESOURCE_KEYS)
