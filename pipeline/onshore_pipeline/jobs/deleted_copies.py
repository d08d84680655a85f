"""What rows that stay repeat of deleted events: the parties' ids, addresses and hosts in fingerprints are closed.

A violation stays with its event's id, control, time and finding: the sealed verdicts are derived from it, and counts
are counts of it. What its fingerprint tells of a party goes when its event goes; what a finding's or a window's tells,
when no event behind it is left. Columns that a bundle never redacts (dataset, country, entity) stay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from onshore_pipeline.controls.fingerprints import UNKNOWN
from onshore_pipeline.domain.event import EVENT_COLUMNS, InLine
from onshore_pipeline.failpoints import nowhere
from onshore_pipeline.store.connect import store_errors

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from clickhouse_connect.driver.client import Client

# Stands in the place of a value.
DELETED: Final = "deleted"
CLOSED_COLUMNS: Final = tuple(column.name for column in EVENT_COLUMNS if column.line is InLine.COMMITTED)

_NAMES: Final = "[" + ", ".join(f"'{name}'" for name in CLOSED_COLUMNS) + "]"
_TELLS: Final = f"has({_NAMES}, k) AND v NOT IN ('{UNKNOWN}', '{DELETED}')"


def _closed(column: str) -> str:
    return f"{column} = mapApply((k, v) -> (k, if({_TELLS}, '{DELETED}', v)), {column})"


def _open(column: str) -> str:
    return f"arrayExists((k, v) -> {_TELLS}, mapKeys({column}), mapValues({column}))"


# ruff: noqa: S608 - fixed names, and an id of ours
_GONE: Final = "(SELECT event_id FROM leaves WHERE deletion_id = toUUID('{deletion}'))"
# A window names some of its events; it is closed when none of those is left, and one of them went with this deletion.
_WINDOWS: Final = f"""(
    SELECT unit_id FROM (
        SELECT unit_id, arrayJoin(sample_event_ids) AS event FROM windowed_verdicts_built WHERE {_open("fingerprint")}
    ) GROUP BY unit_id
    HAVING countIf(event IN {_GONE}) > 0 AND countIf(event NOT IN (
        SELECT event_id FROM leaves WHERE event_id IN (SELECT arrayJoin(sample_event_ids) FROM windowed_verdicts_built)
    )) = 0
)"""
_OF_EVENTS: Final = f"""(
    SELECT finding_id FROM violations WHERE finding_id IN (SELECT finding_id FROM violations WHERE event_id IN {_GONE})
    GROUP BY finding_id HAVING countIf({_open("fingerprint")}) = 0
)"""
_OF_WINDOWS: Final = f"""(
    SELECT finding_id FROM windowed_verdicts_built GROUP BY finding_id HAVING countIf({_open("fingerprint")}) = 0
)"""
# Table → what is closed in it, and where. Findings come last: they follow from the others.
_STEPS: Final = (
    ("violations", _closed("fingerprint"), f"event_id IN {_GONE} AND {_open('fingerprint')}"),
    ("windowed_verdicts_built", f"{_closed('fingerprint')}, {_closed('key')}", f"unit_id IN {_WINDOWS}"),
    (
        "findings_built",
        _closed("fingerprint"),
        f"{_open('fingerprint')} AND (finding_id IN {_OF_EVENTS} OR finding_id IN {_OF_WINDOWS})",
    ),
)
CLOSED_TABLES: Final = tuple(table for table, _, _ in _STEPS)


def close_copies(client: Client, deletion: UUID, at: Callable[[str], None] = nowhere) -> None:
    """Close what rows repeat of the events of one deletion, on the disk too; doing it again changes nothing.

    Raises:
        StoreUnavailable: do it again later.
    """
    for table, change, where in _STEPS:
        chosen = where.replace("{deletion}", str(deletion))
        with store_errors():
            # A mutation is dear even where it changes nothing.
            if int(client.query(f"SELECT count() FROM {table} WHERE {chosen}").result_rows[0][0]):
                client.command(f"ALTER TABLE {table} UPDATE {change} WHERE {chosen} SETTINGS mutations_sync = 2")
        at(f"14.{table}")


def with_closed(violations: pa.Table, deleted: pa.Array) -> pa.Table:
    """Rows of `violations` that were made again, closed as `close_copies` did; `deleted` are ids of 16 bytes."""
    gone = pc.is_in(violations["event_id"], value_set=deleted).to_numpy()
    if not gone.any():
        return violations
    maps = pa.concat_arrays(violations["fingerprint"].chunks)
    counts = np.diff(maps.offsets.to_numpy())
    told = pc.and_(
        pc.is_in(maps.keys, value_set=pa.array(CLOSED_COLUMNS, maps.keys.type)),
        pc.invert(pc.is_in(maps.items, value_set=pa.array([UNKNOWN, DELETED], maps.items.type))),
    )
    closed = pc.if_else(pc.and_(told, pa.array(np.repeat(gone, counts))), DELETED, maps.items)
    place = violations.schema.get_field_index("fingerprint")
    field = violations.schema.field(place)
    made = pa.MapArray.from_arrays(maps.offsets, maps.keys, closed).cast(field.type)
    return violations.set_column(place, field, made)
