"""Messages that the local log still keeps, by their offsets: for whoever assesses them again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final
from uuid import UUID

from onshore_pipeline.broker import DEAD_LETTER_TOPIC, EVENT_TOPICS, Message, Retained
from onshore_pipeline.embedded.log_records import message_key, unpack_headers

if TYPE_CHECKING:
    from onshore_pipeline.embedded.log_file import LogFile

_PARTITIONS: Final = (
    "SELECT slot, name, topic_id, partition, begin_offset, end_offset FROM partitions JOIN topics USING (topic)"
    " WHERE name IN (SELECT value FROM json_each(?)) ORDER BY slot"
)


class LocalMessageReader:
    """Reads kept messages without moving anything; for one thread."""

    def __init__(self, file: LogFile) -> None:
        """Take over `file`."""
        self._file = file

    def retained(self, *, dead_letters: bool = False) -> tuple[Retained, ...]:
        """What is kept of every event partition, or of the dead-letter topic. Raises `BrokerUnavailable`."""
        names = [DEAD_LETTER_TOPIC] if dead_letters else EVENT_TOPICS
        with self._file.reading("see what it keeps") as connection:
            rows = connection.execute(_PARTITIONS, (json.dumps(names),)).fetchall()
        return tuple(
            Retained(topic, UUID(bytes=topic_id), partition, begin, end)
            for _, topic, topic_id, partition, begin, end in rows
        )

    def read(self, source: Retained, first: int, end: int, *, max_bytes: int) -> tuple[Message, ...]:
        """Kept messages with offsets in [first, end), in order. Raises `BrokerUnavailable`."""
        messages: list[Message] = []
        size = 0
        with self._file.reading("read kept messages") as connection:
            partitions = connection.execute(_PARTITIONS, (json.dumps([source.topic]),))
            found = [row for row in partitions if row[1:4] == _named(source)]
            if not found:
                return ()
            slot = found[0][0]
            for key, timestamp_ns, headers, value in connection.execute(
                "SELECT id, timestamp_ns, headers, value FROM messages WHERE id >= ? AND id < ? ORDER BY id",
                (message_key(slot, first), message_key(slot, end)),
            ):
                size += len(value)
                if messages and size > max_bytes:
                    break
                offset = key - message_key(slot, 0)
                place = (source.topic, source.topic_id, source.partition, offset)
                messages.append(Message(*place, timestamp_ns, "broker", unpack_headers(headers), value))
        return tuple(messages)

    def close(self) -> None:
        """Release the file; safe to call twice."""
        self._file.close()


def _named(source: Retained) -> tuple[str, bytes, int]:
    return source.topic, source.topic_id.bytes, source.partition
