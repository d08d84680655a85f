"""A strangers' collector (Rotel) writes into Kafka (Tansu), and our worker and sequencer read from there."""

from __future__ import annotations

import importlib.util
import json
import socket
import subprocess
import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx
import kafka
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from cloudtrail_texts import text_of
from otlp_messages import logs, movement
from running_stack import MESSAGES, PROTOBUF, RunningStack, command, environment, run_onshore, running_stack, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTROL: Final = "AU-APP8-01"
KAFKA_PATIENCE_S: Final = (
    60.0  # a killed member is missed after its session time, six seconds, then the group joins anew
)


@dataclass(frozen=True)
class Collector:
    """Rotel, taking OTLP over HTTP."""

    address: str

    def send_logs(self, body: bytes) -> None:
        httpx.post(f"{self.address}/v1/logs", content=body, headers=PROTOBUF).raise_for_status()


@contextmanager
def running_rotel(bootstrap: str, folder: Path) -> Iterator[Collector]:
    found = importlib.util.find_spec("rotel")
    if found is None or found.origin is None:
        pytest.skip("Rotel is not installed (dev extra)")
    ports = free_ports(2)
    agent = [str(Path(found.origin).with_name("rotel-agent")), "start", "--exporter", "kafka"]
    agent += ["--batch-timeout", "100ms"]
    agent += ["--otlp-http-endpoint", f"127.0.0.1:{ports[0]}", "--otlp-grpc-endpoint", f"127.0.0.1:{ports[1]}"]
    agent += ["--kafka-exporter-brokers", bootstrap, "--kafka-exporter-acks", "all"]
    agent += ["--kafka-exporter-compression", "zstd"]
    with (folder / "rotel.txt").open("wb") as log, subprocess.Popen(agent, stdout=log, stderr=log) as process:
        try:
            wait_until(lambda: answers(ports[0]) or process.poll() is not None, "Rotel answers")
            if process.poll() is not None:
                pytest.skip(f"Rotel does not run here: {(folder / 'rotel.txt').read_text().strip()[-300:]}")
            yield Collector(f"http://127.0.0.1:{ports[0]}")
        finally:
            process.kill()


def free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(each.getsockname()[1]) for each in held]
    for each in held:
        each.close()
    return ports


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def settings(bootstrap: str, group: str) -> dict[str, str]:
    return {
        "ONSHORE_KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "ONSHORE_KAFKA_GROUP": group,
        "ONSHORE_KAFKA_SESSION_TIMEOUT_S": "6",
        "ONSHORE_KAFKA_MAX_POLL_INTERVAL_S": "6",
    }


@pytest.fixture
def kafka_stack(fresh_broker: str, tmp_path: Path, mark: str) -> Iterator[tuple[str, RunningStack]]:
    with running_stack(tmp_path / "stack", "--no-dashboard", **settings(fresh_broker, mark)) as stack:
        yield fresh_broker, stack


def uids(prefix: str, count: int) -> list[dict[str, str | int]]:
    return [movement() | {"log.record.uid": f"{prefix}-{number}"} for number in range(count)]


def read_back(bootstrap: str, topic: str, records: int) -> list[bytes]:
    """The topic's messages, read with another client until they hold so many log records."""
    found: list[bytes] = []
    consumer = kafka.KafkaConsumer(
        topic, bootstrap_servers=[bootstrap], auto_offset_reset="earliest", enable_auto_commit=False
    )

    def all_there() -> bool:
        for batch in consumer.poll(timeout_ms=200).values():
            found.extend(record.value for record in batch)
        return sum(map(log_records, found)) >= records

    wait_until(all_there, f"{records} records in {topic}")
    consumer.close()
    return found


def told_findings(bootstrap: str, findings: set[str]) -> list[dict[str, Any]]:
    """What a SIEM reads, until each of `findings` was told."""
    told: dict[str, dict[str, Any]] = {}
    consumer = kafka.KafkaConsumer(
        "onshore_findings", bootstrap_servers=[bootstrap], auto_offset_reset="earliest", enable_auto_commit=False
    )

    def all_told() -> bool:
        for batch in consumer.poll(timeout_ms=200).values():
            told.update((record.key.decode(), json.loads(record.value)) for record in batch)
        return findings <= told.keys()

    wait_until(all_told, "every finding is told")
    consumer.close()
    return list(told.values())


def log_records(value: bytes) -> int:
    request = ExportLogsServiceRequest.FromString(value)
    return sum(len(scope.log_records) for resource in request.resource_logs for scope in resource.scope_logs)


def test_what_a_collector_puts_into_kafka_is_there_once_over_kills(
    kafka_stack: tuple[str, RunningStack], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    bootstrap, stack = kafka_stack
    # Tansu hands back the sender's time even on a topic with LogAppendTime, and says so
    clock = "sender" if "tansu" in request.node.name else "broker"
    with running_rotel(bootstrap, tmp_path) as collector:
        collector.send_logs(logs(uids("first", 50), resource={"service.name": "stranger"}))
        stack.wait_for_events("first-%", 50, KAFKA_PATIENCE_S)
        event = stack.row("SELECT * FROM events_current WHERE attributes['log.record.uid'] = 'first-7'")
        assert (event["kafka_topic"], event["ingested_at"] is None) == ("otlp_logs", clock == "sender")
        assert (event["source_country"], event["destination_country"], event["bytes"]) == ("AU", "US", 1000)
        assert event["resource_attributes"]["service.name"] == "stranger"
        for turn in range(2):
            stop = threading.Event()

            def send(turn: int = turn, stop: threading.Event = stop) -> None:
                for number in range(10):
                    collector.send_logs(logs(uids(f"kill-{turn}-{number}", 20)))
                    stop.wait(0.15)

            sender = threading.Thread(target=send)
            sender.start()
            stop.wait(0.5)
            stack.parts["worker"].kill()
            sender.join()
        stack.wait_for_events("kill-%", 400, KAFKA_PATIENCE_S)
    messages = read_back(bootstrap, "otlp_logs", 450)
    stack.wait_for(MESSAGES, len(messages))
    seen = stack.rows("SELECT attributes['log.record.uid'], count() FROM events_current GROUP BY 1")
    assert len(seen) == 450
    assert {count for _, count in seen} == {1}
    entries = stack.rows("SELECT topic, partition, offset FROM evidence_log WHERE kind = 'message'")
    assert set(Counter(entries).values()) == {1}
    assert stack.one("SELECT sum(records) FROM evidence_log") == 450
    assert stack.one("SELECT DISTINCT JSONExtractString(entry, 'clock') FROM evidence_log") == clock


def test_our_own_receiver_and_two_workers_share_that_kafka(
    kafka_stack: tuple[str, RunningStack], tmp_path: Path, mark: str, request: pytest.FixtureRequest
) -> None:
    bootstrap, stack = kafka_stack
    stack.send_logs(logs(uids(f"{mark}-alone", 3)))
    stack.wait_for_events(f"{mark}-alone-%", 3, KAFKA_PATIENCE_S)
    assert len(read_back(bootstrap, "otlp_logs", 3)) == 1
    assert not list((stack.data_dir / "log").iterdir())
    stack.wait_for(f"SELECT sum(events) FROM findings WHERE control_id = '{CONTROL}'", 3)
    findings = {str(each) for (each,) in stack.rows("SELECT finding_id FROM findings")}
    told = told_findings(bootstrap, findings)
    assert {said["finding_info"]["uid"] for said in told} >= findings
    assert CONTROL in {said["finding_info"].get("analytic", {}).get("uid") for said in told}

    ready = tmp_path / "second.ready"
    second = ["worker", "--data-dir", str(stack.data_dir), "--ready-file", str(ready)]
    with (
        (tmp_path / "second.txt").open("wb") as log,
        subprocess.Popen(
            command(*second), env=environment(**settings(bootstrap, mark)), stdout=log, stderr=log
        ) as worker,
    ):
        try:
            wait_until(ready.exists, "the second worker is ready")
            for number in range(20):
                stack.send_logs(logs(uids(f"{mark}-both-{number}", 2)))
                assert stack.post("/v1/traces", span(f"{mark}-{number}")).is_success
            stack.wait_for_events(f"{mark}-both-%", 40, KAFKA_PATIENCE_S)
            spans = "SELECT count() FROM events_current WHERE body LIKE {body:String}"
            stack.wait_for(spans, 20, KAFKA_PATIENCE_S, body=f"{mark}-%")
            wait_until(lambda: status_of(stack, tmp_path)["workers"] == 2, "both workers are told of")
            wait_until(lambda: status_of(stack, tmp_path)["waiting_messages"] == 0, "nothing waits for either")
            # Tansu (0.6.0) tells no member of the second round of a cooperative rebalance: the new one gets nothing
            if "tansu" not in request.node.name:
                wait_until(lambda: all(reported(stack)), "each has partitions")
            here, there = reported(stack)
            assert not here & there
        finally:
            worker.terminate()
    assert worker.returncode == 0
    assert stack.one(MESSAGES) == 41


def status_of(stack: RunningStack, folder: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(run_onshore(folder, "status", "--data-dir", str(stack.data_dir), "--json").stdout)
    return told


def reported(stack: RunningStack) -> list[set[tuple[str, int]]]:
    """The partitions that each worker speaks of."""
    said = [json.loads(each.read_text()) for each in (stack.data_dir / "status" / "worker").glob("*.json")]
    return [{(part["topic"], part["partition"]) for part in each["lag"]} for each in said]


def span(name: str) -> bytes:
    request = ExportTraceServiceRequest()
    told = request.resource_spans.add().scope_spans.add().spans.add(name=name, start_time_unix_nano=1, kind=3)
    told.trace_id, told.span_id = bytes(range(16)), bytes(range(8))
    return request.SerializeToString()


def test_senders_clocks_stop_nothing(kafka_stack: tuple[str, RunningStack], mark: str) -> None:
    bootstrap, stack = kafka_stack
    months = [1_000_000_000_000 + month * 2_678_400_000 for month in range(200)]
    microseconds_for_milliseconds = 1_790_000_000_000_000
    stack.parts["worker"].suspend()  # so that all of it is in one batch
    producer = kafka.KafkaProducer(bootstrap_servers=[bootstrap], linger_ms=50)
    for number, stamp in enumerate([*months, microseconds_for_milliseconds, 0, 2**62]):
        told = movement(collector_id=mark) | {"log.record.uid": f"{mark}-{number}"}
        producer.send("otlp_logs", logs([told]), timestamp_ms=stamp)
    producer.flush()
    producer.close()
    stack.parts["worker"].resume()
    wait_until(lambda: stack.one(MESSAGES) == 203 or "worker stopped" in stack.said, "every message", KAFKA_PATIENCE_S)
    assert "worker stopped" not in stack.said
    stack.wait_for_events(f"{mark}-%", 203)


def test_raw_records_on_their_own_topic_become_events_and_dead_letters(
    fresh_broker: str, tmp_path: Path, mark: str
) -> None:
    named = settings(fresh_broker, mark) | {"ONSHORE_KAFKA_RAW_FORMATS": '["aws.cloudtrail"]'}
    with running_stack(tmp_path / "stack", "--no-dashboard", **named) as stack:
        producer = kafka.KafkaProducer(bootstrap_servers=[fresh_broker], linger_ms=50)
        for text in text_of(*range(300)):
            producer.send("raw.aws.cloudtrail", text.encode())
        producer.send("raw.aws.cloudtrail", b"\xff\xfe")
        producer.flush()
        producer.close()
        wait_until(lambda: stack.one(MESSAGES) == 301, "every message", KAFKA_PATIENCE_S)
        assert stack.rows(
            "SELECT source_format, kafka_topic, count(), uniqExact(attributes['aws.cloudtrail.event_id'])"
            " FROM events_current GROUP BY ALL"
        ) == [("aws.cloudtrail", "raw.aws.cloudtrail", 300, 300)]
        assert stack.rows("SELECT stage, reason FROM dead_letters") == [
            ("decode", "is not UTF-8: send the record as text in UTF-8")
        ]
