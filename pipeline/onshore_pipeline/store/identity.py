"""The store's own id, made by a migration; copies of the store share it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from onshore_pipeline.store.connect import StoreRefused, store_errors

if TYPE_CHECKING:
    from uuid import UUID

    from clickhouse_connect.driver.client import Client

# Two migrations at the same time may have made two: the older one counts.
_OLDEST: Final = "SELECT store_id FROM store_identity ORDER BY made_at, store_id LIMIT 1"


def store_id(client: Client) -> UUID:
    """Which store this is.

    Raises:
        StoreUnavailable: try again.
        StoreRefused: it has no id.
    """
    with store_errors():
        rows = client.query(_OLDEST).result_rows
    if not rows:
        raise StoreRefused("the store has no id: table store_identity is empty; put a copy of the store back")
    found: UUID = rows[0][0]
    return found
