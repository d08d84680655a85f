"""Audit of sealed messages: every line, leaf and root is made again from the store's rows, and compared."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import numpy as np
import polars as pl

from onshore_pipeline.evidence import merkle, salts, seal
from onshore_pipeline.jobs.audit_actions import action_problems
from onshore_pipeline.jobs.audit_deleted import deleted_of
from onshore_pipeline.jobs.audit_problem import Problem, problem_of
from onshore_pipeline.jobs.audit_verdicts import verdict_problems
from onshore_pipeline.jobs.incomplete import LOST, WITH_ROWS
from onshore_pipeline.jobs.stored_events import BESIDE_OTHERS, stored_events
from onshore_pipeline.log_trees import digests_of
from onshore_pipeline.store.connect import store_errors

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from clickhouse_connect.driver.client import Client
    from numpy.typing import NDArray

    from onshore_pipeline.jobs.audit_problem import Place
    from onshore_pipeline.jobs.audit_rules import SealedRules
    from onshore_pipeline.jobs.audit_tombstones import Tombstones
    from onshore_pipeline.jobs.stored_events import StoredEvents

_ENTRIES: Final = f"""
SELECT assumeNotNull(attempt_id), topic_id, partition, offset, entry, log_id FROM evidence_log
WHERE {WITH_ROWS} AND attempt_id IN {{attempts:Array(UUID)}}
    AND (attempt_id, topic_id, partition, offset) NOT IN ({LOST})
ORDER BY log_position LIMIT 1 BY topic_id, partition, log_index
"""  # noqa: S608 - fixed text
_DEAD: Final = """
SELECT attempt_id, topic_id, kafka_partition, kafka_offset, record_indexes FROM dead_letters
WHERE attempt_id IN {attempts:Array(UUID)}
"""


class _DeadLetters:
    """Records of some attempts that became dead letters; asked for only when something is missing."""

    def __init__(self, client: Client, named: Mapping[str, Any]) -> None:
        self._client, self._named = client, named
        self._rows: Sequence[Sequence[Any]] | None = None

    def of(self, place: Place) -> set[int]:
        """Those of a message, by record index."""
        if self._rows is None:
            with store_errors():
                self._rows = self._client.query(_DEAD, parameters=dict(self._named)).result_rows
        return {
            int(index)
            for attempt, topic, partition, offset, records in self._rows
            if (attempt.bytes, topic.bytes, int(partition), int(offset)) == place
            for index in records
        }


def audit_attempts(
    client: Client, master: bytes, attempts: Collection[UUID], tombstones: Tombstones, rules: SealedRules
) -> Iterator[Problem]:
    """Problems of the messages of some attempts. Raises `StoreUnavailable`."""
    named = {"attempts": [str(each) for each in attempts]}
    with store_errors():
        entries = {
            (row[0].bytes, row[1].bytes, int(row[2]), int(row[3])): json.loads(row[4])
            for row in client.query(_ENTRIES, parameters=named, settings=BESIDE_OTHERS).result_rows
        }
    deleted = deleted_of(client, named, tombstones)
    dead = _DeadLetters(client, named)
    stored = stored_events(client, attempts)
    places: list[Place] = [tuple(row) for row in stored.places.rows()]
    known = [entries.get(place) for place in places]
    keys = [_salt(master, entry) for entry in known]
    messages = [
        seal.SealedMessage(UUID(bytes=place[1]), place[2], place[3], key)
        for place, key in zip(places, keys, strict=True)
    ]
    again = seal.leaf_hashes(stored.events, stored.attributes, stored.resource_attributes, messages)
    sizes = np.bincount(stored.events["message"].to_numpy(), minlength=len(places)).astype(np.int64)
    roots = merkle.roots(again, sizes)
    kept = digests_of(stored.events["leaf_hash"].to_arrow())
    differs = (again != kept).any(axis=1)
    outside = _outside(stored, known, messages)
    begins = np.concatenate([[0], np.cumsum(sizes)])
    for number, (place, entry) in enumerate(zip(places, known, strict=True)):
        at = slice(int(begins[number]), int(begins[number + 1]))
        if entry is None:
            yield problem_of("inserted", place, None, f"{sizes[number]} events of a message that the log does not name")
            continue
        if entry["salt_key"] != keys[number].key_id:
            why = f"sealed with the salt key {entry['salt_key']}, and this one gives {keys[number].key_id}"
            yield problem_of("uncheckable", place, entry, why)
            continue
        if place in deleted.leaves:
            held = zip(stored.events["record_index"][at], map(bytes, again[at]), strict=True)
            right = deleted.gives(place, held, entry["events_root"])
        else:
            right = roots[number].tobytes().hex() == entry["events_root"]
        if right and not differs[at].any() and not outside[at].any():
            continue
        leaves_right = merkle.root([each.tobytes() for each in kept[at]]).hex() == entry["events_root"]
        yield from _of_message(
            stored, place, entry, at, differs, outside, right=right, leaves_right=leaves_right, dead=dead
        )
    present = set(places)
    for place, entry in entries.items():
        if place in present or not entry["events"]:
            continue
        if place not in deleted.leaves:
            yield problem_of("missing", place, entry, f"all {entry['events']} events of the message have no rows")
        elif not deleted.gives(place, (), entry["events_root"]):
            yield problem_of("altered", place, entry, "the leaves of its deleted events do not give the sealed root")
    yield from verdict_problems(client, named, stored, entries, deleted, ~(differs | outside), rules)
    yield from action_problems(client, named, stored, known)


def _salt(master: bytes, entry: dict[str, Any] | None) -> salts.SaltKey:
    if entry is None:
        return salts.SaltKey("", bytes(32))
    return salts.salt_key(master, entry["tenant"], int(entry["timestamp"]))


def _outside(
    stored: StoredEvents, entries: list[dict[str, Any] | None], messages: list[seal.SealedMessage]
) -> NDArray[np.bool_]:
    """Rows whose columns outside of the line are not what entry and identity say."""
    events = stored.events
    message = events["message"].to_numpy()
    told = pl.DataFrame(
        {
            "tenant": [entry["tenant"] if entry else None for entry in entries],
            "kafka_topic": [entry["topic"] if entry else None for entry in entries],
            "ingested_at": [
                int(entry["timestamp"]) if entry and entry["clock"] == "broker" else None for entry in entries
            ],
        },
        schema={"tenant": pl.String, "kafka_topic": pl.String, "ingested_at": pl.Int64},
    )[message]
    ids = seal.event_ids(messages, message, events["record_index"].to_numpy()) if len(events) else events["event_id"]
    differs = (
        events["tenant"].ne_missing(told["tenant"])
        | events["kafka_topic"].ne_missing(told["kafka_topic"])
        | events["ingested_at"].to_physical().ne_missing(told["ingested_at"])
        | events["event_id"].ne_missing(ids)
    )
    return differs.to_numpy()


def _of_message(
    stored: StoredEvents,
    place: Place,
    entry: dict[str, Any],
    at: slice,
    differs: NDArray[np.bool_],
    outside: NDArray[np.bool_],
    *,
    right: bool,
    leaves_right: bool,
    dead: _DeadLetters,
) -> Iterator[Problem]:
    """What is wrong with one message's rows."""
    events = stored.events[at]
    indexes = events["record_index"].to_list()
    expected = int(entry["events"])
    doubled = sorted({index for index in indexes if indexes.count(index) > 1}) if len(indexes) > expected else []
    if len(indexes) < expected:
        missing = _missing(place, entry, indexes, dead)
        which = f"record {', '.join(map(str, missing))}" if missing else "which ones cannot be told"
        yield problem_of(
            "missing", place, entry, f"{expected - len(indexes)} of {expected} events have no row: {which}"
        )
    if len(indexes) > expected:
        which = f"; records {', '.join(map(str, doubled))} stand twice" if doubled else ""
        yield problem_of("inserted", place, entry, f"{len(indexes)} rows instead of {expected}{which}")
    for row in range(at.start, at.stop):
        index, event = indexes[row - at.start], UUID(bytes=events["event_id"][row - at.start])
        bad = stored.unreadable.get(row, [])
        if differs[row]:
            why = "its leaf was altered, its row was not" if right else "its row is not what was sealed"
            if bad:
                why = f"{', '.join(bad)} is no UTF-8: it was written behind the pipeline's back"
            yield problem_of("altered", place, entry, why, index, event)
        elif outside[row]:
            yield problem_of(
                "altered", place, entry, "its id, tenant, topic or time of receipt was altered", index, event
            )
    if len(indexes) == expected and not right and not leaves_right:
        yield problem_of(
            "altered", place, entry, "its rows, with the leaves stored beside them, do not give the sealed root"
        )


def _missing(place: Place, entry: dict[str, Any], indexes: list[int], dead: _DeadLetters) -> list[int]:
    """Records that should have a row and have none, where that can be told."""
    letters = dead.of(place)
    if entry["kind"] != "message" or len(letters) != entry["dead_lettered"]:
        return []
    return sorted(set(range(int(entry["records"]))) - letters - set(indexes))
