"""Audit of `evidence_log` against the authoritative log, and of signed heads against the trees over it."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from onshore_pipeline.errors import EvidenceAltered, LogCut
from onshore_pipeline.evidence.checkpoint import parse_checkpoint
from onshore_pipeline.evidence.merkle import leaf_hash
from onshore_pipeline.evidence.signed_note import NoteForged, NoteRefused, parse_note
from onshore_pipeline.jobs.audit_problem import Problem
from onshore_pipeline.log_trees import LogTrees
from onshore_pipeline.store.connect import store_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.broker import EntryReader, LoggedEntry
    from onshore_pipeline.evidence.checkpoint import Checkpoint
    from onshore_pipeline.evidence.signed_note import Note, VerifierKey
    from onshore_pipeline.head_journal import HeadJournal

_AT_ONCE: Final = 20_000
_READ_TIMEOUT_S: Final = 1.0
_COPY: Final = """
SELECT log_partition, log_position, topic, topic_id, partition, offset, end_offset, log_index, kind, tenant, events,
    records, dead_lettered, attempt_id, hex(entry_hash), base64Encode(entry), toUnixTimestamp64Nano(appended_at)
FROM evidence_log WHERE log_id IN ({log:UUID}, {none:UUID})
    AND log_partition = {partition:UInt32} AND log_position > {after:Int64} AND log_position <= {until:Int64}
ORDER BY log_position, log_index
"""
_LAST: Final = """
SELECT log_partition, max(log_position) FROM evidence_log WHERE log_id IN ({log:UUID}, {none:UUID})
GROUP BY log_partition
"""
_HEADS: Final = """
SELECT DISTINCT origin, size, root, kind, log_id, log_size, note FROM checkpoints
ORDER BY log_id, log_size, kind, origin
"""
_HEAD: Final = "head of"
_COSIGNED: Final = "SELECT DISTINCT text, witness, line FROM cosignatures ORDER BY text, witness, line"
_NO_LOG: Final = str(UUID(int=0))

# By evidence log: how many of its entries a head covers, what kind of head it is, and the head.
_Heads = dict[UUID, list[tuple[int, str, "Checkpoint"]]]


@dataclass(slots=True)
class Seen:
    """How far witnesses have seen the log, by cosignatures that hold.

    Attributes:
        size: entries of the evidence log that the newest head is about; 0 where nobody has seen any.
        by: witnesses of that size, as name+id.
        at: when the last of them said so, seconds since 1970.
    """

    size: int = 0
    by: set[str] = field(default_factory=set)
    at: int = 0

    def add(self, size: int, witness: str, at: int) -> None:
        """One more cosignature."""
        if size > self.size:
            self.size, self.by, self.at = size, set(), 0
        if size == self.size:
            self.by.add(witness)
            self.at = max(self.at, at)

    def __str__(self) -> str:
        """As a line of a report."""
        if not self.by:
            return "NOT WITNESSED: nobody outside has cosigned a head of this log"
        when = datetime.fromtimestamp(self.at, UTC)
        return f"witnessed up to entry {self.size:,} by {', '.join(sorted(self.by))} at {when:%Y-%m-%d %H:%M:%S} UTC"


def audit_log(client: Client, reader: EntryReader, told: Callable[[int], None]) -> Iterator[Problem]:
    """Problems of the store's copy of the authoritative log: rows altered, missing, inserted, doubled; a log cut short.

    `told` is called with how many entries are done.

    Raises:
        StoreUnavailable, BrokerUnavailable: try again later.
    """
    asked: dict[str, Any] = {"log": str(reader.log_id), "none": _NO_LOG}
    with store_errors():
        last = {int(row[0]): int(row[1]) for row in client.query(_LAST, parameters=asked).result_rows}
    after: dict[int, int] = {}
    sizes: dict[tuple[str, int], int] = {}
    done = 0
    while any(after.get(partition, -1) < end for partition, end in last.items()):
        try:
            entries = reader.read(after=after, max_entries=_AT_ONCE, timeout_s=_READ_TIMEOUT_S)
        except LogCut:
            entries = ()
        until = {each.partition: each.position for each in entries}
        for partition, end in last.items():
            if not entries:  # all that the log has is read
                until.setdefault(partition, end)
        logged = {
            (each.partition, each.position): each for each in entries if each.position <= last.get(each.partition, -1)
        }
        for partition, end in until.items():
            window = {
                "partition": partition,
                "after": after.get(partition, -1),
                "until": min(end, last.get(partition, -1)),
            }
            with store_errors():
                rows = client.query(_COPY, parameters=asked | window).result_rows
            yield from _compare(rows, logged, sizes)
            after[partition] = end
        for (partition, position), each in logged.items():
            yield Problem(
                "missing", f"log entry {partition}:{position}", "the store has no row of it", _named(each.value)
            )
        done += len(entries)
        told(done)


def _compare(
    rows: Sequence[Sequence[Any]], logged: dict[tuple[int, int], LoggedEntry], sizes: dict[tuple[str, int], int]
) -> Iterator[Problem]:
    """Rows against the log's entries, which are taken out of `logged`; `sizes` counts entries by topic-partition."""
    seen: dict[tuple[int, int], Sequence[Any]] = {}
    for row in rows:
        at = int(row[0]), int(row[1])
        where = f"{_text(row[2])}[{row[4]}]@{row[5]} (log entry {at[0]}:{at[1]})"
        place = {"topic": _text(row[2]), "topic_id": str(row[3]), "partition": row[4], "offset": row[5]}
        place |= {"log_partition": at[0], "log_position": at[1]}
        if at in seen:
            if seen[at] != row:
                yield Problem("inserted", where, "the store has two different rows of this log entry", place)
            continue
        seen[at] = row
        value = base64.b64decode(row[15])
        entry = logged.pop(at, None)
        if entry is None:
            yield Problem(
                "inserted", where, "the log has no such entry: the row was inserted, or the log was cut", place
            )
            continue
        if value != entry.value:
            yield Problem("altered", where, "the store's copy of the entry is not the log's", place)
        told = json.loads(entry.value)
        key = (str(UUID(told["topic_id"])), int(told["partition"]))
        size = sizes.get(key, int(row[7]))
        sizes[key] = size + 1
        wrong = [
            name
            for name, found, expected in (
                ("topic", _text(row[2]), told["topic"]),
                ("topic_id", str(row[3]), key[0]),
                ("partition", row[4], key[1]),
                ("offset", row[5], int(told["offset"])),
                (
                    "end_offset",
                    row[6],
                    int(told["end"]) if told["kind"] in {"gap", "lost"} else int(told["offset"]) + 1,
                ),
                ("log_index", row[7], size),
                ("kind", _text(row[8]), told["kind"]),
                ("tenant", _text(row[9]), told.get("tenant", "")),
                ("events", row[10], told.get("events", 0)),
                ("records", row[11], told.get("records", 0)),
                ("dead_lettered", row[12], told.get("dead_lettered", 0)),
                ("attempt_id", str(row[13]), told["attempt"]),
                ("entry_hash", row[14].lower(), leaf_hash(entry.value).hex()),
                ("appended_at", row[16], entry.timestamp_ns),
            )
            if found != expected
        ]
        if wrong:
            yield Problem("altered", where, f"{', '.join(wrong)} of the row is not what the log says", place)


def audit_heads(
    client: Client,
    keys: Collection[VerifierKey],
    journal: HeadJournal,
    witnesses: Collection[VerifierKey] = (),
    seen: Seen | None = None,
    covered: dict[UUID, int] | None = None,
) -> Iterator[Problem]:
    """Problems of signed heads and of cosignatures: forged, altered, or of another log than the store has.

    `seen` is told of every cosignature of the newest log that holds, `covered` how far heads of each log reach.

    Raises:
        StoreUnavailable: try again later.
    """
    with store_errors():
        rows = client.query(_HEADS).result_rows
    by_log: _Heads = {}
    for origin, size, root, _, log_id, log_size, note in rows:
        where = f"head of {_text(origin)} over {size} entries"
        place = {"origin": _text(origin), "size": size}
        try:
            read = parse_note(note.encode() if isinstance(note, str) else bytes(note))
            read.verified(keys)
            head = parse_checkpoint(read.text)
        except NoteRefused as error:
            yield Problem("head", where, f"it is forged or damaged: {error}", place)
            continue
        if (head.origin, head.size, head.root) != (_text(origin), size, bytes(root)):
            yield Problem("head", where, f"its row is not what its note says (size {head.size})", place)
            continue
        by_log.setdefault(log_id, []).append((int(log_size), _HEAD, head))
    newest = ""
    for note in _journal(journal):
        head = parse_checkpoint(note.text)
        newest = head.origin
        by_log.setdefault(UUID(head.origin.rpartition("/")[2]), []).append((head.size, _HEAD, head))
    yield from _cosigned(client, witnesses, by_log, seen or Seen(), newest)
    for log_id, heads in by_log.items():
        if covered is not None:  # by heads that name their log: what a row says beside its note nobody signed
            covered[log_id] = max((head.size for _, _, head in heads if head.origin.endswith(f"/{log_id}")), default=0)
        yield from _of_log(client, log_id, heads)


def _cosigned(
    client: Client, witnesses: Collection[VerifierKey], by_log: _Heads, seen: Seen, newest: str
) -> Iterator[Problem]:
    """Cosignatures that do not hold; the heads of the others are put with those that the log must give."""
    with store_errors():
        rows = client.query(_COSIGNED).result_rows
    for text, witness, line in rows:
        where, place = f"cosignature of {witness}", {"witness": witness}
        try:
            head = parse_checkpoint(text)
            where += f" on the head of {head.origin} over {head.size} entries"
            place |= _at(head)
            said = parse_note(f"{text}\n{line}\n".encode()).verified(witnesses)[0]
            log_id = UUID(head.origin.rpartition("/")[2])
        except NoteForged as error:
            yield Problem("head", where, f"it is forged: {error}", place)
            continue
        except (NoteRefused, ValueError) as error:
            yield Problem("uncheckable", where, f"it cannot be checked: {error}", place)
            continue
        by_log.setdefault(log_id, []).append((head.size, f"head that {witness} cosigned of", head))
        if newest in {"", head.origin}:
            seen.add(head.size, witness, said.time or 0)


def _journal(journal: HeadJournal) -> Iterator[Note]:
    newest = journal.newest()
    if newest is not None:
        yield newest


def _of_log(client: Client, log_id: UUID, heads: list[tuple[int, str, Checkpoint]]) -> Iterator[Problem]:
    """Heads of one evidence log against its trees, which grow once."""
    trees = LogTrees(log_id)
    by_size: dict[int, list[tuple[str, Checkpoint]]] = {}
    for size, kind, head in heads:
        by_size.setdefault(size, []).append((kind, head))
    waiting = sorted(by_size)
    try:
        for size in trees.walk(client, waiting):
            named = (head.origin.rpartition("/")[0] for _, head in by_size[size] if head.origin.endswith(str(log_id)))
            name = next(named, None) or "/".join(by_size[size][0][1].origin.split("/")[:2])
            whole, logs = trees.heads(name)
            right = {each.origin: each for each in (whole, *logs)}
            waiting = [each for each in waiting if each > size]
            for kind, head in by_size[size]:
                if right.get(head.origin) != head:
                    why = (
                        "the store's log does not give its root: entries were altered, deleted or put in another order"
                    )
                    yield Problem("head", f"{kind} {head.origin} over {head.size} entries", why, _at(head))
    except EvidenceAltered as error:
        yield Problem("log", f"evidence log {log_id}", error.what)
        return
    for size in waiting:
        for kind, head in by_size[size]:
            why = f"the store's log has {trees.whole.size} entries: its tail is missing, or the log was put back"
            yield Problem("head", f"{kind} {head.origin} over {head.size} entries", why, _at(head))


def _at(head: Checkpoint) -> dict[str, Any]:
    return {"origin": head.origin, "size": head.size}


def _named(value: bytes) -> dict[str, Any]:
    entry = json.loads(value)
    return {name: entry[name] for name in ("topic", "topic_id", "partition", "offset")}


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
