"""Writes the bundle's container: a stored zip whose every byte follows from its files (docs/bundle-format.md)."""

from __future__ import annotations

import ctypes
import os
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

from onshore_pipeline.evidence.verify_standalone import Part, container_end

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_BLOCK: Final = 1 << 20
# So much of a file is copied before its disk blocks are given back.
_GIVEN_BACK: Final = 64 << 20
_FALLOC_FL_KEEP_SIZE: Final = 1  # linux/falloc.h
_FALLOC_FL_PUNCH_HOLE: Final = 2


@dataclass(frozen=True, slots=True)
class BundleFile:
    """A file that goes into a bundle: its name there, and its bytes or where they lie, to be used up there."""

    name: str
    content: bytes | Path


def write_container(target: Path, files: Sequence[BundleFile], before_end: Callable[[], object] = lambda: None) -> None:
    """Write the container, whole or not at all: it gets its name when it is complete and durable.

    `before_end` is called when all but its end is written: what it raises leaves nothing, and a process that is killed
    before it returned leaves no container.

    Files that lie on disk are used up: their blocks are given back while they are copied, so that a bundle takes its
    own size of disk, not twice that, and then they are deleted.
    """
    unfinished = target.with_name(f".{target.name}.part")
    try:
        with unfinished.open("wb") as out:
            parts = [_write(out, each) for each in files]
            before_end()
            out.write(container_end(parts, out.tell()))
            out.flush()
            os.fsync(out.fileno())
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


def _write(out: BinaryIO, file: BundleFile) -> Part:
    at = out.tell()
    if isinstance(file.content, bytes):
        part = Part(file.name, len(file.content), zlib.crc32(file.content), at)
        out.write(part.local_header())
        out.write(file.content)
        return part
    part = Part(file.name, file.content.stat().st_size, 0, at)
    out.write(part.local_header())
    with file.content.open("r+b") as source:
        copied = 0
        while block := source.read(_BLOCK):
            part.crc = zlib.crc32(block, part.crc)
            out.write(block)
            copied += len(block)
            if copied % _GIVEN_BACK == 0:
                _give_back(source.fileno(), copied - _GIVEN_BACK, _GIVEN_BACK)
    file.content.unlink()
    end = out.tell()
    out.seek(at)
    out.write(part.local_header())  # again, with the check sum
    out.seek(end)
    return part


def _give_back(file: int, at: int, length: int) -> None:
    """Leave a hole where these bytes were; where the system cannot do that, nothing."""
    allocate = getattr(ctypes.CDLL(None), "fallocate64", None)
    if allocate is not None:
        at_, length_ = ctypes.c_int64(at), ctypes.c_int64(length)
        allocate(ctypes.c_int(file), ctypes.c_int(_FALLOC_FL_PUNCH_HOLE | _FALLOC_FL_KEEP_SIZE), at_, length_)
