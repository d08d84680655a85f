"""AWS's flow logs say themselves that nothing was seen, or that something was not: from the file to the finding."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from running_stack import run_onshore

if TYPE_CHECKING:
    from running_stack import RunningStack

HEADING: Final = (
    "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status"
)
EVENTS: Final = """
SELECT toString(action), toString(outcome), occurred_at FROM events_current
WHERE attributes['onshore.coverage.source'] = {source:String} ORDER BY occurred_at
"""
COVERED: Final = "SELECT count() FROM coverage WHERE kind = 'skipped' AND source = {source:String}"
ROW: Final = """
SELECT toString(state) AS state, toString(control_id) AS control, toString(tenant) AS tenant, since, until, why
FROM coverage WHERE kind = 'skipped' AND source = {source:String}
"""
FINDING: Final = """
SELECT events, toString(severity) FROM findings
WHERE control_id = 'ONS-COV-10' AND fingerprint['source_id'] = {source:String}
"""


def test_a_line_that_says_skipdata_becomes_a_coverage_row_and_a_finding_and_nodata_does_not(
    stack: RunningStack, mark: str
) -> None:
    skips, idle = f"eni-{mark}-a", f"eni-{mark}-b"
    began = int(time.time()) - 1200
    empty = "- - - - - - -"
    lines = [
        HEADING,
        f"2 123456789012 {skips} 10.0.0.5 10.0.0.9 443 50000 6 10 840 {began} {began + 60} ACCEPT OK",
        f"2 123456789012 {skips} {empty} {began + 60} {began + 120} - SKIPDATA",
        f"2 123456789012 {skips} {empty} {began + 120} {began + 180} - NODATA",
        f"2 123456789012 {skips} {empty} {began + 180} {began + 240} - SKIPDATA",
        f"2 123456789012 {idle} {empty} {began} {began + 60} - NODATA",
    ]
    file = stack.folder / f"{mark}.log"
    file.write_text("\n".join(lines) + "\n")
    done = run_onshore(stack.folder, "collect", "flow-logs", str(file), "--data-dir", str(stack.data_dir), "--json")
    assert done.returncode == 0, done.stderr
    stack.wait_for(COVERED, 1, source=f"aws.vpcflow:{skips}")
    row = stack.row(ROW, source=f"aws.vpcflow:{skips}")
    assert (row["state"], row["control"], row["tenant"]) == ("missed", "ONS-COV-10", "default")
    assert [row[side].replace(tzinfo=UTC) for side in ("since", "until")] == [
        datetime.fromtimestamp(began + at, UTC) for at in (60, 240)
    ]
    assert row["why"].startswith("2 times the source says that it skipped records: SKIPDATA")
    assert stack.rows(FINDING, source=f"aws.vpcflow:{skips}") == [(2, "high")]
    assert [event[:2] for event in stack.rows(EVENTS, source=f"aws.vpcflow:{skips}")] == [
        ("telemetry.skipped", "failure"), ("telemetry.heartbeat", "success"), ("telemetry.skipped", "failure"),
    ]  # fmt: skip
    assert [event[0] for event in stack.rows(EVENTS, source=f"aws.vpcflow:{idle}")] == ["telemetry.heartbeat"]
    assert stack.one(COVERED, source=f"aws.vpcflow:{idle}") == 0
    shown(stack, skips)


def shown(stack: RunningStack, interface: str) -> None:
    """Both commands that a person would ask say it, too."""
    here = ("--data-dir", str(stack.data_dir), "--json")
    status = run_onshore(stack.folder, "status", "--coverage", *here)
    assert status.returncode == 1, status.stderr
    assert interface in status.stdout
    listed = run_onshore(stack.folder, "findings", "list", "--control", "ONS-COV-10", *here)
    assert any(interface in json.dumps(each) for each in json.loads(listed.stdout)), listed.stdout
