"""The receiver as the supervisor starts it, and the clients that strangers use."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
import httpx
import psutil
import pytest
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from onshore_collectors.receiver.tenants import add_tenant
from onshore_collectors.telemetry import (
    CountedLogProcessor,
    CountedSpanProcessor,
    LogRecordExporter,
    open_logger_provider,
    open_meter_provider,
    open_tracer_provider,
)
from onshore_pipeline.embedded.local_log import LocalLog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from opentelemetry.sdk.metrics.export import MetricExporter
    from opentelemetry.sdk.trace.export import SpanExporter

    from onshore_collectors.batching import Gap
    from onshore_pipeline.broker import Message


@dataclass
class Process:
    popen: subprocess.Popen[bytes]
    folder: Path

    @property
    def addresses(self) -> dict[str, str]:
        found: dict[str, str] = json.loads((self.folder / "ready").read_text())
        return found

    def messages(self) -> tuple[Message, ...]:
        consumer = LocalLog(self.folder / "log", now_ns=time.time_ns).consumer()
        try:
            return consumer.poll(max_messages=1000, max_bytes=1 << 30, timeout_s=0).messages
        finally:
            consumer.close()


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    started: list[subprocess.Popen[bytes]] = []

    def launch(*arguments: str) -> Process:
        command = [sys.executable, "-m", "onshore_collectors.receiver", "--http-port", "0", "--grpc-port", "0"]
        command += ["--local-log", str(tmp_path / "log"), "--ready-file", str(tmp_path / "ready"), *arguments]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        popen = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        started.append(popen)
        process = Process(popen, tmp_path)
        deadline = time.monotonic() + 20
        while not (tmp_path / "ready").exists() and popen.poll() is None and time.monotonic() < deadline:
            popen_has_ended(popen, 0.02)
        return process

    yield launch
    for popen in started:
        popen.kill()
        popen.__exit__(None, None, None)


def popen_has_ended(popen: subprocess.Popen[bytes], within_s: float) -> bool:
    try:
        popen.wait(within_s)
    except subprocess.TimeoutExpired:
        return False
    return True


def test_it_writes_both_addresses_serves_little_memory_and_ends_on_sigterm(launch: Callable[..., Process]) -> None:
    process = launch()
    assert sorted(process.addresses) == ["otlp_grpc", "otlp_http"]
    assert (process.folder / "ready").stat().st_mode & 0o777 == 0o600
    assert httpx.get(process.addresses["otlp_http"] + "/healthz").json()["status"] == "ok"
    listening = [each for each in psutil.Process(process.popen.pid).net_connections() if each.status == "LISTEN"]
    assert {each.laddr.ip.removeprefix("::ffff:") for each in listening} == {"127.0.0.1"}
    assert psutil.Process(process.popen.pid).memory_info().rss < 120 << 20
    process.popen.send_signal(signal.SIGTERM)
    assert popen_has_ended(process.popen, 3)
    assert process.popen.returncode == 0
    assert process.popen.stderr is not None
    assert process.popen.stderr.read() == b""


def test_it_ends_when_its_parent_is_gone(launch: Callable[..., Process]) -> None:
    process = launch("--with-parent")
    assert process.popen.stdin is not None
    process.popen.stdin.close()
    assert popen_has_ended(process.popen, 3)
    assert process.popen.returncode == 0


def test_a_hanging_sender_does_not_keep_it_from_ending(launch: Callable[..., Process]) -> None:
    process = launch()
    port = int(process.addresses["otlp_http"].rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as sender:
        sender.sendall(b"POST /v1/logs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n")
        sender.sendall(b"Content-Length: 9\r\n\r\n{")
        process.popen.send_signal(signal.SIGINT)
        assert popen_has_ended(process.popen, 5)
    assert process.popen.returncode == 0


def test_what_was_acknowledged_survives_a_kill(launch: Callable[..., Process]) -> None:
    process = launch()
    acknowledged: list[bytes] = []

    def send(number: int) -> None:
        with httpx.Client(base_url=process.addresses["otlp_http"]) as client:
            for turn in range(1000):
                body = json.dumps({"resourceLogs": [], "n": [number, turn]}).encode()
                try:
                    if client.post("/v1/logs", content=body, headers={"content-type": "application/json"}).is_success:
                        acknowledged.append(body)
                except httpx.TransportError:
                    return

    senders = [threading.Thread(target=send, args=(number,)) for number in range(4)]
    for sender in senders:
        sender.start()
    while len(acknowledged) < 20:
        popen_has_ended(process.popen, 0.01)
    process.popen.kill()
    for sender in senders:
        sender.join()
    assert set(acknowledged) <= {message.value for message in process.messages()}


@pytest.mark.parametrize("flag", ["--http-port", "--grpc-port"])
def test_a_busy_port_is_one_line_and_exit_2(launch: Callable[..., Process], flag: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        process = launch(flag, str(port))
        assert popen_has_ended(process.popen, 5)
    assert process.popen.returncode == 2
    assert process.popen.stderr is not None
    (line,) = process.popen.stderr.read().decode().splitlines()
    assert line.startswith(f"onshore receiver: setting {flag}: 127.0.0.1:{port}: Address already in use")


def test_a_malformed_registry_is_one_line_and_exit_2(launch: Callable[..., Process], tmp_path: Path) -> None:
    (tmp_path / "tenants.json").write_text("nonsense")
    process = launch("--tenants", str(tmp_path / "tenants.json"))
    assert popen_has_ended(process.popen, 5)
    assert process.popen.returncode == 2
    assert process.popen.stderr is not None
    assert len(process.popen.stderr.read().splitlines()) == 1


def send_one_of_each(logs: LogRecordExporter, spans: SpanExporter, metrics: MetricExporter) -> None:
    resource = {"service.name": "stranger"}
    loggers = open_logger_provider(CountedLogProcessor.exporting_to(logs), resource)
    loggers.get_logger("app").emit(body="weights were read", event_name="model.weights.read")
    assert loggers.force_flush()
    loggers.shutdown()

    def no_gaps(gaps: Sequence[Gap]) -> bool:
        raise AssertionError(gaps)

    tracers = open_tracer_provider(CountedSpanProcessor(spans, no_gaps), resource)
    tracers.get_tracer("app").start_span("chat").end()
    assert tracers.force_flush()
    tracers.shutdown()
    meters = open_meter_provider(metrics, resource)
    meters.get_meter("app").create_counter("tokens").add(7)
    assert meters.force_flush()
    meters.shutdown()


def test_the_sdks_own_exporters_are_understood_over_http_and_grpc(
    launch: Callable[..., Process], tmp_path: Path
) -> None:
    token = add_tenant(tmp_path / "tenants.json", "sydney")
    process = launch("--tenants", str(tmp_path / "tenants.json"))
    http, target = process.addresses["otlp_http"], process.addresses["otlp_grpc"]
    headers = {"authorization": f"Bearer {token}"}
    for packed in (Compression.NoCompression, Compression.Gzip):
        send_one_of_each(
            HttpLogs(f"{http}/v1/logs", headers=headers, compression=packed),
            HttpSpans(f"{http}/v1/traces", headers=headers, compression=packed),
            HttpMetrics(f"{http}/v1/metrics", headers=headers, compression=packed),
        )
    for grpc_packed in (grpc.Compression.NoCompression, grpc.Compression.Gzip):
        send_one_of_each(
            GrpcLogs(target, headers=headers, compression=grpc_packed),
            GrpcSpans(target, headers=headers, compression=grpc_packed),
            GrpcMetrics(target, headers=headers, compression=grpc_packed),
        )
    messages = process.messages()
    assert {dict(message.headers)["onshore-tenant"] for message in messages} == {b"sydney"}
    by_topic: dict[str, list[bytes]] = {}
    for message in messages:
        by_topic.setdefault(message.topic, []).append(message.value)
    logs = [ExportLogsServiceRequest.FromString(value) for value in by_topic["otlp_logs"]]
    spans = [ExportTraceServiceRequest.FromString(value) for value in by_topic["otlp_spans"]]
    metrics = [ExportMetricsServiceRequest.FromString(value) for value in by_topic["otlp_metrics"]]
    assert [each.resource_logs[0].scope_logs[0].log_records[0].event_name for each in logs] == [
        "model.weights.read"
    ] * 4
    assert [each.resource_spans[0].scope_spans[0].spans[0].name for each in spans] == ["chat"] * 4
    assert {each.resource_metrics[0].scope_metrics[0].metrics[0].name for each in metrics} == {"tokens"}
