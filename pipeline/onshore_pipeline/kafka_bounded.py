"""kafka-python's consumer with what it lacks: a bound on what one poll unpacks, and no poll that never ends.

The client's own reader of a fetch, `Fetcher.PartitionRecords`, is replaced by ours in each consumer that we make.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

import kafka
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError

from onshore_pipeline.kafka_batches import Batches, Ceilings

if TYPE_CHECKING:
    from collections.abc import Callable

    from kafka import TopicPartition
    from kafka.consumer.fetcher import ConsumerRecord
    from kafka.record.memory_records import MemoryRecords

_CEILINGS: Final = Ceilings()
_ANY_BREAK: Final = (Exception,)  # whatever it is, the client must not go on with a reader that it broke


class DamagedBatch(CorruptRecordError):  # type: ignore[misc]  # the library ships no types
    """What the broker gave for this offset is not what was written: its checksum is wrong."""

    def __init__(self, source: TopicPartition, offset: int, why: str) -> None:
        """Name the place and what was found there."""
        super().__init__(f"{source.topic}[{source.partition}]@{offset}: {why}")
        self.source, self.offset, self.why = source, offset, why


class BoundedConsumer(kafka.KafkaConsumer):  # type: ignore[misc]  # the library ships no types
    """A consumer whose polls return: with a bounded amount, or with `DamagedBatch` for want of anything to return."""

    def __init__(self, *, ceilings: Ceilings = _CEILINGS, **configs: object) -> None:
        """Connect, as the library's does."""
        super().__init__(**configs)
        self._round = _Round(ceilings, self.pause)
        self._fetcher.PartitionRecords = partial(_Fetched, self._round)

    def poll(self, timeout_ms: float = 0, max_records: int | None = None) -> dict[TopicPartition, list[ConsumerRecord]]:
        """As the library's; what was not taken for want of room is taken first the next time."""
        self._round.begin()
        # The client takes up what it set aside for a paused partition only once this is None; a reader that is at its
        # end, such as that of a topic without news, would keep the place for ever.
        if not self._fetcher._next_partition_records:  # noqa: SLF001 - the library has no other way to it
            self._fetcher._next_partition_records = None  # noqa: SLF001
        try:
            polled: dict[TopicPartition, list[ConsumerRecord]] = super().poll(timeout_ms, max_records)
            return polled
        finally:
            for source in self._round.paused:
                with suppress(KeyError):  # changed hands meanwhile
                    self.resume(source)


class _Round:
    """What one poll has taken, and the partitions that it paused because it had enough."""

    def __init__(self, ceilings: Ceilings, pause: Callable[[TopicPartition], None]) -> None:
        self.ceilings, self._pause = ceilings, pause
        self.paused: set[TopicPartition] = set()
        self._bytes = 0

    def begin(self) -> None:
        self.paused.clear()
        self._bytes = 0

    def add(self, record: ConsumerRecord) -> None:
        sizes = (record.serialized_key_size, record.serialized_value_size, record.serialized_header_size)
        self._bytes += sum(max(0, size) for size in sizes)

    def is_full(self, source: TopicPartition) -> bool:
        """Whether to take no more; the client sets a paused partition's records aside until it is resumed."""
        if self._bytes < self.ceilings.poll_bytes:
            return False
        self.paused.add(source)
        self._pause(source)
        return True


class _Fetched(Fetcher.PartitionRecords):  # type: ignore[misc]  # the library ships no types
    """One partition's part of a fetch."""

    def __init__(
        self, round_: _Round, offset: int, source: TopicPartition, records: MemoryRecords, **named: object
    ) -> None:
        super().__init__(offset, source, Batches(records, round_.ceilings), **named)
        self._round = round_

    def take(self, n: int | None = None) -> list[ConsumerRecord]:
        """Records, `n` at most; none when the poll has enough, or at the end."""
        taken: list[ConsumerRecord] = []
        while (
            self.record_iterator is not None
            and (n is None or len(taken) < n)
            and not self._round.is_full(self.topic_partition)
        ):
            try:
                record = next(self.record_iterator, None)
            except _ANY_BREAK as error:
                self.drain()  # the client would ask an iterator that has ended, for ever
                if taken:
                    return taken  # what is wrong shows again when it is fetched again, from here on
                if isinstance(error, CorruptRecordError):
                    raise DamagedBatch(self.topic_partition, self.next_fetch_offset, str(error)) from error
                raise
            if record is None:
                self.drain()
                break
            self._round.add(record)
            taken.append(record)
        return taken
