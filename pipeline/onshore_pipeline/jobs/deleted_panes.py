"""Panes of windows whose events were deleted: they go when no event that they were added up from is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from onshore_pipeline.failpoints import nowhere
from onshore_pipeline.store.connect import store_errors

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from clickhouse_connect.driver.client import Client

PANE_TABLES: Final = ("windowed_panes", "windowed_panes_built")

# ruff: noqa: S608 - fixed names
_NAMES_GONE: Final = "hasAny(samples, (SELECT groupArray(event_id) FROM leaves WHERE deletion_id = {deletion:UUID}))"


def delete_panes(client: Client, deletion: UUID, at: Callable[[str], None] = nowhere) -> None:
    """Delete what one deletion left nothing of, from the disk too; its facts are gone. Again changes nothing.

    Raises:
        StoreUnavailable: do it again later.
    """
    named = {"deletion": str(deletion)}
    for table in PANE_TABLES:
        left = f"""SELECT p.rule, p.key_hash, p.pane FROM {table} AS p
            INNER JOIN windowed_facts AS f ON f.rule = p.rule AND f.key_hash = p.key_hash
            WHERE {_NAMES_GONE} AND f.at BETWEEN p.first_at AND p.last_at"""
        empty = f"{_NAMES_GONE} AND (rule, key_hash, pane) NOT IN ({left})"
        with store_errors():
            # A mutation is dear even where it changes nothing.
            if int(client.query(f"SELECT count() FROM {table} WHERE {empty}", parameters=named).result_rows[0][0]):
                client.command(f"DELETE FROM {table} WHERE {empty}", parameters=named)
                client.command(f"ALTER TABLE {table} APPLY DELETED MASK SETTINGS mutations_sync = 2")
        at(f"14.{table}")
