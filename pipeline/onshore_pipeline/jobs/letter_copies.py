"""The messages of dead letters as they are kept a second time: in the dead-letter topic, and in the store.

The topic is there after everything that may happen to the store. Rows of the store serve as a source only where nothing
deletes them meanwhile: those that a message's own attempt wrote, for an attempt that amends.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from onshore_pipeline.broker import Message
from onshore_pipeline.evidence.entry import headers_digest
from onshore_pipeline.store.connect import store_errors
from onshore_pipeline.wire.frames import Failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.assess import MessageId
    from onshore_pipeline.broker import MessageReader, Retained
    from onshore_pipeline.jobs.kept_messages import Sealed
    from onshore_pipeline.wire.frames import Stage

_READ_BYTES: Final = 16 << 20
_NEAR: Final = 64  # letters so near to each other are read at once
_PREFIX: Final = "onshore-dead-letter-"
_OWN_HEADERS: Final = ("topic", "topic-id", "partition", "offset", "records", "stage", "reason")

_ROWS: Final = """
SELECT toString(topic), topic_id, kafka_partition, kafka_offset, hex(payload), headers FROM dead_letters
WHERE (topic_id, kafka_partition, kafka_offset) IN (
    SELECT topic_id, partition, offset FROM evidence_log WHERE attempt_id = {attempt:UUID}
) AND attempt_id IN (
    SELECT assumeNotNull(attempt_id) FROM evidence_log
    WHERE kind = 'message' AND (topic_id, partition, offset) IN (
        SELECT topic_id, partition, offset FROM evidence_log WHERE attempt_id = {attempt:UUID}
    )
)
"""


@dataclass(frozen=True, slots=True)
class Copy:
    """A letter of the dead-letter topic.

    Attributes:
        topic, message: the message's topic and identity.
        headers, value: of the message, as it was sent.
        failure: which of its records failed, at which stage and why.
    """

    topic: str
    message: MessageId
    headers: tuple[tuple[str, bytes], ...]
    value: bytes
    failure: Failure


def copy_of(letter: Message) -> Copy | None:
    """The inverse of `fact_tables.dead_letter_message`; None for what it did not make."""
    own = letter.headers[-len(_OWN_HEADERS) :]
    if tuple(name for name, _ in own) != tuple(_PREFIX + name for name in _OWN_HEADERS):
        return None
    try:
        topic, topic_id, partition, offset, records, stage, reason = (value.decode() for _, value in own)
        indexes = None if records == "all" else tuple(map(int, records.split(",")))
        key = (UUID(topic_id), int(partition), int(offset))
    except ValueError:
        return None
    named: Stage = stage  # type: ignore[assignment]  # as it was told to us when it failed
    return Copy(topic, key, letter.headers[: -len(_OWN_HEADERS)], letter.value, Failure(0, indexes, named, reason))


class LetterCopies:
    """Finds copies; reads through the dead-letter topic once, when the first one is asked for."""

    def __init__(self, client: Client, reader: MessageReader) -> None:
        """Nothing is read yet."""
        self._client, self._reader = client, reader
        self._places: dict[MessageId, list[tuple[Retained, int]]] | None = None

    def messages(self, attempt: UUID, wanted: Mapping[MessageId, Sealed]) -> dict[MessageId, Message]:
        """Those of an attempt's messages that are kept as dead letters, with the bytes and headers that were sealed.

        Raises `BrokerUnavailable`, `StoreUnavailable`.
        """
        found: dict[MessageId, Message] = {}
        for copy in self._copies(key for key, sealed in wanted.items() if sealed.has_letters):
            self._add(found, wanted, copy.message, copy.topic, copy.headers, copy.value)
        if any(sealed.amends and key not in found for key, sealed in wanted.items()):
            for topic, topic_id, partition, offset, payload, packed in self._stored(attempt):
                headers = tuple((name, base64.b64decode(value)) for name, value in json.loads(packed or "[]"))
                key = (topic_id, int(partition), int(offset))
                self._add(found, wanted, key, topic, headers, bytes.fromhex(payload))
        return found

    def failures(self, wanted: Mapping[MessageId, Sealed]) -> dict[MessageId, tuple[Failure, ...]]:
        """What of these messages failed when their entries were made; messages for which that is known.

        Letters of one message stand in the topic in the order of the entries that made them: its own entry's are the
        first; an amending entry's are those within the letter that it closes, behind that one.
        """
        of_message: dict[MessageId, list[Failure]] = defaultdict(list)
        for copy in self._copies(key for key, sealed in wanted.items() if sealed.entry["dead_lettered"]):
            of_message[copy.message].append(copy.failure)
        known: dict[MessageId, tuple[Failure, ...]] = {}
        for key, failures in of_message.items():
            sealed = wanted[key]
            some = _first(_within(failures, sealed) if sealed.amends else failures, sealed.entry["dead_lettered"])
            if some:
                known[key] = some
        return known

    def _add(
        self,
        found: dict[MessageId, Message],
        wanted: Mapping[MessageId, Sealed],
        key: MessageId,
        topic: str,
        headers: tuple[tuple[str, bytes], ...],
        value: bytes,
    ) -> None:
        sealed = wanted.get(key)
        if sealed is None or key in found or not is_sealed(headers, value, sealed.entry):
            return
        found[key] = Message(topic, *key, sealed.entry["timestamp"], sealed.entry["clock"], headers, value)

    def _stored(self, attempt: UUID) -> list[tuple[Any, ...]]:
        with store_errors():
            return [tuple(row) for row in self._client.query(_ROWS, parameters={"attempt": str(attempt)}).result_rows]

    def _copies(self, wanted: Iterable[MessageId]) -> Iterator[Copy]:
        """Letters of these messages, in the topic's order, whatever their bytes are."""
        keys = set(wanted)
        if not keys:
            return
        if self._places is None:
            self._places = self._read_through()
        places: dict[Retained, list[int]] = defaultdict(list)
        for key in keys:
            for source, offset in self._places.get(key, ()):
                places[source].append(offset)
        for source, offsets in places.items():
            for first, end in _runs(sorted(offsets)):
                for letter in self._read(source, first, end):
                    copy = copy_of(letter)
                    if copy is not None and copy.message in keys:
                        yield copy

    def _read_through(self) -> dict[MessageId, list[tuple[Retained, int]]]:
        found: dict[MessageId, list[tuple[Retained, int]]] = defaultdict(list)
        for source in self._reader.retained(dead_letters=True):
            for letter in self._read(source, source.begin, source.end):
                if (copy := copy_of(letter)) is not None:
                    found[copy.message].append((source, letter.offset))
        return found

    def _read(self, source: Retained, first: int, end: int) -> Iterator[Message]:
        while first < end and (letters := self._reader.read(source, first, end, max_bytes=_READ_BYTES)):
            yield from letters
            first = letters[-1].offset + 1


def is_sealed(headers: tuple[tuple[str, bytes], ...], value: bytes, entry: Mapping[str, Any]) -> bool:
    """Whether these are the bytes and headers that the entry has sealed."""
    sealed: tuple[str, str] = (entry["message_sha256"], entry["headers_sha256"])
    return (hashlib.sha256(value).hexdigest(), headers_digest(headers).hex()) == sealed


def _within(failures: list[Failure], sealed: Sealed) -> list[Failure]:
    """Letters that were made of the letter that an entry closes."""
    own = next((at for at, each in enumerate(failures) if each.record_indexes == sealed.indexes), len(failures))
    behind = [(each, each.record_indexes) for each in failures[own + 1 :]]
    meant = None if sealed.indexes is None else set(sealed.indexes)
    return [each for each, indexes in behind if indexes is not None and (meant is None or meant.issuperset(indexes))]


def _first(failures: list[Failure], records: int) -> tuple[Failure, ...]:
    """The first of them that stand for so many records together; none where no beginning does."""
    count = 0
    for number, failure in enumerate(failures, 1):
        count += 1 if failure.record_indexes is None else len(failure.record_indexes)
        if count == records:
            return tuple(failures[:number])
    return ()


def _runs(offsets: list[int]) -> Iterator[tuple[int, int]]:
    """[first, end) around offsets that are near to each other."""
    start = 0
    for at in range(1, len(offsets) + 1):
        if at == len(offsets) or offsets[at] - offsets[at - 1] > _NEAR:
            yield offsets[start], offsets[at - 1] + 1
            start = at
