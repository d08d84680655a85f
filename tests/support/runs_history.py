"""Runs of controls, written as the sequencer writes them: three hours, in the last of which a control did not run."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

    from dashboard_history import Admin

_ACTION: Final = "44444444-4444-4444-8444-444444444444"
_TOPIC: Final = "55555555-5555-4555-8555-555555555555"
RUNNING: Final = ("AU-APP8-01", "SOV-09-01")
MISSED: Final = "AU-MHR77-01"


def fill(admin: Admin, now: datetime, generation: int = 7) -> None:
    """Write the runs of a finished rebuild, and the seal of the first hour."""
    hour = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=5)
    values = []
    for number in range(3):
        at = f"toDateTime64('{hour + timedelta(hours=number):%Y-%m-%d %H:%M:%S}', 0, 'UTC')"
        ran = ["", *RUNNING, *([MISSED] if number < 2 else [])]
        values += [
            f"({at}, {generation}, '{name}', 1, unhex(repeat('ab', 32)), 'event', 4, 1200, 0, 3, 1, {at})"
            for name in ran
        ]
        values += [f"({at}, {generation}, 'SOV-19-01', 1, unhex(repeat('cd', 32)), 'window', 4, 1200, 2, 1, 0, {at})"]
    columns = (
        "hour, generation, control_id, control_version, control_digest, looks_at, entries, events_seen, satisfied,"
        " violated, undetermined, watermark"
    )
    admin.command(f"INSERT INTO control_runs_built ({columns}) VALUES {', '.join(values)}")
    admin.command(
        "INSERT INTO message_actions (attempt_id, event_id, action_id, tenant, action, who, reason, attributes,"
        f" topic_id, kafka_offset, record_index, received_at) VALUES (generateUUIDv4(), '{_ACTION}', '{_ACTION}',"
        f" 'default', 'control.seal', 'onshore sequencer', '', map('onshore.control_runs.hour',"
        f" '{hour:%Y-%m-%dT%H:%M:%SZ}',"
        f" 'onshore.control_runs.root', 'ab', 'onshore.control_runs.rows', '5'), '{_TOPIC}', 0, 0, now64(9))"
    )
