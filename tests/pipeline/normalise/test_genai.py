from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.pipeline.normalise.conftest import Batch

CLIENT, SERVER = 3, 2
OLD, NEW = "https://opentelemetry.io/schemas/1.26.0", "https://opentelemetry.io/schemas/1.37.0"
CALL = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-5",
    "gen_ai.response.model": "gpt-5-2026-01-01",
    "gen_ai.usage.input_tokens": 120,
    "gen_ai.usage.output_tokens": 30,
    "server.address": "api.openai.com",
    "server.port": 443,
}


def test_a_chat_is_a_model_invocation(batch: Batch) -> None:
    resource = {"service.name": "gateway", "cloud.region": "ap-southeast-2", "cloud.provider": "aws"}
    event = batch.message(resource).span(CALL, name="chat gpt-5", span_kind=CLIENT).event()
    assert (event["domain"], event["action"], event["outcome"]) == ("model_access", "model.invoke", "success")
    assert (event["model_provider"], event["model_endpoint"]) == ("openai", "api.openai.com")
    assert (event["model_requested"], event["model_served"]) == ("gpt-5", "gpt-5-2026-01-01")
    assert (event["input_tokens"], event["output_tokens"]) == (120, 30)
    assert (event["actor_id"], event["actor_type"]) == ("gateway", "service")
    assert (event["source_region"], event["destination_host"]) == ("ap-southeast-2", "api.openai.com")
    assert (event["source_format"], event["body"]) == ("otlp.span", "chat gpt-5")


@pytest.mark.parametrize(
    ("operation", "action", "object_type"),
    [
        ("generate_content", "model.invoke", None),
        ("text_completion", "model.invoke", None),
        ("embeddings", "model.invoke", "embedding"),
        ("run_guardrail", "model.invoke", "guardrail"),
        ("retrieval", "data.read", "index"),
        ("execute_tool", "model.tool", "tool"),
        ("invoke_agent", "model.agent.invoke", "agent"),
        ("create_agent", "model.agent.create", "agent"),
        ("something_new", "model.other", None),
    ],
)
def test_operations_become_actions_of_model_access(
    batch: Batch, operation: str, action: str, object_type: str | None
) -> None:
    event = batch.span({"gen_ai.operation.name": operation}, span_kind=CLIENT).event()
    assert (event["action"], event["object_type"], event["domain"]) == (action, object_type, "model_access")


@pytest.mark.parametrize("operation", [{}, {"gen_ai.operation.name": "transcribe"}])
def test_an_unknown_operation_on_a_model_is_an_invocation(batch: Batch, operation: dict[str, str]) -> None:
    assert batch.span({**operation, "gen_ai.request.model": "m"}).event()["action"] == "model.invoke"


def test_deprecated_names_are_read(batch: Batch) -> None:
    event = batch.span(
        {
            "gen_ai.system": "az.ai.openai",
            "gen_ai.usage.prompt_tokens": 5,
            "gen_ai.usage.completion_tokens": 6,
            "net.peer.name": "x.openai.azure.com",
        },
        span_kind=CLIENT,
    ).event()
    assert event["model_provider"] == "azure.ai.openai"
    assert (event["input_tokens"], event["output_tokens"]) == (5, 6)
    assert (event["model_endpoint"], event["destination_host"]) == ("x.openai.azure.com", "x.openai.azure.com")


@pytest.mark.parametrize(
    ("schema_url", "provider", "tokens"),
    [
        (OLD, "old", 1),
        ("https://opentelemetry.io/schemas/1.30.0", "old", 2),
        (NEW, "new", 2),
        (None, "new", 2),
        ("https://example.org/schemas/0.1.0", "new", 2),
    ],
)
def test_with_both_names_the_one_of_the_schemas_version_counts(
    batch: Batch, schema_url: str | None, provider: str, tokens: int
) -> None:
    both = {
        "gen_ai.system": "old",
        "gen_ai.provider.name": "new",
        "gen_ai.usage.prompt_tokens": 1,
        "gen_ai.usage.input_tokens": 2,
    }
    event = batch.span(both, schema_url=schema_url).event()
    assert (event["model_provider"], event["input_tokens"]) == (provider, tokens)


def test_the_provider_alone_says_nothing_about_a_place(batch: Batch) -> None:
    event = batch.span({"gen_ai.provider.name": "aws.bedrock", "gen_ai.operation.name": "chat"}).event()
    known = {name for name, value in event.items() if name.startswith("destination_") and value}
    assert known == set()


@pytest.mark.parametrize(
    ("attributes", "status", "outcome"),
    [
        ({"error.type": "timeout"}, 2, "failure"),
        ({}, 2, "failure"),
        ({"error.type": "PermissionDeniedError"}, 2, "denied"),
        ({"error.type": "openai.PermissionDeniedError"}, 2, "denied"),
        ({"error.type": "<class 'openai.PermissionDeniedError'>"}, 2, "denied"),
        ({"error.type": "grpc.StatusCode.PERMISSION_DENIED"}, 2, "denied"),
        ({"error.type": "forbidden.Timeout"}, 2, "failure"),
        ({"error.type": "denied."}, 2, "failure"),
        ({"error.type": "403"}, 2, "denied"),
        ({"http.response.status_code": 401}, None, "denied"),
        ({}, None, "success"),
        ({}, 1, "success"),
    ],
)
def test_the_outcome_is_the_spans(
    batch: Batch, attributes: dict[str, object], status: int | None, outcome: str
) -> None:
    event = batch.span({**CALL, **attributes}, status_code=status, status_message="because").event()
    assert (event["outcome"], event["reason"]) == (outcome, "because")


def test_a_log_event_that_describes_an_answer_succeeded(batch: Batch) -> None:
    event = batch.log(CALL, event_name="gen_ai.client.inference.operation.details").event()
    assert (event["action"], event["outcome"], event["domain"]) == ("model.invoke", "success", "model_access")


def test_a_log_event_without_operation_keeps_its_name(batch: Batch) -> None:
    event = batch.log({"gen_ai.system": "openai"}, event_name="gen_ai.user.message", body="{}").event()
    assert (event["action"], event["outcome"]) == ("gen_ai.user.message", "unknown")
    assert (event["domain"], event["model_provider"]) == ("model_access", "openai")


def test_the_span_of_a_model_server_is_the_destination(batch: Batch) -> None:
    event = batch.message({"service.name": "vllm", "cloud.region": "r"}).span(CALL, span_kind=SERVER).event()
    assert (event["destination_region"], event["source_region"], event["actor_id"]) == ("r", None, None)


def test_model_calls_leave_other_records_of_the_batch_alone(batch: Batch) -> None:
    call, other = batch.span(CALL).log({"aws.s3.bucket": "b"}, event_name="file.scan").events()
    assert call["action"] == "model.invoke"
    assert (other["action"], other["domain"], other["model_endpoint"]) == ("file.scan", "data_movement", None)


def test_tokens_that_are_no_count_are_unknown(batch: Batch) -> None:
    assert batch.span({**CALL, "gen_ai.usage.input_tokens": -1}).event()["input_tokens"] is None


def test_another_model_than_was_asked_for_is_a_fallback_with_both_names(batch: Batch) -> None:
    event = batch.log({**CALL, "gen_ai.response.model": "gpt-4o-mini"}).event()
    assert (event["action"], event["domain"]) == ("model.fallback", "model_access")
    assert (event["model_requested"], event["model_served"]) == ("gpt-5", "gpt-4o-mini")


def test_a_deployments_name_is_no_models_name(batch: Batch) -> None:
    azure = {**CALL, "gen_ai.provider.name": "azure.ai.openai", "gen_ai.request.model": "prod-chat"}
    assert batch.log(azure).event()["action"] == "model.invoke"


def test_only_invocations_fall_back(batch: Batch) -> None:
    tool = {**CALL, "gen_ai.operation.name": "execute_tool", "gen_ai.response.model": "other"}
    assert batch.span(tool).event()["action"] == "model.tool"


@pytest.mark.parametrize(
    ("method", "action", "object_type"),
    [
        ("tools/call", "model.tool", "tool"),
        ("resources/read", "data.read", "resource"),
        ("resources/subscribe", "model.other", "resource"),
        ("prompts/get", "data.read", "prompt"),
        ("sampling/createMessage", "model.invoke", None),
        ("initialize", "model.other", None),
        ("tasks/result", "model.other", None),
    ],
)
def test_mcp_methods_are_the_same_actions_whoever_tells_of_them(
    batch: Batch, method: str, action: str, object_type: str | None
) -> None:
    batch.log({"log.record.format": "mcp.call"}, body=json.dumps({"method": method}))
    batch.log({"log.record.format": "gateway.envoy"}, body=json.dumps({"mcp.method.name": method}))
    batch.span(
        {"mcp.method.name": method, "mcp.resource.uri": "file:///notes", "server.address": "mcp.example.com"},
        span_kind=CLIENT,
    )
    *_, event = events = batch.events()
    assert [(each["action"], each["object_type"]) for each in events] == [(action, object_type)] * 3
    assert event["domain"] == "model_access"
    assert (event["destination_host"], event["dataset"]) == ("mcp.example.com", "file:///notes")


def test_a_record_that_is_no_model_call_stays_the_same_beside_one(batch: Batch) -> None:
    batch.log({"gen_ai.response.id": "r-1", "gen_ai.usage.input_tokens": 5}, event_name="gen_ai.evaluation.result")
    alone = batch.event()
    beside, _ = batch.log(CALL, event_name="gen_ai.client.inference.operation.details").events()
    assert beside == alone
    assert (alone["outcome"], alone["input_tokens"]) == ("unknown", None)


def test_a_memory_is_a_dataset(batch: Batch) -> None:
    searched = {"gen_ai.operation.name": "search_memory", "gen_ai.memory.store.id": "mem-1"}
    event = batch.span(searched, span_kind=CLIENT).event()
    assert (event["action"], event["dataset"], event["object_type"]) == ("data.read", "mem-1", "memory")


def test_metrics_of_model_calls_stay_points(batch: Batch) -> None:
    batch.message().point("gen_ai.client.token.usage", None, attributes={"gen_ai.provider.name": "openai"})
    assert batch.normalised().events["action"].to_list() == ["host.state"]
    assert batch.normalised().points["metric"].to_list() == ["gen_ai.client.token.usage"]
