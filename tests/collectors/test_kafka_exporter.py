from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from onshore_collectors.batching import BatchLimits
from onshore_collectors.kafka_exporter import KafkaLogExporter, KafkaMetricExporter, KafkaSink, KafkaSpanExporter
from onshore_collectors.telemetry import (
    CountedLogProcessor,
    CountedSpanProcessor,
    build_resource,
    open_logger_provider,
    open_meter_provider,
    open_tracer_provider,
)
from onshore_pipeline.embedded.local_log import LocalLog
from onshore_pipeline.errors import BrokerUnavailable
from onshore_pipeline.producers import open_producer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from onshore_collectors.batching import Gap
    from onshore_pipeline.broker import Consumer, Outgoing, Producer

RESOURCE = build_resource("factory", cloud_region="ap-southeast-2")


class Faltering:
    """A broker that fails while it is told to, in front of one that works."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        self.failure: Exception | None = None

    def send(self, topic: str, messages: Sequence[Outgoing]) -> None:
        if self.failure is not None:
            raise self.failure
        self._producer.send(topic, messages)

    def close(self) -> None:
        self._producer.close()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Faltering]:
    faltering = Faltering(open_producer(log_folder=tmp_path, now_ns=time.time_ns))
    yield faltering
    faltering.close()


@pytest.fixture
def consumer(tmp_path: Path, broker: Faltering) -> Iterator[Consumer]:
    del broker  # makes the log
    consumer = LocalLog(tmp_path, now_ns=time.time_ns).consumer()
    yield consumer
    consumer.close()


def sent(consumer: Consumer) -> list[tuple[str, dict[str, str], bytes]]:
    polled = consumer.poll(max_messages=1000, max_bytes=1 << 30, timeout_s=0)
    messages = sorted(polled.messages, key=lambda message: int(dict(message.headers)["onshore-sequence"]))
    return [(each.topic, {key: value.decode() for key, value in each.headers}, each.value) for each in messages]


def log_bodies(value: bytes) -> list[str]:
    (resource,) = ExportLogsServiceRequest.FromString(value).resource_logs
    return [record.body.string_value for scope in resource.scope_logs for record in scope.log_records]


def no_gaps(gaps: Sequence[Gap]) -> bool:
    raise AssertionError(gaps)


def test_logs_spans_and_metrics_of_an_application_reach_their_topics(broker: Faltering, consumer: Consumer) -> None:
    sink = KafkaSink(broker, collector_id="factory-1", tenant="sydney")
    loggers = open_logger_provider(CountedLogProcessor(KafkaLogExporter(sink).deliver), RESOURCE)
    loggers.get_logger("app").emit(body="weights were read", attributes={"onshore.action": "model.weights.read"})
    loggers.shutdown()
    tracers = open_tracer_provider(CountedSpanProcessor(KafkaSpanExporter(sink), no_gaps), RESOURCE)
    with tracers.get_tracer("app").start_as_current_span("chat", attributes={"gen_ai.system": "local"}):
        pass
    tracers.shutdown()
    meters = open_meter_provider(KafkaMetricExporter(sink), RESOURCE)
    meters.get_meter("app").create_counter("tokens").add(7)
    meters.force_flush()
    meters.shutdown()

    logs, spans, metrics, *_ = sent(consumer)
    assert [each[0] for each in (logs, spans, metrics)] == ["otlp_logs", "otlp_spans", "otlp_metrics"]
    assert logs[1].pop("onshore-run") == spans[1]["onshore-run"]
    assert spans[1]["onshore-sequence"] == "1"
    assert logs[1] == {
        "onshore-encoding": "otlp_proto",
        "onshore-tenant": "sydney",
        "onshore-collector": "factory-1",
        "onshore-sequence": "0",
    }
    (resource_logs,) = ExportLogsServiceRequest.FromString(logs[2]).resource_logs
    assert {each.key: each.value.string_value for each in resource_logs.resource.attributes} == RESOURCE
    assert log_bodies(logs[2]) == ["weights were read"]
    (resource_spans,) = ExportTraceServiceRequest.FromString(spans[2]).resource_spans
    assert resource_spans.scope_spans[0].spans[0].name == "chat"
    (resource_metrics,) = ExportMetricsServiceRequest.FromString(metrics[2]).resource_metrics
    metric = resource_metrics.scope_metrics[0].metrics[0]
    assert (metric.name, metric.sum.data_points[0].as_int) == ("tokens", 7)
    assert sink.dropped == {}


def test_a_tenant_is_not_claimed_where_none_is_given(broker: Faltering, consumer: Consumer) -> None:
    loggers = open_logger_provider(
        CountedLogProcessor.exporting_to(KafkaLogExporter(KafkaSink(broker, collector_id="c"))), RESOURCE
    )
    loggers.get_logger("app").emit(body="x")
    loggers.shutdown()
    assert "onshore-tenant" not in sent(consumer)[0][1]


def test_a_batch_above_a_messages_limit_is_cut_and_keeps_its_order(broker: Faltering, consumer: Consumer) -> None:
    sink = KafkaSink(broker, collector_id="c", max_message_bytes=10_000)
    loggers = open_logger_provider(CountedLogProcessor.exporting_to(KafkaLogExporter(sink)), RESOURCE)
    for number in range(20):
        loggers.get_logger("app").emit(body=f"{number:4000d}")
    loggers.shutdown()
    messages = sent(consumer)
    assert [int(text) for _, _, value in messages for text in log_bodies(value)] == list(range(20))
    assert all(len(value) <= 10_000 for _, _, value in messages)
    assert [headers["onshore-sequence"] for _, headers, _ in messages] == [str(n) for n in range(len(messages))]


def test_a_record_that_no_message_can_hold_is_lost_alone_counted_and_leaves_a_hole(
    broker: Faltering, consumer: Consumer
) -> None:
    sink = KafkaSink(broker, collector_id="c", max_message_bytes=10_000)
    processor = CountedLogProcessor(KafkaLogExporter(sink).deliver)
    loggers = open_logger_provider(processor, RESOURCE)
    for text in ("small", "x" * 20_000):
        loggers.get_logger("app").emit(body=text)
    loggers.shutdown()
    messages = sent(consumer)
    assert log_bodies(messages[0][2]) == ["small"]
    assert sink.dropped == {"otlp_logs": 1}
    assert [headers["onshore-sequence"] for _, headers, _ in messages] == ["0", "2"]  # 2 reports the gap
    assert b"telemetry.gap" in messages[1][2]
    assert (processor.queue.sent, processor.queue.dropped) == (1, 1)


@pytest.mark.parametrize("failure", [BrokerUnavailable("nobody there"), ValueError("a bug")])
def test_a_failure_is_never_raised_but_counted_seen_in_the_sequence_and_reported_as_an_event(
    broker: Faltering, consumer: Consumer, failure: Exception
) -> None:
    sink = KafkaSink(broker, collector_id="c")
    processor = CountedLogProcessor.exporting_to(KafkaLogExporter(sink), limits=BatchLimits(max_batch=3))
    loggers = open_logger_provider(processor, RESOURCE)
    logger = loggers.get_logger("app")
    broker.failure = failure
    for _ in range(3):
        logger.emit(body="lost")
    assert not loggers.force_flush()
    broker.failure = None
    logger.emit(body="kept")
    assert loggers.force_flush()
    loggers.shutdown()
    kept, gap = sent(consumer)
    assert (log_bodies(kept[2]), kept[1]["onshore-sequence"]) == (["kept"], "1")
    (record,) = ExportLogsServiceRequest.FromString(gap[2]).resource_logs[0].scope_logs[0].log_records
    values = {each.key: each.value for each in record.attributes}
    assert (record.event_name, values["onshore.data.count"].int_value) == ("telemetry.gap", 3)
    assert sink.dropped == {"otlp_logs": 3}
    assert (processor.queue.sent, processor.queue.dropped) == (1, 3)


def test_lost_spans_and_data_points_are_counted_and_spans_reported(broker: Faltering) -> None:
    broker.failure = BrokerUnavailable("nobody there")
    sink = KafkaSink(broker, collector_id="c")
    reported: list[Gap] = []

    def report(gaps: Sequence[Gap]) -> bool:
        reported.extend(gaps)
        return True

    tracers = open_tracer_provider(CountedSpanProcessor(KafkaSpanExporter(sink), report), RESOURCE)
    for _ in range(4):
        tracers.get_tracer("app").start_span("chat").end()
    tracers.shutdown()
    meters = open_meter_provider(KafkaMetricExporter(sink), RESOURCE)
    counter = meters.get_meter("app").create_counter("tokens")
    counter.add(1, {"model": "a"})
    counter.add(1, {"model": "b"})
    meters.shutdown()
    assert sink.dropped == {"otlp_spans": 4, "otlp_metrics": 2}
    assert [(gap.reason, gap.count) for gap in reported] == [("export failed", 4)]


def test_after_closing_everything_is_counted_as_lost(broker: Faltering) -> None:
    sink = KafkaSink(broker, collector_id="c")
    processor = CountedLogProcessor.exporting_to(KafkaLogExporter(sink))
    loggers = open_logger_provider(processor, RESOURCE)
    sink.close()
    loggers.get_logger("app").emit(body="x")
    loggers.shutdown()
    assert sink.dropped["otlp_logs"] >= 1
