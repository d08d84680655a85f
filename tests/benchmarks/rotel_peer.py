"""Rotel (Rust) as a peer: the benchmarks' messages over OTLP/HTTP → its ClickHouse exporter → the same embedded store.

What it does not do, and `onshore bench ingest` does: read from a broker and commit offsets there, know where anything
is, judge, seal, write violations, counts and a log, or promise each event once. It acknowledges before the rows are
stored. It writes 15 columns with two maps. So this is a mark for moving OTLP into this store, not for the same work.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from onshore_pipeline.bench.machine import machine
from onshore_pipeline.bench.measured import an_event
from onshore_pipeline.bench.parts import Parts, open_store
from onshore_pipeline.bench.traffic import RECORDS_A_MESSAGE, endless, log_messages
from onshore_pipeline.embedded.credentials import USER_OF_ROLE, Role, load_or_create
from onshore_pipeline.settings import load_settings
from onshore_pipeline.stack import DataDir

if TYPE_CHECKING:
    from collections.abc import Iterator

# The table that Rotel's own `clickhouse-ddl` makes for logs, as far as its exporter fills it.
LOGS = """CREATE TABLE otel_logs (Timestamp DateTime64(9), TraceId String, SpanId String, TraceFlags UInt8,
    SeverityText LowCardinality(String), SeverityNumber UInt8, ServiceName LowCardinality(String), Body String,
    ResourceSchemaUrl LowCardinality(String), ResourceAttributes Map(LowCardinality(String), String),
    ScopeSchemaUrl LowCardinality(String), ScopeName String, ScopeVersion LowCardinality(String),
    ScopeAttributes Map(LowCardinality(String), String), LogAttributes Map(LowCardinality(String), String))
    ENGINE = MergeTree ORDER BY (ServiceName, Timestamp)"""
SENDERS = 4
DISTINCT = 400
PATIENCE_S = 300.0


def bench_rotel(events: int) -> dict[str, Any]:
    """Events a second from the first request to the last row, µs of CPU an event of Rotel and of the store."""
    about, count = machine(), max(1, events // RECORDS_A_MESSAGE)
    values = list(islice(endless(list(log_messages(min(count, DISTINCT)))), count))
    with tempfile.TemporaryDirectory(prefix="onshore-bench-") as folder, contextlib.ExitStack() as stack:
        settings, data = load_settings({"data_dir": Path(folder)}), DataDir(Path(folder))
        data.make()
        parts = stack.enter_context(Parts(data))
        url, client = open_store(parts, settings)
        client.command(LOGS)
        password = load_or_create(data.credentials).passwords[Role.WRITER]
        rotel, port = stack.enter_context(running_rotel(url, USER_OF_ROLE[Role.WRITER], password))
        post(port, values[0])
        seen = wait_for(parts, lambda: count_rows(client), RECORDS_A_MESSAGE)
        before, began = {"rotel": cpu_s(rotel.pid), **parts.cpu_s()}, time.perf_counter()
        with ThreadPoolExecutor(SENDERS) as senders:
            list(senders.map(lambda value: post(port, value), values))
        wait_for(parts, lambda: count_rows(client), seen + count * RECORDS_A_MESSAGE)
        took = time.perf_counter() - began
        used = {name: cpu - before[name] for name, cpu in {"rotel": cpu_s(rotel.pid), **parts.cpu_s()}.items()}
    sent = count * RECORDS_A_MESSAGE
    return {
        "bench": "rotel",
        "events": sent,
        "bytes_an_event": round(sum(map(len, values)) / sent),
        "seconds": round(took, 3),
        "events_a_second": round(sent / took),
        "cpu_us_an_event_by_process": {name: an_event(cpu, sent) for name, cpu in used.items()},
        "cpu_us_an_event": an_event(sum(used.values()), sent),
        "machine": about,
    }


@contextlib.contextmanager
def running_rotel(url: str, user: str, password: str) -> Iterator[tuple[psutil.Popen, int]]:
    """Rotel's agent with its ClickHouse exporter; gives the process and its OTLP/HTTP port."""
    agent = resources.files("rotel").joinpath("rotel-agent")
    http, grpc = free_port(), free_port()
    exporter = {"endpoint": url, "database": "default", "user": user, "password": password, "compression": "lz4"}
    command = [str(agent), "start", "--exporter", "clickhouse", "--otlp-http-endpoint", f"127.0.0.1:{http}",
               "--otlp-grpc-endpoint", f"127.0.0.1:{grpc}"]  # fmt: skip
    command += [part for name, value in exporter.items() for part in (f"--clickhouse-exporter-{name}", value)]
    process = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process, http
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def post(port: int, body: bytes) -> None:
    """Send one message until it is acknowledged."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/logs", body, {"Content-Type": "application/x-protobuf"}
    )
    deadline, pause = time.monotonic() + PATIENCE_S, threading.Event()
    while True:
        try:
            urllib.request.urlopen(request, timeout=60).close()
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > deadline:
                raise
            pause.wait(0.05)
        else:
            return


def count_rows(client: Any) -> int:
    return int(client.query("SELECT count() FROM otel_logs").result_rows[0][0])


def wait_for(parts: Parts, seen: Any, wanted: int) -> int:
    deadline, pause = time.monotonic() + PATIENCE_S, threading.Event()
    while (found := seen()) < wanted:
        parts.check()
        if time.monotonic() > deadline:
            raise TimeoutError(f"only {found:,} of {wanted:,} rows came")
        pause.wait(0.05)
    return int(found)


def cpu_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # end what was started, too
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=300_000)
    print(json.dumps(bench_rotel(parser.parse_args().events)))  # noqa: T201 - what it is for
