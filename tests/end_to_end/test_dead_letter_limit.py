"""A worker that stopped for a person to look: it says why, stays down, and goes on once the cause is gone."""

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


def test_a_worker_whose_store_refuses_everything_stays_down_and_status_says_why(tmp_path: Path) -> None:
    with running_stack(tmp_path, "--no-dashboard") as stack:
        writer = stack.writer()
        writer.command("ALTER TABLE events ADD CONSTRAINT none CHECK 1 = 0")
        send(stack, *[otlp.logs([otlp.movement()])] * 20)
        stack.wait_for_words("worker stopped and stays down: ")
        assert "the store refused 6 messages one after the other" in stack.said
        wait_until(lambda: "worker" not in stack.parts, "the worker is gone")
        told = json.loads(run_onshore(tmp_path, "status", "--data-dir", str(stack.data_dir), "--json").stdout)
        assert told["worker"] == "stopped"
        assert any("the store refused 6 messages" in line for line in told["attention"])
        stack.wait_for("SELECT count() FROM dead_letters_current", 5)
        assert stack.said.count("restarting in") == 0
        writer.command("ALTER TABLE events DROP CONSTRAINT none")
        writer.close()
        stack.stop()
    with running_stack(tmp_path, "--no-dashboard") as stack:
        stack.wait_for("SELECT count() FROM events_current", 15)
        assert stack.one("SELECT count() FROM dead_letters_current") == 5
