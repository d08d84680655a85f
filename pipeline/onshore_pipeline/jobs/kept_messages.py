"""An attempt's messages read again, and held against what its entries sealed."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from onshore_pipeline.amend import amend
from onshore_pipeline.assess import assess, message_id
from onshore_pipeline.broker import Polled
from onshore_pipeline.failed_records import FailedRecords
from onshore_pipeline.jobs.incomplete import LOST, WITH_ROWS
from onshore_pipeline.store.connect import store_errors
from onshore_pipeline.wire.frames import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.assess import Attempt, Judgement, MessageId
    from onshore_pipeline.broker import Message, MessageReader, Retained

    Failures = Mapping[MessageId, tuple[Failure, ...]]

_READ_BYTES: Final = 16 << 20
_REFUSED: Final = "the store refused it when it was first written"

# What may differ between the entry that was sealed and the one made now without anything sealed being another thing:
# the roots are what the code, the registries and the controls made of the message.
_MAY_DIFFER: Final = frozenset({"pipeline", "context", "controls"})
_NOTHING_CAME: Final = ("dead_lettered", "events", "events_root")

_ENTRIES: Final = f"""
SELECT topic_id, partition, offset, topic, entry FROM evidence_log
WHERE {WITH_ROWS} AND attempt_id = {{attempt:UUID}} AND (attempt_id, topic_id, partition, offset) NOT IN ({LOST})
ORDER BY topic_id, partition, offset LIMIT 1 BY topic_id, partition, offset
"""  # noqa: S608 - fixed text


@dataclass(frozen=True, slots=True)
class Sealed:
    """An entry of the log that names a message and has rows: `message` or `amends`."""

    topic: str
    entry: dict[str, Any]

    @property
    def amends(self) -> bool:
        """Whether it makes events of a dead letter's records."""
        return bool(self.entry["kind"] == "amends")

    @property
    def has_rows(self) -> bool:
        """Whether the message has events or dead letters at all."""
        return bool(self.entry["events"] or self.entry["dead_lettered"])

    @property
    def has_letters(self) -> bool:
        """Whether the message must be among the dead letters."""
        return self.amends or bool(self.entry["dead_lettered"])

    @property
    def indexes(self) -> tuple[int, ...] | None:
        """Records of the letter that it amends; None for the whole message."""
        told = self.entry["record_indexes"]
        return None if told == "all" else tuple(map(int, told.split(",")))


def sealed_messages(client: Client, attempt: UUID) -> dict[MessageId, Sealed]:
    """The attempt's messages that no later entry calls lost."""
    with store_errors():
        rows = client.query(_ENTRIES, parameters={"attempt": str(attempt)}).result_rows
    return {
        (topic_id, int(partition), int(offset)): Sealed(str(topic), json.loads(entry))
        for topic_id, partition, offset, topic, entry in rows
    }


def read_kept(
    reader: MessageReader, kept: Mapping[tuple[UUID, int], Retained], wanted: dict[MessageId, Sealed]
) -> dict[MessageId, Message]:
    """Those of the wanted messages that the broker still has. Raises `BrokerUnavailable`."""
    found: dict[MessageId, Message] = {}
    for place in {(topic_id, partition) for topic_id, partition, _ in wanted}:
        source = kept.get(place)
        if source is None:
            continue
        offsets = [offset for topic_id, partition, offset in wanted if (topic_id, partition) == place]
        first, end = max(min(offsets), source.begin), max(offsets) + 1
        while first < end and (messages := reader.read(source, first, end, max_bytes=_READ_BYTES)):
            found |= {message_id(each): each for each in messages if message_id(each) in wanted}
            first = messages[-1].offset + 1
    return found


@dataclass(frozen=True, slots=True)
class Verified:
    """What came of assessing messages again.

    Attributes:
        attempt: rows of the messages that came out as they were sealed, under the original attempt's id.
        messages: which these are.
        differs: the others, and the members of the entry that differ.
    """

    attempt: Attempt
    messages: frozenset[MessageId]
    differs: dict[MessageId, tuple[str, ...]]


def assess_again(
    attempt: UUID,
    sealed: dict[MessageId, Sealed],
    found: dict[MessageId, Message],
    judgement: Judgement,
    failures_of: Callable[[Mapping[MessageId, Sealed]], Failures],
) -> Verified:
    """Assess messages under their original attempt; only what equals the sealed entry stays in the answer.

    Those that come out differently are tried again with what failed of them then, as `failures_of` tells: today's
    pipeline may read what an older one could not.
    """
    made_of = _amended if any(each.amends for each in sealed.values()) else _assessed
    keys = tuple(key for key in sealed if key in found)

    def made(some: Iterable[MessageId], failed: Failures) -> tuple[Attempt, dict[MessageId, tuple[str, ...]]]:
        named = {key: found[key] for key in some}
        result, entries = made_of(attempt, named, {key: sealed[key] for key in named}, judgement, failed)
        return result, _differences(entries, {key: sealed[key] for key in named})

    result, differs = made(keys, {})
    failed: dict[MessageId, tuple[Failure, ...]] = {}
    if any(sealed[key].entry["dead_lettered"] for key in differs):
        refused = {key: (Failure(0, None, "write", _REFUSED),) for key in differs if _only_refused(sealed[key])}
        failed = refused | dict(failures_of({key: sealed[key] for key in differs}))
        result, differs = made(keys, failed)
    right = tuple(key for key in keys if key not in differs)
    if differs:
        result, still = made(right, {key: failed[key] for key in right if key in failed})
        assert not still
    return Verified(result, frozenset(right), differs)


Made = tuple["Attempt", "dict[MessageId, dict[str, Any]]"]


def _assessed(
    attempt: UUID, found: Mapping[MessageId, Message], sealed: object, judgement: Judgement, failed: Failures
) -> Made:
    """As the worker does."""
    del sealed
    made = assess(Polled(tuple(found.values())), judgement, attempt, failed=failed)
    return made, dict(zip(found, map(json.loads, made.entries), strict=True))


def _amended(
    attempt: UUID,
    found: Mapping[MessageId, Message],
    sealed: Mapping[MessageId, Sealed],
    judgement: Judgement,
    failed: Failures,
) -> Made:
    """As a replay does; one attempt was made by one command, with one reason."""
    letters = [_letter(found[key], sealed[key].entry, sealed[key].indexes, judgement) for key in found]
    told = next((each.entry for each in sealed.values()), {"who": "", "why": ""})
    known = {letter.letter_id: failed[key] for key, letter in zip(found, letters, strict=True) if key in failed}
    amendment = amend(letters, judgement, attempt, who=told["who"], why=told["why"], known=known)
    keys = [message_id(letter.message) for letter in amendment.amended]
    return amendment.attempt, dict(zip(keys, map(json.loads, amendment.attempt.entries), strict=True))


def _letter(
    message: Message, entry: Mapping[str, Any], indexes: tuple[int, ...] | None, judgement: Judgement
) -> FailedRecords:
    message = replace(message, timestamp_ns=entry["timestamp"], clock=entry["clock"])
    return FailedRecords(UUID(entry["dead_letter"]), message, indexes, entry["tenant"], judgement.trusts(message))


def _only_refused(sealed: Sealed) -> bool:
    """Whether all that came of a message is a letter of the whole, as when the store refuses it."""
    return not sealed.amends and (sealed.entry["events"], sealed.entry["dead_lettered"]) == (0, 1)


def _differences(
    made: Mapping[MessageId, Mapping[str, Any]], sealed: Mapping[MessageId, Sealed]
) -> dict[MessageId, tuple[str, ...]]:
    """Members of the sealed entries that came out as something else."""
    differs: dict[MessageId, tuple[str, ...]] = {}
    for key, each in sealed.items():
        now, then = made.get(key), each.entry
        if now is None:
            differs[key] = _NOTHING_CAME
            continue
        names = sorted(name for name in now.keys() | then.keys() if now.get(name) != then.get(name))
        if set(names) - _MAY_DIFFER:
            differs[key] = tuple(names)
    return differs
