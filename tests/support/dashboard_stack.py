"""A store and a dashboard for tests, both as the processes they are in use."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from onshore_pipeline.store.connect import connect
from onshore_pipeline.store.migrate import migrate
from onshore_pipeline.store.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from clickhouse_connect.driver.client import Client

CHROMIUM: Final = Path("/usr/bin/chromium")
# The browser's own errands are switched off, so that every request on the wire is a page's.
CHROMIUM_FLAGS: Final = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-gpu",
    "--no-first-run",
)
_PATIENCE_SECONDS: Final = 60.0
_LOOK_EVERY_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class RunningStore:
    """An embedded store with its tables made."""

    url: str
    credentials: Path

    def admin(self) -> Client:
        """A client that may write."""
        writer = json.loads(self.credentials.read_text())["writer"]
        return connect(self.url, writer["user"], writer["password"])

    def reader(self) -> Reader:
        """The store as the dashboard sees it."""
        reader = json.loads(self.credentials.read_text())["reader"]
        return Reader(self.url, reader["user"], reader["password"])


@contextmanager
def running_store(folder: Path, *, port: int = 0) -> Iterator[RunningStore]:
    """An embedded store in `folder`."""
    credentials, ready = folder / "credentials.json", folder / "store.ready"
    command = ["-m", "onshore_pipeline.embedded.store_server", "--data-dir", str(folder / "store")]
    command += ["--credentials", str(credentials), "--port", str(port), "--ready-file", str(ready), "--with-parent"]
    with _running(command, ready):
        store = RunningStore(json.loads(ready.read_text())["url"], credentials)
        client = store.admin()
        migrate(client)
        client.close()
        yield store


@contextmanager
def running_dashboard(folder: Path, store_url: str, credentials: Path, *flags: str) -> Iterator[str]:
    """A dashboard over a store; gives its address."""
    ready = folder / "dashboard.ready"
    command = ["-m", "onshore_dashboard", "--port", "0", "--store-url", store_url, "--credentials", str(credentials)]
    command += ["--ready-file", str(ready), "--with-parent", *flags]
    with _running(command, ready):
        yield str(json.loads(ready.read_text())["dashboard"])


@contextmanager
def _running(arguments: Sequence[str], ready: Path) -> Iterator[None]:
    ready.unlink(missing_ok=True)
    log = ready.with_suffix(".log")
    with (
        log.open("wb") as out,
        subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, "TZ": "UTC"},
        ) as process,
    ):
        try:
            until = time.monotonic() + _PATIENCE_SECONDS
            while not ready.exists():
                if process.poll() is not None or time.monotonic() > until:
                    message = f"{arguments[1]} did not start: {log.read_text(errors='replace')[-2000:]}"
                    raise RuntimeError(message)
                _pause(process)
            yield
        finally:
            assert process.stdin is not None
            process.stdin.close()  # it leaves with its parent
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()


def _pause(process: subprocess.Popen[bytes]) -> None:
    """Give it a moment; returns at once when it leaves."""
    try:
        process.wait(_LOOK_EVERY_SECONDS)
    except subprocess.TimeoutExpired:
        return
