"""A real store process and a real local log with worker and sequencer in this process, a step at a time."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psutil

from onshore_pipeline import assembly
from onshore_pipeline.assess import Attempt, Judgement, assess
from onshore_pipeline.batches import BatchLimits
from onshore_pipeline.broker import TENANT_HEADER, Outgoing
from onshore_pipeline.context.expected_sources import Register
from onshore_pipeline.jobs.aggregate import attempts_behind, rebuild
from onshore_pipeline.jobs.measure import Measurer
from onshore_pipeline.jobs.windowed import Windows
from onshore_pipeline.sequencer import Sequencer
from onshore_pipeline.settings import Settings, load_settings
from onshore_pipeline.stack import DataDir
from onshore_pipeline.store.migrate import migrate
from onshore_pipeline.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.broker import Consumer
    from onshore_pipeline.rules import Rules


@dataclass
class Pipeline:
    settings: Settings
    client: Client
    judgement: Judgement
    store: psutil.Process
    url: str

    def settings_file(self, folder: Path, more: str = "") -> None:
        """Have commands that are run in a folder find this pipeline; `more`: further lines of their settings."""
        data = DataDir(self.settings.data_dir)
        writer = json.loads(data.credentials.read_text())["writer"]
        (folder / "password").write_text(writer["password"])
        (folder / "onshore.toml").write_text(
            f'data_dir = "{data.path}"\nclickhouse_url = "{self.url}"\nclickhouse_user = "{writer["user"]}"\n'
            f'clickhouse_password_file = "{folder / "password"}"\n{more}'
        )

    def send(self, topic: str, values: Sequence[bytes], *, tenant: str = "default") -> None:
        producer = assembly.local_log(self.settings).producer()
        try:
            producer.send(topic, [Outgoing(value, ((TENANT_HEADER, tenant.encode()),)) for value in values])
        finally:
            producer.close()

    def work(
        self,
        consumer: Consumer | None = None,
        *,
        max_messages: int = 50,
        until_failed: bool = True,
        rules: Rules | None = None,
    ) -> Worker:
        """Run a worker until nothing waits, or until it gave up once, or until it ended by itself."""
        own = consumer or assembly.consumer(self.settings)
        worker = Worker(
            own,
            self.client,
            rules or self.judgement,
            BatchLimits(max_messages, 64 << 20, assess_at_once=1, poll_timeout_s=0.05),
        )
        stop = threading.Event()
        ended: list[BaseException] = []

        def run() -> None:
            try:
                worker.run(stop)
            except Exception as error:  # noqa: BLE001 - raised again below
                ended.append(error)

        runner = threading.Thread(target=run)
        runner.start()
        watcher, pause = assembly.consumer(self.settings), threading.Event()
        while runner.is_alive() and self._waits(watcher) and not (until_failed and worker.progress.failed_attempts):
            pause.wait(0.02)
        watcher.close()
        stop.set()
        runner.join()
        own.close()
        if ended:
            raise ended[0]
        return worker

    @staticmethod
    def _waits(consumer: Consumer) -> bool:
        return any(part.end_offset > part.next_offset for part in consumer.lag())

    def sequence(self) -> None:
        """Copy what the log holds and rebuild what it touched."""
        reader = assembly.entry_reader(self.settings)
        sequencer = Sequencer(reader, self.client)
        while sequencer.step(max_entries=1000, timeout_s=0.0).entries:
            pass
        rebuild(self.client, attempts_behind(self.client), sequencer.position, sequencer.log_id)
        sequencer.close()

    def judge_windows(self, now: datetime | None = None) -> int:
        """Judge the windowed controls of what is rolled up; how many units came out differently."""
        reader = assembly.entry_reader(self.settings)
        sequencer = Sequencer(reader, self.client)
        clock = now or datetime.now(UTC)
        controls = self.judgement.controls.windowed
        windows = Windows(self.client, lambda: controls, clock=lambda: int(clock.timestamp() * 1e9))
        changed = windows.judge(sequencer.position, sequencer.log_id)
        sequencer.close()
        return changed

    def measure(self, register: Register | None = None, now: datetime | None = None) -> int:
        """Measure coverage of what is rolled up; how many findings changed."""
        reader = assembly.entry_reader(self.settings)
        sequencer = Sequencer(reader, self.client)
        measurer = Measurer(self.client, lambda: register or Register(), now=lambda: now or datetime.now(UTC))
        changed = measurer.measure(sequencer.position, sequencer.log_id)
        sequencer.close()
        return changed

    def attempt(self, consumer: Consumer) -> Attempt:
        """Steps 1 and 2 only."""
        polled = consumer.poll(max_messages=50, max_bytes=64 << 20, timeout_s=1.0)
        return assess(polled, self.judgement, uuid4())

    def one(self, sql: str) -> Any:
        return self.client.query(sql).result_rows[0][0]

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self.client.query(sql).result_rows]


@contextmanager
def running_pipeline(folder: Path) -> Iterator[Pipeline]:
    settings = load_settings({"data_dir": folder, "geoip_dir": folder / "no-geoip"})
    data = DataDir(folder)
    data.make()
    ready = folder / "store.ready"
    command = [
        *(sys.executable, "-m", "onshore_pipeline.embedded.store_server", "--data-dir", str(data.store)),
        *("--port", "0", "--credentials", str(data.credentials), "--ready-file", str(ready)),
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as store:
        try:
            deadline, pause = time.monotonic() + 120, threading.Event()
            while not ready.exists():
                assert store.poll() is None, "the store did not start"
                assert time.monotonic() < deadline, "the store was not ready in time"
                pause.wait(0.02)
            url = json.loads(ready.read_text())["url"]
            client = assembly.store_client(settings, url)
            migrate(client)
            yield Pipeline(settings, client, assembly.judgement(settings), psutil.Process(store.pid), url)
            client.close()
        finally:
            store.kill()
