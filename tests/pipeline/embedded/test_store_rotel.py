"""Somebody else's exporter writes into the embedded store as it would into a ClickHouse server."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import urllib.error
import urllib.request
from importlib import resources
from typing import Any

import pytest

LOGS = """CREATE OR REPLACE TABLE otel_logs (Timestamp DateTime64(9), TraceId String, SpanId String, TraceFlags UInt8,
    SeverityText LowCardinality(String), SeverityNumber UInt8, ServiceName LowCardinality(String), Body String,
    ResourceSchemaUrl LowCardinality(String), ResourceAttributes Map(LowCardinality(String), String),
    ScopeSchemaUrl LowCardinality(String), ScopeName String, ScopeVersion LowCardinality(String),
    ScopeAttributes Map(LowCardinality(String), String), LogAttributes Map(LowCardinality(String), String))
    ENGINE = MergeTree ORDER BY Timestamp"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def send_logs(port: int) -> None:
    records = [{"timeUnixNano": str(10**18 + n), "body": {"stringValue": f"line {n}"}} for n in range(100)]
    body = {"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/logs", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    tick = threading.Event()
    for _ in range(200):
        try:
            urllib.request.urlopen(request).close()
        except urllib.error.URLError:
            tick.wait(0.05)
        else:
            return
    pytest.fail("Rotel did not start")


@pytest.mark.parametrize("compression", ["lz4", "none"])
def test_rotel_inserts_its_row_binary(store: Any, compression: str) -> None:
    pytest.importorskip("rotel", reason="Rotel's wheel is for Python 3.11 only")
    store.ask(LOGS)
    writer, http, grpc = store.users["writer"], free_port(), free_port()
    agent = resources.files("rotel").joinpath("rotel-agent")
    exporter = {"endpoint": f"http://127.0.0.1:{store.port}", "database": "default", "user": writer["user"],
                "password": writer["password"], "compression": compression}  # fmt: skip
    command = [str(agent), "start", "--exporter", "clickhouse", "--otlp-http-endpoint", f"127.0.0.1:{http}",
               "--otlp-grpc-endpoint", f"127.0.0.1:{grpc}"]  # fmt: skip
    command += [part for name, value in exporter.items() for part in (f"--clickhouse-exporter-{name}", value)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            send_logs(http)
            tick = threading.Event()
            for _ in range(200):
                found = store.ask("SELECT count(), min(Body), max(Body) FROM otel_logs").body
                if not found.startswith(b"0"):
                    break
                tick.wait(0.05)
        finally:
            process.kill()

    assert found == b"100\tline 0\tline 99\n"
