"""Checkpoints: the text of a signed tree head (c2sp.org/tlog-checkpoint), and which ones Onshore signs.

Every topic-partition has a log, and the evidence log as a whole is one, too: the deployment's. Its leaves are the same
entries, in the order in which they were committed, so that size and root follow from the log alone, whoever signs.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from onshore_pipeline.evidence.merkle import DIGEST_SIZE, leaf_hash
from onshore_pipeline.evidence.merkle import root as tree_root
from onshore_pipeline.evidence.signed_note import NoteRefused

if TYPE_CHECKING:
    from collections.abc import Collection
    from uuid import UUID

_LARGEST_SIZE: Final = (1 << 63) - 1
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_LOGS: Final = "logs "


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a tree head says.

    Attributes:
        origin: which log.
        size: its leaves.
        root: over them.
        extensions: further lines, in order.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The text that is signed, with its last newline."""
        lines = (self.origin, str(self.size), base64.b64encode(self.root).decode(), *self.extensions)
        return "".join(f"{line}\n" for line in lines)


def parse_checkpoint(text: str) -> Checkpoint:
    """Read the text of a checkpoint; strict, so that every checkpoint is written in one way only.

    Raises:
        NoteRefused: it is none.
    """
    lines = text.split("\n")
    if len(lines) < 4 or lines.pop() or not all(lines):  # noqa: PLR2004 - origin, size, root and the last line's end
        raise NoteRefused("a checkpoint has three lines or more, none of them empty")
    origin, size, encoded, *extensions = lines
    if not _NUMBER.fullmatch(size) or int(size) > _LARGEST_SIZE:
        raise NoteRefused(f"{size[:40]!r} is no size of a tree")
    return Checkpoint(origin, int(size), _root(encoded), tuple(extensions))


def deployment_origin(deployment: str, log_id: UUID) -> str:
    """Origin of an evidence log as a whole; one that begins anew has another."""
    return f"{deployment}/{log_id}"


def log_origin(deployment: str, topic_id: UUID, partition: int) -> str:
    """Origin of a topic-partition's log."""
    return f"{deployment}/{topic_id}/{partition}"


def deployment_head(origin: str, size: int, root: bytes, logs: Collection[Checkpoint]) -> Checkpoint:
    """The head of an evidence log, which also commits to the head of every topic-partition's log at that size."""
    return Checkpoint(origin, size, root, (f"{_LOGS}{len(logs)} {base64.b64encode(logs_root(logs)).decode()}",))


def logs_root(logs: Collection[Checkpoint]) -> bytes:
    """RFC 6962 root over the texts of the logs' heads, in the order of their origins' bytes."""
    return tree_root(logs_leaves(logs))


def logs_leaves(logs: Collection[Checkpoint]) -> list[bytes]:
    """The leaves of `logs_root`, in order."""
    return [leaf_hash(str(each).encode()) for each in sorted(logs, key=lambda each: each.origin.encode())]


def committed_logs(head: Checkpoint) -> tuple[int, bytes]:
    """How many logs a deployment's head commits to, and the root over their heads.

    Raises:
        NoteRefused: it is no deployment's head.
    """
    line = head.extensions[0] if len(head.extensions) == 1 else ""
    count, _, encoded = line.removeprefix(_LOGS).partition(" ")
    if not line.startswith(_LOGS) or not _NUMBER.fullmatch(count):
        raise NoteRefused(f"the head of {head.origin} does not say which logs it commits to")
    return int(count), _root(encoded)


def _root(encoded: str) -> bytes:
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != DIGEST_SIZE or base64.b64encode(raw).decode() != encoded:
        raise NoteRefused(f"{encoded[:80]!r} is no root of a tree")
    return raw
