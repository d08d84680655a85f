"""How far time has come for controls that wait: up to when everything that the brokers took is committed.

Without messages that wait, that is now. While messages wait in some partitions, it is the newest committed message of
the one that is furthest behind; partitions in which nothing waits hold nothing back, however long they are silent. Time
never goes back.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Final

from onshore_pipeline.worker_reports import known_at

if TYPE_CHECKING:
    from pathlib import Path

    from clickhouse_connect.driver.client import Client

# A message may be taken, and the worker's report be older; what is newer than this is not counted on.
_REPORTED_WITHIN_NS: Final = 15_000_000_000

# By the broker's clock; a sender's clock says nothing about what is still to come.
_NEWEST: Final = """
SELECT JSONExtractInt(entry, 'timestamp'), JSONExtractString(entry, 'clock') FROM evidence_log
WHERE topic = {topic:String} AND partition = {partition:UInt32} AND kind = 'message' ORDER BY log_index DESC LIMIT 1
"""


def watermark(client: Client, status: Path | None, *, caught_up: bool, before_ns: int, now_ns: int) -> int:
    """Nanoseconds since 1970 up to which everything is there; at least `before_ns`, what it was last time.

    Args:
        client: reads the log's copy.
        status: the worker's report; without one nothing is known to wait.
        caught_up: whether the copy has all that the log had a moment ago.
        before_ns: the last watermark.
        now_ns: the clock.
    """
    settled = now_ns - _REPORTED_WITHIN_NS
    if not caught_up:
        return before_ns
    said = _said(status)
    if said is None:
        return max(before_ns, settled) if status is None or not status.exists() else before_ns
    reported_ns, waiting = said
    reached = [min(reported_ns - _REPORTED_WITHIN_NS, settled)]
    reached += [_newest(client, topic, partition) for topic, partition in waiting]
    return max(before_ns, min(reached))


def _said(status: Path | None) -> tuple[int, list[tuple[str, int]]] | None:
    """When the worker knew what waits, and in which partitions messages waited."""
    if status is None:
        return None
    try:
        said = json.loads(status.read_text())
        at = known_at(said).timestamp()
        behind = [part for part in said["lag"] if part["end_offset"] > part["next_offset"]]
        return int(at * 1e9), [(str(part["topic"]), int(part["partition"])) for part in behind]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _newest(client: Client, topic: str, partition: int) -> int:
    rows = client.query(_NEWEST, parameters={"topic": topic, "partition": partition}).result_rows
    return int(rows[0][0]) if rows and rows[0][1] == "broker" else 0


def now_ns() -> int:
    """The clock."""
    return time.time_ns()
