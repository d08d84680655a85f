"""Dead letters that the log has closed: each once, and records in = events + letters that are open or discarded."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from clickhouse_connect.driver.client import Client

    Letter = tuple[UUID, int, int, str, int]  # its message, its state, its records
    Told = tuple[int, dict[str, Any]]  # an entry's place in the log, and what it says

_LETTERS = """
SELECT toString(dead_letter_id), topic_id, kafka_partition, kafka_offset, toString(state),
    if(empty(record_indexes), 1, length(record_indexes)) FROM dead_letter_states
"""
_CLOSES = {"amends": ("replayed", "amended"), "discards": ("discarded", "discarded")}


def letters_that_differ(client: Client, log: Sequence[Told]) -> Iterator[str]:
    """A sentence for every letter or message whose sums do not hold."""
    letters: dict[str, Letter] = {}
    for named, topic_id, partition, offset, state, records in client.query(_LETTERS).result_rows:
        if named in letters:
            yield f"dead letter {named} is there twice"
        letters[named] = (topic_id, int(partition), int(offset), state, int(records))
    yield from _closed_once(letters, log)
    yield from _reconciled(letters, log)


def _closed_once(letters: dict[str, Letter], log: Sequence[Told]) -> Iterator[str]:
    closed: dict[str, int] = {}
    for place, told in log:
        if told["kind"] not in _CLOSES:
            continue
        named, (state, counted) = told["dead_letter"], _CLOSES[told["kind"]]
        if named in closed:
            yield f"dead letter {named} is closed by entries {closed[named]} and {place}"
        closed[named] = place
        expected = (UUID(told["topic_id"]), told["partition"], told["offset"], state, told[counted])
        if letters.get(named) != expected:
            yield f"log entry {place} closes dead letter {named} as {expected}: the store has {letters.get(named)}"
    for named, letter in letters.items():
        if letter[3] != "open" and named not in closed:
            yield f"dead letter {named} is {letter[3]}, and no entry says so"


def _reconciled(letters: dict[str, Letter], log: Sequence[Told]) -> Iterator[str]:
    no_events: Counter[tuple[UUID, int, int]] = Counter()
    for _, told in log:
        if told["kind"] in {"message", "amends"}:
            message = (UUID(told["topic_id"]), told["partition"], told["offset"])
            no_events[message] += told["records"] - told["events"] - told.get("amended", 0)
    left: Counter[tuple[UUID, int, int]] = Counter()
    for topic_id, partition, offset, state, records in letters.values():
        left[topic_id, partition, offset] += 0 if state == "replayed" else records
    for message in no_events.keys() | left.keys():
        if no_events[message] != left[message]:
            yield (
                f"partition {message[1]} offset {message[2]}: {no_events[message]} records are no events, but letters"
                f" that are open or discarded have {left[message]}"
            )
