"""How far streams of numbered messages are (`numbered.Numbered`), in the local log's file and in its transactions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from onshore_pipeline.numbered import is_new_after

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from onshore_pipeline.broker import Outgoing
    from onshore_pipeline.numbered import Numbered

_REMEMBERED: Final = 100_000
_LAST: Final = "SELECT number, digest FROM streams WHERE stream = ?"
_MOVE: Final = "UPDATE streams SET number = ?, digest = ?, seen_ns = ? WHERE stream = ?"
_FORGET: Final = """
DELETE FROM streams WHERE stream IN
(SELECT stream FROM streams ORDER BY seen_ns LIMIT max(0, (SELECT count(*) FROM streams) - ?))
"""


def is_new(connection: sqlite3.Connection, numbered: Numbered | None) -> bool:
    """Whether a message with this number is to be appended; one without a number always is.

    Raises:
        OutOfSequence: see `is_new_after`.
    """
    if numbered is None:
        return True
    last = connection.execute(_LAST, (numbered.stream,)).fetchone()
    return last is None or is_new_after(numbered, *last)


def move(connection: sqlite3.Connection, messages: Iterable[Outgoing], now_ns: int) -> None:
    """Remember those that are numbered as the last of their streams; those silent for longest are forgotten."""
    for numbered in (each.numbered for each in messages if each.numbered is not None):
        known = connection.execute(_MOVE, (numbered.number, numbered.digest, now_ns, numbered.stream))
        if not known.rowcount:
            row = (numbered.stream, numbered.number, numbered.digest, now_ns)
            connection.execute("INSERT INTO streams VALUES (?, ?, ?, ?)", row)
            connection.execute(_FORGET, (_REMEMBERED,))
