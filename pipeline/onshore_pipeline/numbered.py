"""Messages with a number, so that one that is sent again can be told from a new one."""

from __future__ import annotations

from dataclasses import dataclass

from onshore_pipeline.errors import OutOfSequence


@dataclass(frozen=True, slots=True)
class Numbered:
    """A place in a stream of messages whose numbers rise by one, so that one that is sent again can be told.

    Attributes:
        stream: names the stream, tenant and all; whoever numbers it sends one after the other.
        number: of this message.
        digest: SHA-256 of what is sent.
    """

    stream: str
    number: int
    digest: bytes


def is_new_after(numbered: Numbered, last: int, digest: bytes) -> bool:
    """Whether a message comes behind the last of its stream that was appended; False when it is that one.

    Raises:
        OutOfSequence: later ones were appended, or something else under this number.
    """
    if numbered.number > last:
        return True
    if numbered.number == last and numbered.digest == digest:
        return False
    raise OutOfSequence(
        f"number {numbered.number} comes again with something else, or behind {last}, the last one here"
    )
