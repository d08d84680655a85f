"""Digests and log files among given files, and the signatures that were kept beside digests."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from onshore_collectors.digests.chain import Finding
from onshore_collectors.digests.digest_file import NoDigest, is_named_digest, read_digest
from onshore_collectors.files.source_files import SourceFile
from onshore_pipeline.errors import OnshoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from onshore_collectors.digests.digest_file import DigestFile, ListedLog

# Beside a digest: what `aws s3api head-object` prints of it.
KEPT_METADATA: Final = ".metadata.json"

_DIGEST: Final = "digest"
_MOST_DIGEST_BYTES: Final = 64 << 20


@dataclass(slots=True)
class Gathered:
    """What the given files are.

    Attributes:
        digests: the digests, each content once.
        signatures: path of a digest → its kept signature.
        unreadable: files that have a digest's name and are none.
        logs: last part of the path → the paths of files that are no digests.
    """

    digests: list[DigestFile] = field(default_factory=list)
    signatures: dict[str, str] = field(default_factory=dict)
    unreadable: list[Finding] = field(default_factory=list)
    logs: dict[str, list[str]] = field(default_factory=dict)
    _listed: set[str] = field(default_factory=set)

    def find(self, listed: ListedLog) -> str | None:
        """Where a listed log file lies: under its whole key if it does, else under its name."""
        name = listed.key.rpartition("/")[2]
        here = self.logs.get(name) or self.logs.get(name.removesuffix(".gz")) or []
        path = next((each for each in here if each.endswith(f"/{listed.key}")), here[0] if here else None)
        if path is not None:
            self._listed.add(path)
        return path

    def unlisted(self) -> list[str]:
        """Log files that `find` was never asked for."""
        return sorted(path for paths in self.logs.values() for path in paths if path not in self._listed)


def gather(files: Sequence[SourceFile], on_read: Callable[[int], None]) -> Gathered:
    """Read the digests among the files; log files are only noted."""
    gathered = Gathered()
    seen: set[tuple[str, str]] = set()
    for file in files:
        name = file.name.rpartition("/")[2]
        if name.endswith(KEPT_METADATA):
            continue
        if _DIGEST not in name.lower():
            gathered.logs.setdefault(name, []).append(file.name)
            continue
        try:
            digest = read_digest(file.name, _content(file, on_read))
        except (NoDigest, OSError, OnshoreError) as error:
            if is_named_digest(name) or not isinstance(error, NoDigest):
                gathered.unreadable.append(Finding("digest", file.name, "invalid", str(error)))
            else:
                gathered.logs.setdefault(name, []).append(file.name)
            continue
        if (digest.key, digest.sha256) not in seen:
            seen.add((digest.key, digest.sha256))
            gathered.digests.append(digest)
            if signature := _kept_signature(file.name):
                gathered.signatures[file.name] = signature
    return gathered


def hash_of(path: str, on_read: Callable[[int], None]) -> str:
    """SHA-256 of a file's unpacked bytes, in hex. Raises `OSError`, and `CutShort` for a damaged gzip stream."""
    digest = hashlib.sha256()
    for chunk in SourceFile(path).chunks(on_read):
        digest.update(chunk)
    return digest.hexdigest()


def _content(file: SourceFile, on_read: Callable[[int], None]) -> bytes:
    content = bytearray()
    for chunk in file.chunks(on_read):
        content += chunk
        if len(content) > _MOST_DIGEST_BYTES:
            raise OnshoreError(f"is larger than {_MOST_DIGEST_BYTES >> 20} MiB, which no digest is")
    return bytes(content)


def _kept_signature(path: str) -> str | None:
    """The signature in the object's metadata, where it was kept.

    Raises:
        OnshoreError: what was kept is not what `aws s3api head-object` prints.
    """
    kept = Path(path + KEPT_METADATA)
    if not kept.is_file():
        return None
    try:
        return str(json.loads(kept.read_text(encoding="utf-8"))["Metadata"]["signature"])
    except (OSError, ValueError, KeyError, TypeError):
        raise OnshoreError(f"{kept} is not what `aws s3api head-object` prints of a digest") from None
