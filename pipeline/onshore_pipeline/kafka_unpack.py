"""Unpacking the records of a Kafka batch as a stream: no batch, however well it packs, is ever whole in memory."""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
from typing import TYPE_CHECKING, Final, Protocol

import lz4.frame
import zstandard
from kafka.record.util import decode_varint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_CHUNK: Final = 64 << 10
_LONGEST_VARINT: Final = 10
# What a zstd reader sets aside for each partition under way; levels up to 20 need no more.
_ZSTD_WINDOW: Final = 32 << 20
# Java's snappy stream: magic, version and compatible version, then blocks, each behind its length.
_XERIAL_MAGIC: Final = b"\x82SNAPPY\x00"
_XERIAL_HEADER: Final = 16
_LENGTH: Final = struct.Struct(">i")


class Unreadable(Exception):
    """A batch, or the rest of one, cannot be taken apart; the text says why."""


class Unpacked:
    """The records part of one batch; raises `Unreadable`, or whatever a codec raises over bytes that it cannot read."""

    def __init__(self, codec: int, packed: bytes, *, most_bytes: int, most_block_bytes: int) -> None:
        """Begin to unpack.

        Args:
            codec: Kafka's number of it: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd.
            packed: the bytes behind the batch's header.
            most_bytes: more than so many unpacked ones are not read.
            most_block_bytes: the same for one snappy block, which has to be unpacked at once.
        """
        if codec not in _OPEN:
            raise Unreadable(f"packed by a codec that is not known here ({codec})")
        self._source = _OPEN[codec](packed, most_block_bytes)
        self._most_bytes, self._unpacked = most_bytes, 0
        self._chunk, self._at = b"", 0

    def varint(self) -> int:
        """The next number, zigzag-coded."""
        self._fill(_LONGEST_VARINT)
        value, self._at = decode_varint(self._chunk, self._at)
        return int(value)

    def read(self, size: int) -> bytes:
        """The next `size` bytes."""
        self._fill(size)
        taken = self._chunk[self._at : self._at + size]
        if len(taken) < size:
            raise Unreadable(f"ends {size - len(taken)} bytes early")
        self._at += size
        return taken

    def pass_over(self, size: int) -> str:
        """Read `size` bytes and forget them; gives their SHA-256 in hex."""
        digest = hashlib.sha256()
        while size:
            taken = self.read(min(size, _CHUNK))
            digest.update(taken)
            size -= len(taken)
        return digest.hexdigest()

    def _fill(self, size: int) -> None:
        """Have `size` bytes ready, or as many as there are."""
        while (missing := size - (len(self._chunk) - self._at)) > 0:
            more = self._source.read(max(missing, _CHUNK))
            if not more:
                return
            self._unpacked += len(more)
            if self._unpacked > self._most_bytes:
                raise Unreadable(f"unpacks to more than {self._most_bytes:,} bytes")
            self._chunk, self._at = self._chunk[self._at :] + more, 0


class _Source(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Snappy:
    """Blocks of the snappy format: Java's many small ones, or one."""

    def __init__(self, packed: bytes, most_block_bytes: int) -> None:
        self._packed, self._most = packed, most_block_bytes
        self._xerial = packed.startswith(_XERIAL_MAGIC)
        self._at = _XERIAL_HEADER if self._xerial else 0

    def read(self, _: int, /) -> bytes:
        """The next block, whatever its size; nothing at the end."""
        if self._at >= len(self._packed):
            return b""
        end = len(self._packed)
        if self._xerial:
            (size,) = _LENGTH.unpack_from(self._packed, self._at)
            self._at += _LENGTH.size
            if not 0 < size <= end - self._at:
                raise Unreadable(f"a snappy block claims {size} bytes")
            end = self._at + size
        block, self._at = self._packed[self._at : end], end
        return self._block(block)

    def _block(self, block: bytes) -> bytes:
        from pyarrow import decompress  # in use by whoever reads messages; others need not load it

        unpacked = shift = 0
        for byte in block[:5]:
            unpacked |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
        if unpacked > self._most:
            raise Unreadable(f"a snappy block unpacks to {unpacked:,} bytes, more than {self._most:,}")
        return bytes(decompress(block, unpacked, codec="snappy", asbytes=True))


def _zstd(packed: bytes) -> _Source:
    reader: _Source = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).stream_reader(
        io.BytesIO(packed), read_across_frames=True
    )
    return reader


_OPEN: Final[Mapping[int, Callable[[bytes, int], _Source]]] = {
    0: lambda packed, _: io.BytesIO(packed),
    1: lambda packed, _: gzip.GzipFile(fileobj=io.BytesIO(packed)),
    2: _Snappy,
    3: lambda packed, _: lz4.frame.LZ4FrameFile(io.BytesIO(packed)),
    4: lambda packed, _: _zstd(packed),
}
