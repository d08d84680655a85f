"""Finding what of a batch breaks a stage, and leaving it out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import polars as pl
from polars.exceptions import PanicException

from onshore_pipeline.broker import ENCODING_HEADER
from onshore_pipeline.wire.decode import decode
from onshore_pipeline.wire.frames import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from onshore_pipeline.broker import Message
    from onshore_pipeline.wire.frames import Decoded, Stage

# Whatever a message does to a stage, the others must get through; a panic inside Polars is no Exception.
ANY_BREAK: Final = (Exception, PanicException)


def header(message: Message, wanted: str) -> str | None:
    """The first header of this name as text."""
    return next((value.decode("utf-8", "replace") for name, value in message.headers if name == wanted), None)


def encoding_of(message: Message) -> str | None:
    """What the sender says about the value's encoding."""
    return header(message, ENCODING_HEADER)


def isolate(
    items: Sequence[Any], attempt: Callable[[Sequence[Any]], None], stage: Callable[[], Stage], first: int = 0
) -> list[tuple[int, Stage, BaseException]]:
    """The items that make `attempt` fail even alone, found by halving: position, stage at failure, error."""
    try:
        attempt(items)
    except ANY_BREAK as error:
        if len(items) == 1:
            return [(first, stage(), error)]
        half = len(items) // 2
        return [
            *isolate(items[:half], attempt, stage, first),
            *isolate(items[half:], attempt, stage, first + half),
        ]
    return []


def find_broken(
    messages: Sequence[Message],
    attempt: Callable[[Sequence[Message], Sequence[Failure]], None],
    stage: Callable[[], Stage],
) -> tuple[Failure, ...]:
    """The records that break a stage, by message; of a message that breaks whatever is left out, the whole.

    `attempt` tries messages without the records that failures name; `stage` tells where it stopped.
    """
    found = []
    for index, where, error in isolate(messages, lambda some: attempt(some, ()), stage):
        reason = f"{type(error).__name__}: {error}"
        records = _broken_records(messages[index], attempt, stage)
        found.append(Failure(index, records or None, where, reason))
    return tuple(found)


def _broken_records(
    message: Message,
    attempt: Callable[[Sequence[Message], Sequence[Failure]], None],
    stage: Callable[[], Stage],
) -> tuple[int, ...]:
    """The records of one message that break a stage; none when leaving them out does not help."""
    indexes = decode([(message.topic, message.value, encoding_of(message))]).records["record_index"].to_list()

    def try_only(some: Sequence[int]) -> None:
        others = tuple(sorted(set(indexes) - set(some)))
        attempt([message], [Failure(0, others, "decode", "left out")] if others else ())

    if len(indexes) <= 1:
        return ()
    broken = tuple(indexes[position] for position, _, _ in isolate(indexes, try_only, stage))
    try:
        attempt([message], [Failure(0, broken, "decode", "left out")])
    except ANY_BREAK:
        return ()
    return broken


def unreadable(messages: Sequence[Message], known: Sequence[Failure]) -> tuple[Failure, ...]:
    """Messages of which the broker's client has no more than a reason, unless they are known as broken already."""
    told = {failure.message for failure in known}
    return tuple(
        Failure(index, None, "decode", message.unreadable)
        for index, message in enumerate(messages)
        if message.unreadable and index not in told
    )


def without_records(decoded: Decoded, left_out: Sequence[Failure]) -> Decoded:
    """The batch without the records that failures name; rows are dense again, record indexes stay."""
    named = [(failure.message, index) for failure in left_out for index in failure.record_indexes or ()]
    if not named:
        return decoded
    schema = {"message": pl.UInt32, "record_index": pl.UInt32}
    gone = pl.DataFrame(named, schema=schema, orient="row")
    kept = decoded.records.join(gone, on=["message", "record_index"], how="anti", maintain_order="left")
    rows = kept.select("row").with_row_index("new")
    attributes = decoded.attributes.join(rows, on="row", how="inner", maintain_order="left")
    return replace(
        decoded,
        records=kept.with_columns(rows["new"].alias("row")),
        attributes=attributes.with_columns(pl.col("new").alias("row")).drop("new"),
    )


def each_once(found: Sequence[Failure], known: Sequence[Failure]) -> tuple[Failure, ...]:
    """What the stages found, but for what was known before, then what was known."""
    whole = {failure.message for failure in known if failure.record_indexes is None}
    named = {(failure.message, index) for failure in known for index in failure.record_indexes or ()}

    def is_known(failure: Failure) -> bool:
        at, indexes = failure.message, failure.record_indexes
        return at in whole or bool(indexes and named.issuperset((at, index) for index in indexes))

    return (*(failure for failure in found if not is_known(failure)), *known)
