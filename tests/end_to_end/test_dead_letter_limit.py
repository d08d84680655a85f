"""A worker that stopped at the dead-letter limit: it says so, stays down, and goes on when the limit is raised."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import otlp_messages as otlp
from onshore_pipeline.broker import Outgoing
from onshore_pipeline.embedded.local_log import LocalLog
from running_stack import RunningStack, run_onshore, running_stack, wait_until

if TYPE_CHECKING:
    from pathlib import Path


def send(stack: RunningStack, *values: bytes) -> None:
    producer = LocalLog(stack.data_dir / "log", now_ns=time.time_ns).producer()
    producer.send("otlp_logs", [Outgoing(value) for value in values])
    producer.close()


def test_the_worker_stays_down_until_a_person_raised_the_limit_for_one_run(tmp_path: Path) -> None:
    letters = "SELECT count() FROM dead_letters_current"
    with running_stack(tmp_path, "--no-dashboard") as stack:
        send(stack, *[b"\x0anothing that is OTLP"] * 60)
        stack.wait_for_words("worker stopped and stays down: ")
        assert "60 of the newest 60 records could not be used" in stack.said
        wait_until(lambda: "worker" not in stack.parts, "the worker is gone")
        stack.send_logs(otlp.logs([otlp.movement()]))  # what is sent is still taken
        told = json.loads(run_onshore(tmp_path, "status", "--data-dir", str(stack.data_dir), "--json").stdout)
        assert told["worker"] == "stopped"
        assert any("stays" not in line and "could not be used" in line for line in told["attention"])
        assert (stack.one(letters), stack.said.count("restarting in")) == (0, 0)
        stack.stop()
    with running_stack(tmp_path, "--no-dashboard", ONSHORE_MAX_DEAD_LETTER_SHARE="1") as stack:
        stack.wait_for(letters, 60)
        stack.wait_for("SELECT count() FROM events_current", 1)
