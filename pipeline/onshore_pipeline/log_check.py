"""Is the log the one that the store was copied from, and not an older copy of it?

A log that was put back from a backup would hand out offsets again that sealed entries name already. Whoever works with
it asks this first: the newest entry that the store has copied must stand in the log, where it stood, byte for byte.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import UUID

from onshore_pipeline.errors import LogCut, OnshoreError
from onshore_pipeline.evidence.merkle import leaf_hash
from onshore_pipeline.store.connect import store_errors

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.broker import EntryReader

_NO_LOG: Final = str(UUID(int=0))
_PATIENCE_S: Final = 5.0
_NEWEST: Final = """
SELECT log_partition, max(log_position) AS position, argMax(entry_hash, log_position) FROM evidence_log
WHERE log_id IN ({log:UUID}, {none:UUID}) GROUP BY log_partition
"""


class LogBehindStore(OnshoreError):
    """The evidence log lacks what the store has copied from it: offsets would be used twice. Nothing may be sealed."""


def refuse_older_log(reader: EntryReader, client: Client) -> None:
    """Make sure that the log still holds the newest entry that the store has copied from it.

    Raises:
        LogBehindStore: it does not; the text says what to do.
        StoreUnavailable, BrokerUnavailable: try again later.
    """
    with store_errors():
        rows = client.query(_NEWEST, parameters={"log": str(reader.log_id), "none": _NO_LOG}).result_rows
    for partition, position, entry_hash in rows:
        after = {int(partition): int(position) - 1}
        try:
            read = reader.read(after=after, max_entries=1, timeout_s=_PATIENCE_S)
        except LogCut:
            read = ()
        found = [each for each in read if (each.partition, each.position) == (int(partition), int(position))]
        if not found:
            raise LogBehindStore(_words(f"ends before entry {position}, which the store has copied from it"))
        if leaf_hash(found[0].value) != bytes(entry_hash):
            raise LogBehindStore(_words(f"holds another entry {position} than the one that the store has copied"))


def _words(what: str) -> str:
    return (
        f"the evidence log {what}: an older copy of it was put back, and offsets would be used twice; put the newest"
        " copy back. If there is none of a local log: stop all and begin a new one (`onshore new-log --leave-waiting`);"
        " messages that wait in the old one are then not read"
    )
