"""What a witness is sent and what it answers (c2sp.org/tlog-witness, `add-checkpoint`)."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

from onshore_pipeline.evidence.signed_note import NoteRefused, parse_note

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onshore_pipeline.evidence.signed_note import Note

_OLD: Final = "old "


def add_checkpoint(old: int, proof: Sequence[bytes], note: str) -> str:
    """The body of a request: the size that the witness knows, the consistency proof from there, the signed head."""
    lines = [f"{_OLD}{old}", *(base64.b64encode(each).decode() for each in proof)]
    return "".join(f"{line}\n" for line in lines) + f"\n{note}"


def parse_cosigned(raw: bytes) -> Note:
    """A signed head with further signatures: a note, or what a witness was sent with its answer behind it.

    Raises:
        NoteRefused: it is neither.
    """
    if raw.startswith(_OLD.encode()):
        _, parted, raw = raw.partition(b"\n\n")
        if not parted:
            raise NoteRefused("the request has no head in it")
    if raw.startswith("— ".encode()):
        raise NoteRefused("these are signatures without a head: name the file that the witness was sent in front of it")
    return parse_note(raw)
