from __future__ import annotations

import gzip
import json
import threading
import zlib
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from onshore_collectors.receiver.intake import IntakeLimits
from onshore_collectors.receiver.pace import LONGEST_WAIT_S
from onshore_collectors.receiver.tenants import TenantRegistry, add_tenant
from onshore_pipeline.errors import BrokerUnavailable, MessageTooLarge

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.collectors.receiver.conftest import Receiver, Start

    from onshore_pipeline.broker import Outgoing

MIB = 1 << 20
LOGS = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
METRICS = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"


class Broken:
    def send(self, topic: str, messages: Sequence[Outgoing]) -> None:
        raise BrokerUnavailable(f"{topic}: {len(messages)} not taken")

    def close(self) -> None:
        pass


class Held:
    def __init__(self) -> None:
        self.let_go = threading.Event()

    def send(self, topic: str, messages: Sequence[Outgoing]) -> None:
        del topic, messages
        self.let_go.wait(20)

    def close(self) -> None:
        pass


class Narrow:
    def send(self, topic: str, messages: Sequence[Outgoing]) -> None:
        raise MessageTooLarge(f"{topic}: {len(messages)} not taken")

    def close(self) -> None:
        pass


def call(
    receiver: Receiver,
    body: bytes,
    method: str = LOGS,
    *,
    compression: grpc.Compression | None = None,
    authorization: str | None = None,
) -> bytes:
    metadata = () if authorization is None else (("authorization", authorization),)
    unlimited = [("grpc.max_send_message_length", -1)]
    channel: Any
    with grpc.insecure_channel(receiver.grpc, unlimited, compression) as channel:
        return bytes(channel.unary_unary(method)(body, timeout=20, metadata=metadata))


def request_of(records: int) -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add().scope_logs.add()
    for _ in range(records):
        scope.log_records.add().body.string_value = "weights were read"
    return request


@pytest.mark.parametrize("compression", [None, grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_a_request_becomes_one_message_however_it_was_compressed(
    receiver: Receiver, compression: grpc.Compression | None
) -> None:
    body = request_of(1000).SerializeToString()
    assert call(receiver, body, compression=compression) == b""
    (message,) = receiver.messages()
    assert (message.topic, message.value) == ("otlp_logs", body)
    assert dict(message.headers) == {
        "onshore-encoding": b"otlp_proto",
        "onshore-tenant": b"default",
        "onshore-collector": b"receiver-1",
    }


def test_each_signal_has_its_topic(receiver: Receiver) -> None:
    traces, metrics = ExportTraceServiceRequest(), ExportMetricsServiceRequest()
    traces.resource_spans.add().scope_spans.add().spans.add().name = "chat"
    metrics.resource_metrics.add().scope_metrics.add().metrics.add().name = "cpu"
    call(receiver, traces.SerializeToString(), TRACES)
    call(receiver, metrics.SerializeToString(), METRICS)
    assert {message.topic for message in receiver.messages()} == {"otlp_spans", "otlp_metrics"}


def test_an_empty_request_is_taken_and_makes_no_message(receiver: Receiver) -> None:
    assert call(receiver, b"", compression=grpc.Compression.Gzip) == b""
    assert receiver.messages() == ()


def refusal(receiver: Receiver, body: bytes, method: str = LOGS, authorization: str | None = None) -> Any:
    with pytest.raises(grpc.RpcError) as caught:
        call(receiver, body, method, authorization=authorization)
    return caught.value


@pytest.mark.parametrize(
    "body", [b"\x0b\x0c", b'{"resourceLogs": []}', gzip.compress(b"\x0a\x05", mtime=0)[:-4], b"\x78\x9cab"]
)
def test_what_cannot_be_otlp_is_an_invalid_argument(receiver: Receiver, body: bytes) -> None:
    assert refusal(receiver, body).code() is grpc.StatusCode.INVALID_ARGUMENT
    assert receiver.messages() == ()


def test_an_unknown_method_is_unimplemented(receiver: Receiver) -> None:
    method = "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export"
    assert refusal(receiver, b"", method).code() is grpc.StatusCode.UNIMPLEMENTED


def test_too_large_a_message_is_refused_by_name_and_not_to_be_sent_again(receiver: Receiver) -> None:
    error = refusal(receiver, bytes(17 * MIB))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "16777216" in error.details()
    assert retry_delay_s(error) is None


def test_a_bomb_is_refused_unpacked_no_further_than_the_limit(receiver: Receiver) -> None:
    packer = zlib.compressobj(1, wbits=31)
    bomb = b"".join(packer.compress(bytes(MIB)) for _ in range(512)) + packer.flush()
    error = refusal(receiver, bomb)
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "unpacked body is larger than 64 MiB" in error.details()
    assert retry_delay_s(error) is None


def retry_delay_s(error: Any) -> int | None:
    """As OTLP wants it, in the status's details; and as the SDK for Python looks for it, which must say the same."""
    metadata = dict(error.trailing_metadata() or ())
    details = Status.FromString(metadata.get("grpc-status-details-bin", b"")).details
    retry = RetryInfo()
    said = int(retry.retry_delay.seconds) if details and details[0].Unpack(retry) else None
    plain = metadata.get("google.rpc.retryinfo-bin")
    assert said == (int(RetryInfo.FromString(plain).retry_delay.seconds) if plain is not None else None)
    return said


def test_a_silent_broker_is_unavailable_with_a_time_to_come_back(start: Start) -> None:
    error = refusal(start(producer=Broken()), request_of(1).SerializeToString())
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert (retry_delay_s(error) or 0) in range(1, LONGEST_WAIT_S + 1)


def test_a_message_that_the_broker_will_never_take_is_not_to_be_sent_again(start: Start) -> None:
    receiver = start(producer=Narrow())
    error = refusal(receiver, request_of(1).SerializeToString())
    assert (error.code(), retry_delay_s(error)) == (grpc.StatusCode.RESOURCE_EXHAUSTED, None)
    over_http = receiver.post("/v1/logs", request_of(1).SerializeToString(), content_type="application/x-protobuf")
    assert (over_http.status_code, "retry-after" in over_http.headers) == (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, False)
    assert "send smaller batches" in Status.FromString(over_http.content).message


def test_too_many_bytes_under_way_are_resource_exhausted_with_a_time_to_come_back(start: Start) -> None:
    error = refusal(start(limits=IntakeLimits(max_in_flight_bytes=10)), request_of(30).SerializeToString())
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (retry_delay_s(error) or 0) in range(1, LONGEST_WAIT_S + 1)


def test_a_call_that_lasts_for_ever_is_cut_so_that_it_cannot_keep_a_thread(start: Start) -> None:
    held = Held()
    limits = IntakeLimits(grpc_connection_s=0.3, body_timeout_s=0.3)
    error = refusal(start(producer=held, limits=limits), request_of(1).SerializeToString())
    held.let_go.set()
    assert error.code() is grpc.StatusCode.UNAVAILABLE, "what a sender tries again"


def test_the_tenant_comes_from_the_token_over_both_protocols(start: Start, tmp_path: Path) -> None:
    token = add_tenant(tmp_path / "tenants.json", "sydney")
    receiver = start(tenants=TenantRegistry(tmp_path / "tenants.json", require_token=True))
    body = request_of(1).SerializeToString()
    call(receiver, body, authorization=f"Bearer {token}")
    over_http = receiver.post("/v1/logs", body, content_type="application/x-protobuf", authorization=f"bearer {token}")
    assert over_http.status_code == HTTPStatus.OK
    assert [dict(message.headers)["onshore-tenant"] for message in receiver.messages()] == [b"sydney", b"sydney"]

    assert refusal(receiver, body, authorization="Bearer wrong").code() is grpc.StatusCode.UNAUTHENTICATED
    assert refusal(receiver, body).code() is grpc.StatusCode.UNAUTHENTICATED
    answer = receiver.post("/v1/logs", b"{}", content_type="application/json", authorization="Bearer wrong")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (HTTPStatus.UNAUTHORIZED, "Bearer")
    assert json.loads(answer.content)["code"] == 16
    assert receiver.messages() == ()
