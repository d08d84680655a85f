"""What is asked of a model's server, by method and path: OpenAI's interface, Anthropic's, Google's and Bedrock's.

Checked against vllm-project/vllm of 2026 (vllm/entrypoints/serve: rlhf, cache, disagg) and envoyproxy/ai-gateway v1.1.0
(the paths that it translates to and from).
"""

from __future__ import annotations

from typing import Final

import polars as pl

# The path's last names → (action, object_type). The servers agree on them: vLLM, LiteLLM, TGI, Ollama's /v1.
_CALLS: Final[dict[str, tuple[str, str | None]]] = {
    "chat/completions": ("model.invoke", None),
    "completions": ("model.invoke", None),
    "responses": ("model.invoke", None),
    "messages": ("model.invoke", None),
    "generate": ("model.invoke", None),
    "invocations": ("model.invoke", None),
    "classify": ("model.invoke", None),
    "score": ("model.invoke", None),
    "rerank": ("model.invoke", None),
    "moderations": ("model.invoke", None),
    "embeddings": ("model.invoke", "embedding"),
    "embed": ("model.invoke", "embedding"),
    "pooling": ("model.invoke", "embedding"),
    "images/generations": ("model.invoke", "image"),
    "images/edits": ("model.invoke", "image"),
    "audio/speech": ("model.invoke", "audio"),
    "audio/transcriptions": ("model.invoke", "audio"),
    "audio/translations": ("model.invoke", "audio"),
    "realtime": ("model.invoke", "audio"),
    "count_tokens": ("model.invoke", "tokens"),
    "render": ("model.invoke", "tokens"),
    "tokenize": ("model.invoke", "tokens"),
    "detokenize": ("model.invoke", "tokens"),
    "mcp": ("model.tool", "tool"),
    "models": ("config.read", "model"),
    "load_lora_adapter": ("config.change", "adapter"),
    "unload_lora_adapter": ("config.change", "adapter"),
    "init_weight_transfer_engine": ("config.change", "model"),
    "start_weight_update": ("config.change", "model"),
    "update_weights": ("config.change", "model"),
    "finish_weight_update": ("config.change", "model"),
    "scale_elastic_ep": ("config.change", "model"),
    "pause": ("config.change", "model"),
    "resume": ("config.change", "model"),
    "sleep": ("config.change", "model"),
    "wake_up": ("config.change", "model"),
    "reset_prefix_cache": ("config.change", "cache"),
    "reset_mm_cache": ("config.change", "cache"),
    "reset_encoder_cache": ("config.change", "cache"),
}
_LAST: Final = r"(?:^|/)((?:chat|images|audio)/[a-z]+|[a-z_]+)/?(?:\?.*)?$"
_ONE_MODEL: Final = r"/models/[^?]+"
# Google's verbs stand behind a colon, Bedrock's behind the model; both are calls of it.
_VERB: Final = (
    r"(?i):(?:streamGenerateContent|generateContent|streamRawPredict|rawPredict|predict)(?:\?|$)"
    r"|/model/[^?]+/(?:invoke|converse)(?:-[a-z-]+)?(?:\?|$)"
)
_EMBEDS: Final = r"(?i):(?:batchEmbedContents|embedContent)(?:\?|$)"
_COUNTS: Final = r"(?i):countTokens(?:\?|$)"
_FILES: Final = r"/files(?:/[^/?]+(?:/content)?)?/?(?:\?.*)?$"


def action_of(method: pl.Expr, path: pl.Expr) -> pl.Expr:
    """The action of an HTTP request; api.request for what is none of the interface's, null without a path."""
    files = pl.when(method == "GET").then(pl.lit("data.read")).when(method == "DELETE").then(pl.lit("data.delete"))
    verb = path.str.contains(f"{_VERB}|{_EMBEDS}|{_COUNTS}")
    return pl.coalesce(
        pl.when(verb).then(pl.lit("model.invoke")),
        _called(path, 0),
        pl.when(path.str.contains(_ONE_MODEL)).then(pl.lit("config.read")),
        pl.when(path.str.contains(_FILES)).then(files.otherwise(pl.lit("data.copy"))),
        pl.when(path.is_not_null()).then(pl.lit("api.request")),
    )


def object_type_of(path: pl.Expr) -> pl.Expr:
    """What the request is about; null where the path does not say."""
    return pl.coalesce(
        pl.when(path.str.contains(_EMBEDS)).then(pl.lit("embedding")),
        pl.when(path.str.contains(_COUNTS)).then(pl.lit("tokens")),
        _called(path, 1),
        pl.when(path.str.contains(_FILES)).then(pl.lit("file")),
    )


def outcome_of(status: pl.Expr) -> pl.Expr:
    """The outcome of an HTTP status, a text; 0 is a connection that ended without one."""
    code = status.cast(pl.Int32, strict=False)
    return (
        pl.when(code.is_in([401, 403]))
        .then(pl.lit("denied"))
        .when((code == 0) | code.is_between(400, 599))
        .then(pl.lit("failure"))
        .when(code.is_between(100, 399))
        .then(pl.lit("success"))
        .otherwise(pl.lit("unknown"))
    )


def _called(path: pl.Expr, which: int) -> pl.Expr:
    said = {last: meaning[which] for last, meaning in _CALLS.items()}
    return path.str.extract(_LAST).replace_strict(said, default=None, return_dtype=pl.String)
