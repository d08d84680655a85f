"""Calls over the Model Context Protocol as a gateway or proxy writes them, and retrieval; the plain form.

    {"time": "...", "method": "tools/call", "tool": "search", "server": {"host": "...", "name": "..."},
     "caller": "...", "session": "...", "resource": "file:///...", "retrieval": {"source": "...", "documents": 3},
     "error": "...", "is_error": false, "jsonrpc": "2.0", "params": {"name": "...", "uri": "..."}}

    column              from (and the plain form: see `plain_form`)
    action              method, as `genai_aliases.METHODS` says, others of the protocol model.other; a record that names
                        a source of retrieval is data.read. Plain events: retrieve is data.read, call model.tool
    outcome, reason     plain form; an error (a text, or an object with code and message), or is_error, is a failure,
                        is_error false a success
    actor_id            actor.id, else caller
    source_, actor_address  plain form, else client: the caller's
    destination_host, _address  plain form, else server.host, server.url: what was called. A retrieval's data comes from
                        there, and goes to the caller
    dataset             plain form; retrieval.source, else the resource's URI
    object_type         tool, resource, prompt, retrieval
    item_count          retrieval.documents

A tool's arguments and answers stay in the body: they may hold personal data. So do credentials in addresses, which
columns and attributes show as REDACTED: the body is what was sent, and is sealed as that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.normalise import plain_form, values
from onshore_pipeline.normalise.genai_aliases import METHODS
from onshore_pipeline.normalise.json_fields import read_fields
from onshore_pipeline.normalise.shape import Shape
from onshore_pipeline.normalise.source_fields import added, source_fields
from onshore_pipeline.normalise.url_secrets import without_secrets

if TYPE_CHECKING:
    from onshore_pipeline.normalise.fields import Records

FORMAT: Final = "mcp.call"

_SPELLED: Final = plain_form.spelled(
    time="timestamp",
    reason="error message",
    actor="caller",
    source_at="client",
    destination_at="server host",
    items="retrieval documents",
    method="method",
    tool="tool",
    named="params name",
    server="server name",
    url="server url",
    transport="transport",
    session="session",
    uri="resource | params uri",
    retrieval="retrieval source",
    is_error="is_error | result isError",
    code="error code",
)
_ATTRIBUTES: Final = {
    "event": "mcp.event",
    "id": "mcp.call_id",
    "method": "mcp.method.name",
    "tool": "gen_ai.tool.name",
    "prompt": "gen_ai.prompt.name",
    "server": "mcp.server.name",
    "url": "url.full",
    "transport": "network.transport",
    "session": "mcp.session.id",
    "uri": "mcp.resource.uri",
    "retrieval": "retrieval.source",
    "code": "error.code",
}
_WORDS: Final = {
    **{method.lower(): said for method, said in METHODS.items()},
    "call": ("model.tool", "tool"),
    "retrieve": ("data.read", "retrieval"),
}
_PROTOCOL: Final = (
    r"^(initialize|ping|tools/list)$"
    r"|^(resources|prompts|completion|logging|sampling|roots|elicitation|tasks|notifications)/"
)
# Read apart: the protocol's own error is an object, a gateway's a text, and one reading takes one shape.
_ERROR: Final = {"error": ("error",)}
_ERROR_IS_TEXT: Final = r'"error"\s*:\s*"'
_URLS: Final = ("url", "uri", "retrieval", "dataset")
_HOST: Final = r"^[a-z][a-z0-9+.-]*://(?:[^/@]*@)?([^/?#]+)"


def describe(records: Records) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The columns of calls, row by row, and their fields without a column as attributes."""
    bodies = records.frame["body"]
    error = read_fields(bodies.set(~bodies.str.contains(_ERROR_IS_TEXT).fill_null(False), None), _ERROR)["error"]
    fields = source_fields(records, _SPELLED, {}).with_columns(
        reason=pl.coalesce("reason", pl.when(error != "").then(error))
    )
    safe = fields.with_columns(without_secrets(pl.col(name)).alias(name) for name in _URLS)
    method = plain_form.word("method")
    told = safe.with_columns(
        destination_at=pl.coalesce("destination_at", pl.col("url").str.extract(_HOST)),
        tool=pl.coalesce("tool", pl.when(method == "tools/call").then("named")),
        prompt=pl.when(method == "prompts/get").then("named"),
    )
    return plain_form.columns(told, FORMAT, _described()), added(told, _ATTRIBUTES)


def _described() -> list[pl.Expr]:
    what = pl.coalesce(plain_form.word("method"), plain_form.word("event"))
    retrieved = pl.when(pl.col("retrieval").is_not_null())
    failed = values.flag_of(pl.col("is_error"))
    return [
        pl.coalesce(
            retrieved.then(pl.lit("data.read")),
            _of(what, 0),
            pl.when(what.str.contains(_PROTOCOL)).then(pl.lit("model.other")),
            pl.lit("log.record"),
        ).alias("action"),
        plain_form.outcome_of(
            pl.when(pl.col("reason").is_not_null() | pl.col("code").is_not_null() | failed).then(pl.lit("failure")),
            pl.when(~failed).then(pl.lit("success")),
        ).alias("outcome"),
        pl.coalesce("dataset", "retrieval", "uri").alias("dataset"),
        pl.coalesce("object_kind", retrieved.then(pl.lit("retrieval")), _of(what, 1)).alias("object_type"),
    ]


def _of(what: pl.Expr, which: int) -> pl.Expr:
    named = {method: known[which] for method, known in _WORDS.items()}
    return what.replace_strict(named, default=None, return_dtype=pl.String)


SHAPE: Final = Shape(FORMAT, (), describe)
