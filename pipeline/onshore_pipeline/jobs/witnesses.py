"""Witnesses: what they are sent, what they say of a head, and whether that may be believed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from onshore_pipeline.errors import EvidenceAltered, OnshoreError
from onshore_pipeline.evidence.checkpoint import parse_checkpoint
from onshore_pipeline.evidence.signed_note import NoteForged, NoteRefused
from onshore_pipeline.evidence.witnessing import add_checkpoint
from onshore_pipeline.jobs.log_proofs import prove
from onshore_pipeline.log_trees import trees_at
from onshore_pipeline.store.connect import store_errors

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.evidence.checkpoint import Checkpoint
    from onshore_pipeline.evidence.signed_note import Note, Verified, VerifierKey
    from onshore_pipeline.jobs.log_proofs import KnownHead
    from onshore_pipeline.store.reader import Reader

_STEP: Final = "13"
_CLOCKS_DIFFER: Final = timedelta(minutes=5)
_COLUMNS: Final = ("origin", "size", "text", "witness", "line", "witnessed_at", "imported_at", "imported_by")
_LAST: Final = """
SELECT witness, max(size) AS seen, toUnixTimestamp(max(witnessed_at)) AS stamp FROM cosignatures
WHERE origin = {origin:String} GROUP BY witness ORDER BY seen DESC, stamp DESC, witness
"""
_KNOWN: Final = "SELECT line FROM cosignatures WHERE origin = {origin:String} AND size = {size:UInt64}"


class WitnessRefused(OnshoreError):
    """What a witness is said to have said is not taken: nobody can tell whether it is true."""


@dataclass(frozen=True, slots=True)
class Cosigned:
    """What one witness said: at `at` the largest tree of the log that it knew was `head`.

    Attributes:
        head: the deployment's head.
        witness: the witness's name and key id, as name+id.
        line: its line of the note.
        at: by the witness's clock.
    """

    head: Checkpoint
    witness: str
    line: str
    at: datetime


@dataclass(frozen=True, slots=True)
class LastSeen:
    """The largest head that a witness has cosigned, as far as the store knows, and when it last cosigned."""

    witness: str
    size: int
    at: datetime


def label_of(key: VerifierKey) -> str:
    """How a witness's key is named: name+id, the way `onshore verify` names it."""
    return f"{key.name}+{key.key_id.hex()}"


def last_seen(reader: Reader, origin: str) -> list[LastSeen]:
    """What witnesses have seen of a log, the furthest first. Raises `StoreUnavailable`."""
    rows = reader.rows(_LAST, {"origin": origin})
    return [LastSeen(row["witness"], int(row["seen"]), _time(int(row["stamp"]))) for row in rows]


def request(reader: Reader, head: KnownHead, old: int) -> str:
    """What a witness is sent that knows the first `old` entries.

    Raises:
        WitnessRefused: it knows more than was signed.
        EvidenceAltered: the store's copy of the log is not what `head` was signed over.
    """
    if old > head.head.size:
        raise WitnessRefused(
            f"a witness that has seen {old:,} entries is ahead of the newest head, which has {head.head.size:,}: an"
            " older copy of the log was put back, or this is another log"
        )
    proof = prove(reader, head, [], [old]).consistency[old]
    return add_checkpoint(old, proof, head.note.decode())


def check_cosigned(
    client: Client,
    note: Note,
    own: Collection[VerifierKey],
    witnesses: Collection[VerifierKey],
    now: datetime,
) -> list[Cosigned]:
    """What witnesses say in a note, each of it checked, and checked against the log.

    Args:
        client: the store.
        note: a head of this deployment with further signatures.
        own: this deployment's keys, retired ones included.
        witnesses: the witnesses' keys.
        now: the clock.

    Raises:
        WitnessRefused: it is another log's head, nobody's whom we know, or of the future.
        EvidenceAltered: a signature is forged, or the log is not the one that was cosigned.
        StoreUnavailable: try again later.
    """
    head = parse_checkpoint(note.text)
    log_id = _own_log(head, own)
    _verified(note, own, "it is no head of this deployment")
    said = _verified(note, witnesses, "no witness that witness_keys_file names has cosigned it")
    for each in said:
        if each.time is not None and _time(each.time) > now + _CLOCKS_DIFFER:
            raise WitnessRefused(
                f"{label_of(each.key)} cosigned it at {_time(each.time):%Y-%m-%d %H:%M:%S} UTC, which is not over yet:"
                " its clock or this one is wrong"
            )
    found = [_cosigned(head, note, each) for each in said]
    _against_log(client, log_id, head, ", ".join(sorted({each.witness for each in found})))
    return found


def keep(client: Client, note: Note, found: Sequence[Cosigned], who: str, now: datetime) -> int:
    """Keep what was checked in the store; how much of it was new. Raises `StoreUnavailable`."""
    head = found[0].head
    with store_errors():
        rows = client.query(_KNOWN, parameters={"origin": head.origin, "size": head.size}).result_rows
        known = {row[0] for row in rows}
        new: list[list[Any]] = [
            [head.origin, head.size, note.text, each.witness, each.line, each.at, now, who]
            for each in found
            if each.line not in known
        ]
        if new:
            client.insert("cosignatures", new, column_names=list(_COLUMNS))
    return len(new)


def _own_log(head: Checkpoint, own: Collection[VerifierKey]) -> UUID:
    """Which evidence log of this deployment a head is about."""
    name, _, log = head.origin.rpartition("/")
    ours = {key.name for key in own}
    if not ours:
        raise WitnessRefused("this deployment has no signing key yet, so that no head can be its own")
    try:
        log_id = UUID(log)
    except ValueError:
        log_id = None
    if name not in ours or log_id is None or str(log_id) != log:
        raise WitnessRefused(f"it is a head of {head.origin}, and this deployment's are of {min(ours)}/<evidence log>")
    return log_id


def _verified(note: Note, keys: Collection[VerifierKey], otherwise: str) -> tuple[Verified, ...]:
    try:
        return note.verified(keys)
    except NoteForged as error:
        raise EvidenceAltered(_STEP, str(error)) from None
    except NoteRefused as error:
        raise WitnessRefused(f"{otherwise}: {error}") from None


def _cosigned(head: Checkpoint, note: Note, said: Verified) -> Cosigned:
    assert said.time is not None  # keys of witnesses are of type 0x04
    line = next(
        str(each)
        for each in note.signatures
        if (each.name, each.key_id, each.cosigned_at) == (said.key.name, said.key.key_id, said.time)
    )
    return Cosigned(head, label_of(said.key), line, _time(said.time))


def _against_log(client: Client, log_id: UUID, head: Checkpoint, who: str) -> None:
    """The log must begin with the tree that was cosigned. Raises `EvidenceAltered`."""
    trees = trees_at(client, log_id, head.size)
    if trees.whole.size < head.size:
        raise EvidenceAltered(
            _STEP,
            f"{who} has seen {head.size:,} entries of {head.origin}, and the store has {trees.whole.size:,}: an older"
            " copy of log or store was put back. Keep this note, it proves what is missing",
        )
    whole, _ = trees.heads(head.origin.rpartition("/")[0])
    if whole != head:
        raise EvidenceAltered(
            _STEP,
            f"{who} has cosigned another tree of the first {head.size:,} entries of {head.origin}: the log was"
            " rewritten. Keep this note, it proves it; `onshore audit` says what differs",
        )


def _time(seconds: int) -> datetime:
    """A time that a witness said; one beyond what a date can be is the last one."""
    return datetime.fromtimestamp(min(seconds, 253_402_300_799), UTC)
