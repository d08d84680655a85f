"""The files that a reader was pointed at: which they are, how one is known again, and their bytes unpacked."""

from __future__ import annotations

import codecs
import glob
import hashlib
import itertools
import os
import re
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from onshore_collectors.files.unpacking import PACKED_SUFFIXES, CutShort, unpack
from onshore_pipeline.errors import OnshoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    Suffixes = Sequence[str]

STANDARD_INPUT: Final = "-"

_CHUNK_BYTES: Final = 1 << 18
_MOST_SEARCHED_BYTES: Final = 1 << 20
_UTF16: Final = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
JSON_SUFFIXES: Final = (".json", ".jsonl", ".ndjson")
LOG_SUFFIXES: Final = (*JSON_SUFFIXES, ".log")
_ROTATED: Final = re.compile(r"(.*\.[A-Za-z]\w*)[.-](\d[\d-]*)")  # app.log.1, app.log-20261127, app.log.2026-11-27
PARQUET: Final = b"PAR1"  # how such a file begins
_PREFIX_BYTES: Final = 1 << 16
_SHORTEST_DAY: Final = len("20261127")


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

    def beginning(self) -> bytes:
        """Its first 64 KiB, unpacked when they are packed; what can be read of them. Raises `OSError`."""
        held = b""
        with Path(self.name).open("rb") as file, suppress(CutShort):
            for chunk in unpack(_counted(file, lambda _: None)):
                held += chunk
                if len(held) >= _PREFIX_BYTES:
                    break
        return held[:_PREFIX_BYTES]

    def is_parquet(self) -> bool:
        """Whether it begins as Parquet does; never of a stream. Raises `OSError`."""
        if self.is_stream:
            return False
        with Path(self.name).open("rb") as file:
            return file.read(len(PARQUET)) == PARQUET

    def chunks(
        self, on_read: Callable[[int], None], on_encoding: Callable[[str], None] = lambda _: None
    ) -> Iterator[bytes]:
        """Its bytes, unpacked when they are packed, as UTF-8 when a mark says that it is UTF-16.

        `on_read` is told how many packed bytes were read, `on_encoding` that it is `utf-16-le` or `utf-16-be`.

        Raises:
            CutShort: the packed stream is damaged or ends early, after everything before it was given.
            OSError: it cannot be read.
        """
        if self.name == STANDARD_INPUT:
            yield from as_utf8(unpack(_counted(sys.stdin.buffer, on_read)), on_encoding)
            return
        with Path(self.name).open("rb") as file:
            yield from as_utf8(unpack(_counted(file, on_read)), on_encoding)


@dataclass(frozen=True, slots=True)
class FoundFiles:
    """What paths led to.

    Attributes:
        files: each once; a folder's in order of their paths, but what was rotated away before what is written to, the
            oldest first: a position is kept by name, and found from a new name only while nothing else has the old one.
        ignored: how many files of folders do not look like logs of that kind by their names.
    """

    files: tuple[SourceFile, ...]
    ignored: int

    def size(self) -> int:
        """Bytes of all files as they lie there."""
        return sum(_size(each.name) for each in self.files)


def find_files(paths: Sequence[str], suffixes: Suffixes = LOG_SUFFIXES) -> FoundFiles:
    """Files, folders (with everything below), patterns and `-`.

    Args:
        paths: what a person named.
        suffixes: how the names of a folder's logs end, but for what packing and rotating put behind that.

    Raises:
        OnshoreError: a path or pattern leads to nothing, or to no file whose name ends so.
    """
    files: dict[str, SourceFile] = {}
    ignored = 0
    for path in paths:
        found, others = _logs_of(path, suffixes)
        if not found:
            endings = ", ".join(suffixes)
            raise OnshoreError(f"{path}: none of {others:,} files there ends with {endings}; name files or a pattern")
        ignored += others
        for each in found:
            name = each if each == STANDARD_INPUT else os.path.realpath(each)
            files[name] = SourceFile(name, is_stream=name == STANDARD_INPUT or Path(name).is_fifo())
    return FoundFiles(tuple(_oldest_first(list(files.values()))), ignored)


def _logs_of(path: str, suffixes: Suffixes) -> tuple[list[str], int]:
    """The files that a path leads to, and how many files of folders are none of those."""
    logs: list[str] = []
    others = 0
    for match in _matches(path):
        if match == STANDARD_INPUT or not Path(match).is_dir():
            logs.append(match)
            continue
        below = _below(Path(match))
        fitting = [each for each in below if _is_log(each, suffixes)]
        logs += fitting
        others += len(below) - len(fitting)
    return logs, others


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


def _is_log(path: str, suffixes: Suffixes) -> bool:
    name, _ = rotated_from(Path(path).name.lower())
    return name.endswith(tuple(suffixes)) and not name.startswith(".")


def rotated_from(path: str) -> tuple[str, str]:
    """What a file was called before it was packed and rotated, and by which number or day that is told; '' for none."""
    for suffix in PACKED_SUFFIXES:
        path = path.removesuffix(suffix)
    found = _ROTATED.fullmatch(path)
    return (found[1], found[2]) if found else (path, "")


def _oldest_first(files: list[SourceFile]) -> list[SourceFile]:
    """The files, those that were rotated away from a name where the first of them or that name stands."""
    places: dict[str, int] = {}
    for place, file in enumerate(files):
        places.setdefault(rotated_from(file.name)[0], place)

    def order(file: SourceFile) -> tuple[int, bool, int, str]:
        name, rotated = rotated_from(file.name)
        is_count = rotated.isdigit() and len(rotated) < _SHORTEST_DAY
        return places[name], not rotated, -int(rotated) if is_count else 0, rotated

    return sorted(files, key=order)


def _counted(file: BinaryIO, on_read: Callable[[int], None]) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK_BYTES):
        on_read(len(chunk))
        yield chunk


def as_utf8(chunks: Iterator[bytes], on_encoding: Callable[[str], None]) -> Iterator[bytes]:
    """The text in UTF-8 where a byte order mark says that it is UTF-16, else as it is.

    Raises `CutShort` where it ends in the middle of a character.
    """
    first = next(chunks, b"")
    encoding = _UTF16.get(first[:2])
    if encoding is None:
        yield first
        yield from chunks
        return
    on_encoding(encoding)
    # half a surrogate pair becomes bytes that are no UTF-8: the record that has it is told, the others are read
    decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
    for chunk in itertools.chain((first[2:],), chunks):
        yield decoder.decode(chunk).encode("utf-8", "surrogatepass")
    if decoder.getstate()[0]:
        raise CutShort("the UTF-16 text ends in the middle of a character")


def first_chunk(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """The first of them, b'' where there is none, and all of them."""
    try:
        first = next(chunks, b"")
    except CutShort as error:
        return b"", _then_raise((), error)
    return first, itertools.chain((first,), chunks)


def first_character(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """A text's first byte that is no white space, b'' where the first mebibyte has none, and all of its chunks."""
    seen: list[bytes] = []
    held = 0
    try:
        for chunk in chunks:
            seen.append(chunk)
            held += len(chunk)
            text = chunk.removeprefix(codecs.BOM_UTF8).lstrip()
            if text or held > _MOST_SEARCHED_BYTES:
                return text[:1], itertools.chain(seen, chunks)
    except CutShort as error:
        return b"", _then_raise(seen, error)
    return b"", iter(seen)


def _then_raise(seen: Iterable[bytes], error: CutShort) -> Iterator[bytes]:
    yield from seen
    raise error
