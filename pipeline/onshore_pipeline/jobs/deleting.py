"""Deletes rows that no reader sees any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clickhouse_connect.driver.client import Client


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

    A DELETE is dear even where it finds nothing. Without `wait` the store has noted it and does it beside other work,
    also after it was killed: half a second, most of which it idles.
    """
    asked = dict(parameters or {})
    found = int(client.query(f"SELECT count() FROM {table} WHERE {condition}", parameters=asked).result_rows[0][0])  # noqa: S608 - fixed text
    if found >= at_least:
        settings = None if wait else {"lightweight_deletes_sync": 0}
        client.command(f"DELETE FROM {table} WHERE {condition}", parameters=asked, settings=settings)  # noqa: S608 - fixed text
    return found if found >= at_least else 0
