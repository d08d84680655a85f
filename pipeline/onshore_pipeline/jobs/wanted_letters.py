"""Dead letters as the store holds them, found by what a person knows about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from onshore_pipeline.errors import OnshoreError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from onshore_pipeline.store.reader import Reader

STATES: Final = ("open", "replayed", "discarded", "all")


_LISTED: Final = (
    "toString(dead_letter_id) AS id, toString(state) AS state, received_at, toString(tenant) AS tenant,"
    " toString(topic) AS topic, kafka_partition AS partition, kafka_offset AS offset, record_indexes, records,"
    " toString(stage) AS stage, toValidUTF8(reason) AS reason, length(payload) AS size,"
    " closed_at, closed_by, closed_why"
)
_WHOLE: Final = (
    f"{_LISTED}, toString(topic_id) AS topic_id, toString(attempt_id) AS attempt,"
    " toString(closed_by_attempt) AS closed_by_attempt, hex(payload) AS payload, headers,"
    " toString(clock) AS clock, headers_trusted, toUnixTimestamp64Nano(received_at) AS timestamp_ns"
)
_ACTIONS: Final = """
SELECT toString(action_id) AS action_id, at, toString(action) AS action, toString(outcome) AS outcome, reason, who, why
FROM dead_letter_actions WHERE dead_letter_id = {id:UUID} ORDER BY at, outcome != 'begun'
"""
_LATEST_NS: Final = 2**63 - 1  # what the store can hold as a time


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which letters are meant; what is not given leaves nothing out.

    Attributes:
        ids: letters by id, or by an id's beginning.
        state: one of `STATES`.
        reason_like: SQL LIKE pattern, or without `%` a text that the reason contains; upper and lower case are one.
        since: received at this time or later.
    """

    ids: tuple[str, ...] = ()
    state: str = "open"
    stage: str | None = None
    reason_like: str | None = None
    topic: str | None = None
    tenant: str | None = None
    since: datetime | None = None

    @property
    def narrows(self) -> bool:
        """Whether anything but the state is given."""
        return any((self.ids, self.stage, self.reason_like, self.topic, self.tenant, self.since))

    def condition(self) -> tuple[str, dict[str, Any]]:
        """The WHERE clause and its parameters."""
        parts: list[str] = ["1"]
        values: dict[str, Any] = {}
        for column in ("stage", "topic", "tenant"):
            if (value := getattr(self, column)) is not None:
                parts.append(f"{column} = {{{column}:String}}")
                values[column] = value
        if self.state != "all":
            parts.append("state = {state:String}")
            values["state"] = self.state
        if self.reason_like is not None:
            parts.append("reason ILIKE {reason_like:String}")
            values["reason_like"] = self.reason_like if "%" in self.reason_like else f"%{self.reason_like}%"
        if self.since is not None:
            parts.append("received_at >= fromUnixTimestamp64Nano({since:Int64})")
            values["since"] = min(int(self.since.timestamp() * 1_000_000) * 1000, _LATEST_NS)
        if self.ids:
            named = [f"startsWith(toString(dead_letter_id), {{id{number}:String}})" for number in range(len(self.ids))]
            parts.append(f"({' OR '.join(named)})")
            values |= {f"id{number}": each for number, each in enumerate(self.ids)}
        return " AND ".join(parts), values


def listed(reader: Reader, wanted: Wanted, limit: int) -> list[dict[str, Any]]:
    """The newest letters, without their bytes."""
    condition, values = wanted.condition()
    return reader.rows(
        f"SELECT {_LISTED} FROM dead_letter_states WHERE {condition}"  # noqa: S608 - fixed names
        " ORDER BY received_at DESC, id LIMIT {limit:UInt32}",
        values | {"limit": limit},
    )


def counts(reader: Reader, wanted: Wanted) -> list[dict[str, Any]]:
    """How many letters and records there are, by state, stage and topic."""
    condition, values = wanted.condition()
    return reader.rows(
        "SELECT toString(state) AS state, toString(stage) AS stage, toString(topic) AS topic, count() AS letters,"  # noqa: S608
        f" sum(records) AS records FROM dead_letter_states WHERE {condition} GROUP BY ALL ORDER BY letters DESC",
        values,
    )


def ids(reader: Reader, wanted: Wanted) -> list[str]:
    """Ids of the letters, oldest first.

    Raises:
        OnshoreError: a letter that was named is not there, or a beginning names several.
    """
    condition, values = wanted.condition()
    found = reader.rows(
        f"SELECT toString(dead_letter_id) AS id FROM dead_letter_states WHERE {condition} ORDER BY received_at, id",  # noqa: S608
        values,
    )
    known = [str(row["id"]) for row in found]
    for named in wanted.ids:
        same = [each for each in known if each.startswith(named)]
        if not same:
            word = "" if wanted.state == "all" else f"{wanted.state} "
            raise OnshoreError(f"there is no {word}dead letter {named}; see `onshore dead-letters list --state all`")
        if len(same) > 1:
            raise OnshoreError(f"{named} is the beginning of {len(same)} dead letters: give more of it")
    return known


def shown(reader: Reader, letter_id: str) -> dict[str, Any]:
    """One letter with its bytes, headers and what people did about it."""
    (row,) = whole(reader, [letter_id])
    return {**row, "actions": reader.rows(_ACTIONS, {"id": letter_id})}


def whole(reader: Reader, some: Sequence[str]) -> list[dict[str, Any]]:
    """These letters with their bytes and headers, oldest first."""
    return reader.rows(
        f"SELECT {_WHOLE} FROM dead_letter_states WHERE dead_letter_id IN {{ids:Array(UUID)}} ORDER BY received_at, id",  # noqa: S608
        {"ids": list(some)},
    )
