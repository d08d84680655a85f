"""A running embedded store, as a process of its own."""

from __future__ import annotations

import base64
import http.client
import json
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import clickhouse_connect
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from clickhouse_connect.driver.client import Client

_START_WITHIN_S = 120.0


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def code(self) -> int | None:
        """ClickHouse's error code."""
        value = self.headers.get("x-clickhouse-exception-code")
        return None if value is None else int(value)


@dataclass(frozen=True)
class RunningStore:
    port: int
    data_dir: Path
    users: Mapping[str, Mapping[str, str]]
    process: subprocess.Popen[bytes]

    def client(self, user: str = "writer", **options: Any) -> Client:
        """clickhouse-connect as it comes."""
        who = self.users[user]
        return clickhouse_connect.get_client(
            host="127.0.0.1", port=self.port, username=who["user"], password=who["password"], **options
        )

    def ask(
        self,
        body: bytes | str = b"",
        *,
        user: str | None = "writer",
        headers: Mapping[str, str] | None = None,
        method: str = "POST",
        path: str = "/",
        **arguments: str,
    ) -> Answer:
        """One plain HTTP request."""
        sent = {"Host": f"127.0.0.1:{self.port}", **(headers or {})}
        if user is not None:
            who = self.users[user]
            sent["Authorization"] = "Basic " + base64.b64encode(f"{who['user']}:{who['password']}".encode()).decode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            target = f"{path}?{urlencode(arguments)}" if arguments else path
            connection.request(method, target, body.encode() if isinstance(body, str) else body, sent)
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())
        finally:
            connection.close()


def command_line(data_dir: Path, *, port: int = 0, more: Sequence[str] = ()) -> list[str]:
    return [
        *(sys.executable, "-m", "onshore_pipeline.embedded.store_server", "--data-dir", str(data_dir / "store")),
        *("--port", str(port), "--credentials", str(data_dir / "credentials.json")),
        *("--ready-file", str(data_dir / "ready"), *more),
    ]


@contextmanager
def running_store(data_dir: Path, *, port: int = 0, more: Sequence[str] = ()) -> Iterator[RunningStore]:
    """Start a store in `data_dir`, wait until it is ready, and end it."""
    ready = data_dir / "ready"
    ready.unlink(missing_ok=True)
    process = subprocess.Popen(
        command_line(data_dir, port=port, more=more), stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        tick, waited = threading.Event(), 0.0
        while not ready.exists() and process.poll() is None and waited < _START_WITHIN_S:
            tick.wait(0.02)
            waited += 0.02
        if not ready.exists():
            process.kill()
            pytest.fail(f"the store did not start: {process.communicate()[1].decode()}")
        url = json.loads(ready.read_text())["url"]
        users = json.loads((data_dir / "credentials.json").read_text())
        yield RunningStore(int(url.rpartition(":")[2]), data_dir, users, process)
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStore]:
    with running_store(tmp_path_factory.mktemp("store")) as running:
        running.ask(
            "CREATE TABLE facts (id UInt64, word LowCardinality(String), at DateTime64(3, 'UTC'))"
            " ENGINE = MergeTree ORDER BY id"
        )
        running.ask("INSERT INTO facts VALUES (1, 'one', 1), (2, 'two', 2), (3, 'three', 3)")
        yield running


@pytest.fixture
def start_store() -> Any:
    """The functions to start stores with; test modules cannot import them."""
    return running_store


@pytest.fixture
def store_command() -> Any:
    return command_line
