"""The `openai` client under OpenTelemetry's own instrumentation, against a model server on this machine."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import openai
import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from running_stack import RunningStack

ANSWERS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": "sovereign-70b-2026-09",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello"}}],
        "usage": {"prompt_tokens": 42, "completion_tokens": 7, "total_tokens": 49},
    },
    "/v1/embeddings": {
        "object": "list",
        "model": "sovereign-embed-2026-09",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}],
        "usage": {"prompt_tokens": 5, "total_tokens": 5},
    },
}


class ModelServer(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        known = asked["model"] != "forbidden"
        answer = ANSWERS[self.path] if known else {"error": {"message": "not for you"}}
        body = json.dumps(answer).encode()
        self.send_response(200 if known else 403)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing on the terminal."""


@pytest.fixture(scope="module")
def model_port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), ModelServer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield int(server.server_address[1])
        server.shutdown()
        thread.join()


@contextmanager
def instrumented(stack: RunningStack, service: str, port: int) -> Iterator[openai.OpenAI]:
    tracers = TracerProvider(resource=Resource({"service.name": service}), shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(stack.addresses["otlp_http"] + "/v1/traces")))
    instrumentor = OpenAIInstrumentor()  # type: ignore[no-untyped-call]
    instrumentor.instrument(
        tracer_provider=tracers,
        logger_provider=LoggerProvider(shutdown_on_exit=False),
        meter_provider=MeterProvider(shutdown_on_exit=False),
    )
    try:
        with openai.OpenAI(api_key="none", base_url=f"http://localhost:{port}/v1", max_retries=0) as client:
            yield client
    finally:
        instrumentor.uninstrument()
        tracers.shutdown()


def call_of(stack: RunningStack, service: str) -> dict[str, Any]:
    query = "FROM events_current WHERE actor_id = {service:String}"
    stack.wait_for(f"SELECT count() {query}", 1, service=service)
    return stack.row(f"SELECT * {query}", service=service)


def test_a_chat_is_a_model_access_with_no_place_claimed_for_loopback(
    stack: RunningStack, mark: str, model_port: int
) -> None:
    with instrumented(stack, mark, model_port) as client:
        question = {"role": "user", "content": "Where are you?"}
        answer = client.chat.completions.create(model="sovereign-70b", messages=[question])  # type: ignore[list-item]
        assert answer.choices[0].message.content == "Hello"
    event = call_of(stack, mark)
    assert (event["domain"], event["action"], event["outcome"]) == ("model_access", "model.invoke", "success")
    assert (event["model_requested"], event["model_served"]) == ("sovereign-70b", "sovereign-70b-2026-09")
    assert (event["input_tokens"], event["output_tokens"]) == (42, 7)
    assert (event["destination_host"], event["model_endpoint"]) == ("localhost", "localhost")
    assert (event["actor_id"], event["actor_type"]) == (mark, "service")
    assert (event["destination_country"], event["destination_country_candidates"]) == (None, [])
    assert (event["destination_country_basis"], event["contradictions"]) == ("unknown", [])
    assert event["destination_control_country"] is None
    assert event["destination_entity"] is None


def test_an_embedding_says_what_it_makes(stack: RunningStack, mark: str, model_port: int) -> None:
    with instrumented(stack, mark, model_port) as client:
        client.embeddings.create(model="sovereign-embed", input="text", encoding_format="float")
    event = call_of(stack, mark)
    assert (event["action"], event["object_type"]) == ("model.invoke", "embedding")
    assert (event["model_requested"], event["model_served"]) == ("sovereign-embed", "sovereign-embed-2026-09")
    assert event["input_tokens"] == 5


def test_a_refused_call_did_not_succeed(stack: RunningStack, mark: str, model_port: int) -> None:
    with instrumented(stack, mark, model_port) as client, pytest.raises(openai.PermissionDeniedError):
        client.chat.completions.create(model="forbidden", messages=[])
    event = call_of(stack, mark)
    assert event["action"] == "model.invoke"
    assert event["outcome"] in {"denied", "failure"}
    assert "403" in event["reason"]
    assert (event["model_requested"], event["model_served"]) == ("forbidden", None)
