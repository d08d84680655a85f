"""`onshore restore` beside a running stack whose store folder was put back from a copy."""

from __future__ import annotations

import json
import shutil
import signal
from typing import TYPE_CHECKING, Any

from otlp_messages import logs, movement
from running_stack import RunningStack, end, run_onshore, start_stack

if TYPE_CHECKING:
    from pathlib import Path

COUNTS = (
    "SELECT count(), uniqExact(event_id), groupBitXor(cityHash64(event_id, leaf_hash)) FROM events_current",
    "SELECT count(), groupBitXor(cityHash64(event_id, control_id)) FROM violations_current",
    "SELECT sum(events) FROM verdict_counts",
    "SELECT count(), sum(events) FROM findings",
)


def send(stack: RunningStack, name: str, messages: int) -> None:
    """Send messages of three movements and wait until findings count them."""
    before = stack.one("SELECT count() FROM events_current")
    for number in range(messages):
        stack.send_logs(logs([movement() | {"log.record.uid": f"{name}-{number}-{each}"} for each in range(3)]))
    stack.wait_for_events(f"{name}-%", 3 * messages)
    stack.wait_for("SELECT sum(events) FROM findings WHERE control_id = 'AU-APP8-01'", before + 3 * messages)


def counts(stack: RunningStack) -> list[list[tuple[Any, ...]]]:
    return [stack.rows(query) for query in COUNTS]


def restored(stack: RunningStack, *flags: str, failpoint: str = "") -> tuple[int, dict[str, Any]]:
    """Run the command; its exit code and what it printed."""
    done = run_onshore(
        stack.folder, "restore", "--data-dir", str(stack.data_dir), "--json", *flags, ONSHORE_FAILPOINT=failpoint
    )
    return done.returncode, json.loads(done.stdout) if done.stdout.startswith("{") else {"stderr": done.stderr}


def test_a_store_folder_that_was_copied_back_is_whole_again_though_a_restore_was_killed(tmp_path: Path) -> None:
    stack = start_stack(tmp_path, "--no-dashboard")
    try:
        send(stack, "before", 2)
        stack.stop()
        shutil.copytree(stack.data_dir / "store", tmp_path / "backup", symlinks=True)  # as cp -a does
        stack = start_stack(tmp_path, "--no-dashboard")
        send(stack, "after", 4)
        whole = counts(stack)
        stack.stop()
        shutil.rmtree(stack.data_dir / "store")
        shutil.copytree(tmp_path / "backup", stack.data_dir / "store", symlinks=True)
        stack = start_stack(tmp_path, "--no-dashboard")
        stack.wait_for("SELECT count() FROM evidence_log", 6)
        assert stack.one("SELECT count() FROM events_current") == 6

        code, planned = restored(stack, "--plan")
        assert (code, planned["events_restorable"], planned["lost_messages"]) == (1, 12, 0)
        code, _ = restored(stack, failpoint="9.events:kill")
        assert code == -signal.SIGKILL
        assert stack.one("SELECT count() FROM events_current") == 6
        send(stack, "meanwhile", 1)
        code, report = restored(stack)
        assert (code, report["events_written"], report["attempts_incomplete"]) == (0, 12, 0)
        assert stack.one("SELECT count() FROM events_current") == 21

        code, report = restored(stack)
        assert (code, report["attempts_found"]) == (0, 0)
        stack.writer().command("DELETE FROM events WHERE attributes['log.record.uid'] LIKE 'meanwhile-%'")
        stack.wait_for("SELECT count() FROM events_current", 18)
        assert stack.rows(COUNTS[0]) == whole[0]
        code, report = restored(stack)
        assert (code, report["events_written"]) == (0, 3)
        assert stack.one("SELECT sum(events) FROM findings WHERE control_id = 'AU-APP8-01'") == 21
    finally:
        end(stack.process)
        stack.close()
