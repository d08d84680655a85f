"""What a reader finds in a file, piece by piece; every piece is sent, as a record or as what could not be read."""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

MOST_RECORD_CHARS: Final = 8 << 20  # of one record; a longer one is passed over in bounded memory
MOST_KEPT_CHARS: Final = 128 << 10  # of a stretch that is no record

# Bytes that are no UTF-8 stand in a text as lone surrogates, so that the text gives exactly these bytes again.
UNDECODABLE: Final = "surrogateescape"


class RawRecord(NamedTuple):
    """A record as it stands in the file.

    Attributes:
        text: its text, to the byte.
        format: which source format it is written in, such as `aws.cloudtrail`.
        uid: the source's own id of it, for `log.record.uid`.
        time_ns: when it happened, nanoseconds since the epoch; None where it does not say.
        attributes: what it cannot say about itself, for attributes of the record.
        open_end: the file ends in it without an end of line, so that it may go on when the file grows.
    """

    text: str
    format: str
    uid: str | None = None
    time_ns: int | None = None
    attributes: tuple[tuple[str, str], ...] = ()
    open_end: bool = False


class Unreadable(NamedTuple):
    """A stretch of the file that is no record.

    Attributes:
        position: where it begins, in bytes of the unpacked file.
        line: in which line it begins, from 1.
        reason: what is wrong with it.
        text: the stretch, or its first 128 Ki characters.
        size: bytes of the whole stretch.
        open_end: the file ends in it, so that it may be mended when the file grows.
    """

    position: int
    line: int
    reason: str
    text: str = ""
    size: int = 0
    open_end: bool = False


class Digest(NamedTuple):
    """The file holds hashes of log files and no records.

    Attributes:
        covers: how many log files it lists.
        text: the whole of it.
    """

    covers: int
    text: str


Piece = RawRecord | Unreadable | Digest


def digest_of(piece: RawRecord | Unreadable) -> bytes:
    """What a piece is known again by when its file has grown."""
    return hashlib.sha256(piece.text.encode("utf-8", UNDECODABLE)).digest()


def bytes_in(text: str) -> int:
    """How many bytes of the file a text stands for."""
    return len(text) if text.isascii() else len(text.encode("utf-8", UNDECODABLE))


def is_text(raw: str) -> bool:
    """Whether every byte of it was valid UTF-8."""
    try:
        raw.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
