"""What of a batch of events may be shown, and what renderings may say of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.domain.event import COLUMNS_BY_NAME, EVENT_COLUMNS, InLine, Kind
from onshore_pipeline.errors import OnshoreError
from onshore_pipeline.evidence.openings import Openings, redacted_texts
from onshore_pipeline.evidence.redaction import MAPS, Disclosure, looks_inside, repeats, repeats_own

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
    found = ~everything(events.height)
    for says in repeated_in(events, disclosure).values():
        found |= says
    return found


def repeated_in(events: pl.DataFrame, disclosure: Disclosure) -> dict[str, pl.Series]:
    """By plain column, which events say a redacted value there; columns that say none are left out."""
    own = [
        redacted_texts(events, name)
        for name in disclosure.redacted
        if name in events.columns and events[name].dtype != pl.List(pl.String)
    ]
    bodies = [events["body"]] if "body" in disclosure.redacted else []
    found = {}
    for name in _TEXTS:
        values = events[name]
        texts = values.list.join("\n") if values.dtype == pl.List(pl.String) else values
        if texts.null_count() == len(texts) or not (texts != "").any():
            continue
        says = repeats(texts, disclosure.values)
        if COLUMNS_BY_NAME[name].kind is Kind.TEXT:
            # A body's texts are not among the values of the scope: there are as many as events.
            says |= repeats_own(texts, bodies)
        if not looks_inside(disclosure.values):
            says |= repeats_own(texts, own)
        if says.any():
            found[name] = says
    return found


def refusal(event: pl.DataFrame, disclosure: Disclosure, place: str) -> OnshoreError:
    """Why nothing can go out: this one event must be shown, and its sealed line says what stays closed.

    Of a control in the scope no violating event may be left out, and a sealed line cannot be changed.
    """
    plain = sorted(repeated_in(event, disclosure))
    said = [event[name].explode() if event[name].dtype == pl.List(pl.String) else event[name] for name in plain]
    texts = pl.concat([pl.Series([], dtype=pl.String), *(each.rename("") for each in said)])
    closed = [
        name
        for name in sorted(disclosure.redacted - {*MAPS, "contradictions"})
        if repeats(texts, redacted_texts(event, name).drop_nulls()).any()
    ]
    keys = [f"{of}.{key}" for of, some in disclosure.closed_keys.items() for key in sorted(some)]
    closes = ", ".join(closed or keys)
    what = f"the value of {closes}, which stays closed" if closes else "a value that stays closed"
    cure = f" (a profile file with open: [{', '.join(closed)}] does)" if closed else ""
    return OnshoreError(
        f"record {event['record_index'][0]} of {place} says {what}, in {', '.join(plain)} of its sealed line. It"
        " violates a control of the scope, so it may not be left out, and its line cannot be changed. Nothing was"
        f" written. Leave open what it says{cure}, or export without --control, --jurisdiction and --finding: there"
        " such events are withheld and counted"
    )


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
