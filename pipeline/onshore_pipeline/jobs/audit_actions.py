"""Audit of what people did: rows of `message_actions` are made again from the rows of their events, and compared.

Holds, waivers, findings' lives and sealed runs of controls are read from these rows, not from the events.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import polars as pl

from onshore_pipeline.action_facts import ACTION_ID
from onshore_pipeline.broker import ACTIONS_TOPIC
from onshore_pipeline.jobs.audit_problem import Problem
from onshore_pipeline.store.connect import store_errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.jobs.stored_events import StoredEvents

_ROWS: Final = """
SELECT attempt_id, event_id, toValidUTF8(action_id), toValidUTF8(toString(tenant)), toValidUTF8(toString(action)),
    toValidUTF8(who), toValidUTF8(reason), topic_id, kafka_offset, record_index, toUnixTimestamp64Nano(received_at),
    arraySort(arrayZip(arrayMap(k -> toValidUTF8(toString(k)), mapKeys(attributes)),
        arrayMap(v -> toValidUTF8(v), mapValues(attributes))))
FROM message_actions WHERE attempt_id IN {attempts:Array(UUID)}
"""
_COLUMNS: Final = (
    "attempt_id", "event_id", "action_id", "tenant", "action", "who", "reason", "topic_id", "kafka_offset",
    "record_index", "received_at", "attributes",
)  # fmt: skip

Row = tuple[Any, ...]


def action_problems(
    client: Client, named: Mapping[str, Any], stored: StoredEvents, entries: Sequence[Mapping[str, Any] | None]
) -> Iterator[Problem]:
    """Rows of `message_actions` that are not what operators' events say.

    Args:
        client: a connection.
        named: `attempts`, those that were read.
        stored: their events.
        entries: by message of theirs, the entry that names it.

    Raises:
        StoreUnavailable: try again later.
    """
    messages = [number for number, entry in enumerate(entries) if entry and entry["topic"] == ACTIONS_TOPIC]
    if not messages:  # rows of no event are counted elsewhere (`incomplete`)
        return
    with store_errors():
        rows = client.query(_ROWS, parameters=dict(named)).result_rows
    held = Counter(_comparable(row) for row in rows)
    made = Counter(_made(stored, entries, messages))
    missing = {row[1]: row for row in made - held}
    for row in held - made:
        expected = missing.pop(row[1], None)
        if expected is None:
            yield _problem("inserted", row[1], "a row that no event gives")
            continue
        differs = [name for name, a, b in zip(_COLUMNS, row, expected, strict=True) if a != b]
        yield _problem("altered", row[1], f"its row says another {', '.join(differs)} than its event")
    for event in missing:
        yield _problem("missing", event, "it has no row")


def _problem(what: str, event: bytes, why: str) -> Problem:
    event_id = str(UUID(bytes=event))
    return Problem(what, f"message_actions, event {event_id}", why, {"table": "message_actions", "event_id": event_id})


def _comparable(row: Sequence[Any]) -> Row:
    attempt, event, *texts, topic, offset, index, received, pairs = row
    return (attempt.bytes, event.bytes, *texts, topic.bytes, offset, index, received, tuple(map(tuple, pairs)))


def _made(stored: StoredEvents, entries: Sequence[Mapping[str, Any] | None], messages: Sequence[int]) -> Iterator[Row]:
    """The rows as the worker made them (`action_facts`)."""
    events = stored.events.filter(pl.col("message").is_in(messages))
    own = stored.attributes.filter(pl.col("row").is_in(events["row"].implode()))
    pairs = {
        row: tuple(zip(keys, texts, strict=True)) for row, keys, texts in own.group_by("row").agg("key", "text").rows()
    }
    asked = ("row", "message", "attempt_id", "event_id", "action", "actor_id", "reason", "topic_id", "kafka_offset")
    for row, message, attempt, event, action, who, reason, topic, offset, index in events.select(
        *asked, "record_index"
    ).rows():
        entry, told = entries[message], pairs.get(row, ())
        assert entry is not None
        texts = (dict(told).get(ACTION_ID, ""), entry["tenant"], action or "", who or "", reason or "")
        yield (attempt, event, *texts, topic, offset, index, int(entry["timestamp"]), tuple(sorted(told)))
