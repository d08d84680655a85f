"""Every part of Onshore as a process of its own that a test may kill, stop or arm; no supervisor in between."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psutil
from clickhouse_connect.driver.exceptions import ClickHouseError
from urllib3.exceptions import HTTPError

from broker_contents import Contents, kafka_contents, local_contents
from chaos_nursery import Child
from invariants import complaints
from onshore_pipeline import assembly
from onshore_pipeline.broker import EVENT_TOPICS
from onshore_pipeline.errors import StoreUnavailable
from onshore_pipeline.jobs.aggregate import attempts_behind
from onshore_pipeline.kafka_security import kafka_settings
from onshore_pipeline.kafka_topics import admin_client, ensure_topics
from onshore_pipeline.log_ties import claim_log
from onshore_pipeline.settings import Settings
from onshore_pipeline.stack import DataDir, salt_master
from onshore_pipeline.store.connect import connect
from onshore_pipeline.store.migrate import migrate
from running_stack import environment, run_onshore, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clickhouse_connect.driver.client import Client

    from onshore_collectors.demo.truth import Truth
    from onshore_pipeline.broker import Producer

    Process = subprocess.Popen[bytes] | Child

PATIENCE_S: Final = 120.0
SESSION_S: Final = 6  # of members of Kafka's groups, the shortest there is: one that is silent for longer is replaced
ASK_EVERY_S: Final = 0.25  # how far the log is: the answer costs the store as much as a small batch does
_CLOCK: Final = Path(__file__).with_name("shifted_clock")
_NOT_NOW: Final = (ClickHouseError, HTTPError, OSError, StoreUnavailable)
# Nobody sent the seals of an hour's runs that the sequencer records itself.
_COVERED: Final = """
SELECT ifNull(sum(span), 0) FROM (
    SELECT DISTINCT log_position, end_offset - offset AS span FROM evidence_log WHERE kind IN ('message', 'gap')
        AND (topic_id, offset) NOT IN (SELECT topic_id, kafka_offset FROM message_actions WHERE action = 'control.seal')
)
"""


@dataclass
class ChaosStack:
    """One deployment; its parts are started one by one and killed at will.

    Attributes:
        folder: everything lies here; `data` is the data directory.
        bootstrap: Kafka's address, or nothing for the local log.
        parts: the newest process of each name; "worker-2" is a second worker.
        failpoints: the point that each was started with.
        clock: see `shift_clocks`.
        settings_told: further settings of every part, by name.
    """

    folder: Path
    bootstrap: str = ""
    parts: dict[str, Process] = field(default_factory=dict)
    failpoints: dict[str, str] = field(default_factory=dict)
    clock: Path | None = None
    settings_told: dict[str, str] = field(default_factory=dict)
    _ports: dict[str, int] = field(default_factory=dict)
    _client: Client | None = None

    @property
    def data(self) -> DataDir:
        return DataDir(self.folder / "data")

    @property
    def settings(self) -> Settings:
        # As its parts have it: other registries than theirs would be a change, which the sequencer records.
        return Settings(
            data_dir=self.data.path, kafka_bootstrap_servers=self.bootstrap, geoip_dir=self.folder / "no-geoip"
        )

    @property
    def environment(self) -> dict[str, str]:
        # Every round of a play has its unreadable message, and a matrix has more rounds than the limit's floor.
        told = {"ONSHORE_GEOIP_DIR": str(self.folder / "no-geoip"), "ONSHORE_DEAD_LETTER_FLOOR": "1000"}
        if self.bootstrap:
            told |= {
                "ONSHORE_KAFKA_BOOTSTRAP_SERVERS": self.bootstrap,
                "ONSHORE_KAFKA_SESSION_TIMEOUT_S": str(SESSION_S),
                "ONSHORE_KAFKA_MAX_POLL_INTERVAL_S": str(SESSION_S),
                "ONSHORE_KAFKA_TRUSTED_TOPICS": json.dumps(EVENT_TOPICS),
            }
        told |= self.settings_told
        if self.clock is not None:
            told |= {"SHIFTED_CLOCK": str(self.clock), "PYTHONPATH": os.pathsep.join([str(_CLOCK), *sys.path])}
        return told

    def shift_clocks(self) -> Path:
        """Parts that start from now on add the seconds in this file to their wall clocks."""
        self.clock = self.folder / "clock"
        return self.clock

    def port(self, name: str) -> int:
        """The part's port, the same after every restart."""
        if name not in self._ports:
            with socket.create_server(("127.0.0.1", 0)) as probe:
                self._ports[name] = int(probe.getsockname()[1])
        return self._ports[name]

    @property
    def otlp(self) -> str:
        return f"http://127.0.0.1:{self.port('otlp')}"

    @property
    def client(self) -> Client:
        """A client of the store, as its writer."""
        if self._client is None:
            writer = json.loads(self.data.credentials.read_text())["writer"]
            self._client = connect(f"http://127.0.0.1:{self.port('store')}", writer["user"], writer["password"])
        return self._client

    def one(self, sql: str) -> Any:
        """The first value of the first row."""
        return self.client.query(sql).result_rows[0][0]

    def arming(self, part: str) -> Path:
        """The part's failpoint acts once this file is there."""
        return self.folder / f"{part}.armed"

    def start(self, part: str, failpoint: str | None = None, *, armed: bool = False, wait: bool = True) -> Process:
        """Start a part and, unless told otherwise, wait until it is ready, or dead by its failpoint if `armed` at once.

        A failpoint (POINT:kill or POINT:pause) acts after `arming(part)` was made.
        """
        self.arming(part).unlink(missing_ok=True)
        if armed:
            self.arming(part).touch()
        ready = self.folder / f"{part}.ready"
        ready.unlink(missing_ok=True)
        told = self.environment | ({"ONSHORE_FAILPOINT": f"{failpoint}:{self.arming(part)}"} if failpoint else {})
        process = self._process(part, [*self._command(part), "--ready-file", str(ready)], environment(**told))
        self.parts[part], self.failpoints[part] = process, (failpoint or "").partition(":")[0]
        if not wait:
            return process
        wait_until(lambda: ready.exists() or process.poll() is not None, f"{part} is ready", PATIENCE_S)
        assert process.poll() is None or (failpoint and armed), f"{part} ended by itself:\n{self.said(part)[-3000:]}"
        return process

    def _process(self, part: str, command: list[str], told: dict[str, str]) -> Process:
        output = self.folder / f"{part}.txt"
        if part != "store" and self.clock is None:  # clocks are shifted while Python starts
            return Child(command, told, self.folder, output)
        with output.open("ab") as file:
            return subprocess.Popen(
                [sys.executable, "-m", *command],
                env=told,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )

    def _command(self, part: str) -> list[str]:
        here = ["--data-dir", str(self.data.path)]
        store_url = ["--store-url", f"http://127.0.0.1:{self.port('store')}"]
        name = part.partition("-")[0]
        if name == "store":
            files = ["--data-dir", str(self.data.store), "--credentials", str(self.data.credentials)]
            return ["onshore_pipeline.embedded.store_server", *files, "--port", str(self.port("store"))]
        if name == "receiver":
            ports = ["--http-port", str(self.port("otlp")), "--grpc-port", str(self.port("grpc"))]
            log = [] if self.bootstrap else ["--local-log", str(self.data.messages)]
            return ["onshore_collectors.receiver", *ports, "--tenants", str(self.data.tenants), *log]
        return ["onshore_pipeline", name, *here, *store_url]

    def said(self, part: str) -> str:
        return (self.folder / f"{part}.txt").read_text(errors="replace")

    def is_ready(self, part: str) -> bool:
        """Whether it runs and has said that it can be used."""
        return self.is_alive(part) and (self.folder / f"{part}.ready").exists()

    def is_alive(self, part: str) -> bool:
        return part in self.parts and self.parts[part].poll() is None

    def kill(self, part: str) -> None:
        """SIGKILL, to one that lives."""
        assert self.is_alive(part), f"{part} is {self._state(part)}:\n{self.said(part)[-3000:]}"
        self.parts[part].kill()
        self.parts[part].wait(PATIENCE_S)
        died_of = self.parts[part].returncode
        assert died_of == -signal.SIGKILL, f"{part} was to be killed and ended with {died_of}"

    def stop(self, part: str) -> None:
        """SIGTERM, and wait."""
        self.parts[part].terminate()
        self.parts[part].wait(PATIENCE_S)

    def is_stopped(self, part: str) -> bool:
        """Whether SIGSTOP holds it."""
        return psutil.Process(self.parts[part].pid).status() == psutil.STATUS_STOPPED

    def signal(self, part: str, number: signal.Signals) -> None:
        self.parts[part].send_signal(number)

    def wait_dead(self, part: str, what: str) -> None:
        """Wait until its failpoint killed the part."""
        process = self.parts[part]
        wait_until(lambda: process.poll() is not None, f"{part} died {what}, see {self.folder}/{part}.txt", PATIENCE_S)
        assert process.returncode == -signal.SIGKILL, f"{part}: {process.returncode}\n{self.said(part)[-3000:]}"

    def producer(self) -> Producer:
        if not self.bootstrap:
            return assembly.local_log(self.settings).producer()
        from onshore_pipeline.kafka_producer import KafkaProducer

        # so patient that a message which met a broker's death is sent again under its own number, and is there once
        return KafkaProducer(replace(kafka_settings(self.settings), request_timeout_s=PATIENCE_S))

    def contents(self) -> Contents:
        return kafka_contents(kafka_settings(self.settings)) if self.bootstrap else local_contents(self.data.messages)

    def logged(self) -> int:
        """Offsets that the store's copy of the log speaks of; -1 while the store does not answer."""
        try:
            return int(self.one(_COVERED))
        except _NOT_NOW:
            return -1

    def has_committed(self, worker: str) -> bool:
        """Whether an attempt of the process that has this name now is in the log."""
        return bool(
            self.one(
                f"SELECT count() FROM attempts WHERE endsWith(worker, ':{self.parts[worker].pid}')"
                " AND attempt_id IN (SELECT attempt_id FROM evidence_log)"
            )
        )

    def settle(
        self,
        messages: int,
        *,
        rollups: bool = True,
        within_s: float = PATIENCE_S,
        look: Callable[[], object] = lambda: None,
    ) -> float:
        """Wait until so many messages are sequenced and, if asked, every rollup is up to date; gives seconds."""
        began, last = time.monotonic(), -1

        def done() -> bool:
            nonlocal last
            look()
            last = self.logged()
            assert last <= messages, f"{last} messages in the log, {messages} were sent"
            if last < messages or not rollups:
                return last == messages
            try:
                return not attempts_behind(self.client)
            except _NOT_NOW:
                return False

        try:
            return wait_until(done, f"{messages} messages", within_s, ASK_EVERY_S)
        except AssertionError:
            waited = time.monotonic() - began
            tails = "\n".join(f"--- {part} ({self._state(part)})\n{self.said(part)[-1500:]}" for part in self.parts)
            raise AssertionError(
                f"{last} of {messages} messages in the log after {waited:.0f} s\n{self._who_has_what()}\n{tails}"
            ) from None

    def _who_has_what(self) -> str:
        """The workers' reports and, on Kafka, their group as the broker sees it."""
        reports = [f"{file.name}: {file.read_text()}" for file in self.data.worker_status.parent.glob("worker/*.json")]
        if self.bootstrap:
            kafka = kafka_settings(self.settings)
            with admin_client(kafka) as admin:
                reports.append(f"group: {admin.describe_groups([kafka.group_id])}")
        return "\n".join(reports)

    def _state(self, part: str) -> str:
        code = self.parts[part].poll()
        return "alive" if code is None else f"ended with {code}"

    def check(self) -> Contents:
        """Every invariant; gives what the broker holds."""
        contents = self.contents()
        found = complaints(self.client, contents, salt_master(self.settings))
        assert not found, "\n".join(found)
        return contents

    def check_truth(self, truth: Truth) -> None:
        """`onshore check-truth` says 1.0 and 1.0, and every count as planted."""
        path = self.folder / "truth.json"
        truth.write(path)
        done = self.onshore("check-truth", str(path), "--json", "--wait", "0")
        assert done.returncode == 0, done.stdout + done.stderr
        told = json.loads(done.stdout)
        assert (told["precision"], told["recall"]) == (1.0, 1.0)

    def onshore(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command against this deployment, to its end."""
        return run_onshore(self.folder, *arguments, within_s=300, **self._told())

    def dies(self, point: str, *arguments: str) -> None:
        """Run a command that its failpoint kills; fails when it does not get there."""
        output = self.folder / "commands.txt"
        told = environment(**self._told(), ONSHORE_FAILPOINT=f"{point}:kill")
        code = Child(["onshore_pipeline", *arguments], told, self.folder, output).wait(PATIENCE_S)
        assert code == -signal.SIGKILL, f"{arguments} did not die at {point}: {code}\n{output.read_text()[-3000:]}"

    def _told(self) -> dict[str, str]:
        """The settings of a command beside the deployment."""
        writer = json.loads(self.data.credentials.read_text())["writer"]
        password = self.folder / "password"
        password.write_text(writer["password"])
        return self.environment | {
            "ONSHORE_DATA_DIR": str(self.data.path),
            "ONSHORE_SALT_KEY_FILE": str(self.data.salt_key),
            "ONSHORE_CLICKHOUSE_URL": f"http://127.0.0.1:{self.port('store')}",
            "ONSHORE_CLICKHOUSE_USER": writer["user"],
            "ONSHORE_CLICKHOUSE_PASSWORD_FILE": str(password),
        }

    def close(self) -> None:
        """End every process that was started here, whatever state it is in."""
        for process in self.parts.values():
            if process.poll() is None:
                with suppress(ProcessLookupError):
                    process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait(PATIENCE_S)
        if self._client is not None:
            self._client.close()
            self._client = None


@contextmanager
def chaos_stack(folder: Path, bootstrap: str = "", *, claim: bool = True) -> Iterator[ChaosStack]:
    """A deployment whose store runs and has its tables; everything ends with the block.

    A log on Kafka belongs to it from the start unless `claim` is false.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stack = ChaosStack(folder, bootstrap)
    stack.data.make()
    try:
        stack.start("store")
        migrate(stack.client)
        if bootstrap:
            ensure_topics(kafka_settings(stack.settings))
            if claim:
                claim_log(stack.settings, stack.client)  # as the first worker does; a sequencer waits for that
        else:
            assembly.local_log(stack.settings).producer().close()
        yield stack
    finally:
        stack.close()
