"""What an audit names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

Place = tuple[bytes, bytes, int, int]  # attempt, topic id, partition, offset


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it was sealed.

    Attributes:
        what: altered, missing, inserted, verdicts, violation, deletion, facts, hidden, log, head, rollup, state,
            runs or uncheckable.
        where: the exact place, for people.
        why: what is wrong there.
        place: the same for programs.
    """

    what: str
    where: str
    why: str
    place: dict[str, Any] = field(default_factory=dict)


def problem_of(
    what: str, place: Place, entry: dict[str, Any] | None, why: str, index: int | None = None, event: UUID | None = None
) -> Problem:
    """One of a message, or of an event of it; `entry` is what names the message, where anything does."""
    attempt, topic_id = UUID(bytes=place[0]), UUID(bytes=place[1])
    topic = entry["topic"] if entry else str(topic_id)
    told: dict[str, Any] = {"topic": topic, "topic_id": str(topic_id), "partition": place[2], "offset": place[3]}
    told["attempt"] = str(attempt)
    where = f"{topic}[{place[2]}]@{place[3]}"
    if index is not None:
        told |= {"record_index": index, "event_id": str(event)}
        where += f" record {index} (event {event})"
    return Problem(what, where, why, told)
