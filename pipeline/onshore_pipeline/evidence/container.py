"""Writes the bundle's container: a stored zip whose every byte follows from its files (docs/bundle-format.md)."""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

from onshore_pipeline.evidence.verify_standalone import Part, container_end

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class BundleFile:
    """A file that goes into a bundle: its name there, and its bytes or where they lie."""

    name: str
    content: bytes | Path


def write_container(target: Path, files: Sequence[BundleFile]) -> None:
    """Write the container, whole or not at all: it gets its name when it is complete and durable."""
    unfinished = target.with_name(f".{target.name}.part")
    try:
        with unfinished.open("wb") as out:
            parts = [_write(out, each) for each in files]
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
    with file.content.open("rb") as source:
        while block := source.read(_BLOCK):
            part.crc = zlib.crc32(block, part.crc)
            out.write(block)
    end = out.tell()
    out.seek(at)
    out.write(part.local_header())  # again, with the check sum
    out.seek(end)
    return part
