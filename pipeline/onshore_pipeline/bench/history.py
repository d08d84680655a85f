"""A large store for little: a few events go the real way, then the engine copies their rows over three months."""

# ruff: noqa: S608 - what is put into the text are names and numbers of ours

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from onshore_pipeline.jobs.aggregate import attempts_behind, rebuild
from onshore_pipeline.sequencer import Sequencer

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.broker import EntryReader

_DAYS: Final = 90
_ROWS_AT_ONCE: Final = 1_000_000
# Blocks of wide rows that fit into the store's memory. ARRAY JOIN repeats rows at a third of what a cross join takes.
SMALL_BLOCKS: Final = "SETTINGS max_block_size = 4096, min_insert_block_size_rows = 65536, max_threads = 1"
_FRESH: Final = "reinterpretAsUUID(sipHash128(event_id, copy))"  # the same in every table
# What a copy changes: times move by `moved` seconds; what identifies a row is new.
_TABLES: Final = {
    "events": {
        "event_id": _FRESH,
        **{name: f"{name} + toIntervalSecond(moved)" for name in ("occurred_at", "observed_at", "ingested_at")},
    },
    "violations": {
        "event_id": _FRESH,
        **{name: f"{name} + toIntervalSecond(moved)" for name in ("occurred_at", "ingested_at")},
    },
    **{
        name: {"hour": "toStartOfHour(hour + toIntervalSecond(moved))"}
        for name in ("message_verdicts", "message_flows", "message_access")
    },
    "message_collectors": {
        name: f"{name} + toIntervalSecond(moved)" for name in ("received_at", "last_occurred")
    },
    "evidence_log": {
        "appended_at": "appended_at + toIntervalSecond(moved)",
        **{name: f"{name} + 1000000 * (copy + 1)" for name in ("log_position", "log_index", "offset")},
    },
}  # fmt: skip


def multiply(client: Client, reader: EntryReader, copies: int) -> None:
    """Copy every fact `copies` times, evenly over the three months before now, and rebuild the rollups.

    Args:
        client: a writing connection; what is there is committed.
        reader: of the log that named it.
        copies: how many times what is there.
    """
    sequencer = Sequencer(reader, client)  # while the store still agrees with the log
    # Asked once: rows of two tables that belong together move by the same.
    late = "SELECT toUnixTimestamp(now()) - max(toUnixTimestamp64Second(occurred_at)) FROM events"
    newest_moves_by = int(client.query(late).result_rows[0][0])
    rows = int(client.query("SELECT count() FROM events").result_rows[0][0])
    step, at_once = _DAYS * 86_400 // max(1, copies), max(1, _ROWS_AT_ONCE // rows)
    for table, changed in _TABLES.items():
        client.command(f"CREATE TABLE {table}_one AS {table}")
        client.command(f"INSERT INTO {table}_one SELECT * FROM {table}")
        changes = ", ".join(f"{change} AS {name}" for name, change in changed.items())
        for first in range(0, copies, at_once):
            client.command(
                f"INSERT INTO {table} WITH {newest_moves_by} - toInt64(copy) * {step} AS moved"
                f" SELECT one.* REPLACE ({changes}) FROM {table}_one AS one"
                f" ARRAY JOIN range({first}, {min(copies, first + at_once)}) AS copy {SMALL_BLOCKS}"
            )
        client.command(f"DROP TABLE {table}_one")
    client.command("DELETE FROM rollup_runs WHERE 1")
    rebuild(client, attempts_behind(client), sequencer.position, sequencer.log_id)
