"""`onshore up` as a process of its own: started, asked, stopped, and nothing of it left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import clickhouse_connect
import httpx
import psutil
from clickhouse_connect.driver.exceptions import ClickHouseError
from urllib3.exceptions import HTTPError

from onshore_pipeline.store.connect import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from clickhouse_connect.driver.client import Client

MESSAGES: Final = "SELECT count() FROM evidence_log WHERE kind = 'message'"
PROTOBUF: Final = {"content-type": "application/x-protobuf"}
_START_WITHIN_S: Final = 180.0
_STOP_WITHIN_S: Final = 10.0
_PATIENCE_S: Final = 120.0
_LOOK_EVERY_S: Final = 0.05
_PARTS: Final = {
    "onshore_pipeline.embedded.store_server": "store",
    "onshore_collectors.receiver": "receiver",
    "worker": "worker",
    "sequencer": "sequencer",
    "onshore_dashboard": "dashboard",
}


def command(*arguments: str) -> list[str]:
    """The `onshore` command line."""
    return [sys.executable, "-m", "onshore_pipeline", *arguments]


def environment(**settings: str) -> dict[str, str]:
    """This process's environment with no Onshore settings but these."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ONSHORE_")}
    return {**inherited, "PYTHONPATH": os.pathsep.join(sys.path), **settings}


def up(data_dir: Path, *flags: str) -> list[str]:
    """`onshore up` on free ports; later flags win."""
    ports = [f"--{name}-port=0" for name in ("otlp-http", "otlp-grpc", "store", "dashboard")]
    return command("up", "--data-dir", str(data_dir), *ports, *flags)


def run_onshore(
    folder: Path, *arguments: str, within_s: float = 180, **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, with `folder` as the working directory."""
    return subprocess.run(
        command(*arguments),
        cwd=folder,
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=within_s,
        check=False,
    )


def measured(text: str) -> None:
    """Show a measurement to whoever runs the tests with -s."""
    print(text)  # noqa: T201 - what it is for


def wait_until(
    condition: Callable[[], object], what: str, within_s: float = _PATIENCE_S, every_s: float = _LOOK_EVERY_S
) -> float:
    """Look until `condition` holds; gives the seconds that took."""
    began, pause = time.monotonic(), threading.Event()
    while not condition():
        assert time.monotonic() - began < within_s, f"not within {within_s:g} s: {what}"
        pause.wait(every_s)
    return time.monotonic() - began


def processes_about(data_dir: Path) -> list[psutil.Process]:
    """Every living process that was started for a data directory."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        if process.info["status"] != psutil.STATUS_ZOMBIE and any(str(data_dir) in word for word in words):
            found.append(process)
    return found


@dataclass
class RunningStack:
    """A stack that said it is ready.

    Attributes:
        process: the supervisor.
        folder: its working directory; `data` in it is the data directory.
        addresses: what the ready file says.
        ready_after_s: from the start of the process to the ready file.
    """

    process: subprocess.Popen[bytes]
    folder: Path
    addresses: Mapping[str, str]
    ready_after_s: float
    _reader: Client | None = field(default=None, repr=False)
    _sender: httpx.Client = field(default_factory=httpx.Client, repr=False)

    @property
    def data_dir(self) -> Path:
        return data_dir_in(self.folder)

    @property
    def said(self) -> str:
        """What the terminal shows."""
        return (self.folder / "terminal.txt").read_text()

    @property
    def parts(self) -> dict[str, psutil.Process]:
        """The supervisor's children by name."""
        named = {}
        for child in psutil.Process(self.process.pid).children():
            for word in child.cmdline()[:4]:
                if word in _PARTS:
                    named[_PARTS[word]] = child
        return named

    @property
    def reader(self) -> Client:
        """clickhouse-connect as it comes, as the read-only user."""
        if self._reader is None:
            host, _, port = self.addresses["store"].removeprefix("http://").rpartition(":")
            self._reader = clickhouse_connect.get_client(
                host=host,
                port=int(port),
                username=self.addresses["store_user"],
                password=self.addresses["store_password"],
                autogenerate_session_id=False,
            )
        return self._reader

    def writer(self) -> Client:
        """A client that may write, as the worker has one; the caller closes it."""
        writer = json.loads((self.data_dir / "credentials.json").read_text())["writer"]
        return connect(self.addresses["store"], writer["user"], writer["password"])

    def rows(self, query: str, **parameters: object) -> list[tuple[Any, ...]]:
        """Rows as the read-only user sees them."""
        return [tuple(row) for row in self.reader.query(query, parameters=parameters).result_rows]

    def one(self, query: str, **parameters: object) -> Any:
        """The first value of the first row."""
        return self.rows(query, **parameters)[0][0]

    def row(self, query: str, **parameters: object) -> dict[str, Any]:
        """The only row, by column."""
        (row,) = self.reader.query(query, parameters=parameters).named_results()
        return dict(row)

    def wait_for(self, query: str, expected: object, within_s: float = _PATIENCE_S, **parameters: object) -> float:
        """Ask until the first value is `expected`, over restarts of the store too; gives the seconds that took."""
        last: list[object] = [None]

        def is_there() -> bool:
            try:
                found = self.rows(query, **parameters)
                last[0] = found[0][0] if found else "no row"
            except (ClickHouseError, HTTPError, OSError) as error:
                last[0] = error
            return bool(last[0] == expected)

        try:
            return wait_until(is_there, query, within_s)
        except AssertionError:
            message = f"{query} {parameters} gave {last[0]!r}, not {expected!r}, within {within_s:g} s;\n{self.said}"
            raise AssertionError(message) from None

    def wait_for_words(self, words: str) -> float:
        """Wait until the terminal shows `words`; gives the seconds that took."""
        return wait_until(lambda: words in self.said, f"{words!r} on the terminal")

    def wait_for_events(self, uids_like: str, expected: int, within_s: float = _PATIENCE_S) -> float:
        """Wait for events by their `log.record.uid`."""
        query = "SELECT count() FROM events_current WHERE attributes['log.record.uid'] LIKE {uids:String}"
        return self.wait_for(query, expected, within_s, uids=uids_like)

    def post(self, path: str, body: bytes, **headers: str) -> httpx.Response:
        """Send one OTLP/HTTP request."""
        sent = PROTOBUF | {name.replace("_", "-"): value for name, value in headers.items()}
        return self._sender.post(self.addresses["otlp_http"] + path, content=body, headers=sent, timeout=60)

    def send_logs(self, body: bytes) -> None:
        """Send one message of logs that must be acknowledged."""
        self.post("/v1/logs", body).raise_for_status()

    def accepted(self) -> int:
        """Messages that the receiver has acknowledged since it started."""
        counts: dict[str, int] = self._sender.get(self.addresses["otlp_http"] + "/healthz").json()["accepted"]
        return sum(counts.values())

    def everything(self) -> list[psutil.Process]:
        """The supervisor and all its children."""
        supervisor = psutil.Process(self.process.pid)
        return [supervisor, *supervisor.children(recursive=True)]

    def kill_everything(self) -> None:
        """SIGKILL to every process at once, as when the machine's power goes."""
        doomed = self.everything()
        for process in doomed:
            process.kill()
        self.process.wait(_STOP_WITHIN_S)
        _, alive = psutil.wait_procs(doomed[1:], _STOP_WITHIN_S)
        assert not alive
        self.close()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> float:
        """Ask it to stop; no process may be left. Gives the seconds that took."""
        began = time.monotonic()
        parts = self.everything()[1:]
        self.process.send_signal(number)
        self.process.wait(_STOP_WITHIN_S + 5)
        took_s = time.monotonic() - began
        _, alive = psutil.wait_procs(parts, 1)
        assert not alive, f"left running: {alive}"
        assert not processes_about(self.data_dir)
        self.close()
        return took_s

    def close(self) -> None:
        """Close the connections of this test to it."""
        self._sender.close()
        if self._reader is not None:
            self._reader.close()
            self._reader = None


def data_dir_in(folder: Path) -> Path:
    return folder / "data"


def start_stack(folder: Path, *flags: str, **settings: str) -> RunningStack:
    """Start `onshore up` in `folder` and wait until it is ready."""
    ready = folder / "ready.json"
    ready.unlink(missing_ok=True)
    began = time.monotonic()
    with (folder / "terminal.txt").open("ab") as terminal:
        process = subprocess.Popen(
            up(data_dir_in(folder), "--ready-file", str(ready), *flags),
            cwd=folder,
            env=environment(**settings),
            stdin=subprocess.DEVNULL,
            stdout=terminal,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(lambda: ready.exists() or process.poll() is not None, "the stack is ready", _START_WITHIN_S)
        assert process.poll() is None, (folder / "terminal.txt").read_text()
    except BaseException:
        end(process)
        raise
    return RunningStack(process, folder, json.loads(ready.read_text()), time.monotonic() - began)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a supervisor and its children, whatever state they are in; for clean-up only."""
    if process.poll() is None:
        try:
            left = psutil.Process(process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            left = []
        process.terminate()
        try:
            process.wait(_STOP_WITHIN_S + 5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for child in left:
            if child.is_running():
                child.kill()


@contextmanager
def running_stack(folder: Path, *flags: str, **settings: str) -> Iterator[RunningStack]:
    """A stack in `folder` that is stopped in the end, unless the test did so."""
    folder.mkdir(parents=True, exist_ok=True)
    stack = start_stack(folder, *flags, **settings)
    try:
        yield stack
    finally:
        end(stack.process)
        stack.close()
