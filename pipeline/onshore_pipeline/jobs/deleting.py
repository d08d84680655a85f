"""Deletes rows that no reader sees any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import structlog

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clickhouse_connect.driver.client import Client

log = structlog.get_logger("deleting")

_UNFINISHED: Final = """
SELECT count(), max(latest_fail_reason) FROM system.mutations
WHERE database = currentDatabase() AND table = {table:String} AND NOT is_done
"""


def delete(
    client: Client,
    table: str,
    condition: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    at_least: int = 1,
    wait: bool = True,
) -> int:
    """Delete the rows of `table` that meet a condition, if there are at least so many; how many there were.

    A DELETE is dear even where it finds nothing, and half a second is idled away over it. Without `wait` this returns
    when the store has noted it, which does it later, also after it was killed; and nothing is asked for while an
    earlier one of this table is not done.
    """
    asked = dict(parameters or {})
    found = int(client.query(f"SELECT count() FROM {table} WHERE {condition}", parameters=asked).result_rows[0][0])  # noqa: S608 - fixed text
    if found < at_least or not (wait or _is_idle(client, table)):
        return 0
    settings = None if wait else {"lightweight_deletes_sync": 0}
    client.command(f"DELETE FROM {table} WHERE {condition}", parameters=asked, settings=settings)  # noqa: S608 - fixed text
    return found


def _is_idle(client: Client, table: str) -> bool:
    """Whether no deletion of this table waits for the store; one that failed is said."""
    asked = {"table": table}
    waiting, reason = client.query(_UNFINISHED, parameters=asked).result_rows[0]
    if reason:
        log.warning("rows that nobody sees are not deleted", table=table, reason=reason)
    return not waiting
