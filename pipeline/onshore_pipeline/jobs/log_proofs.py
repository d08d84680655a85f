"""Proofs about the evidence log as a whole, made from the store's copy of it in one pass and bounded memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from onshore_pipeline.errors import EvidenceAltered, OnshoreError
from onshore_pipeline.evidence.checkpoint import Checkpoint, parse_checkpoint
from onshore_pipeline.evidence.frontier import Frontier
from onshore_pipeline.evidence.merkle import DIGEST_SIZE
from onshore_pipeline.evidence.signed_note import parse_note
from onshore_pipeline.evidence.tree_proofs import Range, consistency_ranges, inclusion_ranges, multiproof_ranges

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from uuid import UUID

    from numpy.typing import NDArray

    from onshore_pipeline.store.reader import Reader

_AT_ONCE: Final = 200_000
_STEP: Final = "6"
# Entries of one evidence log; rows that were copied before logs had ids belong to the one there is.
OF_LOG: Final = "log_id IN ({log:UUID}, toUUID('00000000-0000-0000-0000-000000000000'))"
_HASHES: Final = f"""
SELECT log_position, entry_hash FROM evidence_log WHERE {OF_LOG} AND log_position >= {{after:UInt64}}
ORDER BY log_position LIMIT 1 BY log_position LIMIT {{most:UInt64}}
"""  # noqa: S608 - fixed text
_HEADS: Final = """
SELECT note, size, toUnixTimestamp(signed_at) AS stamp, toString(log_id) AS log_name FROM checkpoints
WHERE kind = 'deployment'
"""
# A head that was signed again in silence may have been cosigned again: a witness's last word is enough.
_WITNESSED: Final = """
SELECT size, text, arrayMap(each -> each.2, arraySort(groupArray((witness, line)))) AS lines FROM (
    SELECT size, text, witness, argMax(line, witnessed_at) AS line FROM cosignatures
    WHERE origin = {origin:String} AND size <= {size:UInt64} GROUP BY size, text, witness
) GROUP BY size, text ORDER BY size DESC LIMIT 1
"""
_OF_SIZE: Final = f"{_HEADS} AND origin = {{origin:String}} AND size = {{size:UInt64}} ORDER BY signed_at DESC"


@dataclass(frozen=True, slots=True)
class KnownHead:
    """A signed head of the deployment, as it stands in the store.

    Attributes:
        note: the note, byte for byte.
        head: what it says.
        signed_at: seconds since 1970.
        log_id: the evidence log it is about.
    """

    note: bytes
    head: Checkpoint
    signed_at: int
    log_id: str


def newest_heads(reader: Reader) -> list[KnownHead]:
    """The newest head of every evidence log that one was signed of, the log that is written now first."""
    return [_known(row) for row in reader.rows(f"{_HEADS} ORDER BY signed_at DESC, size DESC LIMIT 1 BY log_id")]


def newest_head(reader: Reader) -> KnownHead:
    """The head that was signed last.

    Raises:
        OnshoreError: none was signed yet.
    """
    rows = reader.rows(f"{_HEADS} ORDER BY signed_at DESC, size DESC LIMIT 1")
    if not rows:
        raise OnshoreError("no head of the evidence log was signed yet: is the sequencer running?")
    return _known(rows[0])


def head_as_of(reader: Reader, log_id: str, at: int, end: int) -> KnownHead | None:
    """The last head signed before second `at` that has all entries below `end`, else the first later one; None: none.

    So what is asked for again as of the same time is proved up to the same head.
    """
    asked = {"log": log_id, "at": at, "end": end}
    of_log = f"{_HEADS} AND log_id = {{log:UUID}} AND size >= {{end:UInt64}}"
    for sql in (
        f"{of_log} AND signed_at < fromUnixTimestamp({{at:Int64}}) ORDER BY signed_at DESC, size DESC LIMIT 1",
        f"{of_log} ORDER BY size, signed_at LIMIT 1",
    ):
        for row in reader.rows(sql, asked):
            return _known(row)
    return None


def heads_about(reader: Reader, head: KnownHead, first: int, end: int) -> dict[str, KnownHead]:
    """The last head in front of entry `first`, and the first that has all entries below `end`, where there are any."""
    asked = {"log": head.log_id, "first": first, "end": end, "size": head.head.size}
    of_log = f"{_HEADS} AND log_id = {{log:UUID}} AND size <= {{size:UInt64}}"
    found = {
        "before": f"{of_log} AND size <= {{first:UInt64}} ORDER BY size DESC, signed_at DESC LIMIT 1",
        "after": f"{of_log} AND size >= {{end:UInt64}} ORDER BY size, signed_at LIMIT 1",
    }
    return {name: _known(row) for name, sql in found.items() for row in reader.rows(sql, asked)}


def witnessed_head(reader: Reader, head: KnownHead) -> tuple[bytes, int] | None:
    """The largest head that others have cosigned, as a note with their lines, and its size."""
    rows = reader.rows(_WITNESSED, {"origin": head.head.origin, "size": head.head.size})
    if not rows:
        return None
    size, text, lines = int(rows[0]["size"]), rows[0]["text"], rows[0]["lines"]
    for row in reader.rows(_OF_SIZE, {"origin": head.head.origin, "size": size}):
        note = parse_note(row["note"].encode())
        if note.text == text:
            return (str(note) + "".join(f"{line}\n" for line in lines)).encode(), size
    return None


def _known(row: dict[str, Any]) -> KnownHead:
    raw = row["note"].encode()
    return KnownHead(raw, parse_checkpoint(parse_note(raw).text), int(row["stamp"]), row["log_name"])


@dataclass(frozen=True, slots=True)
class LogProofs:
    """What proves entries to be in the log under a head.

    Attributes:
        hashes: the multiproof of the entries.
        consistency: by size of an earlier head, the proof that the log begins with it.
    """

    hashes: tuple[bytes, ...]
    consistency: dict[int, tuple[bytes, ...]]


def prove(reader: Reader, head: KnownHead, indexes: Sequence[int], earlier: Sequence[int]) -> LogProofs:
    """Prove the entries at these rising indexes, and that the log under `head` begins with earlier ones.

    Raises:
        EvidenceAltered: the store's copy of the log is not what `head` was signed over.
    """
    size = head.head.size
    wanted = {"entries": multiproof_ranges(indexes, size)}
    wanted |= {str(old): consistency_ranges(old, size) for old in dict.fromkeys(earlier)}
    every = sorted({each for ranges in wanted.values() for each in ranges} | {(0, size)})
    roots = _range_roots(reader, head, every)
    _refuse_other_log(roots[0, size], head)
    proofs = {name: tuple(roots[each] for each in ranges) for name, ranges in wanted.items()}
    return LogProofs(proofs.pop("entries"), {int(old): hashes for old, hashes in proofs.items()})


def prove_inclusion(reader: Reader, head: KnownHead, index: int) -> tuple[bytes, ...]:
    """Prove that the entry at `index` is in the log under `head`: its sibling's hash first.

    Raises:
        EvidenceAltered: the store's copy of the log is not what `head` was signed over.
    """
    ranges, whole = inclusion_ranges(index, head.head.size), (0, head.head.size)
    roots = _range_roots(reader, head, sorted({*ranges, whole}))
    _refuse_other_log(roots[whole], head)
    return tuple(roots[each] for each in ranges)


def _refuse_other_log(root: bytes, head: KnownHead) -> None:
    if root != head.head.root:
        raise EvidenceAltered(_STEP, "the store's copy of the evidence log is not the one whose head was signed")


def _range_roots(reader: Reader, head: KnownHead, ranges: Sequence[Range]) -> dict[Range, bytes]:
    """The root of each range of entries. Many overlap, so each has a tree of its own that grows as the log is read."""
    trees: dict[Range, Frontier] = {}
    done: dict[Range, bytes] = {}
    waiting = list(reversed(ranges))
    at = 0
    for hashes in _hashes(reader, head):
        end = at + len(hashes)
        while waiting and waiting[-1][0] < end:
            trees[waiting.pop()] = Frontier()
        for each in list(trees):
            first, last = max(each[0], at), min(each[1], end)
            trees[each].extend(hashes[first - at : last - at])
            if each[1] <= end:
                done[each] = trees.pop(each).root()
        at = end
    if at < head.head.size:
        raise EvidenceAltered(_STEP, f"the store has {at} entries of the evidence log, its head was signed over more")
    return done | {each: Frontier().root() for each in waiting}


def _hashes(reader: Reader, head: KnownHead) -> Iterator[NDArray[np.uint8]]:
    """The hashes of the entries below the head, in order."""
    after, left = 0, head.head.size
    while left:
        rows = reader.frame(_HASHES, {"log": head.log_id, "after": after, "most": min(left, _AT_ONCE)})
        if rows.is_empty():
            return
        raw = b"".join(rows["entry_hash"].to_list())
        yield np.frombuffer(raw, np.uint8).reshape(-1, DIGEST_SIZE)
        after, left = int(rows["log_position"][-1]) + 1, left - rows.height


def log_id_of(head: KnownHead) -> UUID:
    """The evidence log that a head is about."""
    from uuid import UUID

    return UUID(head.log_id)
