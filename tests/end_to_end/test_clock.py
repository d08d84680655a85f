"""A clock that once ran far ahead: what it stamped is said, and what comes later has the right time."""

from __future__ import annotations

import json
import time
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import otlp_messages as otlp
from onshore_pipeline.broker import Outgoing
from onshore_pipeline.embedded.local_log import LocalLog
from running_stack import RunningStack, run_onshore, running_stack

if TYPE_CHECKING:
    from pathlib import Path


def told(tmp_path: Path, stack: RunningStack) -> list[str]:
    done = run_onshore(tmp_path, "status", "--data-dir", str(stack.data_dir), "--json")
    found: list[str] = json.loads(done.stdout)["attention"]
    return [line for line in found if "clock" in line]


def test_one_message_from_a_clock_that_ran_years_ahead_costs_the_others_nothing(tmp_path: Path) -> None:
    ahead_ns = int(datetime(2099, 5, 1, tzinfo=UTC).timestamp()) * 10**9
    with running_stack(tmp_path, "--no-dashboard") as stack:
        stack.send_logs(otlp.logs([otlp.movement()]))
        assert told(tmp_path, stack) == []
        with closing(LocalLog(stack.data_dir / "log", now_ns=lambda: ahead_ns).producer()) as producer:
            producer.send("otlp_logs", [Outgoing(otlp.logs([otlp.movement()]))])
        (line,) = told(tmp_path, stack)
        assert "s ahead of this machine's clock" in line
        began = time.time()
        stack.send_logs(otlp.logs([otlp.movement()]))
        stack.send_logs(otlp.logs([otlp.movement()]))
        stack.wait_for("SELECT count() FROM events_current", 4)
        (line,) = told(tmp_path, stack)
        assert "went back 1 times in the last 24 hours, from 2099-05-01" in line
        assert "in front of otlp_logs[0]@2" in line
        stamps = stack.rows("SELECT toFloat64(ingested_at), kafka_offset FROM events_current ORDER BY kafka_offset")
        assert [began - 60 < stamp < time.time() for stamp, _ in stamps] == [True, False, True, True]
        keys = stack.rows("SELECT JSONExtractString(entry, 'salt_key') FROM evidence_log ORDER BY offset")
        assert [key[:7] == "2099-05" for (key,) in keys] == [False, True, False, False]
