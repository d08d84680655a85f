"""Model calls: spans and log events of the GenAI and MCP conventions as model-access events.

    column            from
    domain            model_access
    action            gen_ai.operation.name, else mcp.method.name (see `genai_aliases`); an unknown or missing operation
                      that names a requested model is model.invoke, any other model.other; a log event without either
                      keeps its event name. An invocation that another model answered than was asked for (see
                      `model_names`) is model.fallback
    model_provider    gen_ai.provider.name: never a claim about a place, a client pointed elsewhere still says 'openai'
    model_requested   gen_ai.request.model
    model_served      gen_ai.response.model
    model_endpoint    server.address (or the name it had before)
    *_tokens          gen_ai.usage.input_tokens, gen_ai.usage.output_tokens
    outcome           of a log event: a failure or refusal as in `generic`, else success when a response is described

Metrics of model calls (gen_ai.client.*) stay points: a point sums up many calls of nobody in particular, so it can be
held against no control, and the calls behind it are counted once as it is, by their spans or logs.

The parties come from `parties`: the resource is the caller, server.address is called. Deprecated names are read by the
version in the record's schema URL (`genai_aliases.RENAMES`); a schema URL of another family is taken as the newest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.normalise import values
from onshore_pipeline.normalise.genai_aliases import METHODS, OPERATIONS, PROVIDERS, RENAMES
from onshore_pipeline.normalise.model_names import DEPLOYMENTS, another_answered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onshore_pipeline.normalise.fields import Records

_OPERATION: Final = "gen_ai.operation.name"
_METHOD: Final = "mcp.method.name"
_PROVIDER: Final = "gen_ai.provider.name"
_REQUESTED: Final = "gen_ai.request.model"
_SERVED: Final = "gen_ai.response.model"
_RESPONSE: Final = (_SERVED, "gen_ai.response.id", "gen_ai.response.finish_reasons")
_TOKENS: Final = {"input_tokens": "gen_ai.usage.input_tokens", "output_tokens": "gen_ai.usage.output_tokens"}
_ENDPOINT: Final = ("server.address", "net.peer.name")

_MARKS: Final = (_OPERATION, _METHOD, _PROVIDER, "gen_ai.system", _REQUESTED, _SERVED)
KEYS: Final = (
    *(_OPERATION, _METHOD, _PROVIDER, _REQUESTED, *_RESPONSE, *_TOKENS.values(), *_ENDPOINT),
    *(rename.old for rename in RENAMES),
)

_VERSION: Final = r"//opentelemetry\.io/schemas/(\d{1,4})\.(\d{1,4})\."
_NEWEST: Final = 1 << 31
_MINOR: Final = 10_000


def is_model_call(records: Records) -> pl.Expr:
    """Whether a record follows the GenAI conventions; never null."""
    return records.any_of(*_MARKS)


def appears(records: Records) -> bool:
    """Whether any record of the batch follows the GenAI conventions."""
    return records.has(*_MARKS)


def overlay(records: Records, columns: pl.DataFrame) -> pl.DataFrame:
    """Put what GenAI attributes say over `columns`, row by row; other records stay as they are."""
    operation = values.word_of(records.text(_OPERATION))
    method = records.text(_METHOD)
    unnamed_log = operation.is_null() & method.is_null() & (pl.col("signal") == "log")
    model_call = is_model_call(records)
    said = records.frame.select(
        called=model_call,
        domain=pl.when(model_call).then(pl.lit("model_access")),
        action=pl.when(model_call & ~unnamed_log).then(
            pl.coalesce(
                _meaning(operation, OPERATIONS, 0),
                *([_meaning(method, METHODS, 0)] if records.has(_METHOD) else []),
                pl.when(records.text(_REQUESTED).is_not_null()).then(pl.lit("model.invoke")),
                pl.lit("model.other"),
            )
        ),
        object_type=pl.coalesce(
            _meaning(operation, OPERATIONS, 1), *([_meaning(method, METHODS, 1)] if records.has(_METHOD) else [])
        ),
        answered=model_call & (pl.col("signal") == "log") & records.any_of(*_RESPONSE),
        model_provider=_renamed(records, _PROVIDER).replace(PROVIDERS),
        model_requested=records.text(_REQUESTED),
        model_served=records.text(_SERVED),
        model_endpoint=pl.when(model_call).then(records.first(*_ENDPOINT)),
        **{
            column: pl.when(model_call).then(values.count_of(_renamed(records, key))) for column, key in _TOKENS.items()
        },
    )
    if records.has(_SERVED):
        said = _with_fallback(said)
    new = said.select(pl.all().exclude("action", "object_type", "called"))
    return (
        columns.rename({"action": "plain action", "object_type": "plain object"})
        .hstack(new)
        .hstack(said.select("action", "object_type"))
        .with_columns(
            action=pl.coalesce("action", "plain action"),
            object_type=pl.coalesce("object_type", "plain object"),
            outcome=pl.when(pl.col("answered") & (pl.col("outcome") == "unknown"))
            .then(pl.lit("success"))
            .otherwise("outcome"),
        )
        .drop("plain action", "plain object", "answered")
    )


def _meaning(word: pl.Expr, table: Mapping[str, tuple[str, str | None]], which: int) -> pl.Expr:
    return word.replace_strict(
        {name: said[which] for name, said in table.items()}, default=None, return_dtype=pl.String
    )


def _with_fallback(said: pl.DataFrame) -> pl.DataFrame:
    """Invocations that another model answered, told apart."""
    another = another_answered(said["model_requested"], said["model_served"])
    if not another.any():
        return said
    names_model = ~pl.col("model_provider").is_in(DEPLOYMENTS).fill_null(False)
    return said.with_columns(
        action=pl.when(another & names_model & (pl.col("action") == "model.invoke"))
        .then(pl.lit("model.fallback"))
        .otherwise("action")
    )


def _renamed(records: Records, new: str) -> pl.Expr:
    """The attribute under its new or old name; with both, the one that the record's version means."""
    for rename in RENAMES:
        if rename.new == new and records.has(rename.old):
            old = pl.col(rename.old)
            major, minor = rename.since
            before = _version() < major * _MINOR + minor
            return (
                pl.when(before).then(pl.coalesce(old, records.text(new))).otherwise(pl.coalesce(records.text(new), old))
            )
    return records.text(new)


def _version() -> pl.Expr:
    """The conventions' version in the schema URL as one comparable number; without one, the newest."""
    parts = pl.col("schema_url").str.extract_groups(_VERSION)
    number = parts.struct[0].cast(pl.Int64) * _MINOR + parts.struct[1].cast(pl.Int64)
    return number.fill_null(_NEWEST)
