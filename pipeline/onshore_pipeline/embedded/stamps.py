"""What the local log's stamps say about this machine's clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from onshore_pipeline.embedded.log_records import CARRIED_NS

if TYPE_CHECKING:
    import sqlite3


@dataclass(frozen=True, slots=True)
class StepBack:
    """A partition's stamps went back: the clock had been ahead, or is behind now.

    Attributes:
        topic: the topic's name.
        partition: partition number.
        offset: the first message stamped by the clock as it was then; the one in front of it has the stamp `from_ns`.
        from_ns: the stamp before, nanoseconds since 1970-01-01T00:00:00Z.
        to_ns: the stamp behind it.
    """

    topic: str
    partition: int
    offset: int
    from_ns: int
    to_ns: int


@dataclass(frozen=True, slots=True)
class Stamps:
    """The newest steps back, newest first, and how far the newest stamp of all is ahead of now: 0 if not by much."""

    steps_back: tuple[StepBack, ...] = ()
    ahead_ns: int = 0


def look_at_stamps(connection: sqlite3.Connection, now_ns: int) -> Stamps:
    """What the file's stamps say when it is `now_ns`."""
    rows = connection.execute(
        "SELECT name, partition, first_offset, from_ns, to_ns"
        " FROM steps_back JOIN partitions USING (slot) JOIN topics USING (topic) ORDER BY step DESC"
    ).fetchall()
    (newest_ns,) = connection.execute("SELECT max(last_timestamp_ns) FROM partitions").fetchone()
    ahead_ns = newest_ns - now_ns
    return Stamps(tuple(StepBack(*row) for row in rows), ahead_ns if ahead_ns > CARRIED_NS else 0)
