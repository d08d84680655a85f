"""Kafka's batches as we read them: as the client does where all is well, bounded and with a reason where it is not."""

from __future__ import annotations

import re
import struct
import tracemalloc
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import pyarrow as pa
import pytest
from kafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from kafka.record.memory_records import MemoryRecords
from kafka.record.util import calc_crc32c

from onshore_pipeline.broker import Gap, Message
from onshore_pipeline.kafka_batches import Batches, Ceilings, UnreadableValue
from onshore_pipeline.kafka_entries import gap_before

if TYPE_CHECKING:
    from collections.abc import Iterable

CODECS: Final = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
HEADER: Final = DefaultRecordBatch.HEADER_STRUCT.size
MESSAGES: Final = [
    (b"key", b"value", [("name", b"one"), ("name", None)]),
    (None, None, []),
    (b"", b"", [("größe", b"\xff")]),
    (None, bytes(range(256)) * 2000, []),
]


def batch(codec: str, messages: Iterable[tuple[Any, Any, Any]], first: int = 0) -> bytes:
    """As the client's producer packs it; snappy, which it cannot pack here, as Java does or in one block."""
    packed = {"snappy-java": "none", "snappy": "none"}.get(codec, codec)
    builder = DefaultRecordBatchBuilder(2, CODECS[packed], 0, -1, -1, -1, 1 << 30)
    for number, (key, value, headers) in enumerate(messages):
        builder.append(number, timestamp=1000 + number, key=key, value=value, headers=headers)
    made = bytearray(builder.build())
    if codec == "snappy":
        made = repacked(made, 2, snappy(bytes(made[HEADER:])))
    if codec == "snappy-java":
        records = bytes(made[HEADER:])
        blocks = [snappy(records[at : at + 32768]) for at in range(0, len(records), 32768)]
        stream = b"\x82SNAPPY\x00" + struct.pack(">ii", 1, 1)
        made = repacked(made, 2, stream + b"".join(struct.pack(">i", len(each)) + each for each in blocks))
    struct.pack_into(">q", made, 0, first)
    return bytes(made)


def snappy(data: bytes) -> bytes:
    return bytes(pa.compress(data, codec="snappy", asbytes=True))


def repacked(made: bytearray, codec: int, records: bytes) -> bytearray:
    """The batch with other records, length and checksum made right."""
    made = bytearray(made[:HEADER]) + records
    struct.pack_into(">i", made, 8, len(made) - 12)
    struct.pack_into(">h", made, 21, codec)
    struct.pack_into(">I", made, 17, calc_crc32c(bytes(made[21:])))
    return made


def ours(data: bytes, ceilings: Ceilings | None = None) -> list[Any]:
    found = []
    batches = Batches(MemoryRecords(data), ceilings or Ceilings())
    while (each := batches.next_batch()) is not None:
        assert each.validate_crc()
        found += list(each)
    return found


def seen(record: Any) -> tuple[Any, ...]:
    return (record.offset, record.timestamp, record.timestamp_type, record.key, record.value, record.headers)


@pytest.mark.parametrize("codec", [*CODECS, "snappy-java"])
def test_a_whole_batch_reads_as_the_client_reads_it(codec: str) -> None:
    data = batch(codec, MESSAGES, first=40) + batch(codec, MESSAGES * 50, first=44)
    plain = batch("none", MESSAGES, first=40) + batch("none", MESSAGES * 50, first=44)
    theirs = [seen(record) for each in MemoryRecords(plain) for record in each]
    assert [seen(record) for record in ours(data)] == theirs
    assert len(theirs) == 204


def test_a_header_name_that_is_no_utf_8_is_told_by_its_bytes_and_its_record_is_read() -> None:
    good = bytearray(batch("none", [(None, b"v", [("keyX", b"1")])]))
    data = repacked(good, 0, bytes(good[HEADER:]).replace(b"keyX", b"key\xff"))
    (record,) = ours(bytes(data))
    assert (record.value, record.headers) == (b"v", [("key\\xff", b"1")])


def test_a_record_of_a_broken_structure_is_told_with_its_bytes_and_costs_no_other() -> None:
    made = bytearray(batch("none", [(None, b"a", []), (None, b"bcdef", []), (None, b"c", [])]))
    broken = bytes(made[HEADER:]).replace(b"\x0abcdef\x00", b"\x0abcdef\x01")  # minus one header
    first, second, third = ours(bytes(repacked(made, 0, broken)))
    assert (first.value, third.value) == (b"a", b"c")
    assert isinstance(second.value, UnreadableValue)
    assert second.offset == 1
    assert second.value.why == "record with a broken structure: claims -1 headers, and at most 1,000 are read"
    assert second.value.endswith(b"bcdef\x01")


@pytest.mark.parametrize("codec", ["gzip", "snappy", "snappy-java", "lz4", "zstd"])
def test_where_a_codec_breaks_off_what_was_read_is_kept_and_the_rest_is_told_at_the_batchs_end(codec: str) -> None:
    whole = bytearray(batch(codec, [(None, bytes([number]) * 100_000, []) for number in range(20)], first=7))
    packed = bytes(whole[HEADER : HEADER + (len(whole) - HEADER) // 2])
    records = ours(bytes(repacked(whole, CODECS[codec.partition("-")[0]], packed)))
    *good, last = records
    assert [record.offset for record in good] == list(range(7, 7 + len(good)))
    assert all(record.value == bytes([record.offset - 7]) * 100_000 for record in good)
    assert isinstance(last.value, UnreadableValue)
    assert last.offset == 26
    assert last.value.why.startswith(f"not readable from offset {7 + len(good)} to 26, the batch's end: ")
    assert last.value == packed


@pytest.mark.parametrize("codec", ["gzip", "snappy-java", "lz4", "zstd"])
def test_a_record_beyond_the_ceiling_is_left_out_by_name_and_never_whole_in_memory(codec: str) -> None:
    large = 48 << 20
    data = batch(codec, [(None, b"a", []), (b"k" * 50, bytes(large), [("h", b"1")]), (None, b"c", [])])
    tracemalloc.start()
    try:
        first, second, third = ours(data, Ceilings(record_bytes=1 << 20))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (first.value, third.value, second.value, second.offset) == (b"a", b"c", b"", 1)
    assert isinstance(second.value, UnreadableValue)
    assert re.match(r"record of 50,33\d,\d{3} bytes, more than 1,048,576; SHA-256 from", second.value.why)
    assert peak < 16 << 20


@pytest.mark.parametrize("codec", ["gzip", "snappy-java", "lz4", "zstd"])
def test_what_lies_behind_the_ceiling_of_a_batch_is_told_at_its_end(codec: str) -> None:
    data = batch(codec, [(None, bytes(1 << 20), []) for _ in range(20)])
    *good, last = ours(data, Ceilings(batch_bytes=5 << 20))
    assert [len(record.value) for record in good] == [1 << 20] * 4
    assert isinstance(last.value, UnreadableValue)
    assert last.offset == 19
    assert last.value.why == ("not readable from offset 4 to 19, the batch's end: unpacks to more than 5,242,880 bytes")


def test_more_headers_than_anybody_sends_are_not_taken_apart() -> None:
    (record,) = ours(batch("zstd", [(None, b"v", [("", b"")] * 5000)]))
    assert isinstance(record.value, UnreadableValue)
    assert record.value.why == "record with a broken structure: claims 5,000 headers, and at most 1,000 are read"


def test_one_snappy_block_beyond_the_ceiling_is_not_unpacked() -> None:
    (record,) = ours(batch("snappy", [(None, bytes(4 << 20), [])]), Ceilings(record_bytes=1 << 20))
    assert isinstance(record.value, UnreadableValue)
    assert "a snappy block unpacks to 4,194,3" in record.value.why


def test_a_codec_that_is_not_known_is_told_of_the_whole_batch() -> None:
    made = bytearray(batch("none", MESSAGES))
    (record,) = ours(bytes(repacked(made, 6, bytes(made[HEADER:]))))
    assert isinstance(record.value, UnreadableValue)
    assert record.offset == 3
    assert bytes(record.value) == bytes(made[HEADER:])
    assert record.value.why == (
        "not readable from offset 0 to 3, the batch's end: packed by a codec that is not known here (6)"
    )


@pytest.mark.parametrize(("why", "empty"), [("", 3), ("the rest of its batch cannot be read", 0)])
def test_offsets_in_front_of_a_message_that_cannot_be_read_are_never_called_empty(why: str, empty: int) -> None:
    message = Message("otlp_logs", uuid4(), 0, 9, 1, "broker", (), b"", why)
    assert gap_before(message, first=4, begin=6) == Gap("otlp_logs", message.topic_id, 0, 4, 9, empty)
