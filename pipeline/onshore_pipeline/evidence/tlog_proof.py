"""Proof that one leaf is in a log, as text that is checked offline (c2sp.org/tlog-proof)."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from onshore_pipeline.evidence.checkpoint import Checkpoint, parse_checkpoint
from onshore_pipeline.evidence.merkle import DIGEST_SIZE
from onshore_pipeline.evidence.signed_note import Note, NoteRefused, Verified, parse_note
from onshore_pipeline.evidence.tree_proofs import verify_inclusion

if TYPE_CHECKING:
    from collections.abc import Collection

    from onshore_pipeline.evidence.signed_note import VerifierKey

_FIRST_LINE: Final = "c2sp.org/tlog-proof@v1"
_INDEX: Final = re.compile(r"index (0|[1-9][0-9]{0,18})")
_LONGEST: Final = 64  # hashes: as many as a size has bits


@dataclass(frozen=True, slots=True)
class TlogProof:
    """A leaf's place and what proves it.

    Attributes:
        index: of the leaf in the log.
        hashes: the inclusion proof, the leaf's sibling first.
        note: the signed checkpoint.
        extra: what an application needs to make the leaf; nothing proves it by itself.
    """

    index: int
    hashes: tuple[bytes, ...]
    note: Note
    extra: bytes | None = None

    def __str__(self) -> str:
        """The proof as it goes into a file."""
        lines = [_FIRST_LINE]
        if self.extra is not None:
            lines.append(f"extra {base64.b64encode(self.extra).decode()}")
        lines.append(f"index {self.index}")
        lines += [base64.b64encode(each).decode() for each in self.hashes]
        return "".join(f"{line}\n" for line in lines) + f"\n{self.note}"

    def verify(
        self, leaf_hash: bytes, origin: str, keys: Collection[VerifierKey]
    ) -> tuple[Checkpoint, tuple[Verified, ...]]:
        """Check that the leaf is in the log `origin`; gives the head, and which of `keys` signed it.

        Raises:
            NoteRefused: the head is another log's, or not signed by one of `keys`.
            NotProven: the leaf is not proven to be in it.
        """
        signatures = self.note.verified(keys)
        head = parse_checkpoint(self.note.text)
        if head.origin != origin:
            raise NoteRefused(f"the proof is about the log {head.origin}, not about {origin}")
        verify_inclusion(leaf_hash, self.index, head.size, self.hashes, head.root)
        return head, signatures


def parse_tlog_proof(raw: bytes) -> TlogProof:
    """Read a proof.

    Raises:
        NoteRefused: it is none.
    """
    above, parted, note = raw.partition(b"\n\n")
    if not parted:
        raise NoteRefused("the proof has no checkpoint in it")
    try:
        lines = above.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise NoteRefused("the proof's lines are not plain text") from None
    if lines.pop(0) != _FIRST_LINE or not lines:
        raise NoteRefused(f"the proof does not begin with {_FIRST_LINE} and an index")
    extra = _decoded(lines.pop(0).removeprefix("extra ")) if lines[0].startswith("extra ") else None
    found = _INDEX.fullmatch(lines.pop(0)) if lines else None
    if found is None:
        raise NoteRefused("the proof does not say the leaf's index")
    hashes = tuple(_decoded(line) for line in lines[: _LONGEST + 1])
    if len(hashes) > _LONGEST or any(len(each) != DIGEST_SIZE for each in hashes):
        raise NoteRefused("the proof's hashes are not hashes, or too many")
    return TlogProof(int(found[1]), hashes, parse_note(note), extra)


def _decoded(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if base64.b64encode(raw).decode() != text:
        raise NoteRefused(f"{text[:80]!r} is not base64")
    return raw
