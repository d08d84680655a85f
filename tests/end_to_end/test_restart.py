"""What was acknowledged is there exactly once, whatever happens to the processes."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING, Any

import httpx

from otlp_messages import logs, movement
from running_stack import PROTOBUF, RunningStack, end, measured, start_stack

if TYPE_CHECKING:
    from pathlib import Path

KILLS = 3
RECORDS = 3


class Sender:
    """Sends one message after the other, each once, and keeps in mind which were acknowledged."""

    def __init__(self, address: str, first: int) -> None:
        self.sent = first
        self.acknowledged: list[int] = []
        self._address = address
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with httpx.Client(base_url=self._address, headers=PROTOBUF) as client:
            while not self._stop.is_set():
                number, self.sent = self.sent, self.sent + 1
                records = [movement() | {"log.record.uid": f"{number}-{index}"} for index in range(RECORDS)]
                try:
                    if client.post("/v1/logs", content=logs(records)).is_success:
                        self.acknowledged.append(number)
                except httpx.TransportError:
                    self._stop.wait(0.05)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


COUNTS = {
    "messages": "SELECT count(), sum(records), sum(events), max(offset) + 1 FROM evidence_log",
    "entries": "SELECT groupBitXor(cityHash64(log_index, offset, entry_hash)) FROM evidence_log",
    "events": "SELECT count(), uniqExact(event_id), groupBitXor(cityHash64(event_id, leaf_hash)) FROM events_current",
    "violations": "SELECT count() FROM violations_current",
    "findings": "SELECT count(), sum(events) FROM findings",
    "verdicts": "SELECT sum(events) FROM verdict_counts",
}


def counts(stack: RunningStack) -> dict[str, list[tuple[Any, ...]]]:
    return {name: stack.rows(query) for name, query in COUNTS.items()}


def test_what_was_acknowledged_is_there_once_after_kills_and_restarts(tmp_path: Path) -> None:
    moments = random.Random(11)
    acknowledged: list[int] = []
    sent = 0
    stack = start_stack(tmp_path, "--no-dashboard")
    try:
        for _ in range(KILLS):
            sender = Sender(stack.addresses["otlp_http"], sent)
            threading.Event().wait(moments.uniform(0.2, 2.0))
            stack.kill_everything()
            sender.stop()
            assert sender.acknowledged
            acknowledged += sender.acknowledged
            sent = sender.sent
            stack = start_stack(tmp_path, "--no-dashboard")
        stack.send_logs(logs([movement() | {"log.record.uid": f"last-{index}"} for index in range(RECORDS)]))
        stack.wait_for_events("last-%", RECORDS)
        check(stack, acknowledged, sent)
        stack.wait_for("SELECT sum(events) FROM findings", stack.one("SELECT count() FROM violations_current"))
        before = counts(stack)
        assert stack.stop() < 10
        stack = start_stack(tmp_path, "--no-dashboard")
        assert counts(stack) == before
        stack.send_logs(logs([movement() | {"log.record.uid": "after"}]))
        stack.wait_for_events("after", 1)
    finally:
        end(stack.process)
        stack.close()


def check(stack: RunningStack, acknowledged: list[int], sent: int) -> None:
    """Every acknowledged message once, no message twice, every message in the log once, and no hole in the log."""
    rows = stack.rows("SELECT attributes['log.record.uid'], count() FROM events_current GROUP BY 1")
    times = dict(rows)
    assert set(times.values()) == {1}
    assert {f"{number}-{index}" for number in acknowledged for index in range(RECORDS)} <= set(times)
    found = len(times) // RECORDS
    measured(f"{sent} messages sent, {len(acknowledged)} acknowledged, {found - 1} found")
    assert len(acknowledged) < found <= sent + 1
    (entries,) = stack.rows(COUNTS["messages"])
    assert entries == (found, found * RECORDS, found * RECORDS, found)
    assert stack.one("SELECT uniqExact(log_index) FROM evidence_log") == found
    assert stack.one("SELECT sum(events) FROM message_verdicts_current WHERE control_id = 'AU-APP8-01'") == len(times)
