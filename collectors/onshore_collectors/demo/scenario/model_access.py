"""Model access: calls to models at home and elsewhere, retrieval, tools, agents, and weights being read.

SOV-04-01 asks where the endpoint stands, SOV-04-02 who controls its owner, SOV-02-01 where weights go. Calls that
failed delivered nothing and are no control's business. A host with a region in its name is placed by it; a global host
and a cross-region profile have no one place, but an owner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from onshore_collectors.demo.scenario.template import (
    SATISFIED,
    UNDETERMINED,
    VIOLATED,
    Between,
    Expected,
    Log,
    OneOf,
    Span,
    Template,
    Value,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_HOME: Final = ("{home}",)
_NO_CATEGORY: Final[dict[str, Value]] = {"onshore.data.categories": ("none",)}
_HOME_DATA: Final[dict[str, Value]] = {"onshore.data.home": _HOME, **_NO_CATEGORY}
_AT_HOME: Final[dict[str, Value]] = {
    "server.address": "vllm.{site}.{domain}",
    "server.port": 8000,
    "onshore.destination.country": "{home}",
    "onshore.destination.facility": "{site}",
    "onshore.destination.entity": "{operator}",
}
_OUR_MODEL: Final[dict[str, Value]] = {
    "gen_ai.provider.name": "vllm",
    "gen_ai.request.model": OneOf("models"),
    "user.id": OneOf("people"),
}
_BEDROCK_MODEL: Final[dict[str, Value]] = {
    "gen_ai.provider.name": "aws.bedrock",
    "gen_ai.request.model": "amazon.nova-lite-v1:0",
    "user.id": OneOf("people"),
}
_TOKENS: Final[dict[str, Value]] = {
    "gen_ai.usage.input_tokens": Between(80, 6000),
    "gen_ai.usage.output_tokens": Between(20, 900),
}


def _call(
    name: str,
    share: float,
    expected: Expected,
    *attributes: Mapping[str, Value],
    operation: str = "chat",
    kind: str = "client",
    failed: bool = False,
    tenants: frozenset[str] = frozenset(),
) -> Template:
    """A span as GenAI instrumentation emits it."""
    merged: dict[str, Value] = {"gen_ai.operation.name": operation}
    for group in attributes:
        merged |= group
    shape = Span(operation, "client" if kind == "client" else "internal", Between(60, 4000), failed=failed)
    return Template(name, "model_access", shape, "assistant", expected, share, merged, rhythm="office", tenants=tenants)


def _weights_read(name: str, share: float, expected: Expected, attributes: Mapping[str, Value]) -> Template:
    """A server fetches weights before it serves them."""
    said: dict[str, Value] = {
        "onshore.outcome": "success",
        "onshore.actor.id": "svc-vllm",
        "onshore.actor.type": "service",
        "onshore.object.type": "weights",
        "onshore.data.bytes": Between(4 << 30, 140 << 30),
        **attributes,
    }
    shape = Log("model.weights.read", "weights read from the registry")
    return Template(name, "model_access", shape, "registry", expected, share, said, data="machine")


_EVERYDAY: Final = (
    _call(
        "chat with our own model at home",
        22,
        {"SOV-04-01": SATISFIED, "SOV-04-02": SATISFIED},
        *(_OUR_MODEL, _AT_HOME, _TOKENS, _HOME_DATA),
    ),
    _call(
        "embeddings by our own model at home",
        10,
        {"SOV-04-01": SATISFIED, "SOV-04-02": SATISFIED},
        *(_OUR_MODEL, _AT_HOME, {"gen_ai.usage.input_tokens": Between(20, 500)}, _HOME_DATA),
        operation="embeddings",
    ),
    _call(
        "fallback to our second site at home",
        1.5,
        {"SOV-04-01": SATISFIED, "SOV-04-02": SATISFIED},
        *(_OUR_MODEL, _AT_HOME, _TOKENS, _HOME_DATA),
        {
            "onshore.action": "model.fallback",
            "server.address": "vllm.{second_site}.{domain}",
            "onshore.destination.facility": "{second_site}",
            "onshore.reason": "first site is busy",
        },
    ),
    _call(
        "retrieval from the index at home",
        10,
        {},
        {"gen_ai.data_source.id": "handbook-index", "user.id": OneOf("people")},
        *(_AT_HOME, _HOME_DATA),
        operation="retrieval",
    ),
    _call(
        "a tool is executed",
        4,
        {},
        {"gen_ai.tool.name": "calendar", "user.id": OneOf("people")},
        operation="execute_tool",
        kind="internal",
    ),
    _call("an agent runs", 3, {}, _OUR_MODEL, operation="invoke_agent", kind="internal"),
    _call(
        "a call that times out",
        1,
        {},
        *(_OUR_MODEL, _AT_HOME, _HOME_DATA, {"error.type": "timeout"}),
        failed=True,
    ),
    _weights_read(
        "weights read by a server at home",
        0.5,
        {"SOV-02-01": SATISFIED},
        {"onshore.destination.country": "{home}", "onshore.destination.facility": "{site}"},
    ),
)

_PLANTED: Final = (
    _call(
        "fallback to an endpoint in the United States",
        5,
        {"SOV-04-01": VIOLATED, "SOV-04-02": VIOLATED},
        *(_BEDROCK_MODEL, _TOKENS, _HOME_DATA),
        {
            "onshore.action": "model.fallback",
            "server.address": "bedrock-runtime.us-east-1.amazonaws.com",
            "onshore.reason": "no capacity at home",
        },
    ),
    _call(
        "endpoint at home of a company of the United States",
        12,
        {"SOV-04-01": SATISFIED, "SOV-04-02": VIOLATED},
        *(_BEDROCK_MODEL, _TOKENS, _HOME_DATA),
        {"server.address": "bedrock-runtime.{region}.amazonaws.com"},
    ),
    _call(
        "endpoint at home of a company of China",
        3,
        {"SOV-04-01": SATISFIED, "SOV-04-02": VIOLATED},
        *(_TOKENS, _HOME_DATA),
        {
            "gen_ai.provider.name": "openai",  # the dialect that the client speaks
            "gen_ai.request.model": "qwen-plus",
            "server.address": "dashscope-intl.aliyuncs.com",
            "user.id": OneOf("people"),
        },
        tenants=frozenset({"straitsview-genomics"}),
    ),
    _call(
        "global endpoint with no one place",
        3,
        {"SOV-04-01": UNDETERMINED, "SOV-04-02": VIOLATED},
        *(_TOKENS, _HOME_DATA),
        {
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o-mini",
            "server.address": "api.openai.com",
            "user.id": OneOf("people"),
        },
    ),
    _call(
        "cross-region profile that may be served in many countries",
        2,
        {"SOV-04-01": UNDETERMINED, "SOV-04-02": VIOLATED},
        *(_BEDROCK_MODEL, _TOKENS, _HOME_DATA),
        {
            "gen_ai.request.model": "apac.amazon.nova-lite-v1:0",
            "server.address": "bedrock-runtime.{region}.amazonaws.com",
        },
    ),
    _call(
        "partner's endpoint at home whose owner nobody registered",
        3,
        {"SOV-04-01": SATISFIED, "SOV-04-02": UNDETERMINED},
        *(_OUR_MODEL, _TOKENS, _HOME_DATA),
        {"server.address": "llm.partner.example", "onshore.destination.country": "{home}"},
    ),
    _call(
        "call that says nothing about where its data has its home",
        2,
        {"SOV-04-01": UNDETERMINED, "SOV-04-02": UNDETERMINED},
        *(_OUR_MODEL, _AT_HOME, _TOKENS, _NO_CATEGORY),
    ),
    _weights_read(
        "weights read by a server abroad",
        2,
        {"SOV-02-01": VIOLATED},
        {"cloud.provider": "aws", "cloud.region": "us-west-2"},
    ),
    _weights_read(
        "weights read by a client that nobody can place",
        2,
        {"SOV-02-01": UNDETERMINED},
        {"server.address": "pull.partner.example"},
    ),
)

MODEL_ACCESS: Final = (*_EVERYDAY, *_PLANTED)
