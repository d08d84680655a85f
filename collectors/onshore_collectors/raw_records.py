"""What a reader finds in a file, piece by piece; every piece is counted as sent, skipped or unreadable."""

from __future__ import annotations

from typing import NamedTuple


class RawRecord(NamedTuple):
    """A record as it stands in the file.

    Attributes:
        text: its text, to the byte.
        uid: the source's own id of it, for `log.record.uid`.
        time_ns: when it happened, nanoseconds since the epoch; None where it does not say.
    """

    text: str
    uid: str | None
    time_ns: int | None


class Unreadable(NamedTuple):
    """A stretch of the file that is no record.

    Attributes:
        position: where it begins, in bytes of the unpacked file.
        reason: what is wrong with it, and how much was passed over.
    """

    position: int
    reason: str


class Digest(NamedTuple):
    """The file holds hashes of log files and no records.

    Attributes:
        covers: how many log files it lists.
    """

    covers: int


Piece = RawRecord | Unreadable | Digest
