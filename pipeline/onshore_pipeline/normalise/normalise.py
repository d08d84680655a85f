"""Decoded OTLP records to events.

One way through for every batch:

    1 metric points become one state record a resource and minute            host_metrics
    2 known attributes become columns beside the records                     fields
    3 what any record says                                                   generic, parties
    4 what GenAI records say goes over it                                    genai
    5 records of a known source format are read on their own terms           shapes, one module a format
    6 what a record states in onshore.* goes over everything                 onshore_attributes
    7 what kind of thing was touched                                         objects
    8 the domain by best rule where none was stated, and the exact schema    domains, frames

No record is dropped: what fits no shape keeps its attributes and body, with action log.record or span.<kind>.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.normalise import genai, generic, onshore_attributes, parties, shapes
from onshore_pipeline.normalise.domains import domain_of
from onshore_pipeline.normalise.fields import Records, widen
from onshore_pipeline.normalise.frames import EVENTS_SCHEMA, Normalised
from onshore_pipeline.normalise.host_metrics import States, states_of, with_hosts
from onshore_pipeline.normalise.objects import with_kinds
from onshore_pipeline.normalise.url_secrets import attributes_without_secrets, columns_without_secrets

if TYPE_CHECKING:
    from onshore_pipeline.wire.frames import Decoded

_KEYS: Final = frozenset({*generic.KEYS, *parties.KEYS, *genai.KEYS, *shapes.KEYS, *onshore_attributes.KEYS})
_RESOURCE_KEYS: Final = frozenset({*parties.RESOURCE_KEYS, *shapes.RESOURCE_KEYS, *onshore_attributes.RESOURCE_KEYS})
_ATTRIBUTES: Final = ("row", "key", "text")
_AT: Final = ["row", "key"]


def normalise(decoded: Decoded) -> Normalised:
    """Turn decoded records into events, one an event for every record and one for every metric resource-minute.

    Pure: the same batch gives the same events, and so does the same message in another batch.
    """
    states = states_of(decoded.points, decoded.point_attributes, decoded.resources)
    frame, row_of_record, row_of_state = _numbered(decoded.records, states)
    attributes = _renumbered(decoded.attributes.select(_ATTRIBUTES), row_of_record)
    records = widen(
        frame,
        attributes=attributes,
        resource_attributes=decoded.resource_attributes.select("resource", "key", "text"),
        resources=decoded.resources.height,
        keys=_KEYS,
        resource_keys=_RESOURCE_KEYS,
    )
    columns, added = _describe(records)
    columns = with_hosts(columns, _renumbered(states.hosts, row_of_state))
    more = [_renumbered(states.attributes, row_of_state), *(new.join(attributes, on=_AT, how="anti") for new in added)]
    if any(part.height for part in more):
        attributes = pl.concat([attributes, *more]).sort(_AT)
    attributes = attributes_without_secrets(attributes)
    domain = domain_of(columns, attributes)
    stated = columns["domain"] if "domain" in columns.columns else domain
    events = _conformed(columns.with_columns(domain=stated.zip_with(stated.is_not_null(), domain)))
    return Normalised(
        events=columns_without_secrets(events),
        attributes=attributes,
        resource_attributes=attributes_without_secrets(decoded.resource_attributes.select("resource", "key", "text")),
        points=_renumbered(states.points, row_of_state),
        point_attributes=decoded.point_attributes,
        failures=decoded.failures,
        record_counts=_record_counts(decoded.record_counts, states),
    )


def _describe(records: Records) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """Columns of the events, row by row, and attributes to add."""
    formats = shapes.formats_of(records)
    added = []
    columns = _described_by_rule(records)
    if formats.null_count() < len(formats):
        described = shapes.describe(records, formats)
        own = [described_columns for described_columns, _ in described]
        columns = pl.concat([columns.filter(formats.is_null()), *own], how="diagonal_relaxed").sort("row")
        added = [attributes for _, attributes in described]
    return with_kinds(onshore_attributes.overlay(records, columns)), added


def _described_by_rule(records: Records) -> pl.DataFrame:
    columns = generic.describe(records).hstack(
        parties.describe_parties(
            records, declared=onshore_attributes.declared(records), model_call=genai.is_model_call(records)
        ).get_columns()
    )
    return genai.overlay(records, columns) if genai.appears(records) else columns


def _numbered(records: pl.DataFrame, states: States) -> tuple[pl.DataFrame, pl.Series | None, pl.Series | None]:
    """Records and states as one frame with new rows, and the new row by old row of each (None where nothing moved)."""
    plain = records.with_columns(item_count=pl.lit(None, pl.UInt64))
    if not states.records.height:
        return plain, None, None
    if not records.height:
        return states.records, None, None
    both = (
        pl.concat([plain.with_columns(state=pl.lit(False)), states.records.with_columns(state=pl.lit(True))])
        .sort("message", "record_index")
        .rename({"row": "old"})
        .with_row_index("row")
    )
    moved = (both.filter(pl.col("state") == state).sort("old")["row"] for state in (False, True))
    row_of_record, row_of_state = moved
    return both.drop("old", "state"), row_of_record, row_of_state


def _renumbered(frame: pl.DataFrame, new_rows: pl.Series | None) -> pl.DataFrame:
    """The frame with its `row` replaced by the new one; both rise together, so order stays."""
    return frame if new_rows is None else frame.with_columns(row=new_rows.gather(frame["row"]))


def _record_counts(records: tuple[int, ...], states: States) -> tuple[int, ...]:
    minutes = dict(states.records.group_by("message").len().iter_rows())
    return tuple(count + minutes.get(message, 0) for message, count in enumerate(records))


def _conformed(columns: pl.DataFrame) -> pl.DataFrame:
    """Exactly `EVENTS_SCHEMA`: types cast, missing columns unknown, empty texts null, missing lists empty."""
    given = columns.schema
    return columns.select(_conforming(name, given.get(name)) for name in EVENTS_SCHEMA)


@cache  # building these expressions anew takes 8 ms a batch, however small it is
def _conforming(name: str, given: pl.DataType | None) -> pl.Expr:
    """The column `name` as `EVENTS_SCHEMA` wants it; `given` is the type it has, None where there is none."""
    dtype = EVENTS_SCHEMA[name]
    if isinstance(dtype, pl.List):
        column = pl.col(name) if given is not None else pl.lit(pl.Series([[]], dtype=dtype)).first()
    elif given is None:
        column = pl.lit(None, dtype)
    else:
        own = pl.col(name) if given == dtype else pl.col(name).cast(dtype)
        column = pl.when(own != "").then(own) if dtype == pl.String() else own
    return column.alias(name)
