"""Dead letters as the messages that the log has sealed."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from onshore_pipeline.assess import message_id
from onshore_pipeline.broker import Message
from onshore_pipeline.evidence.entry import headers_digest
from onshore_pipeline.failed_records import FailedRecords, Refusal
from onshore_pipeline.jobs.wanted_letters import whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from onshore_pipeline.assess import MessageId
    from onshore_pipeline.store.reader import Reader

_ENTRIES: Final = """
SELECT entry FROM evidence_log WHERE attempt_id IN {attempts:Array(UUID)} AND kind IN ('message', 'amends')
    AND offset IN {offsets:Array(UInt64)}
"""
_SIZES: Final = """
SELECT toString(dead_letter_id) AS id, length(payload) AS size FROM dead_letters_current
WHERE dead_letter_id IN {ids:Array(UUID)} ORDER BY received_at, id
"""
_ASKED_AT_ONCE: Final = 2_000
_AT_ONCE: Final = 1_000
_AT_ONCE_BYTES: Final = 16 << 20


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter as the store holds it.

    Attributes:
        message: as the broker handed it over, as far as the letter has kept it.
        indexes: the records that failed; None for the whole message.
        trusted: whether the message's headers count.
        headers_known: whether the headers were kept; a letter from before they were has none.
        attempt_id: the attempt that made it a dead letter.
        state: open, replayed or discarded.
        closed_by_attempt: what closed it, of zeros while it is open.
    """

    letter_id: UUID
    message: Message
    indexes: tuple[int, ...] | None
    trusted: bool
    headers_known: bool
    attempt_id: UUID
    state: str
    closed_by_attempt: UUID

    @property
    def records(self) -> int:
        """How many records the log counts for it."""
        return 1 if self.indexes is None else len(self.indexes)


def portions(reader: Reader, wanted_ids: Sequence[str]) -> Iterator[list[Letter]]:
    """These letters, whole, in portions that memory holds; those of one portion are of different messages."""
    for some in _of_bearable_size(reader, wanted_ids):
        left = [_letter(row) for row in whole(reader, some)]
        while left:
            by_message: dict[MessageId, Letter] = {}
            for letter in left:
                by_message.setdefault(message_id(letter.message), letter)
            chosen = {letter.letter_id for letter in by_message.values()}
            yield list(by_message.values())
            left = [letter for letter in left if letter.letter_id not in chosen]


def _of_bearable_size(reader: Reader, wanted_ids: Sequence[str]) -> Iterator[list[str]]:
    sizes: dict[str, int] = {}
    for start in range(0, len(wanted_ids), _ASKED_AT_ONCE):
        some = list(wanted_ids[start : start + _ASKED_AT_ONCE])
        sizes |= {str(row["id"]): int(row["size"]) for row in reader.rows(_SIZES, {"ids": some})}
    portion: list[str] = []
    held = 0
    for each, size in sizes.items():
        if portion and (len(portion) >= _AT_ONCE or held + size > _AT_ONCE_BYTES):
            yield portion
            portion, held = [], 0
        portion.append(each)
        held += size
    if portion:
        yield portion


def sealed_entries(reader: Reader, of: Sequence[Letter]) -> dict[tuple[MessageId, UUID], dict[str, Any]]:
    """What the log has sealed about the letters' messages, by message and attempt."""
    attempts, offsets = {str(each.attempt_id) for each in of}, {each.message.offset for each in of}
    rows = reader.rows(_ENTRIES, {"attempts": sorted(attempts), "offsets": sorted(offsets)})
    entries = [json.loads(row["entry"]) for row in rows]
    return {
        ((UUID(each["topic_id"]), each["partition"], each["offset"]), UUID(each["attempt"])): each for each in entries
    }


def verified(letter: Letter, sealed: Mapping[tuple[MessageId, UUID], Mapping[str, Any]]) -> FailedRecords | Refusal:
    """The letter as the message that the log has sealed: its bytes and headers must be those; the rest is the log's."""
    entry = sealed.get((message_id(letter.message), letter.attempt_id))
    if entry is None:
        return Refusal("seal", "the log has no entry of its message under the attempt that made it a dead letter")
    if hashlib.sha256(letter.message.value).hexdigest() != entry["message_sha256"]:
        return Refusal("seal", "its bytes are not those that the log has sealed")
    if headers_digest(letter.message.headers).hex() != entry["headers_sha256"]:
        known = "its headers are not those that the log has sealed"
        older = "it was made before headers were kept with dead letters, and its message had some"
        return Refusal("seal", known if letter.headers_known else older)
    message = replace(letter.message, timestamp_ns=entry["timestamp"], clock=entry["clock"])
    return FailedRecords(letter.letter_id, message, letter.indexes, entry["tenant"], letter.trusted)


def _letter(row: dict[str, Any]) -> Letter:
    headers = tuple((name, base64.b64decode(value)) for name, value in json.loads(row["headers"] or "[]"))
    message = Message(
        row["topic"],
        UUID(row["topic_id"]),
        int(row["partition"]),
        int(row["offset"]),
        int(row["timestamp_ns"]),
        "sender" if row["clock"] == "sender" else "broker",
        headers,
        bytes.fromhex(row["payload"]),
    )
    return Letter(
        UUID(row["id"]),
        message,
        tuple(row["record_indexes"]) or None,
        bool(row["headers_trusted"]),
        bool(row["headers"]),
        UUID(row["attempt"]),
        row["state"],
        UUID(row["closed_by_attempt"]),
    )
