"""The GenAI conventions as data: what was renamed and when, and what operations mean.

Sources: OpenTelemetry semantic conventions up to 1.44.0 (schemas/<version>) and their GenAI repository.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Rename:
    """An attribute that got another name.

    Attributes:
        old: the deprecated name.
        new: its successor.
        since: the first version (major, minor) of the conventions with the new name. A record whose schema URL is older
            means the old name when it has both.
    """

    old: str
    new: str
    since: tuple[int, int]


RENAMES: Final = (
    Rename("gen_ai.usage.prompt_tokens", "gen_ai.usage.input_tokens", (1, 27)),
    Rename("gen_ai.usage.completion_tokens", "gen_ai.usage.output_tokens", (1, 27)),
    Rename("gen_ai.system", "gen_ai.provider.name", (1, 37)),
)

# Values of the provider that changed with gen_ai.system's successor.
PROVIDERS: Final = {
    "az.ai.inference": "azure.ai.inference",
    "az.ai.openai": "azure.ai.openai",
    "gemini": "gcp.gemini",
    "vertex_ai": "gcp.vertex_ai",
    "xai": "x_ai",
}

# gen_ai.operation.name → (action, object_type). Embeddings and guardrails send the same content to a model as a chat
# does, so they are model.invoke, too: a control on invocations must not miss them.
OPERATIONS: Final[dict[str, tuple[str, str | None]]] = {
    "chat": ("model.invoke", None),
    "generate_content": ("model.invoke", None),
    "text_completion": ("model.invoke", None),
    "embeddings": ("model.invoke", "embedding"),
    "run_guardrail": ("model.invoke", "guardrail"),
    "retrieval": ("data.read", "index"),
    "execute_tool": ("model.tool", "tool"),
    "create_agent": ("model.agent.create", "agent"),
    "invoke_agent": ("model.agent.invoke", "agent"),
    "invoke_workflow": ("model.agent.invoke", "workflow"),
    "plan": ("model.agent.invoke", "plan"),
    "fetch_response": ("data.read", "response"),
    "search_memory": ("data.read", "memory"),
    "create_memory": ("data.copy", "memory"),
    "update_memory": ("data.copy", "memory"),
    "upsert_memory": ("data.copy", "memory"),
    "delete_memory": ("data.delete", "memory"),
    "create_memory_store": ("config.change", "memory"),
    "delete_memory_store": ("data.delete", "memory"),
}

# MCP's methods (2025-11-25) → (action, object_type), whoever tells of them: spans that give no operation, gateways,
# records of calls. What opens a session, lists what a server has or subscribes moves nothing (of a subscribed resource
# only the URI is told when it changes), and is model.other, as every other method is.
METHODS: Final[dict[str, tuple[str, str | None]]] = {
    "tools/call": ("model.tool", "tool"),
    "resources/read": ("data.read", "resource"),
    "resources/subscribe": ("model.other", "resource"),
    "resources/unsubscribe": ("model.other", "resource"),
    "prompts/get": ("data.read", "prompt"),
    "sampling/createMessage": ("model.invoke", None),
}
