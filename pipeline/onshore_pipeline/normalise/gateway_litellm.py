"""LiteLLM's standard logging payload, one JSON object a call.

    column              from
    occurred_at         startTime (seconds)
    action              by call_type; model.fallback when another model answered (response.model) than LiteLLM asked the
                        provider for (model, see `model_names`), or Vertex AI charged for another region than the one
                        whose host was called
    outcome, reason     status; a failure with error_information.error_code 401 or 403 was denied; error_str
    actor_id            metadata.user_api_key_user_id, else user_api_key_alias, user_api_key_hash
    source_address      requester_ip_address, else metadata's; also actor_address
    destination_host    the host of api_base; without it the provider's default was called, which nothing here names:
                        unknown. An answer from the cache called nobody. Of a tool call mcp_server_resource, the origin
                        of the server it was passed on to
    destination_region  cost_breakdown.vertex_location, where Google ran it by the price that was charged
    model_endpoint      the same
    model_provider      custom_llm_provider in OpenTelemetry's spelling
    model_requested     model_group, the name that callers use; else model
    model_served        response.model, else model; an answered call only
    dataset             the vector stores that were searched, when it is one
    *_tokens            prompt_tokens, completion_tokens

model_group is an alias of the operator's own: that it differs from the model behind it says nothing. After a fallback
it is the group that was fallen back on; the one that was asked for first is only in the failed call of the same
trace_id. How often the router fell back it tells the caller in a header, and not in this payload.

Checked against BerriAI/litellm (litellm/types/utils.py: StandardLoggingPayload and what it is made of, CallTypes; the
test of get_additional_headers), its main branch of autumn 2026.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.normalise import values
from onshore_pipeline.normalise.addresses import split_addresses
from onshore_pipeline.normalise.described import as_attributes, begun, beside, known
from onshore_pipeline.normalise.json_fields import ITEMS, read_fields
from onshore_pipeline.normalise.model_names import DEPLOYMENTS, another_answered
from onshore_pipeline.normalise.shape import Shape

if TYPE_CHECKING:
    from onshore_pipeline.normalise.fields import Records

FORMAT: Final = "gateway.litellm"

_PATHS: Final[dict[str, tuple[str, ...]]] = {
    "call_id": ("id",),
    "litellm_id": ("litellm_call_id",),
    "session": ("session_id",),
    "trace": ("trace_id",),
    "call_type": ("call_type",),
    "status": ("status",),
    "started": ("startTime",),
    "provider": ("custom_llm_provider",),
    "model": ("model",),
    "group": ("model_group",),
    "deployment": ("model_id",),
    "answered_by": ("response", "model"),
    "api_base": ("api_base",),
    "cached": ("cache_hit",),
    "input": ("prompt_tokens",),
    "output": ("completion_tokens",),
    "end_user": ("end_user",),
    "requester": ("requester_ip_address",),
    "error": ("error_str",),
    "error_code": ("error_information", "error_code"),
    "error_class": ("error_information", "error_class"),
    "key_user": ("metadata", "user_api_key_user_id"),
    "key_alias": ("metadata", "user_api_key_alias"),
    "key_hash": ("metadata", "user_api_key_hash"),
    "team": ("metadata", "user_api_key_team_id"),
    "org": ("metadata", "user_api_key_org_id"),
    "project": ("metadata", "user_api_key_project_id"),
    "email": ("metadata", "user_api_key_user_email"),
    "meta_requester": ("metadata", "requester_ip_address"),
    "tool": ("metadata", "mcp_tool_call_metadata", "name"),
    "tool_server": ("metadata", "mcp_tool_call_metadata", "mcp_server_name"),
    "tool_origin": ("metadata", "mcp_tool_call_metadata", "mcp_server_resource"),
    "vertex_location": ("cost_breakdown", "vertex_location"),
    "residency": ("cost_breakdown", "data_residency"),
    "stores": ("metadata", "vector_store_request_metadata", ITEMS, "vector_store_id"),
    "guardrail": ("status_fields", "guardrail_status"),
    "agent": ("user_agent",),
    "meta_agent": ("metadata", "user_agent"),
    "error_text": ("error_information", "error_message"),
}
_ATTRIBUTES: Final = {
    "call_id": "gen_ai.response.id",
    "litellm_id": "litellm.call_id",
    "session": "session.id",
    "trace": "litellm.trace_id",
    "call_type": "litellm.call_type",
    "model": "litellm.model",
    "deployment": "litellm.model_id",
    "cached": "litellm.cache_hit",
    "end_user": "litellm.end_user",
    "team": "litellm.team_id",
    "org": "litellm.org_id",
    "project": "litellm.project_id",
    "email": "user.email",
    "residency": "litellm.data_residency",
    "guardrail": "litellm.guardrail_status",
    "error_class": "error.type",
    "tool": "gen_ai.tool.name",
    "tool_server": "mcp.server.name",
    "agent": "user_agent.original",
    "searched": "gen_ai.data_source.ids",
}
_PROVIDERS: Final = {
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "vertex_ai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}
# The first of which call_type, without the a of its asynchronous twin, begins → (action, object_type); else a model's
# invocation.
_CALLS: Final = (
    ("call_mcp_tool", "model.tool", "tool"),
    ("list_mcp_tools", "model.other", "tool"),
    ("run_code", "model.tool", "code"),
    ("code_interpreter_tool", "model.tool", "code"),
    ("embedding", "model.invoke", "embedding"),
    ("image_", "model.invoke", "image"),
    ("speech", "model.invoke", "audio"),
    ("transcription", "model.invoke", "audio"),
    ("realtime", "model.invoke", "audio"),
    ("ocr", "model.invoke", "document"),
    ("send_message", "model.invoke", "agent"),
    ("video_content", "data.read", "video"),
    ("video_delete", "data.delete", "video"),
    *((f"video_{what}", "config.read", "video") for what in ("list", "retrieve", "get_")),
    ("video_", "model.invoke", "video"),
    ("create_video", "model.invoke", "video"),
    ("vector_store_search", "data.read", "index"),
    ("vector_store_file_content", "data.read", "file"),
    ("vector_store_file_create", "index.build", "index"),
    *((f"vector_store_file_{what}", "config.read", "index") for what in ("list", "retrieve")),
    ("vector_store", "config.change", "index"),
    ("ingest", "index.build", "index"),
    ("query", "data.read", "index"),
    ("search", "data.read", "search"),
    ("create_file", "data.copy", "file"),
    ("upload_container_file", "data.copy", "file"),
    ("add_message", "data.copy", "message"),
    ("get_messages", "data.read", "message"),
    ("file_content", "data.read", "file"),
    ("file_delete", "data.delete", "file"),
    ("file_", "config.read", "file"),
    ("create_batch", "model.invoke", "batch"),
    ("create_interaction", "model.invoke", None),
    *((beginning, "config.read", None) for beginning in ("list_", "get_", "retrieve_")),
    *((beginning, "config.change", None) for beginning in ("create_", "delete_", "cancel_")),
)
# What asynchronous calls' names go on with behind their a; anthropic_messages and add_message have one of their own.
_TWIN: Final = (
    r"^_?a_?(call_|list_|embedding|image_|speech|transcription|vector_|search|create_|get_|delete_|retrieve_|cancel_|run_|"
    r"code_|file_|video_|upload_|ingest|query|ocr|realtime|send_|add_)"
)
_NO_REGION: Final = "global"
_VERTEX: Final = r"^https://([a-z]+-[a-z]+\d+)-aiplatform\.googleapis\.com(?:[:/]|$)"
_HOST: Final = r"^(?:[a-z+]+://)?(?:[^/?#]*@)?(\[[^\]]*\]|[^/:?#]+)"


def describe(records: Records) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The columns of LiteLLM's calls, row by row, and their fields without a column as attributes."""
    fields = _fields(records)
    source_address, source_host = split_addresses(fields["source"])
    called_address, called_host = split_addresses(fields["called"])
    another = another_answered(fields["model"], fields["answered_by"])
    placed = beside(records, fields).with_columns(
        source_address=source_address,
        source_host=source_host,
        called_address=called_address,
        called_host=called_host,
        another=(another & ~pl.col("provider").is_in(DEPLOYMENTS).fill_null(False)) | _ran_elsewhere(),
    )
    columns = placed.select(
        *begun(FORMAT, values.seconds_of(pl.col("started"))), *_what(), *_who(), *_where(), *_model()
    )
    return columns, as_attributes(records, fields, _ATTRIBUTES)


def _fields(records: Records) -> pl.DataFrame:
    fields = known(read_fields(records.frame["body"], _PATHS))
    cached = values.flag_of(pl.col("cached")).fill_null(False)
    origin, base = (pl.col(name).str.extract(_HOST) for name in ("tool_origin", "api_base"))
    return fields.with_columns(
        call=pl.col("call_type").str.replace(_TWIN, "$1"),
        source=pl.coalesce("requester", "meta_requester"),
        called=pl.coalesce(origin, pl.when(~cached).then(base)),
        agent=pl.coalesce("agent", "meta_agent"),
        searched=pl.when(pl.col("stores").list.len() > 0).then(pl.col("stores").list.join(",")),
    )


def _ran_elsewhere() -> pl.Expr:
    """Whether Vertex AI ran a call in another region than it was sent to; never null."""
    region = pl.col("vertex_location")
    return ((region != _NO_REGION) & (pl.col("api_base").str.extract(_VERTEX) != region)).fill_null(False)


def _what() -> list[pl.Expr]:
    kinds = [(pl.col("call").str.starts_with(beginning), action, what) for beginning, action, what in _CALLS]
    action = pl.coalesce(
        *(pl.when(fits).then(pl.lit(action)) for fits, action, _ in kinds),
        pl.when(pl.col("model").is_not_null() | pl.col("call").is_not_null()).then(pl.lit("model.invoke")),
        pl.lit("log.record"),
    )
    failed = pl.col("status") == "failure"
    return [
        pl.when((action == "model.invoke") & pl.col("another"))
        .then(pl.lit("model.fallback"))
        .otherwise(action)
        .alias("action"),
        pl.coalesce(
            pl.when(failed & pl.col("error_code").is_in(["401", "403"])).then(pl.lit("denied")),
            pl.when(pl.col("status").is_in(["success", "failure"])).then("status"),
            pl.lit("unknown"),
        ).alias("outcome"),
        pl.coalesce("error", "error_text", "error_class").alias("reason"),
        pl.coalesce(*(pl.when(fits).then(pl.lit(what)) for fits, _, what in kinds)).alias("object_type"),
        pl.when(pl.col("stores").list.len() == 1).then(pl.col("stores").list.first()).alias("dataset"),
    ]


def _who() -> list[pl.Expr]:
    return [
        pl.coalesce("key_user", "key_alias", "key_hash").alias("actor_id"),
        pl.col("source_address").alias("actor_address"),
        pl.col("source_address"),
        pl.col("source_host"),
    ]


def _where() -> list[pl.Expr]:
    location = pl.when(pl.col("vertex_location") != _NO_REGION).then("vertex_location")
    return [
        pl.col("called_address").alias("destination_address"),
        pl.col("called_host").alias("destination_host"),
        location.alias("destination_region"),
        pl.when(location.is_not_null()).then(pl.lit("gcp")).alias("destination_provider"),
    ]


def _model() -> list[pl.Expr]:
    is_tool = pl.col("tool").is_not_null()  # LiteLLM writes 'MCP: ' and the tool's name where the model's would stand
    answered = (pl.col("status") == "success").fill_null(False) & ~is_tool
    return [
        pl.col("provider").replace(_PROVIDERS).alias("model_provider"),
        pl.when(~is_tool).then(pl.coalesce("group", "model")).alias("model_requested"),
        pl.when(answered).then(pl.coalesce("answered_by", "model")).alias("model_served"),
        pl.when(~is_tool).then("called").alias("model_endpoint"),
        values.count_of(pl.col("input")).alias("input_tokens"),
        values.count_of(pl.col("output")).alias("output_tokens"),
    ]


SHAPE: Final = Shape(FORMAT, (), describe)
