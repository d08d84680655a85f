"""What came of the newest messages, as the store tells it: where a worker that starts begins to count."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from onshore_pipeline.dead_letter_limit import DeadLetterLimit, DeadLetterWatch, Outcome
from onshore_pipeline.store.connect import store_errors

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.settings import Settings

# An entry that was copied twice counts once.
_NEWEST: Final = """
SELECT dateDiff('millisecond', appended_at, now64(9, 'UTC')) / 1000 AS age_s, records, dead_lettered, events
FROM evidence_log WHERE kind = 'message' AND appended_at > now64(9, 'UTC') - INTERVAL 1 HOUR
ORDER BY appended_at DESC LIMIT 1 BY topic_id, partition, log_index LIMIT {messages:UInt32}
"""


def watch(client: Client, settings: Settings) -> DeadLetterWatch:
    """A watch over the limits that `settings` set, which knows what was committed in the last hour.

    Raises `StoreUnavailable`.
    """
    limit = DeadLetterLimit(
        settings.max_dead_letter_share, settings.max_dead_letters_per_minute, settings.dead_letter_floor
    )
    with store_errors():
        rows = client.query(_NEWEST, parameters={"messages": limit.window_messages}).result_rows
    now_s = time.monotonic()
    seen = [
        Outcome(now_s - max(0.0, float(age_s)), 1, int(records), int(dead), int(dead > 0), int(dead > 0 and not events))
        for age_s, records, dead, events in reversed(rows)
    ]
    return DeadLetterWatch(limit, seen)
