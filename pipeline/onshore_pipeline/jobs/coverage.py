"""Findings about what no verdict covers: offsets without a message, and sealed messages that nobody has any more.

Counted from the evidence log, as a whole for each topic that new entries touched, so that building them again gives the
same. Their controls have no conditions (`controls/packs/coverage`): no event can violate them.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Final
from uuid import UUID

from onshore_pipeline.jobs.portions import portions

if TYPE_CHECKING:
    from collections.abc import Collection

    from clickhouse_connect.driver.client import Client

GAPS, LOST = "ONS-COV-01", "ONS-COV-02"
VERSION: Final = 1
_GROUP_BY: Final = ("tenant", "kafka_topic", "kafka_partition")

_TOUCHED: Final = """
SELECT DISTINCT toString(topic) FROM evidence_log
WHERE kind IN ('gap', 'lost') AND attempt_id IN {attempts:Array(UUID)}
"""

# An entry may stand twice until parts merge. The last `empty` offsets of a gap never were messages.
_GAPS: Final = """
SELECT 'unknown' AS tenant, topic, partition, min(appended_at), max(appended_at), sum(deleted)
FROM (
    SELECT topic, partition, appended_at, end_offset - offset - JSONExtractUInt(entry, 'empty') AS deleted
    FROM evidence_log WHERE kind = 'gap' AND topic IN {topics:Array(String)}
    LIMIT 1 BY topic_id, partition, log_index
)
WHERE deleted > 0 GROUP BY topic, partition
"""
_LOST: Final = """
SELECT tenant, topic, partition, min(first_called_lost), max(last_called_lost), sum(records)
FROM (
    SELECT any(tenant) AS tenant, any(topic) AS topic, partition, minIf(called_lost_at, is_lost) AS first_called_lost,
        max(called_lost_at) AS last_called_lost,
        toUInt64(sumIf(events, is_lost) + greatest(0, toInt64(sumIf(dead_lettered, is_lost)) - sum(amended))) AS records
    FROM (
        SELECT sealed.*, called_lost_at, called_lost_at != toDateTime64(0, 9, 'UTC') AS is_lost FROM (
            SELECT tenant, topic, topic_id, partition, offset, attempt_id, events, dead_lettered,
                JSONExtractInt(entry, 'amended') AS amended
            FROM evidence_log WHERE kind IN ('message', 'amends') AND topic_id IN (
                SELECT topic_id FROM evidence_log WHERE kind = 'lost' AND topic IN {topics:Array(String)}
            ) LIMIT 1 BY topic_id, partition, log_index
        ) AS sealed
        LEFT JOIN (
            SELECT topic_id, partition, arrayJoin(range(offset, end_offset)) AS offset, attempt_id,
                min(appended_at) AS called_lost_at
            FROM evidence_log WHERE kind = 'lost' AND topic IN {topics:Array(String)} GROUP BY ALL
        ) AS lost USING (topic_id, partition, offset, attempt_id)
    )
    GROUP BY topic_id, partition, offset HAVING max(is_lost)
)
GROUP BY tenant, topic, partition
"""


def rebuild_coverage(client: Client, attempts: Collection[UUID], generation: int) -> int:
    """Write findings of this generation for the topics whose gap and lost entries name one of `attempts`; how many."""
    topics: set[str] = set()
    for some in portions(str(attempt) for attempt in attempts):
        topics.update(topic for (topic,) in client.query(_TOUCHED, parameters={"attempts": some}).result_rows)
    findings = [
        _finding(control, generation, *row)
        for control, counted in ((GAPS, _GAPS), (LOST, _LOST))
        for some in portions(sorted(topics))
        for row in client.query(counted, parameters={"topics": some}, query_formats={"DateTime64*": "int"}).result_rows
    ]
    if findings:
        client.insert("findings_built", findings)
    return len(findings)


def _finding(
    control: str,
    generation: int,
    tenant: str,
    topic: str,
    partition: int,
    first: int,
    last: int,
    n: int,
) -> list[object]:
    fingerprint = dict(zip(_GROUP_BY, (tenant, topic, str(partition)), strict=True))
    about = ("infrastructure", control, VERSION, "review", "high", fingerprint)
    return [finding_id(control, fingerprint), generation, tenant, *about, first, last, n, 0, []]


def finding_id(control: str, fingerprint: dict[str, str]) -> UUID:
    """As of every finding: from the control and the fingerprint's values (docs/controls.md)."""
    named = json.dumps([control, *fingerprint.values()], ensure_ascii=False, separators=(",", ":"))
    return UUID(bytes=hashlib.sha256(named.encode()).digest()[:16])
