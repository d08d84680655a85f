"""From messages to an attempt: decode, normalise, locate, judge, seal (protocol step 2). Pure: no I/O, no clock.

An attempt is everything one try at a batch would write: rows of every fact table, log entries, dead letters.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from onshore_pipeline import fact_tables
from onshore_pipeline.broker import Advance, Outgoing, Polled
from onshore_pipeline.controls.engine import judge
from onshore_pipeline.event_frame import EVENT_POLARS_SCHEMA
from onshore_pipeline.evidence import entry, merkle, salts, seal
from onshore_pipeline.isolate import (
    ANY_BREAK,
    each_once,
    encoding_of,
    find_broken,
    unreadable,
    without_records,
)
from onshore_pipeline.locate.locate import locate
from onshore_pipeline.message_columns import message_frame, with_message_columns
from onshore_pipeline.normalise.normalise import normalise
from onshore_pipeline.unread import told_unreadable
from onshore_pipeline.wire.decode import decode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from uuid import UUID

    import pyarrow as pa

    from onshore_pipeline.broker import Message
    from onshore_pipeline.context import Context
    from onshore_pipeline.controls.engine import ControlSet, Judged
    from onshore_pipeline.wire.frames import Failure, Stage

MessageId = tuple["UUID", int, int]

# In the order in which they run; what comes after the last belongs to it.
_STAGES: Final[tuple[Stage, ...]] = ("decode", "normalise", "locate", "judge", "seal")


@dataclass(frozen=True, slots=True)
class Judgement:
    """Everything a verdict depends on besides the messages.

    Attributes:
        context: the registries.
        controls: the controls in force.
        pipeline: version and digest of this code, as it stands in log entries.
        salt_master: the deployment's secret that salt keys are derived from.
        tenant_of: the tenant of a message, from its header or its topic.
        trusts: whether nobody but our receiver can have written a message's headers.
    """

    context: Context
    controls: ControlSet
    pipeline: str
    salt_master: bytes
    tenant_of: Callable[[Message], str]
    trusts: Callable[[Message], bool]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at a contiguous run of messages.

    Attributes:
        attempt_id: random; not part of any leaf.
        tables: rows by fact table, in each table's exact Arrow schema, all carrying the attempt.
        entries: log entries, a message or a gap each, in offset order within a partition.
        advances: how far each partition gets.
        dead_letters: what goes to the dead-letter topic.
        records: records handed to us; `events` + `dead_lettered`.
    """

    attempt_id: UUID
    tables: Mapping[str, pa.Table]
    entries: tuple[bytes, ...]
    advances: tuple[Advance, ...]
    dead_letters: tuple[Outgoing, ...]
    records: int
    events: int
    dead_lettered: int


def assess(
    polled: Polled,
    judgement: Judgement,
    attempt_id: UUID,
    lap: Callable[[str], None] = lambda _: None,
    *,
    failed: Mapping[MessageId, Sequence[Failure]] | None = None,
) -> Attempt:
    """Assess what was polled; what no stage can take is found by halving and becomes a dead letter.

    Args:
        polled: messages and gaps.
        judgement: what verdicts depend on besides them.
        attempt_id: of this try.
        lap: is told the name of each stage as it ends.
        failed: what of messages is known to fail, and becomes dead letters without being tried.
    """

    def known(messages: Sequence[Message]) -> list[Failure]:
        named = [(at, failed.get(message_id(each), ())) for at, each in enumerate(messages)] if failed else []
        return [replace(failure, message=at) for at, failures in named for failure in failures]

    try:
        return assess_without(polled, judgement, attempt_id, known(polled.messages), lap)
    except ANY_BREAK:
        done: list[str] = []

        def attempt(messages: Sequence[Message], left_out: Sequence[Failure]) -> None:
            done.clear()
            left_out = (*known(messages), *left_out)
            assess_without(Polled(tuple(messages)), judgement, attempt_id, left_out, done.append)

        broken = find_broken(polled.messages, attempt, lambda: stage_behind(done))
        return assess_without(polled, judgement, attempt_id, (*known(polled.messages), *broken), lap)


def message_id(message: Message) -> MessageId:
    """What identifies a message for ever."""
    return message.topic_id, message.partition, message.offset


def stage_behind(done: Sequence[str]) -> Stage:
    """The stage that was running when `done` had ended."""
    return _STAGES[min(len(done), len(_STAGES) - 1)]


def assess_without(
    polled: Polled,
    judgement: Judgement,
    attempt_id: UUID,
    broken: Sequence[Failure],
    lap: Callable[[str], None],
) -> Attempt:
    """Assess all but what is known to be `broken`, which becomes dead letters; raises whatever a stage raises."""
    messages = polled.messages
    broken = (*broken, *unreadable(messages, broken))
    skipped = {failure.message for failure in broken if failure.record_indexes is None}
    decoded = without_records(
        decode(
            [
                ("", b"", None) if index in skipped else (message.topic, message.value, encoding_of(message))
                for index, message in enumerate(messages)
            ]
        ),
        broken,
    )
    if told := told_unreadable(decoded):
        decoded = without_records(decoded, told)
        broken = each_once(told, broken)
    lap("decode")
    normalised = normalise(decoded)
    del decoded  # as large as the messages, and not needed again
    lap("normalise")
    about = message_frame(messages, tenant_of=judgement.tenant_of, trusts=judgement.trusts)
    sealed = [
        seal.SealedMessage(
            message.topic_id,
            message.partition,
            message.offset,
            salts.salt_key(judgement.salt_master, tenant, message.timestamp_ns),
        )
        for message, tenant in zip(messages, about["tenant"], strict=True)
    ]
    events = with_message_columns(normalised.events, about, sealed, attempt_id)
    events = locate(events, judgement.context)
    lap("locate")
    judged = judge(events, judgement.controls)
    lap("judge")
    events = exact(events)
    leaves = seal.leaf_hashes(events, normalised.attributes, normalised.resource_attributes, sealed)
    lap("seal")
    failures = each_once(normalised.failures, broken)
    tables = fact_tables.build(events, normalised, judged, about, leaves, failures, messages, attempt_id)
    lap("tables")
    entries = _entries(polled, judgement, attempt_id, events, leaves, judged, failures, sealed, about)
    lap("entries")
    dead = sum(_dead_records(failure) for failure in failures)
    return Attempt(
        attempt_id=attempt_id,
        tables=tables,
        entries=entries,
        advances=_advances(polled),
        dead_letters=tuple(fact_tables.dead_letter_message(failure, messages[failure.message]) for failure in failures),
        records=events.height + dead,
        events=events.height,
        dead_lettered=dead,
    )


def exact(events: pl.DataFrame) -> pl.DataFrame:
    """Cast every event column to its one type; a value that does not fit is an error, never another value."""
    casts = [pl.col(name).cast(kind) for name, kind in EVENT_POLARS_SCHEMA.items() if name in events.columns]
    return events.with_columns(casts)


def _dead_records(failure: Failure) -> int:
    """Records a failure stands for; of a message nobody could read, the message itself is the one record."""
    return 1 if failure.record_indexes is None else len(failure.record_indexes)


def _entries(
    polled: Polled,
    judgement: Judgement,
    attempt_id: UUID,
    events: pl.DataFrame,
    leaves: np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
    judged: Judged,
    failures: Sequence[Failure],
    sealed: Sequence[seal.SealedMessage],
    about: pl.DataFrame,
) -> tuple[bytes, ...]:
    messages = polled.messages
    sizes = np.bincount(events["message"].to_numpy(), minlength=len(messages)).astype(np.int64)
    events_roots = merkle.roots(leaves, sizes)
    verdicts_roots = fact_tables.verdict_roots(events, judged, len(messages))
    dead = [0] * len(messages)
    for failure in failures:
        dead[failure.message] += _dead_records(failure)
    entries = [
        entry.message_entry(
            message,
            tenant=about["tenant"][index],
            records=int(sizes[index]) + dead[index],
            events=int(sizes[index]),
            dead_lettered=dead[index],
            events_root=events_roots[index].tobytes(),
            verdicts_root=verdicts_roots[index].tobytes(),
            pipeline=judgement.pipeline,
            context=judgement.context.digest,
            controls=judgement.controls.digest,
            salt_key_id=sealed[index].salt.key_id,
            attempt=attempt_id,
        )
        for index, message in enumerate(messages)
    ]
    gaps = {
        (gap.topic_id, gap.partition, gap.end): entry.gap_entry(gap, pipeline=judgement.pipeline, attempt=attempt_id)
        for gap in polled.gaps
    }
    if not gaps:
        return tuple(entries)
    ordered: list[bytes] = []
    for message, told in zip(messages, entries, strict=True):
        gap = gaps.pop(message_id(message), None)  # it ends where this message begins
        ordered += [told] if gap is None else [gap, told]
    return (*ordered, *gaps.values())


def _advances(polled: Polled) -> tuple[Advance, ...]:
    """How far every polled partition gets, gaps included."""
    spans: dict[tuple[str, UUID, int], tuple[int, int]] = {}
    gaps = (((gap.topic, gap.topic_id, gap.partition), gap.first, gap.end) for gap in polled.gaps)
    messages = (((each.topic, *message_id(each)[:2]), each.offset, each.offset + 1) for each in polled.messages)
    for key, first, end in (*gaps, *messages):
        known = spans.get(key, (first, end))
        spans[key] = (min(first, known[0]), max(end, known[1]))
    return tuple(Advance(*key, first, end) for key, (first, end) in spans.items())
