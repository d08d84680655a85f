"""Hourly rollups of who was heard and which numbers came; built with the others, see `aggregate`."""

from __future__ import annotations

from typing import Final

# Target → source of facts, and the statement that builds some hours of it.
COVERAGE_HOURLY: Final[dict[str, tuple[str, str]]] = {
    "heard_hourly_built": (
        "message_collectors_current",
        """
INSERT INTO heard_hourly_built
SELECT hour, {generation:UInt64}, tenant, collector_id, source_format, kafka_topic, resource, losses,
    groupBitOr(minutes), sum(events), sum(heartbeats), sum(dropped), max(last_occurred), max(received_at),
    min(least_delay_ms), min(least_heartbeat_delay_ms)
FROM message_collectors_current WHERE hour IN (SELECT toDateTime64(arrayJoin({hours:Array(String)}), 0, 'UTC'))
GROUP BY hour, tenant, collector_id, source_format, kafka_topic, resource, losses
""",
    ),
    # A message that was assessed twice (its dead letters were replayed) came once. Islands: a number begins one when
    # none of the smaller ones reaches up to it.
    "sequences_hourly_built": (
        "message_sequences_current",
        """
INSERT INTO sequences_hourly_built
SELECT hour, {generation:UInt64}, tenant, collector_id, run, min(first), max(last), sum(last - first + 1),
    min(received_at), max(received_at)
FROM (
    SELECT *, sum(begins) OVER (PARTITION BY hour, tenant, collector_id, run ORDER BY first, last, place) AS island
    FROM (
        SELECT *, place = 1 OR first > reached + 1 AS begins
        FROM (
            SELECT *, row_number() OVER before AS place,
                max(last) OVER (before ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reached
            FROM (
                SELECT hour, tenant, collector_id, run, first, last, topic_id, kafka_partition, kafka_offset,
                    any(received_at) AS received_at
                FROM message_sequences_current
                WHERE hour IN (SELECT toDateTime64(arrayJoin({hours:Array(String)}), 0, 'UTC'))
                GROUP BY hour, tenant, collector_id, run, first, last, topic_id, kafka_partition, kafka_offset
            )
            WINDOW before AS (
                PARTITION BY hour, tenant, collector_id, run
                ORDER BY first, last, topic_id, kafka_partition, kafka_offset
            )
        )
    )
)
GROUP BY hour, tenant, collector_id, run, island
""",
    ),
}
