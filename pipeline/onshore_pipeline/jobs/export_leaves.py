"""Leaves of messages of which events were deleted: what is gone stands for itself, so that the rest can be proved."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from onshore_pipeline.evidence.tree_proofs import multiproof_ranges, range_roots

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from onshore_pipeline.jobs.export_scope import LoggedEntry
    from onshore_pipeline.store.reader import Reader

_DELETED: Final = """
SELECT toString(attempt_id) AS attempt, toString(topic_id) AS topic_id, kafka_partition, kafka_offset, record_index,
    toString(event_id) AS event_id, lower(hex(leaf_hash)) AS leaf, toString(deletion_id) AS deletion
FROM leaves_deleted WHERE attempt_id IN {attempts:Array(UUID)}
ORDER BY topic_id, kafka_partition, kafka_offset, record_index
"""
_DELETIONS: Final = """
SELECT toString(deletion_id) AS id, any(tenant) AS tenant, any(domain) AS domain, any(rule) AS rule,
    any(events) AS events, toUnixTimestamp64Nano(min(first_at)) AS first_at,
    toUnixTimestamp64Nano(max(last_at)) AS last_at, any(root) AS root
FROM deletions WHERE deletion_id IN {ids:Array(UUID)} AND step = 'sealed' GROUP BY deletion_id ORDER BY id
"""
_DELETED_SCHEMA: Final = {
    "message": pl.UInt32(), "record_index": pl.UInt32(), "event_id": pl.String(), "leaf": pl.String(),
    "deletion": pl.String(),
}  # fmt: skip


def places_of(entries: Sequence[LoggedEntry]) -> pl.DataFrame:
    """`attempt`, `topic_id`, `kafka_partition`, `kafka_offset` of each entry, and its number as `message`."""
    return pl.DataFrame(
        {
            "attempt": [entry.told["attempt"] for entry in entries],
            "topic_id": [entry.told["topic_id"] for entry in entries],
            "kafka_partition": pl.Series([entry.told["partition"] for entry in entries], dtype=pl.UInt32),
            "kafka_offset": pl.Series([entry.told["offset"] for entry in entries], dtype=pl.UInt64),
            "message": pl.Series(range(len(entries)), dtype=pl.UInt32),
        }
    )


KEYS: Final = ("attempt", "topic_id", "kafka_partition", "kafka_offset")


class DeletedLeaves:
    """Reads what retention deleted of messages; asks the store only where it deleted anything."""

    def __init__(self, reader: Reader) -> None:
        """Ask whether there is any."""
        self._reader = reader
        self._any = bool(reader.rows("SELECT 1 FROM leaves LIMIT 1"))
        self.deletions: set[str] = set()

    def of(self, entries: Sequence[LoggedEntry]) -> pl.DataFrame:
        """`message`, `record_index`, `event_id`, `leaf` (hexadecimal), `deletion` of each deleted event of these."""
        if not self._any:
            return pl.DataFrame(schema=_DELETED_SCHEMA)
        attempts = {"attempts": list(dict.fromkeys(entry.told["attempt"] for entry in entries))}
        found = self._reader.frame(_DELETED, attempts).join(places_of(entries), on=list(KEYS), how="inner")
        found = found.select(pl.col(name).cast(kind) for name, kind in _DELETED_SCHEMA.items())
        self.deletions |= set(found["deletion"].unique())
        return found


def deletions(reader: Reader, ids: Iterable[str]) -> list[dict[str, Any]]:
    """What each deletion's tombstone says; times in nanoseconds since 1970."""
    rows = reader.rows(_DELETIONS, {"ids": sorted(ids)})
    return [{name: int(v) if isinstance(v, int) else str(v) for name, v in row.items()} for row in rows]


@dataclass(frozen=True, slots=True)
class Leaves:
    """The leaves of some messages, in order of message and record index.

    Attributes:
        hashes: (n, 32) bytes.
        row: for each the number of its event among those that are there; -1: it was deleted.
        sizes: how many each message has.
        deleted: by message, [position, record index, leaf, deletion] of each that was deleted.
    """

    hashes: NDArray[np.uint8]
    row: NDArray[np.int64]
    sizes: NDArray[np.int64]
    deleted: dict[int, list[list[Any]]] = field(default_factory=dict)


def all_leaves(events: pl.DataFrame, hashes: NDArray[np.uint8], deleted: pl.DataFrame, messages: int) -> Leaves:
    """The leaves of events that are there (`hashes`, in the order of `events`) and of those that were deleted."""
    held = np.arange(events.height, dtype=np.int64)
    if deleted.is_empty():
        return Leaves(hashes, held, _count(events["message"].to_numpy(), messages))
    gone = np.frombuffer(b"".join(bytes.fromhex(each) for each in deleted["leaf"]), np.uint8).reshape(-1, 32)
    message = np.concatenate([events["message"].to_numpy(), deleted["message"].to_numpy()]).astype(np.int64)
    index = np.concatenate([events["record_index"].to_numpy(), deleted["record_index"].to_numpy()]).astype(np.int64)
    order = np.lexsort((index, message))
    row = np.concatenate([held, np.full(deleted.height, -1, np.int64)])[order]
    sizes = _count(message, messages)
    starts = np.cumsum(sizes) - sizes
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    told: dict[int, list[list[Any]]] = {}
    places = rank[events.height :]
    for at, (number, record, _, leaf, deletion) in zip(places.tolist(), deleted.iter_rows(), strict=True):
        told.setdefault(number, []).append([at - int(starts[number]), record, leaf, deletion])
    return Leaves(np.concatenate([hashes, gone])[order], row, sizes, {n: sorted(rows) for n, rows in told.items()})


def _count(message: NDArray[Any], messages: int) -> NDArray[np.int64]:
    return np.bincount(message, minlength=messages).astype(np.int64)


def message_rows(
    entries: Sequence[LoggedEntry],
    message: pl.Series,
    keep: pl.Series,
    leaves: Leaves,
    files: tuple[pl.Series, pl.Series, pl.DataFrame],
    silent: set[int],
) -> dict[int, list[Any]]:
    """The row of `proofs/messages.ndjson` of each entry; `keep` says which events are shown."""
    kept, of_verdicts = message.filter(keep).to_numpy(), files[2]["message"].to_numpy()
    number = len(entries)
    shown = np.bincount(kept, minlength=number)
    judged = np.bincount(of_verdicts, minlength=number)
    sizes_of = [
        np.bincount(owner, lines.str.len_bytes().to_numpy().astype(np.float64) + 1, minlength=number).astype(np.int64)
        for owner, lines in ((kept, files[0]), (kept, files[1]), (of_verdicts, files[2]["line"]))
    ]
    sizes = leaves.sizes
    starts = np.cumsum(sizes) - sizes
    mask = np.append(keep.to_numpy(), False)[leaves.row]
    about = {}
    for n, entry in enumerate(entries):
        verdicts = None if n in silent else int(judged[n])
        row: list[Any] = [int(shown[n]), verdicts, *(int(each[n]) for each in sizes_of)]
        sealed = entry.told["events"]
        if shown[n] != sealed:
            inside = slice(int(starts[n]), int(starts[n] + sizes[n]))
            is_whole = sizes[n] == sealed
            positions = np.flatnonzero(mask[inside]).tolist() if is_whole else []
            gone = leaves.deleted.get(n, []) if is_whole else []
            known = sorted([*positions, *(each[0] for each in gone)])
            row += [positions, _hashes(known, sealed, leaves.hashes[inside], entry.told["events_root"])]
            row += [gone] if gone else []
        about[entry.index] = row
    return about


def _hashes(positions: list[int], sealed: int, leaves: NDArray[np.uint8], root: str) -> list[str]:
    if not positions:
        return [root]
    return [each.hex() for each in range_roots(leaves, multiproof_ranges(positions, sealed))]
