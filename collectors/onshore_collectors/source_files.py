"""The files that a reader was pointed at: which they are, how one is known again, and their bytes unpacked."""

from __future__ import annotations

import glob
import hashlib
import os
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from onshore_pipeline.errors import OnshoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

STANDARD_INPUT: Final = "-"

_CHUNK_BYTES: Final = 1 << 18
_MOST_UNPACKED_BYTES: Final = 1 << 20  # at once, however well it was packed
_GZIP_MAGIC: Final = b"\x1f\x8b"
_GZIP_WINDOW_BITS: Final = 31
_LOG_SUFFIXES: Final = (".json", ".jsonl", ".ndjson", ".log")
_PREFIX_BYTES: Final = 1 << 16


class CutShort(OnshoreError):
    """The file's packed bytes end early or are damaged; what came before was given."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What the file system says of a file; equal stamps are taken as equal content."""

    device: int
    inode: int
    size: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to read.

    Attributes:
        name: its absolute path, or `-` for standard input.
        is_stream: it can be read only once (standard input, a pipe), so that there is no place to come back to.
    """

    name: str
    is_stream: bool = False

    def stamp(self) -> Stamp:
        """What the file system says of it now. Raises `OSError`."""
        stat = Path(self.name).stat()
        return Stamp(stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)

    def prefix_digest(self, size: int) -> bytes:
        """SHA-256 of its beginning: 64 KiB, or all of it when it was `size` bytes and that is less."""
        with Path(self.name).open("rb") as file:
            return hashlib.sha256(file.read(min(size, _PREFIX_BYTES))).digest()

    def chunks(self, on_read: Callable[[int], None]) -> Iterator[bytes]:
        """Its bytes, unpacked when it is gzip; `on_read` is told how many packed bytes were read.

        Raises:
            CutShort: the gzip stream is damaged or ends early, after everything before it was given.
            OSError: it cannot be read.
        """
        if self.name == STANDARD_INPUT:
            yield from unpack(_counted(sys.stdin.buffer, on_read))
            return
        with Path(self.name).open("rb") as file:
            yield from unpack(_counted(file, on_read))


@dataclass(frozen=True, slots=True)
class FoundFiles:
    """What paths led to.

    Attributes:
        files: each once; a folder's in order of their paths.
        ignored: how many files of folders do not look like logs by their names.
    """

    files: tuple[SourceFile, ...]
    ignored: int

    def size(self) -> int:
        """Bytes of all files as they lie there."""
        return sum(_size(each.name) for each in self.files)


def find_files(paths: Sequence[str]) -> FoundFiles:
    """Files, folders (with everything below), patterns and `-`.

    Raises:
        OnshoreError: a path or pattern leads to nothing.
    """
    files: dict[str, SourceFile] = {}
    ignored = 0
    for path in paths:
        for match in _matches(path):
            if match != STANDARD_INPUT and Path(match).is_dir():
                below = _below(Path(match))
                logs = [each for each in below if _is_log(each)]
                ignored += len(below) - len(logs)
            else:
                logs = [match]
            for each in logs:
                name = each if each == STANDARD_INPUT else os.path.realpath(each)
                files[name] = SourceFile(name, is_stream=name == STANDARD_INPUT or Path(name).is_fifo())
    return FoundFiles(tuple(files.values()), ignored)


def _matches(path: str) -> list[str]:
    if path == STANDARD_INPUT or Path(path).exists():
        return [path]
    matches = sorted(glob.glob(path, recursive=True)) if glob.has_magic(path) else []  # noqa: PTH207 - absolute too
    if not matches:
        raise OnshoreError(f"{path}: there is no such file or folder, and no file matches it")
    return matches


def _size(name: str) -> int:
    try:
        return Path(name).stat().st_size
    except OSError:
        return 0  # reading it says why


def _below(folder: Path) -> list[str]:
    return sorted(str(Path(parent, name)) for parent, _, names in os.walk(folder) for name in names)


def _is_log(path: str) -> bool:
    name = Path(path).name.lower().removesuffix(".gz")
    return name.endswith(_LOG_SUFFIXES) and not name.startswith(".")


def _counted(file: BinaryIO, on_read: Callable[[int], None]) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK_BYTES):
        on_read(len(chunk))
        yield chunk


def unpack(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The bytes as they are, or what gzip packed into them. Raises `CutShort` behind everything that could be read."""
    first = next(chunks, b"")
    while len(first) < len(_GZIP_MAGIC) and (more := next(chunks, b"")):
        first += more
    if not first.startswith(_GZIP_MAGIC):
        yield first
        yield from chunks
        return
    member, packed = zlib.decompressobj(_GZIP_WINDOW_BITS), first
    while True:
        try:
            part = member.decompress(packed, _MOST_UNPACKED_BYTES)
        except zlib.error as error:
            raise CutShort(f"the gzip stream is damaged ({error})") from None
        if part:
            yield part
        if member.eof:
            packed = _next_member(member.unused_data, chunks)
            if not packed:
                return
            member = zlib.decompressobj(_GZIP_WINDOW_BITS)
        else:
            packed = member.unconsumed_tail or next(chunks, b"")
            if not packed and not part:
                raise CutShort("the gzip stream ends early")


def _next_member(packed: bytes, chunks: Iterator[bytes]) -> bytes:
    """Where the next gzip member begins, after padding; b'' where there is none."""
    packed = packed.lstrip(b"\0")
    while not packed and (more := next(chunks, b"")):
        packed = more.lstrip(b"\0")
    return packed
