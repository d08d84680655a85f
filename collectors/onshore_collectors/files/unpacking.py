"""Packed files: gzip, bzip2 and zstd, told apart by their first bytes, unpacked within bounded memory."""

from __future__ import annotations

import bz2
import zlib
from typing import TYPE_CHECKING, Final, Protocol

import zstandard

from onshore_pipeline.errors import OnshoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PACKED_SUFFIXES: Final = (".gz", ".bz2", ".zst")

_MOST_UNPACKED_BYTES: Final = 1 << 20  # at once, however well it was packed
_GZIP_WINDOW_BITS: Final = 31
# 512 bytes of zstd make at most 128 blocks of 128 KiB, so that one step stays near 16 MiB.
_ZSTD_STEP_BYTES: Final = 512
_ZSTD_WINDOW_BYTES: Final = 128 << 20  # what `zstd` itself unpacks without being told to take more
_LONGEST_MAGIC: Final = 4


class CutShort(OnshoreError):
    """The file's packed bytes end early or are damaged; what came before was given."""


class _Member(Protocol):
    """One of the packed streams that may follow each other in a file."""

    def unpack(self, packed: bytes) -> Iterator[bytes]:
        """What `packed` goes on with, in parts."""

    def rest(self) -> bytes | None:
        """What follows behind its end; None where the end was not reached."""


class _Gzip:
    def __init__(self) -> None:
        self._stream = zlib.decompressobj(_GZIP_WINDOW_BITS)

    def unpack(self, packed: bytes) -> Iterator[bytes]:
        while not self._stream.eof:
            part = self._stream.decompress(packed, _MOST_UNPACKED_BYTES)
            yield part
            packed = self._stream.unconsumed_tail
            if not packed and len(part) < _MOST_UNPACKED_BYTES:
                return

    def rest(self) -> bytes | None:
        # zeros may pad a member, to a tape's block for one
        return self._stream.unused_data.lstrip(b"\0") if self._stream.eof else None


class _Bzip2:
    def __init__(self) -> None:
        self._stream = bz2.BZ2Decompressor()

    def unpack(self, packed: bytes) -> Iterator[bytes]:
        yield self._stream.decompress(packed, _MOST_UNPACKED_BYTES)
        while not self._stream.needs_input and not self._stream.eof:
            yield self._stream.decompress(b"", _MOST_UNPACKED_BYTES)

    def rest(self) -> bytes | None:
        return self._stream.unused_data if self._stream.eof else None


class _Zstd:
    def __init__(self) -> None:
        self._stream = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES).decompressobj()
        self._rest = b""

    def unpack(self, packed: bytes) -> Iterator[bytes]:
        for at in range(0, len(packed), _ZSTD_STEP_BYTES):
            if self._stream.eof:
                self._rest += packed[at:]
                return
            yield self._stream.decompress(packed[at : at + _ZSTD_STEP_BYTES])
            self._rest = self._stream.unused_data

    def rest(self) -> bytes | None:
        return self._rest if self._stream.eof else None


_KINDS: Final[dict[bytes, tuple[str, Callable[[], _Member]]]] = {
    b"\x1f\x8b": ("gzip", _Gzip),
    b"BZh": ("bzip2", _Bzip2),
    b"\x28\xb5\x2f\xfd": ("zstd", _Zstd),
}


def unpack(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The bytes as they are, or what gzip, bzip2 or zstd packed into them.

    Raises `CutShort` behind everything that could be read.
    """
    first = next(chunks, b"")
    while len(first) < _LONGEST_MAGIC and (more := next(chunks, b"")):
        first += more
    kind = next((kind for magic, kind in _KINDS.items() if first.startswith(magic)), None)
    if kind is None:
        yield first
        yield from chunks
        return
    name, begin = kind
    member, packed = begin(), first
    while packed:
        try:
            yield from filter(None, member.unpack(packed))
        except (zlib.error, zstandard.ZstdError, OSError, EOFError) as error:
            raise CutShort(f"the {name} stream is damaged ({error})") from None
        if (rest := member.rest()) is None:
            packed = next(chunks, b"")
            continue
        packed = rest or _next_member(chunks)
        if not packed:
            return
        member = begin()
    raise CutShort(f"the {name} stream ends early")


def _next_member(chunks: Iterator[bytes]) -> bytes:
    """The next bytes that are no padding; b'' where there are none."""
    return next((rest for chunk in chunks if (rest := chunk.lstrip(b"\0"))), b"")
