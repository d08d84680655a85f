"""Dead letters as the store holds them, found by what a person knows about them."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from onshore_pipeline.amend import FailedRecords, Refusal
from onshore_pipeline.assess import message_id
from onshore_pipeline.broker import Message
from onshore_pipeline.errors import OnshoreError
from onshore_pipeline.evidence.entry import headers_digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from onshore_pipeline.assess import MessageId
    from onshore_pipeline.store.reader import Reader

STATES: Final = ("open", "replayed", "discarded", "all")

_LISTED: Final = (
    "toString(dead_letter_id) AS id, toString(state) AS state, received_at, toString(tenant) AS tenant,"
    " toString(topic) AS topic, kafka_partition AS partition, kafka_offset AS offset, record_indexes, records,"
    " toString(stage) AS stage, toValidUTF8(reason) AS reason, length(payload) AS size,"
    " closed_at, closed_by, closed_why"
)
_WHOLE: Final = (
    f"{_LISTED}, toString(topic_id) AS topic_id, toString(attempt_id) AS attempt,"
    " toString(closed_by_attempt) AS closed_by_attempt, hex(payload) AS payload, headers,"
    " toString(clock) AS clock, headers_trusted, toUnixTimestamp64Nano(received_at) AS timestamp_ns"
)
_ACTIONS: Final = """
SELECT toString(action_id) AS action_id, at, toString(action) AS action, toString(outcome) AS outcome, reason, who, why
FROM dead_letter_actions WHERE dead_letter_id = {id:UUID} ORDER BY at, outcome != 'begun'
"""
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
_LATEST_NS: Final = 2**63 - 1  # what the store can hold as a time


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which letters are meant; what is not given leaves nothing out.

    Attributes:
        ids: letters by id, or by an id's beginning.
        state: one of `STATES`.
        reason_like: SQL LIKE pattern, or without `%` a text that the reason contains; upper and lower case are one.
        since: received at this time or later.
    """

    ids: tuple[str, ...] = ()
    state: str = "open"
    stage: str | None = None
    reason_like: str | None = None
    topic: str | None = None
    tenant: str | None = None
    since: datetime | None = None

    @property
    def narrows(self) -> bool:
        """Whether anything but the state is given."""
        return any((self.ids, self.stage, self.reason_like, self.topic, self.tenant, self.since))

    def condition(self) -> tuple[str, dict[str, Any]]:
        """The WHERE clause and its parameters."""
        parts: list[str] = ["1"]
        values: dict[str, Any] = {}
        for column in ("stage", "topic", "tenant"):
            if (value := getattr(self, column)) is not None:
                parts.append(f"{column} = {{{column}:String}}")
                values[column] = value
        if self.state != "all":
            parts.append("state = {state:String}")
            values["state"] = self.state
        if self.reason_like is not None:
            parts.append("reason ILIKE {reason_like:String}")
            values["reason_like"] = self.reason_like if "%" in self.reason_like else f"%{self.reason_like}%"
        if self.since is not None:
            parts.append("received_at >= fromUnixTimestamp64Nano({since:Int64})")
            values["since"] = min(int(self.since.timestamp() * 1_000_000) * 1000, _LATEST_NS)
        if self.ids:
            named = [f"startsWith(toString(dead_letter_id), {{id{number}:String}})" for number in range(len(self.ids))]
            parts.append(f"({' OR '.join(named)})")
            values |= {f"id{number}": each for number, each in enumerate(self.ids)}
        return " AND ".join(parts), values


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


def listed(reader: Reader, wanted: Wanted, limit: int) -> list[dict[str, Any]]:
    """The newest letters, without their bytes."""
    condition, values = wanted.condition()
    return reader.rows(
        f"SELECT {_LISTED} FROM dead_letter_states WHERE {condition}"  # noqa: S608 - fixed names
        " ORDER BY received_at DESC, id LIMIT {limit:UInt32}",
        values | {"limit": limit},
    )


def counts(reader: Reader, wanted: Wanted) -> list[dict[str, Any]]:
    """How many letters and records there are, by state, stage and topic."""
    condition, values = wanted.condition()
    return reader.rows(
        "SELECT toString(state) AS state, toString(stage) AS stage, toString(topic) AS topic, count() AS letters,"  # noqa: S608
        f" sum(records) AS records FROM dead_letter_states WHERE {condition} GROUP BY ALL ORDER BY letters DESC",
        values,
    )


def ids(reader: Reader, wanted: Wanted) -> list[str]:
    """Ids of the letters, oldest first.

    Raises:
        OnshoreError: a letter that was named is not there, or a beginning names several.
    """
    condition, values = wanted.condition()
    found = reader.rows(
        f"SELECT toString(dead_letter_id) AS id FROM dead_letter_states WHERE {condition} ORDER BY received_at, id",  # noqa: S608
        values,
    )
    known = [str(row["id"]) for row in found]
    for named in wanted.ids:
        same = [each for each in known if each.startswith(named)]
        if not same:
            word = "" if wanted.state == "all" else f"{wanted.state} "
            raise OnshoreError(f"there is no {word}dead letter {named}; see `onshore dead-letters list --state all`")
        if len(same) > 1:
            raise OnshoreError(f"{named} is the beginning of {len(same)} dead letters: give more of it")
    return known


def shown(reader: Reader, letter_id: str) -> dict[str, Any]:
    """One letter with its bytes, headers and what people did about it."""
    (row,) = _whole(reader, [letter_id])
    return {**row, "actions": reader.rows(_ACTIONS, {"id": letter_id})}


def portions(reader: Reader, wanted_ids: Sequence[str]) -> Iterator[list[Letter]]:
    """These letters, whole, in portions that memory holds; those of one portion are of different messages."""
    for some in _of_bearable_size(reader, wanted_ids):
        left = [_letter(row) for row in _whole(reader, some)]
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


def _whole(reader: Reader, some: Sequence[str]) -> list[dict[str, Any]]:
    return reader.rows(
        f"SELECT {_WHOLE} FROM dead_letter_states WHERE dead_letter_id IN {{ids:Array(UUID)}} ORDER BY received_at, id",  # noqa: S608
        {"ids": list(some)},
    )


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
