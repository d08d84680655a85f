"""OpenTelemetry's own SDK, with its own exporters, as an application would use it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

if TYPE_CHECKING:
    from opentelemetry.sdk._logs.export import LogRecordExporter
    from opentelemetry.sdk.metrics.export import MetricExporter
    from opentelemetry.sdk.trace.export import SpanExporter

    from running_stack import RunningStack

EXPORTERS = ("http", "grpc")


def exporters_to(stack: RunningStack, protocol: str) -> tuple[LogRecordExporter, SpanExporter, MetricExporter]:
    if protocol == "grpc":
        target = stack.addresses["otlp_grpc"]
        return GrpcLogs(target, insecure=True), GrpcSpans(target, insecure=True), GrpcMetrics(target, insecure=True)
    base = stack.addresses["otlp_http"]
    return HttpLogs(f"{base}/v1/logs"), HttpSpans(f"{base}/v1/traces"), HttpMetrics(f"{base}/v1/metrics")


def resource(mark: str) -> Resource:
    told = {"service.name": mark, "cloud.provider": "aws", "cloud.region": "ap-southeast-2", "host.id": f"host-{mark}"}
    return Resource(told)


def event_of(stack: RunningStack, mark: str, **also: str) -> dict[str, Any]:
    where = "resource_attributes['service.name'] = {service:String}"
    where += "".join(f" AND {name} = {{{name}:String}}" for name in also)
    stack.wait_for(f"SELECT count() FROM events_current WHERE {where}", 1, 30, service=mark, **also)
    return stack.row(f"SELECT * FROM events_current WHERE {where}", service=mark, **also)


@pytest.mark.parametrize("protocol", EXPORTERS)
def test_a_log_record_becomes_an_event(stack: RunningStack, mark: str, protocol: str) -> None:
    provider = LoggerProvider(resource(mark), shutdown_on_exit=False)
    provider.add_log_record_processor(BatchLogRecordProcessor(exporters_to(stack, protocol)[0]))
    when = datetime.now(UTC)
    provider.get_logger("registry", "2.1").emit(
        timestamp=int(when.timestamp()) * 1_000_000_000 + 123_456_789,
        event_name="model.weights.read",
        body="weights were read",
        attributes={
            "onshore.domain": "data_movement",
            "onshore.outcome": "denied",
            "onshore.destination.country": "sgp",
            "onshore.data.categories": ("personal", "health"),
            "onshore.data.bytes": 2**40,
            "onshore.encrypted.in_transit": True,
            "client.address": "203.0.113.7",
            "ratio": 0.25,
        },
    )
    provider.shutdown()
    event = event_of(stack, mark)
    assert (event["tenant"], event["source_format"], event["kafka_topic"]) == ("default", "otlp.log", "otlp_logs")
    assert (event["domain"], event["action"], event["outcome"]) == ("data_movement", "model.weights.read", "denied")
    assert (event["destination_country"], event["destination_country_basis"]) == ("SG", "asserted")
    assert (event["categories"], event["bytes"]) == (["personal", "health"], 2**40)
    assert event["encrypted_in_transit"] is True
    assert event["encrypted_at_rest"] is None
    assert event["body"] == "weights were read"
    assert event["attributes"]["ratio"] == "0.25"
    assert event["resource_attributes"]["cloud.region"] == "ap-southeast-2"
    assert abs((event["occurred_at"] - when.replace(tzinfo=event["occurred_at"].tzinfo)).total_seconds()) < 2
    exact = "SELECT toUnixTimestamp64Nano(occurred_at) % 1000000000 FROM events_current WHERE event_id = {id:UUID}"
    assert stack.one(exact, id=str(event["event_id"])) == 123_456_789


@pytest.mark.parametrize("protocol", EXPORTERS)
def test_spans_become_events_with_their_ids(stack: RunningStack, mark: str, protocol: str) -> None:
    provider = TracerProvider(resource=resource(mark), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporters_to(stack, protocol)[1]))
    tracer = provider.get_tracer("gateway")
    with tracer.start_as_current_span("POST /chat", kind=SpanKind.SERVER):
        call: dict[str, str | int] = {"server.address": "api.example.net", "http.response.status_code": 503}
        with tracer.start_as_current_span("POST", kind=SpanKind.CLIENT, attributes=call) as inner:
            inner.set_status(Status(StatusCode.ERROR, "upstream is busy"))
    provider.shutdown()
    event = event_of(stack, mark, action="span.client")
    assert (event["source_format"], event["kafka_topic"], event["outcome"]) == ("otlp.span", "otlp_spans", "failure")
    assert (event["destination_host"], event["reason"]) == ("api.example.net", "upstream is busy")
    context = inner.get_span_context()
    assert bytes(event["trace_id"]).hex() == f"{context.trace_id:032x}"
    assert bytes(event["span_id"]).hex() == f"{context.span_id:016x}"
    outer = event_of(stack, mark, action="span.server")
    assert (outer["trace_id"], outer["outcome"]) == (event["trace_id"], "success")


@pytest.mark.parametrize("protocol", EXPORTERS)
def test_metrics_become_points_of_a_state_event(stack: RunningStack, mark: str, protocol: str) -> None:
    reader = PeriodicExportingMetricReader(exporters_to(stack, protocol)[2], export_interval_millis=600_000)
    provider = MeterProvider([reader], resource(mark), shutdown_on_exit=False)
    meter = provider.get_meter("host")
    meter.create_counter("tokens", "{token}").add(7, {"model": "m"})
    meter.create_gauge("system.cpu.utilization", "1").set(0.5, {"cpu": "0"})
    meter.create_histogram("latency", "s").record(0.25)
    provider.shutdown()
    event = event_of(stack, mark)
    assert (event["action"], event["domain"]) == ("host.state", "infrastructure")
    assert (event["source_format"], event["item_count"]) == ("otlp.metric", 3)
    points = stack.rows(
        "SELECT metric, unit, value, sum, count, attributes FROM metric_points_current"
        " WHERE event_id = {id:UUID} ORDER BY metric",
        id=str(event["event_id"]),
    )
    assert [point[:2] for point in points] == [
        ("latency", "s"),
        ("system.cpu.utilization", "1"),
        ("tokens", "{token}"),
    ]
    latency, utilization, tokens = (point[2:] for point in points)
    assert latency[1:3] == (0.25, 1)
    assert (utilization[0], utilization[3]) == (0.5, {"cpu": "0"})
    assert (tokens[0], tokens[3]) == (7.0, {"model": "m"})
