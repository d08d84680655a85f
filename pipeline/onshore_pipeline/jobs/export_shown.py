"""What of a batch of events may be shown, and what renderings may say of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.domain.event import EVENT_COLUMNS, InLine, Kind
from onshore_pipeline.evidence.openings import Openings, redacted_texts
from onshore_pipeline.evidence.redaction import Disclosure, looks_inside, repeats, repeats_own

if TYPE_CHECKING:
    from onshore_pipeline.jobs.sealed_rows import SealedRows

_TEXTS: Final = tuple(
    column.name
    for column in EVENT_COLUMNS
    if column.line is InLine.PLAIN and column.kind in {Kind.TEXT, Kind.WORD, Kind.WORDS} and not column.required
)


@dataclass(frozen=True, slots=True)
class ShownBatch:
    """What was shown of a batch, for renderings: events with closed fields made unknown, and their violations."""

    events: pl.DataFrame
    attributes: pl.DataFrame
    resource_attributes: pl.DataFrame
    violations: pl.DataFrame


def everything(rows: int) -> pl.Series:
    """True for each row."""
    return pl.Series([True]).new_from_index(0, rows)


def repeating(events: pl.DataFrame, disclosure: Disclosure) -> pl.Series:
    """Events whose sealed line says a redacted value in plain text: the whole event must be withheld."""
    own = [
        redacted_texts(events, name)
        for name in disclosure.redacted
        if name in events.columns and events[name].dtype != pl.List(pl.String)
    ]
    found = ~everything(events.height)
    for name in _TEXTS:
        values = events[name]
        texts = values.list.join("\n") if values.dtype == pl.List(pl.String) else values
        if texts.null_count() == len(texts) or not (texts != "").any():
            continue
        found |= repeats(texts, disclosure.values)
        if not looks_inside(disclosure.values):
            found |= repeats_own(texts, own)
    return found


def shown_batch(some: SealedRows, opened: Openings, violations: pl.DataFrame) -> ShownBatch:
    """What renderings may say: closed fields are unknown there."""
    closed = [
        pl.when(is_open).then(pl.col(name)).otherwise(None).alias(name) for name, is_open in opened.opened.items()
    ]
    keep = some.events.select("event_id", "row").rename({"row": "shown_row"})
    attributes = some.attributes.filter(opened.keys["attributes"]) if some.attributes.height else some.attributes
    return ShownBatch(
        some.events.with_columns(closed), attributes, some.resource_attributes, violations.join(keep, on="event_id")
    )
