"""More than the stack can store while its store stands still: senders are put off, and nothing acknowledged is lost."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final, Self

import httpx

from otlp_messages import logs, movement
from running_stack import PROTOBUF, RunningStack, measured, run_onshore, running_stack, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import psutil

STANDSTILL_S: Final = 10.0
SENDERS: Final = 8
RECORDS: Final = 60
LARGE_BYTES: Final = 1_200_000
MIB: Final = 1 << 20
# Measured idle: 80 and 330 MiB. Both hold at most a few MiB of messages under this test's limits.
RECEIVER_MOST_BYTES: Final = 200 * MIB
WORKER_MOST_BYTES: Final = 600 * MIB


class Flooder:
    """Sends without pause, each message until it is taken, and waits only as it is told to."""

    def __init__(self, address: str, number: int) -> None:
        self.acknowledged: list[str] = []
        self.statuses: Counter[int] = Counter()
        self.waits: list[int] = []
        self._address, self._number = address, number
        self.stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with httpx.Client(base_url=self._address, headers=PROTOBUF, timeout=30) as client:
            message = 0
            while not self.stop.is_set():
                uids = [f"{self._number}-{message}-{index}" for index in range(RECORDS)]
                records = [movement() | {"log.record.uid": uid} for uid in uids]
                if self._number % 2:
                    records[0] |= {"note": "x" * LARGE_BYTES}
                if self._is_taken(client, logs(records)):
                    self.acknowledged += uids
                message += 1

    def _is_taken(self, client: httpx.Client, body: bytes) -> bool:
        while not self.stop.is_set():
            answer = client.post("/v1/logs", content=body)
            self.statuses[answer.status_code] += 1
            if answer.is_success:
                return True
            self.waits.append(int(answer.headers["retry-after"]))
            self.stop.wait(self.waits[-1])
        return False

    def join(self) -> None:
        self.stop.set()
        self._thread.join()


@contextmanager
def slow_senders(address: str) -> Iterator[None]:
    """Two whose bodies stop arriving after 1.4 MiB: what they hold is held for all the time that a body may take."""
    host, _, port = address.removeprefix("http://").partition(":")
    head = f"POST /v1/logs HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/x-protobuf\r\nContent-Length: 2000000"
    with ExitStack() as opened:
        for _ in range(2):
            connection = opened.enter_context(socket.create_connection((host, int(port))))
            connection.sendall(head.encode() + b"\r\n\r\n" + bytes(1_450_000))
        yield


class Memory:
    """The most that parts were seen to hold while the block lasted."""

    def __init__(self, parts: dict[str, psutil.Process]) -> None:
        self.peaks: Counter[str] = Counter()
        self._parts = parts
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.05):
            for name, process in self._parts.items():
                self.peaks[name] = max(self.peaks[name], process.memory_info().rss)


def test_a_flood_while_the_store_stands_still_is_put_off_and_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    limits = {"ONSHORE_MAX_WAITING_MIB": "8", "ONSHORE_MAX_IN_FLIGHT_MIB": "4", "ONSHORE_MAX_BATCH_MIB": "2"}
    with running_stack(tmp_path, "--no-dashboard", **limits) as stack:
        stack.send_logs(logs([movement() | {"log.record.uid": "before"}]))
        stack.wait_for_events("before", 1)
        store = stack.parts["store"]
        with Memory({name: stack.parts[name] for name in ("receiver", "worker")}) as memory:
            store.suspend()
            flooders = [Flooder(stack.addresses["otlp_http"], number) for number in range(SENDERS)]
            try:
                with slow_senders(stack.addresses["otlp_http"]):
                    standstill(stack, tmp_path, flooders)
                store.resume()
                before = sum(each.statuses[200] for each in flooders)
                wait_until(
                    lambda: sum(each.statuses[200] for each in flooders) > before + 2 * SENDERS, "senders get on"
                )
            finally:
                for flooder in flooders:
                    flooder.join()
            all_of_it_is_there_once(stack, [uid for each in flooders for uid in each.acknowledged])
    statuses = sum((each.statuses for each in flooders), Counter[int]())
    measured(f"{dict(statuses)}; MiB at most: { {name: peak // MIB for name, peak in memory.peaks.items()} }")
    assert memory.peaks["receiver"] < RECEIVER_MOST_BYTES
    assert memory.peaks["worker"] < WORKER_MOST_BYTES


def standstill(stack: RunningStack, folder: Path, flooders: list[Flooder]) -> None:
    """Ten seconds in which nothing can be stored: refusals say when to come back, and status says why."""
    began = time.monotonic()
    wait_until(lambda: {429, 503} <= set().union(*(each.statuses for each in flooders)), "both kinds of refusal")
    wait_until(lambda: worker_state(stack) == "waiting", "the worker says that it waits")
    done = run_onshore(folder, "status", "--data-dir", str(stack.data_dir), "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["store"], told["worker"]) == (1, "does not answer", "waiting")
    assert (told["worker_waits_for"], told["receiver"]) == ("store", "answers")
    assert told["refused"]["log full"] > 0
    assert any("put senders off" in line for line in told["attention"])
    threading.Event().wait(max(0.0, STANDSTILL_S - (time.monotonic() - began)))
    waits = [wait for each in flooders for wait in each.waits]
    assert waits
    assert set(waits) <= set(range(1, 9))
    assert set().union(*(each.statuses for each in flooders)) <= {200, 429, 503}


def worker_state(stack: RunningStack) -> str:
    said = json.loads((stack.data_dir / "status" / "worker.json").read_text())
    return str(said["state"])


def all_of_it_is_there_once(stack: RunningStack, acknowledged: list[str]) -> None:
    stack.wait_for_events("%", len(acknowledged) + 1, within_s=120)
    rows = stack.rows("SELECT attributes['log.record.uid'], count() FROM events_current GROUP BY 1")
    assert dict(rows) == dict.fromkeys([*acknowledged, "before"], 1)
    (entries,) = stack.rows("SELECT count(), sum(records), sum(dead_lettered), max(offset) + 1 FROM evidence_log")
    assert entries[1:3] == (len(acknowledged) + 1, 0)
    assert entries[0] == entries[3], "one entry a message, and no hole"
