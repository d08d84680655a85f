"""What a sender could not send is a number in the store: with its collector, its reason and its time."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from onshore_collectors.batching import BatchLimits
from onshore_collectors.identity import build_resource
from onshore_collectors.telemetry import open_telemetry
from running_stack import RunningStack, environment, running_stack

if TYPE_CHECKING:
    from pathlib import Path

CAPACITY: Final = 10
EMITTED: Final = 48
DROPPED: Final = "SELECT sum(dropped) FROM message_collectors_current WHERE collector_id = {collector:String}"
EVENTS: Final = "SELECT count() FROM events_current WHERE collector_id = {collector:String} AND action = 'probe.event'"
GAP: Final = (
    "SELECT item_count, occurred_at, attributes['onshore.reason'] AS reason, attributes['onshore.gap.until'] AS until"
    " FROM events_current WHERE collector_id = {collector:String} AND action = 'telemetry.gap'"
)
# Emits eight events at an address where nobody listens, and ends without closing anything.
ENDS_WITHOUT_CLOSING: Final = """
import sys
from pathlib import Path
from onshore_collectors.identity import build_resource
from onshore_collectors.telemetry import open_telemetry
telemetry = open_telemetry(
    endpoint=sys.argv[1], headers={}, resource=build_resource("probe", collector_id="probe-exit"), scope="probe",
    gap_file=Path(sys.argv[2]), give_up_after_s=float(sys.argv[3]),
)
for number in range(8):
    telemetry.emit("probe.event", {"onshore.action": "probe.event"})
"""


def test_exactly_what_a_full_queue_dropped_stands_in_the_store_with_its_collector_and_its_time(tmp_path: Path) -> None:
    with running_stack(tmp_path, "--no-dashboard") as stack:
        receiver = stack.parts["receiver"]
        with open_telemetry(
            endpoint=stack.addresses["otlp_http"],
            headers={},
            resource=build_resource("probe", collector_id="probe-queue"),
            scope="onshore.probe",
            limits=BatchLimits(capacity=CAPACITY, max_batch=CAPACITY, max_delay_s=0.01),
        ) as telemetry:
            receiver.suspend()
            began = datetime.now(UTC)
            for _ in range(EMITTED):
                telemetry.emit("probe.event", {"onshore.action": "probe.event"})
            dropped = telemetry.dropped
            assert EMITTED - 2 * CAPACITY <= dropped < EMITTED, "one batch is under way, another fills the queue"
            ended = datetime.now(UTC)
            receiver.resume()
            assert telemetry.flush(30)
            assert (telemetry.sent, telemetry.dropped) == (EMITTED - dropped, dropped)
        stack.wait_for(DROPPED, dropped, collector="probe-queue")
        stack.wait_for(EVENTS, EMITTED - dropped, collector="probe-queue")
        gap = stack.row(GAP, collector="probe-queue")
        assert (gap["item_count"], gap["reason"]) == (dropped, "queue full")
        assert began <= gap["occurred_at"].replace(tzinfo=UTC) <= datetime.fromisoformat(gap["until"]) <= ended
        an_exit_with_a_full_queue(stack, tmp_path)


def an_exit_with_a_full_queue(stack: RunningStack, folder: Path) -> None:
    """The process says what it lost, and the next one of the collector reports it."""
    kept = folder / "gaps.json"

    def end_of(address: str) -> str:
        arguments = [sys.executable, "-c", ENDS_WITHOUT_CLOSING, address, str(kept), "3"]
        done = subprocess.run(
            arguments, capture_output=True, text=True, timeout=60, check=True, env=environment(), cwd=folder
        )
        return done.stderr

    assert "lost at the end of the process: 8 not acknowledged in time" in end_of("http://127.0.0.1:9")
    assert kept.exists()
    assert stack.one(EVENTS, collector="probe-exit") == 0
    assert end_of(stack.addresses["otlp_http"]) == ""
    assert not kept.exists(), "what is reported is not reported again"
    stack.wait_for(EVENTS, 8, collector="probe-exit")
    stack.wait_for(DROPPED, 8, collector="probe-exit")
