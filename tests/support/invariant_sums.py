"""What is summed up must be the sum: counts of an attempt derive from its events, rollups from the counts."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from onshore_pipeline.controls.load import load_controls
from onshore_pipeline.jobs.coverage_rows import CONTROLS as MEASURED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clickhouse_connect.driver.client import Client

WINDOWED = tuple(each.control.id for each in load_controls().windowed)
_HOUR = "toUnixTimestamp(toStartOfHour(occurred_at))"
_NUMBER = "sum(toInt64(ifNull({}, 0)))"
_FLOWS = "tenant, domain, action, source_country, destination_country"
_ACCESS = "model_requested, model_served, model_endpoint, destination_country, destination_control_country"
_VERDICTS = "tenant, source_format, control_id, control_version, verdict, missing"


def _sum(*columns: str) -> str:
    return ", ".join(_NUMBER.format(column) for column in columns)


_FLOW_ROWS = f"{_FLOWS}, destination_basis, destination_control_country, {_sum('events', 'bytes')}"
_ACCESS_ROWS = f"tenant, {_ACCESS}, {_sum('calls', 'input_tokens', 'output_tokens')}"
_BUILT_HOUR = "toUnixTimestamp(hour)"

# What should be there, and what is: equal rows, whatever their order.
_PAIRS = {
    "message_flows": (
        f"""SELECT attempt_id, {_HOUR}, {_FLOWS}, destination_country_basis, destination_control_country,
        {_sum("1", "bytes")} FROM events_current GROUP BY ALL""",
        f"SELECT attempt_id, {_BUILT_HOUR}, {_FLOW_ROWS} FROM message_flows_current GROUP BY ALL",
    ),
    "message_access": (
        f"""SELECT attempt_id, {_HOUR}, tenant, {_ACCESS}, {_sum("1", "input_tokens", "output_tokens")}
        FROM events_current WHERE domain = 'model_access' GROUP BY ALL""",
        f"SELECT attempt_id, {_BUILT_HOUR}, {_ACCESS_ROWS} FROM message_access_current GROUP BY ALL",
    ),
    "message_collectors": (
        f"""SELECT attempt_id, tenant, ifNull(collector_id, '') AS collector, source_format, {_sum("1")},
        sum(toInt64(if(action = 'telemetry.gap', ifNull(item_count, 0), 0))), max(occurred_at)
        FROM events_current GROUP BY ALL""",
        f"""SELECT attempt_id, tenant, toString(collector_id), source_format, {_sum("events", "dropped")},
        max(last_occurred) FROM message_collectors_current GROUP BY ALL""",
    ),
    "verdict_counts": (
        f"SELECT {_BUILT_HOUR}, {_VERDICTS}, {_sum('events')} FROM message_verdicts_current GROUP BY ALL",
        f"SELECT {_BUILT_HOUR}, {_VERDICTS}, {_sum('events')} FROM verdict_counts GROUP BY ALL",
    ),
    "flows_hourly": (
        f"SELECT {_BUILT_HOUR}, {_FLOW_ROWS} FROM message_flows_current GROUP BY ALL",
        f"SELECT {_BUILT_HOUR}, {_FLOW_ROWS} FROM flows_hourly GROUP BY ALL",
    ),
    "access_hourly": (
        f"SELECT {_BUILT_HOUR}, {_ACCESS_ROWS} FROM message_access_current GROUP BY ALL",
        f"SELECT {_BUILT_HOUR}, {_ACCESS_ROWS} FROM access_hourly GROUP BY ALL",
    ),
    "findings": (
        f"""SELECT finding_id, {_sum("1", "bytes")}, min(occurred_at), max(occurred_at) FROM violations_current
        GROUP BY ALL""",
        # Coverage is measured against the clock and a register, windows are judged over many events: no sums of facts.
        f"""SELECT finding_id, toInt64(events), toInt64(bytes), first_seen, last_seen FROM findings
        WHERE control_id NOT IN {(*MEASURED, *WINDOWED)}""",
    ),
}
_SHOWN = 3


def sums_that_differ(client: Client) -> Iterator[str]:
    """A sentence for each table that is not the sum of what it sums up, with a few of its rows."""
    for name, (right, there) in _PAIRS.items():
        expected, found = (Counter(map(tuple, client.query(query).result_rows)) for query in (right, there))
        missing, extra = sorted((expected - found).elements(), key=str), sorted((found - expected).elements(), key=str)
        if missing or extra:
            yield (
                f"{name}: {len(missing)} rows are not what the facts say, such as {missing[:_SHOWN]};"
                f" there is {extra[:_SHOWN]}"
            )
