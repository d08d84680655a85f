"""A running embedded store for the parts that speak to a store."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from onshore_pipeline.store.connect import connect
from onshore_pipeline.store.migrate import migrate
from onshore_pipeline.store.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from clickhouse_connect.driver.client import Client

_START_WITHIN_S = 120.0


@pytest.fixture(scope="session")
def store_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Address and users: `url`, `writer` and `reader` with `user` and `password`."""
    folder: Path = tmp_path_factory.mktemp("store")
    ready, credentials = folder / "ready", folder / "credentials.json"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "onshore_pipeline.embedded.store_server", "--data-dir", str(folder / "store")),
            *("--port", "0", "--credentials", str(credentials), "--ready-file", str(ready)),
        ]
    )
    try:
        tick, waited = threading.Event(), 0.0
        while not ready.exists() and process.poll() is None and waited < _START_WITHIN_S:
            tick.wait(0.02)
            waited += 0.02
        yield {**json.loads(ready.read_text()), **json.loads(credentials.read_text())}
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def client(store_address: dict[str, Any]) -> Client:
    """The store with all migrations applied, as the user who writes."""
    opened = connect(store_address["url"], **store_address["writer"])
    migrate(opened)
    return opened


@pytest.fixture(scope="session")
def reader(client: Client, store_address: dict[str, Any]) -> Reader:  # noqa: ARG001 - the tables must be there
    return Reader(store_address["url"], **store_address["reader"])
