"""Which controls can have anything to say about a batch: asked once for each kind of event in it, not for each event.

Most controls are about data of one category or actions of one sort, and most batches hold none of either. What decides
that are a few columns with few distinct values; tens of thousands of events are of perhaps a hundred kinds, and the
next batch is of the same. A text that ended before a batch's first event, or begins behind its last, is not asked.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from onshore_pipeline.controls.compiled import ALWAYS
from onshore_pipeline.controls.kinds import OCCURRED_AT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onshore_pipeline.controls.compiled import Compiled
    from onshore_pipeline.controls.kinds import Batch

MOST_KINDS: Final = 4_096
_MOST_REMEMBERED: Final = 65_536


class Gates:
    """The gates of some controls, and what they said about the kinds of events seen so far.

    Attributes:
        limits_ns: what these controls compare `occurred_at` with, ascending, nanoseconds since 1970.
    """

    def __init__(self, executable: Sequence[Compiled]) -> None:
        """Take the controls, in the order in which `could_apply` names them."""
        self._executable = tuple(executable)
        self._gates = [(place, compiled.gate) for place, compiled in enumerate(executable) if compiled.gate is not None]
        self._columns = sorted({column.name for each in executable if each.gate for column in each.gate_columns})
        # Controls without a gate are always asked.
        self._always = (1 << len(self._executable)) - 1 - sum(1 << place for place, _ in self._gates)
        self._spans = [(place, each.span) for place, each in enumerate(executable) if each.span != ALWAYS]
        self._opened: dict[tuple[Any, ...], int] = {}
        self.limits_ns = sorted({limit for compiled in executable for limit in compiled.limits_ns or ()})

    def could_apply(self, batch: Batch) -> tuple[Compiled, ...]:
        """The controls that apply, or may, to one of the events; all others apply to none."""
        open_ones = self._open_to_kinds(batch) & ~self._out_of_time(batch)
        return tuple(compiled for place, compiled in enumerate(self._executable) if open_ones >> place & 1)

    def _open_to_kinds(self, batch: Batch) -> int:
        """A bit a control."""
        everything = (1 << len(self._executable)) - 1
        if not self._columns:
            return everything
        examples = batch.kinds(self._columns).example
        if len(examples) > MOST_KINDS:
            return everything
        open_ones = self._always
        for kind in self._remembered(batch.columns(self._columns)[examples]):
            open_ones |= self._opened[kind]
        return open_ones

    def _out_of_time(self, batch: Batch) -> int:
        """A bit for each control whose text judges at another time than that of every event."""
        if not self._spans or batch.events.is_empty():
            return 0
        times = batch.events[OCCURRED_AT].dt.epoch("ns").to_numpy()
        first, last = int(times.min()), int(times.max())
        out = 0
        for place, span in self._spans:
            ended = span.until_ns is not None and first >= span.until_ns
            if ended or (span.since_ns is not None and last < span.since_ns):
                out |= 1 << place
        return out

    def _remembered(self, kinds: pl.DataFrame) -> list[tuple[Any, ...]]:
        """The kinds as keys of what is remembered; new ones are asked about first."""
        keys = [tuple(tuple(value) if isinstance(value, list) else value for value in row) for row in kinds.rows()]
        if len(self._opened) + len(keys) > _MOST_REMEMBERED:
            self._opened.clear()
        new = [number for number, key in enumerate(keys) if key not in self._opened]
        if new:
            asked = [_gate(text).fill_null(True).alias(f"{place}") for place, text in self._gates]
            for number, answers in zip(new, kinds[new].select(asked).rows(), strict=True):
                opened = (1 << place for (place, _), is_open in zip(self._gates, answers, strict=True) if is_open)
                self._opened[keys[number]] = sum(opened)
        return keys


@lru_cache(maxsize=4096)
def _gate(text: str) -> pl.Expr:
    return pl.sql_expr(text)
