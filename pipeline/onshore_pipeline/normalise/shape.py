"""A source's own way to write a record, and how it is read as an event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

    from onshore_pipeline.normalise.fields import Records


@dataclass(frozen=True, slots=True)
class Shape:
    """What reads the records of one source format.

    Attributes:
        format: the format's name, which becomes `source_format`; a record says it in the scope attribute
            `encoding.format` or in its own or its resource's attribute `log.record.format`.
        keys: the record attributes that `describe` and `recognised` read.
        describe: records of this format → their columns (`row`, `message`, `resource`, `record_index`, `schema_url`,
            `trace_id`, `span_id`, `body` and whatever of `EVENTS_SCHEMA` they can say; other columns are unknown), and
            attributes to add (row, key, text) where the sender set none of that name. One row a record, in order.
        recognised: whether a record that names no format is of this one, by what a stock decoder leaves in its
            attributes; a Boolean expression over `Records.frame`, may be null. None: nothing is recognised.
        resource_keys: the resource attributes that `describe` and `recognised` read.
    """

    format: str
    keys: tuple[str, ...]
    describe: Callable[[Records], tuple[pl.DataFrame, pl.DataFrame]]
    recognised: Callable[[Records], pl.Expr] | None = None
    resource_keys: tuple[str, ...] = ()
