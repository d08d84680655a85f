"""An attempt's messages read again, and held against what its entries sealed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from onshore_pipeline.assess import assess, message_id
from onshore_pipeline.broker import Polled
from onshore_pipeline.jobs.incomplete import LOST
from onshore_pipeline.store.connect import store_errors

if TYPE_CHECKING:
    from uuid import UUID

    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.assess import Attempt, Judgement, MessageId
    from onshore_pipeline.broker import Message, MessageReader, Retained

_READ_BYTES: Final = 16 << 20
_REFUSED: Final = "the store refused it when it was first written"

# What may differ between the entry that was sealed and the one made now without anything sealed being another thing:
# the roots are what the code, the registries and the controls made of the message.
_MAY_DIFFER: Final = frozenset({"pipeline", "context", "controls"})

_ENTRIES: Final = f"""
SELECT topic_id, partition, offset, topic, entry FROM evidence_log
WHERE kind = 'message' AND attempt_id = {{attempt:UUID}} AND (topic_id, partition, offset) NOT IN ({LOST})
ORDER BY topic_id, partition, offset LIMIT 1 BY topic_id, partition, offset
"""  # noqa: S608 - fixed text


@dataclass(frozen=True, slots=True)
class Sealed:
    """An entry of the log that names a message."""

    topic: str
    entry: dict[str, Any]

    @property
    def has_rows(self) -> bool:
        """Whether the message has events or dead letters at all."""
        return bool(self.entry["events"] or self.entry["dead_lettered"])


def sealed_messages(client: Client, attempt: UUID) -> dict[MessageId, Sealed]:
    """The attempt's messages that no later entry calls lost."""
    with store_errors():
        rows = client.query(_ENTRIES, parameters={"attempt": str(attempt)}).result_rows
    return {
        (topic_id, int(partition), int(offset)): Sealed(str(topic), json.loads(entry))
        for topic_id, partition, offset, topic, entry in rows
    }


def read_kept(
    reader: MessageReader, kept: dict[tuple[UUID, int], Retained], wanted: dict[MessageId, Sealed]
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
    attempt: UUID, sealed: dict[MessageId, Sealed], found: dict[MessageId, Message], judgement: Judgement
) -> Verified:
    """Assess messages under their original attempt; only what equals the sealed entry stays in the answer."""
    messages = tuple(found[key] for key in sealed if key in found)
    refused = {
        key: _REFUSED for key in found if (sealed[key].entry["events"], sealed[key].entry["dead_lettered"]) == (0, 1)
    }
    made = assess(Polled(messages), judgement, attempt)
    differs = _differences(messages, made, sealed)
    again = {key: why for key, why in refused.items() if key in differs}
    if again:  # a dead letter that came of the store's own refusal comes out as such only when we say so
        made = assess(Polled(messages), judgement, attempt, refused=again)
        differs = _differences(messages, made, sealed)
    right = tuple(each for each in messages if message_id(each) not in differs)
    if differs:
        kept = {key: why for key, why in again.items() if key not in differs}
        made = assess(Polled(right), judgement, attempt, refused=kept)
        assert not _differences(right, made, sealed)
    return Verified(made, frozenset(map(message_id, right)), differs)


def _differences(
    messages: tuple[Message, ...], made: Attempt, sealed: dict[MessageId, Sealed]
) -> dict[MessageId, tuple[str, ...]]:
    """Members of the sealed entries that came out as something else."""
    differs: dict[MessageId, tuple[str, ...]] = {}
    for message, entry in zip(messages, made.entries, strict=True):
        now, then = json.loads(entry), sealed[message_id(message)].entry
        names = sorted(name for name in now.keys() | then.keys() if now.get(name) != then.get(name))
        if set(names) - _MAY_DIFFER:
            differs[message_id(message)] = tuple(names)
    return differs
