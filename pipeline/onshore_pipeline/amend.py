"""Assess the failed records of dead letters again, as the messages they came from. Pure, as `assess`.

Only the failed records are given out: what of a message was an event before stays what it is, whatever today's pipeline
would make of it. An identity, and so event id and salts, depends on the message's place and the record's index alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import pyarrow as pa

from onshore_pipeline import fact_tables
from onshore_pipeline.assess import Attempt, assess_without, message_id, stage_behind
from onshore_pipeline.broker import Polled
from onshore_pipeline.evidence.entry import amends_entry
from onshore_pipeline.failed_records import FailedRecords, Refusal
from onshore_pipeline.isolate import ANY_BREAK, encoding_of, isolate
from onshore_pipeline.store.tables import SCHEMAS
from onshore_pipeline.wire.decode import decode
from onshore_pipeline.wire.frames import Failure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onshore_pipeline.assess import Judgement
    from onshore_pipeline.broker import Message, Outgoing
    from onshore_pipeline.wire.frames import Stage

Broken = Mapping[UUID, tuple[Failure, ...]]  # what of letters fails, by the letter's id

_NOT_MEANT: Final = "not a record of this letter"
_NOTHING: Final = "no record is found in it any more"


@dataclass(frozen=True, slots=True)
class Amendment:
    """One try at some letters.

    Attributes:
        attempt: rows, entries and the dead letters of records that failed again; of letters that are in `amended` only.
        amended: the letters that have an entry, in the entries' order.
        refused: the letters of which nothing became an event; they stay as they are.
    """

    attempt: Attempt
    amended: tuple[FailedRecords, ...]
    refused: Mapping[UUID, Refusal]


def amend(
    letters: Sequence[FailedRecords],
    judgement: Judgement,
    attempt_id: UUID,
    *,
    who: str,
    why: str,
    known: Broken | None = None,
) -> Amendment:
    """Assess letters of different messages; what of them fails again is found by halving, down to the record.

    `known` names what of a letter fails, by its id, and is not tried.
    """
    told = _Telling(judgement, attempt_id, who, why)
    left = list(letters)
    broken = told.find_broken(left, known or {})
    refused: dict[UUID, Refusal] = {}
    while True:
        left = [each for each in left if each.letter_id not in refused]
        results = told.results(left, broken)
        more = {
            letter.letter_id: why_not
            for letter, result in zip(left, results.each, strict=True)
            if (why_not := result.refusal(letter)) is not None
        }
        if not more:
            if not left:
                return Amendment(Attempt(attempt_id, {}, (), (), (), 0, 0, 0), (), refused)
            return Amendment(told.attempt(left, results), tuple(left), refused)
        refused |= more


@dataclass(frozen=True, slots=True)
class _Result:
    """What came of one letter: the entry that its message would have, and the rows of records that failed again."""

    entry: dict[str, Any]
    again: tuple[dict[str, Any], ...]

    @property
    def dead(self) -> int:
        return sum(len(row["record_indexes"]) or 1 for row in self.again)

    def refusal(self, letter: FailedRecords) -> Refusal | None:
        """Why the letter stays open; None when events come of it and no record of it is missing."""
        events = int(self.entry["events"])
        if not events:
            first = next(iter(self.again), {"stage": "decode", "reason": _NOTHING})
            return Refusal(str(first["stage"]), str(first["reason"]))
        if letter.indexes is not None and events + self.dead != len(letter.indexes):
            return Refusal("decode", f"{len(letter.indexes)} records failed, {events + self.dead} are found today")
        return None


@dataclass(frozen=True, slots=True)
class _Results:
    attempt: Attempt
    each: tuple[_Result, ...]


def _rows(letters: pa.Table) -> list[dict[str, Any]]:
    """Rows as the table can be made from again; times as nanoseconds, which Python's own cannot hold."""
    schema = pa.schema(
        [each.with_type(pa.int64()) if pa.types.is_timestamp(each.type) else each for each in letters.schema]
    )
    rows: list[dict[str, Any]] = letters.cast(schema).to_pylist()
    return rows


class _Telling:
    """What is constant for one amendment."""

    def __init__(self, judgement: Judgement, attempt_id: UUID, who: str, why: str) -> None:
        self._judgement, self._attempt_id, self._who, self._why = judgement, attempt_id, who, why
        self._done: list[str] = []
        self._not_meant: dict[UUID, tuple[int, ...]] = {}
        self._made: tuple[object, Attempt] | None = None  # the last one, and of what

    def find_broken(self, letters: Sequence[FailedRecords], known: Broken) -> dict[UUID, tuple[Failure, ...]]:
        """What breaks a stage: records of a letter, or None of them for the whole of it; `message` means nothing."""
        found = isolate(letters, lambda some: self._try(some, known), self._stage)
        broken = {letters[at].letter_id: self._broken_of(letters[at], stage, error) for at, stage, error in found}
        return dict(known) | {letter: (*known.get(letter, ()), failure) for letter, failure in broken.items()}

    def results(self, letters: Sequence[FailedRecords], broken: Broken) -> _Results:
        """Assess; rows about records that are not the letters' own are left out."""
        of = _told(letters, broken)
        attempt = self._made[1] if self._made and self._made[0] == of else self._assess(letters, broken)
        rows = _rows(attempt.tables["dead_letters"]) if "dead_letters" in attempt.tables else []
        named: dict[tuple[UUID, int, int], list[dict[str, Any]]] = {}
        for row in rows:
            named.setdefault((UUID(bytes=row["topic_id"]), row["kafka_partition"], row["kafka_offset"]), []).append(row)
        entries = [json.loads(entry) for entry in attempt.entries]
        return _Results(
            attempt,
            tuple(
                _Result(entry, tuple(_own_rows(letter, named.get(message_id(letter.message), []))))
                for letter, entry in zip(letters, entries, strict=True)
            ),
        )

    def attempt(self, letters: Sequence[FailedRecords], results: _Results) -> Attempt:
        """The attempt as it is written: amending entries, no advances, dead letters of records that failed again."""
        again = [row for result in results.each for row in result.again]
        tables = {name: table for name, table in results.attempt.tables.items() if name != "dead_letters"}
        if again:
            tables["dead_letters"] = pa.Table.from_pylist(again, schema=SCHEMAS["dead_letters"])
        entries = tuple(
            amends_entry(
                result.entry,
                dead_letter=letter.letter_id,
                indexes=letter.indexes,
                amended=letter.records,
                dead_lettered=result.dead,
                who=self._who,
                why=self._why,
            )
            for letter, result in zip(letters, results.each, strict=True)
        )
        dead = sum(result.dead for result in results.each)
        return replace(
            results.attempt,
            tables=tables,
            entries=entries,
            advances=(),
            dead_letters=tuple(
                _outgoing(row, letter.message)
                for letter, result in zip(letters, results.each, strict=True)
                for row in result.again
            ),
            records=results.attempt.events + dead,
            dead_lettered=dead,
        )

    def _broken_of(self, letter: FailedRecords, stage: Stage, error: BaseException) -> Failure:
        indexes = letter.indexes if letter.indexes is not None else _indexes(letter.message)
        reason = f"{type(error).__name__}: {error}"
        if len(indexes) <= 1:
            return Failure(0, None, stage, reason)
        bad = tuple(
            indexes[at]
            for at, _, _ in isolate(
                indexes, lambda some: self._try([replace(letter, indexes=tuple(some))], {}), self._stage
            )
        )
        failure = Failure(0, bad, stage, reason)
        try:
            self._try([letter], {letter.letter_id: (failure,)})
        except ANY_BREAK:
            return Failure(0, None, stage, reason)
        return failure

    def _try(self, letters: Sequence[FailedRecords], broken: Broken) -> None:
        self._assess(letters, broken)

    def _stage(self) -> Stage:
        return stage_behind(self._done)

    def _assess(self, letters: Sequence[FailedRecords], broken: Broken) -> Attempt:
        self._done.clear()
        by_message = {message_id(each.message): each for each in letters}
        judgement = replace(
            self._judgement,
            tenant_of=lambda message: by_message[message_id(message)].tenant,
            trusts=lambda message: by_message[message_id(message)].trusted,
        )
        not_meant = self._records_not_meant(letters)
        left_out: list[Failure] = []
        for number, letter in enumerate(letters):
            failures = broken.get(letter.letter_id, ())
            left_out += (replace(failure, message=number) for failure in failures)
            others = not_meant.get(letter.letter_id, ())
            if others and all(failure.record_indexes is not None for failure in failures):
                left_out.append(Failure(number, others, "decode", _NOT_MEANT))
        polled = Polled(tuple(each.message for each in letters))
        attempt = assess_without(polled, judgement, self._attempt_id, tuple(left_out), self._done.append)
        self._made = (_told(letters, broken), attempt)
        return attempt

    def _records_not_meant(self, letters: Sequence[FailedRecords]) -> dict[UUID, tuple[int, ...]]:
        """Records of the letters' messages that are not the letters' own; all messages are read at once."""
        new = [each for each in letters if each.indexes is not None and each.letter_id not in self._not_meant]
        if new:
            read = decode([(each.message.topic, each.message.value, encoding_of(each.message)) for each in new])
            found: list[list[int]] = [[] for _ in new]
            for at, index in read.records.select("message", "record_index").iter_rows():
                found[at].append(index)
            self._not_meant |= {
                each.letter_id: tuple(sorted(set(indexes).difference(each.indexes or ())))
                for each, indexes in zip(new, found, strict=True)
            }
        return self._not_meant


def _told(letters: Sequence[FailedRecords], broken: Broken) -> object:
    return [letter.letter_id for letter in letters], dict(broken)


def _indexes(message: Message) -> tuple[int, ...]:
    """The records that are found in a message."""
    return tuple(decode([(message.topic, message.value, encoding_of(message))]).records["record_index"].to_list())


def _own_rows(letter: FailedRecords, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Dead-letter rows of the letter's own records, each under the id of what it names."""
    own: list[dict[str, Any]] = []
    for row in rows:
        if row["reason"] == _NOT_MEANT:
            continue
        failed = tuple(index for index in row["record_indexes"] if letter.indexes is None or index in letter.indexes)
        if row["record_indexes"] and not failed:
            continue
        named = fact_tables.dead_letter_id(Failure(0, failed or None, row["stage"], row["reason"]), letter.message)
        own.append({**row, "record_indexes": list(failed), "dead_letter_id": named.bytes})
    return own


def _outgoing(row: Mapping[str, Any], message: Message) -> Outgoing:
    failure = Failure(0, tuple(row["record_indexes"]) or None, row["stage"], row["reason"])
    return fact_tables.dead_letter_message(failure, message)
