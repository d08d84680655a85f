"""Canonical lines made from rows of the store and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import evidence_reference as reference
from onshore_pipeline.domain.event import EVENT_COLUMNS, InLine, Kind

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

LINE_NAMES = [column.name for column in EVENT_COLUMNS if column.line is not InLine.OUTSIDE]
_SPELLED = {
    # A client's clock values end at microseconds; the store's integers do not.
    Kind.TIME: "toUnixTimestamp64Nano({})",
    Kind.ADDRESS: "lower(hex({}))",
    Kind.TRACE_ID: "lower(hex({}))",
    Kind.SPAN_ID: "lower(hex({}))",
}


def stored_events(client: Client) -> list[dict[str, Any]]:
    """Every committed event, every column: times as nanoseconds, addresses and trace ids as hex, the rest as it is."""
    columns = ", ".join(f"{_SPELLED.get(each.kind, '{}').format(each.name)} AS `{each.name}`" for each in EVENT_COLUMNS)
    return list(client.query(f"SELECT {columns} FROM events_current").named_results())


def line_of(row: dict[str, Any], master: bytes, month: str | None = None) -> bytes:
    """The canonical line of a row of `stored_events`; `master` is the deployment's secret.

    `month` (YYYY-MM) is that of the message's timestamp, which an event has only where the broker stamped it.
    """
    month = month or datetime.fromtimestamp(row["ingested_at"] // 10**9, UTC).strftime("%Y-%m")
    key = reference.salt_key(master, row["tenant"], month)
    message = (row["topic_id"], row["kafka_partition"], row["kafka_offset"])
    return reference.line(
        LINE_NAMES,
        row,
        reference.event_salt(key, reference.identity(*message, row["record_index"])),
        reference.resource_salt(key, *message, row["resource_attributes"]),
    )
