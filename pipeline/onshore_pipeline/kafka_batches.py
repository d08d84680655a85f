"""Kafka's record batches, taken apart record by record: what cannot be read is said of its offset and blocks no other.

kafka-python unpacks a batch whole, and gives up the partition over a record that it cannot read. A batch whose checksum
is right was written like that: reading it again gives the same. So a record that cannot be read comes out as one whose
value is an `UnreadableValue`, and where the rest of a batch cannot be taken apart, one such record stands at its end.

The format: https://kafka.apache.org/documentation/#messageformat
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from kafka.record.default_records import DefaultRecord, DefaultRecordBatch
from kafka.record.memory_records import MemoryRecords
from kafka.record.util import decode_varint

from onshore_pipeline.kafka_unpack import Unpacked, Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

_MIB: Final = 1 << 20
_FIRST_FIELDS: Final = 32  # attributes, time and offset lie within a record's first bytes
_VERSION_2: Final = 2
# Whatever a sender's bytes do to a codec or a parser; only memory that runs out is not theirs.
_ANY_BREAK: Final = (Exception,)


@dataclass(frozen=True, slots=True)
class Ceilings:
    """How much of what a sender packed is held in memory.

    Attributes:
        record_bytes: a larger record is read through and left out.
        batch_bytes: what lies behind so many unpacked bytes of one batch is not read.
        headers: a record with more is not taken apart.
        poll_bytes: one poll takes no further record once it has so many.
    """

    record_bytes: int = 64 * _MIB
    batch_bytes: int = 1024 * _MIB
    headers: int = 1_000
    poll_bytes: int = 8 * _MIB


class UnreadableValue(bytes):
    """What there is of a record that cannot be read, and why not; nothing (b'') where it is too large to be held."""

    why: str

    def __new__(cls, why: str, raw: bytes = b"") -> Self:
        """Keep the reason with the bytes."""
        made = super().__new__(cls, raw)
        made.why = why
        return made


class Batches(MemoryRecords):  # type: ignore[misc]  # the library ships no types
    """The batches of one fetch. Formats 0 and 1 stay the library's: no broker of today takes them from a sender."""

    __slots__ = ("_ceilings",)

    def __init__(self, fetched: MemoryRecords, ceilings: Ceilings) -> None:
        """The same bytes as `fetched`."""
        super().__init__(fetched._buffer)  # noqa: SLF001 - the library has no other way to them
        self._ceilings = ceilings

    def next_batch(self) -> DefaultRecordBatch | None:
        """The next batch, if there is one."""
        here = self._next_slice
        batch = super().next_batch()
        if batch is None or batch.magic != _VERSION_2 or batch.is_control_batch:
            return batch
        return Batch(here, self._ceilings)


class Batch(DefaultRecordBatch):  # type: ignore[misc]  # the library ships no types
    """A batch of senders' records; the checksum is looked at by whoever iterates."""

    __slots__ = ("_ceilings",)

    def __init__(self, data: memoryview, ceilings: Ceilings) -> None:
        """`data` begins with the batch's header."""
        super().__init__(data)
        self._ceilings = ceilings

    def __iter__(self) -> Iterator[DefaultRecord]:
        """Its records in offset order; raises for want of memory only."""
        packed = bytes(self._buffer[self._pos :])
        behind, records = self.base_offset, self._records(packed)
        while True:
            try:
                record = next(records, None)
            except MemoryError:
                raise
            except _ANY_BREAK as error:
                why = str(error) if isinstance(error, Unreadable) else f"{type(error).__name__}: {error}"
                if behind <= self.last_offset:
                    reason = f"not readable from offset {behind} to {self.last_offset}, the batch's end: {why}"
                    yield self._unreadable(self.last_offset, UnreadableValue(reason, packed))
                return
            if record is None:
                return
            behind = record.offset + 1
            yield record

    def _records(self, packed: bytes) -> Iterator[DefaultRecord]:
        most = self._ceilings.record_bytes
        unpacked = Unpacked(self.compression_type, packed, most_bytes=self._ceilings.batch_bytes, most_block_bytes=most)
        behind = self.base_offset
        for _ in range(self.records_count):
            size = unpacked.varint()
            if size < 0:
                raise Unreadable(f"a record claims {size} bytes")
            if size <= most:
                record = self._record(unpacked.read(size))
            else:
                head = unpacked.read(_FIRST_FIELDS)
                offset, timestamp, _ = self._place(head)
                digest = unpacked.pass_over(size - len(head))
                why = f"record of {size:,} bytes, more than {most:,}; SHA-256 from its byte {len(head)} on: {digest}"
                record = self._unreadable(offset, UnreadableValue(why), timestamp)
            if not behind <= record.offset <= self.last_offset:
                raise Unreadable(f"a record claims offset {record.offset}, which is not its turn")
            behind = record.offset + 1
            yield record

    def _place(self, body: bytes) -> tuple[int, int, int]:
        """Offset and timestamp of a record, and where its key begins."""
        _, at = decode_varint(body)  # attributes, of which there are none yet
        delta, at = decode_varint(body, at)
        timestamp = self.max_timestamp if self.timestamp_type == self.LOG_APPEND_TIME else self.first_timestamp + delta
        delta, at = decode_varint(body, at)
        return self.base_offset + delta, timestamp, at

    def _record(self, body: bytes) -> DefaultRecord:
        offset, timestamp, at = self._place(body)
        try:
            key, at = _field(body, at)
            value, at = _field(body, at)
            headers = self._headers(body, at)
        except (Unreadable, ValueError, IndexError) as error:
            return self._unreadable(
                offset, UnreadableValue(f"record with a broken structure: {error}", body), timestamp
            )
        return DefaultRecord(len(body), offset, timestamp, self.timestamp_type, key, value, headers)

    def _headers(self, body: bytes, at: int) -> list[tuple[str, bytes | None]]:
        """In a name that is no UTF-8, each byte that does not fit is told by its number."""
        count, at = decode_varint(body, at)
        if not 0 <= count <= self._ceilings.headers:
            raise Unreadable(f"claims {count:,} headers, and at most {self._ceilings.headers:,} are read")
        headers: list[tuple[str, bytes | None]] = []
        for _ in range(count):
            name, at = _field(body, at)
            if name is None:
                raise Unreadable("a header has no name")
            value, at = _field(body, at)
            headers.append((name.decode("utf-8", "backslashreplace"), value))
        if at != len(body):
            raise Unreadable(f"{len(body) - at:,} bytes behind its end")
        return headers

    def _unreadable(self, offset: int, value: UnreadableValue, timestamp: int | None = None) -> DefaultRecord:
        when = self.max_timestamp if timestamp is None else timestamp
        return DefaultRecord(len(value), offset, when, self.timestamp_type, None, value, [])


def _field(body: bytes, at: int) -> tuple[bytes | None, int]:
    """Bytes behind their length, and where they end; None for a negative length."""
    size, at = decode_varint(body, at)
    if size < 0:
        return None, at
    if size > len(body) - at:
        raise Unreadable(f"a field of {size:,} bytes where {len(body) - at:,} are left")
    return body[at : at + size], at + size
