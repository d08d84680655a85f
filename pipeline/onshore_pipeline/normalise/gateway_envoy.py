"""Envoy's JSON access log, with the fields of Envoy Gateway, Istio and Envoy AI Gateway.

Operators name the fields of this log themselves. Read are the names of Envoy Gateway's and Istio's defaults, and of
Envoy AI Gateway's documentation: gen_ai.* and mcp.*, and genai_* of its releases before 0.6.

    column                   from
    occurred_at              start_time
    action, object_type      mcp.method.name; a record that names a model is model.invoke, or model.fallback when
                             another model was put in its place (the override) or answered; else method and path
                             (`gateway_paths`)
    outcome, reason          response_code; upstream_transport_failure_reason, connection_termination_details, and
                             response_code_details when the upstream did not answer
    source_address           downstream_remote_address, which Envoy takes from x-forwarded-for as far as it is set up to
                             trust it; also actor_address
    destination_address      upstream_host, the address that was really connected to; a name stays destination_host
    destination_host         of AI Gateway's records the authority, which is the upstream's name by then
    model_*                  gen_ai.request.model or genai_model_name; gen_ai.response.model, else the override;
                             gen_ai.provider.name or genai_backend_name is the operator's name of a backend, and an
                             attribute
    *_tokens                 gen_ai.usage.*, genai_tokens_*
    bytes                    bytes_received: what the caller sent, and Envoy passed on

Envoy's OpenTelemetry access logger writes the same fields as attributes, with a line of text as body, and its log's
name on the resource (`log_name`); such records are recognised by it.

Checked against envoyproxy/gateway v1.9.0 (internal/xds/translator/accesslog.go), envoyproxy/ai-gateway v1.1.0
(site/versioned_docs 0.4 to 1.1, accesslogs.md; examples/access-log; internal/autoconfig/config.yaml.tmpl), Istio's
default names as vendors document them, and Envoy's access log operators.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.normalise import values
from onshore_pipeline.normalise.addresses import split_addresses
from onshore_pipeline.normalise.described import as_attributes, begun, beside
from onshore_pipeline.normalise.gateway_paths import action_of, object_type_of, outcome_of
from onshore_pipeline.normalise.genai_aliases import METHODS
from onshore_pipeline.normalise.json_fields import read_fields
from onshore_pipeline.normalise.model_names import another_answered
from onshore_pipeline.normalise.shape import Shape

if TYPE_CHECKING:
    from onshore_pipeline.normalise.fields import Records

FORMAT: Final = "gateway.envoy"

# field → the names it goes by, the first that is there counts
_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "started": ("start_time",),
    "method": ("method", ":method"),
    "uri": ("x-envoy-origin-path", "request.path", "path", ":path"),
    "status": ("response_code",),
    "details": ("response_code_details",),
    "ended": ("connection_termination_details",),
    "transport": ("upstream_transport_failure_reason",),
    "flags": ("response_flags",),
    "received": ("bytes_received",),
    "sent": ("bytes_sent",),
    "client": ("downstream_remote_address",),
    "forwarded": ("x-forwarded-for", "x_forwarded_for"),
    "upstream": ("upstream_host",),
    "cluster": ("upstream_cluster",),
    "route": ("route_name",),
    "authority": (":authority", "authority"),
    "sni": ("requested_server_name",),
    "request_id": ("x-request-id", "request_id"),
    "agent": ("user-agent", "user_agent"),
    "model": ("gen_ai.request.model", "genai_model_name"),
    "override": ("gen_ai.request.model_override", "genai_model_name_override"),
    "answered_by": ("gen_ai.response.model",),
    "backend": ("gen_ai.provider.name", "genai_backend_name"),
    "input": ("gen_ai.usage.input_tokens", "genai_tokens_input"),
    "output": ("gen_ai.usage.output_tokens", "genai_tokens_output"),
    "session": ("session.id", "mcp.session.id"),
    "mcp_method": ("mcp.method.name",),
    "tool": ("mcp.tool.name",),
    "mcp_backend": ("mcp.provider.name",),
    "rpc": ("jsonrpc.request.id",),
    "reasoning": ("gen_ai.usage.reasoning_tokens",),
}
_PATHS: Final = {name: (name,) for names in _NAMES.values() for name in names}
_ATTRIBUTES: Final = {
    "method": "http.request.method",
    "path": "url.path",
    "status": "http.response.status_code",
    "flags": "envoy.response_flags",
    "sent": "http.response.size",
    "forwarded": "http.request.header.x-forwarded-for",
    "cluster": "envoy.upstream_cluster",
    "route": "envoy.route_name",
    "authority": "http.request.header.host",
    "sni": "tls.client.server_name",
    "request_id": "http.request.header.x-request-id",
    "agent": "user_agent.original",
    "override": "envoy.model_override",
    "backend": "envoy.backend_name",
    "session": "session.id",
    "mcp_method": "mcp.method.name",
    "tool": "gen_ai.tool.name",
    "mcp_backend": "mcp.server.name",
    "rpc": "jsonrpc.request.id",
    "reasoning": "gen_ai.usage.reasoning_tokens",
}
_LOG_NAME: Final = "log_name"
_LOG: Final = "otel_envoy_accesslog"


def describe(records: Records) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The columns of access records, row by row, and their fields without a column as attributes."""
    fields = _fields(records)
    source_address, source_host = split_addresses(fields["client"])
    address, host = split_addresses(fields["upstream"])
    placed = beside(records, fields).with_columns(
        source_address=source_address,
        source_host=source_host,
        upstream_address=address,
        upstream_name=host,
        another=another_answered(fields["model"], fields["served"]),
    )
    columns = placed.select(*begun(FORMAT, values.time_of(pl.col("started"))), *_what(), *_ends(), *_model())
    return columns, as_attributes(records, fields, _ATTRIBUTES)


def _fields(records: Records) -> pl.DataFrame:
    body = read_fields(records.frame["body"], _PATHS)
    sent = records.select(*(records.text(name).alias(f"{name} sent") for name in _PATHS))
    said = body.hstack(sent).select(pl.coalesce(name, f"{name} sent").alias(name) for name in _PATHS)
    told = said.select(pl.when(~pl.col(name).is_in(["", "-"])).then(pl.col(name)).alias(name) for name in said.columns)
    return told.select(pl.coalesce(*names).alias(field) for field, names in _NAMES.items()).with_columns(
        path=pl.col("uri").str.extract(r"^([^?]+)"),
        served=pl.coalesce("answered_by", "override"),
        ai=pl.coalesce("model", "backend", "answered_by", "mcp_method", "mcp_backend").is_not_null(),
    )


def _what() -> list[pl.Expr]:
    method = pl.col("mcp_method")
    mcp, objects = (
        method.replace_strict(
            {name: said[which] for name, said in METHODS.items()}, default=None, return_dtype=pl.String
        )
        for which in (0, 1)
    )
    action = pl.coalesce(
        mcp,
        pl.when(method.is_not_null()).then(pl.lit("model.other")),
        pl.when(pl.col("model").is_not_null()).then(pl.lit("model.invoke")),
        action_of(pl.col("method"), pl.col("path")),
        pl.when(pl.col("status").is_not_null()).then(pl.lit("api.request")),
        pl.lit("log.record"),
    )
    return [
        pl.when((action == "model.invoke") & pl.col("another"))
        .then(pl.lit("model.fallback"))
        .otherwise(action)
        .alias("action"),
        pl.coalesce(objects, object_type_of(pl.col("path"))).alias("object_type"),
        outcome_of(pl.col("status")).alias("outcome"),
        pl.coalesce("transport", "ended", pl.when(pl.col("details") != "via_upstream").then("details")).alias("reason"),
        values.count_of(pl.col("received")).alias("bytes"),
    ]


def _ends() -> list[pl.Expr]:
    return [
        pl.col("source_address").alias("actor_address"),
        pl.col("source_address"),
        pl.col("source_host"),
        pl.col("upstream_address").alias("destination_address"),
        _called().alias("destination_host"),
    ]


def _called() -> pl.Expr:
    """The upstream's name: AI Gateway has put it in the authority's place by the time it writes its record."""
    return pl.coalesce(pl.when("ai").then(pl.col("authority").str.replace(r":\d+$", "")), "upstream_name")


def _model() -> list[pl.Expr]:
    return [
        pl.col("model").alias("model_requested"),
        pl.col("served").alias("model_served"),
        pl.when(pl.col("ai"))
        .then(pl.coalesce(_called(), pl.col("upstream").str.replace(r":\d+$", "")))
        .alias("model_endpoint"),
        values.count_of(pl.col("input")).alias("input_tokens"),
        values.count_of(pl.col("output")).alias("output_tokens"),
    ]


def _recognised(records: Records) -> pl.Expr:
    return records.resource(_LOG_NAME) == _LOG


SHAPE: Final = Shape(FORMAT, tuple(_PATHS), describe, _recognised, resource_keys=(_LOG_NAME,))
