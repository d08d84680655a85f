"""The trees over the evidence log, grown from the store's copy of it: the whole log's, and each topic-partition's."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from uuid import UUID

import numpy as np
import pyarrow as pa

from onshore_pipeline.errors import EvidenceAltered
from onshore_pipeline.evidence.checkpoint import Checkpoint, deployment_head, deployment_origin, log_origin
from onshore_pipeline.evidence.frontier import Frontier
from onshore_pipeline.evidence.merkle import DIGEST_SIZE
from onshore_pipeline.store.connect import store_errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from clickhouse_connect.driver.client import Client
    from numpy.typing import NDArray

_AT_ONCE: Final = 200_000  # positions of the log
_STEP: Final = "6"
_NO_LOG: Final = str(UUID(int=0))  # of rows that were copied before logs had ids

# An entry that was copied twice stands twice until its parts merge.
_LAST: Final = "SELECT max(toInt64(log_position)) FROM evidence_log WHERE log_id IN ({log:UUID}, {none:UUID})"
_ENTRIES: Final = """
SELECT log_position, toString(topic_id) AS topic_id, partition, log_index, entry_hash FROM evidence_log
WHERE log_id IN ({log:UUID}, {none:UUID}) AND log_position > {after:Int64} AND log_position <= {until:Int64}
ORDER BY log_position LIMIT 1 BY log_position
"""
_EARLIER: Final = """
SELECT entry_hash FROM evidence_log
WHERE topic_id = {topic_id:UUID} AND partition = {partition:UInt32}
    AND log_index >= {first:UInt64} AND log_index < {end:UInt64}
ORDER BY log_index LIMIT 1 BY log_index
"""


@dataclass(slots=True)
class LogTrees:
    """Every tree of one evidence log, as large as it has grown so far.

    Attributes:
        log_id: the evidence log.
        whole: over all of its entries, in the order of their positions.
        logs: over each topic-partition's entries; those of earlier evidence logs come first.
        position: of the newest entry that is in them.
    """

    log_id: UUID
    whole: Frontier = field(default_factory=Frontier)
    logs: dict[tuple[UUID, int], Frontier] = field(default_factory=dict)
    position: int = -1

    def grow(self, client: Client, *, largest: int | None = None) -> None:
        """Take up what the store has copied; until the whole tree has `largest` leaves, where that is given.

        Raises:
            EvidenceAltered: the store's entries of a topic-partition are not numbered one after the other.
            StoreUnavailable: try again later; what was taken up stays.
        """
        for _ in self.walk(client, [] if largest is None else [largest], only_to_stops=largest is not None):
            pass

    def walk(self, client: Client, stops: Sequence[int], *, only_to_stops: bool = True) -> Iterator[int]:
        """Grow, and halt wherever the whole tree has as many leaves as the next of `stops` (rising) says: give that.

        Stops that the store's entries do not reach are not given. Raises as `grow`.
        """
        ahead = deque(stop for stop in stops if stop >= self.whole.size)
        asked = {"log": str(self.log_id), "none": _NO_LOG}
        with store_errors():
            last = int(client.query(_LAST, parameters=asked).result_rows[0][0] or 0)
        after = self.position
        while True:
            while ahead and ahead[0] == self.whole.size:
                yield ahead.popleft()
            if after >= last or (only_to_stops and not ahead):
                return
            until = min(after + _AT_ONCE, last)
            with store_errors():
                table = client.query_arrow(_ENTRIES, parameters=asked | {"after": after, "until": until})
            while ahead and ahead[0] <= self.whole.size + len(table):
                some = ahead[0] - self.whole.size
                self._take(client, table.slice(0, some))
                table = table.slice(some)
                yield ahead.popleft()
            if only_to_stops and not ahead:
                return
            self._take(client, table)
            after = until

    def heads(self, deployment: str) -> tuple[Checkpoint, tuple[Checkpoint, ...]]:
        """The head of the whole log, and that of every topic-partition's."""
        logs = tuple(
            Checkpoint(log_origin(deployment, topic_id, partition), tree.size, tree.root())
            for (topic_id, partition), tree in self.logs.items()
        )
        origin = deployment_origin(deployment, self.log_id)
        return deployment_head(origin, self.whole.size, self.whole.root(), logs), logs

    def _take(self, client: Client, table: pa.Table) -> None:
        if not len(table):
            return
        hashes = digests_of(table["entry_hash"])
        topics = table["topic_id"].to_numpy().astype("U36")
        partitions, indexes = table["partition"].to_numpy(), table["log_index"].to_numpy()
        names, which = np.unique(topics, return_inverse=True)
        # Partitions have 32 bits, so that both fit into one number to sort by.
        keys, which = np.unique(which.astype(np.uint64) << np.uint64(32) | partitions, return_inverse=True)
        for number, key in enumerate(keys):
            rows = np.flatnonzero(which == number)
            named = UUID(str(names[int(key) >> 32])), int(key) & 0xFFFFFFFF
            tree = self.logs.get(named) or self._begun(client, named, int(indexes[rows[0]]))
            if not np.array_equal(indexes[rows], np.arange(tree.size, tree.size + len(rows), dtype=np.uint64)):
                raise EvidenceAltered(
                    _STEP, f"evidence_log does not number the entries of {named[0]}/{named[1]} in order"
                )
            tree.extend(hashes[rows])
            self.logs[named] = tree
        self.whole.extend(hashes)
        self.position = int(table["log_position"][-1].as_py())

    def _begun(self, client: Client, named: tuple[UUID, int], size: int) -> Frontier:
        """The tree of what an earlier evidence log has of a topic-partition: usually nothing."""
        tree = Frontier()
        for first in range(0, size, _AT_ONCE):
            asked = {
                "topic_id": str(named[0]),
                "partition": named[1],
                "first": first,
                "end": min(first + _AT_ONCE, size),
            }
            with store_errors():
                tree.extend(digests_of(client.query_arrow(_EARLIER, parameters=asked)["entry_hash"]))
        return tree


def trees_at(client: Client, log_id: UUID, size: int) -> LogTrees:
    """Every tree of an evidence log as it was when the log had `size` entries; fewer if the store has not so many.

    Raises as `LogTrees.grow`.
    """
    trees = LogTrees(log_id)
    trees.grow(client, largest=size)
    return trees


def digests_of(column: pa.ChunkedArray | pa.Array) -> NDArray[np.uint8]:
    """A column of digests as an array of shape (rows, 32)."""
    fixed = column.cast(pa.binary(DIGEST_SIZE))
    parts = fixed.chunks if isinstance(fixed, pa.ChunkedArray) else [fixed]
    held = [np.zeros((0, DIGEST_SIZE), np.uint8)]
    held += [
        np.frombuffer(chunk.buffers()[1], np.uint8).reshape(-1, DIGEST_SIZE)[chunk.offset : chunk.offset + len(chunk)]
        for chunk in parts
        if len(chunk)
    ]
    return np.concatenate(held)
