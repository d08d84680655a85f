"""The kinds of events in a batch: a control is asked once a kind, since events alike in what it reads get one verdict.

Exact, never by hash: two events are of one kind only if the values themselves are equal. Times are of one kind if no
limit that a condition compares them with lies between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import polars as pl

from onshore_pipeline.controls.condition import And, Column, Compare, Condition, Instant, Not, Or
from onshore_pipeline.controls.texts import FLAG_PREFIX
from onshore_pipeline.domain.event import Kind
from onshore_pipeline.views import numbered

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from onshore_pipeline.controls.condition import Value

OCCURRED_AT: Final = "occurred_at"
HOUR: Final = "hour"
_HOUR_MS: Final = 3_600_000
_HOUR_NS: Final = _HOUR_MS * 1_000_000
# Columns whose values repeat; numbers and other times seldom do.
REPEATING: Final = frozenset({Kind.WORD, Kind.WORDS, Kind.TEXT, Kind.BOOL})
# Above this, numbering by a table of all combinations costs more than by sorting.
_MOST_COMBINATIONS: Final = 1 << 22
_LONGEST_LIST: Final = 8
_MAX_CODE: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class Kinds:
    """How the events of a batch fall into kinds.

    Attributes:
        of_event: by event, the number of its kind.
        example: by kind, the position of one event of it.
    """

    of_event: NDArray[np.int64]
    example: NDArray[np.int64]


class Batch:
    """A batch of events, whose columns are numbered at most once each."""

    def __init__(self, events: pl.DataFrame, limits_ns: Sequence[int]) -> None:
        """Take located events, and what conditions compare `occurred_at` with, ascending, nanoseconds since 1970."""
        self.events, self._limits_ns = events, limits_ns
        self._codes: dict[str, list[tuple[NDArray[np.int64], int]]] = {}
        self._made: dict[str, pl.Series] = {}
        self._claims: _Claims | None = None

    def columns(self, names: Sequence[str]) -> pl.DataFrame:
        """Columns of the events; `contradicted_PARTY` is whether claims about that party disagree."""
        return pl.DataFrame([self._column(name) for name in names])

    def _column(self, name: str) -> pl.Series:
        if name != HOUR and not name.startswith(FLAG_PREFIX):
            return self.events[name]
        if name not in self._made:
            self._made[name] = _hours(self.events[OCCURRED_AT]) if name == HOUR else self._contradicted(name)
        return self._made[name]

    def _contradicted(self, flag: str) -> pl.Series:
        """By event, whether claims about the party of a flag disagree."""
        if self._claims is None:
            self._claims = _claims(self.events["contradictions"])
        flags = np.zeros(self.events.height, dtype=np.bool_)
        about = self._claims.parties == flag.removeprefix(FLAG_PREFIX)
        flags[self._claims.at[about[self._claims.party]]] = True
        return pl.Series(flag, flags)

    def kinds(self, columns: Sequence[str]) -> Kinds:
        """The kinds by these columns. If most events would be of a kind of their own, every one is."""
        found = self.groups(columns)
        count = self.events.height
        return each_its_own(count) if len(found.example) * 2 > count else found

    def groups(self, columns: Sequence[str]) -> Kinds:
        """Events that are equal in all of these columns together, in the order of the first column's numbers."""
        return together((code for name in columns for code in self._numbered(name)), self.events.height)

    def _numbered(self, name: str) -> list[tuple[NDArray[np.int64], int]]:
        """Numbers of a column's values, and how many there can be; none where every event has the same."""
        known = self._codes.get(name)
        if known is None:
            column = self._column(name)
            known = self._eras(column) if name == OCCURRED_AT else list(numbers(column))
            self._codes[name] = known
        return known

    def _eras(self, times: pl.Series) -> list[tuple[NDArray[np.int64], int]]:
        """How many limits lie at or before each time."""
        ns = times.dt.epoch("ns").to_numpy()
        limits = np.asarray(self._limits_ns, dtype=np.int64)
        if not ns.size or not limits.size:
            return []
        first, last = np.searchsorted(limits, np.array([ns.min(), ns.max()]), side="right")
        if first == last:
            return []
        return [(np.searchsorted(limits[first:last], ns, side="right"), int(last - first) + 1)]


def together(numbered: Iterable[tuple[NDArray[np.int64], int]], count: int) -> Kinds:
    """What is equal in all of these numbers, each with how many there can be; in the order of the first ones."""
    combined, combinations = np.zeros(count, dtype=np.int64), 1
    for codes, distinct in numbered:
        if combinations * distinct > _MAX_CODE:
            combined, combinations = _dense(combined, combinations)
        combined = combined * distinct + codes
        combinations *= distinct
    combined, kinds = _dense(combined, combinations)
    example = np.empty(kinds, dtype=np.int64)
    example[combined[::-1]] = np.arange(count - 1, -1, -1)
    return Kinds(combined, example)


def numbers_of(texts: pl.Series) -> tuple[NDArray[np.int64], int]:
    """A number for each text, equal where they are, 0 where there is none; and how many there can be."""
    found = numbered(texts)
    return found.numbers.astype(np.int64), len(found.firsts) + 1


def each_its_own(count: int) -> Kinds:
    """Every event as a kind by itself."""
    own = np.arange(count, dtype=np.int64)
    return Kinds(own, own)


def time_limits(condition: Condition) -> list[int] | None:
    """What a condition compares `occurred_at` with, nanoseconds since 1970; None if that is no literal.

    Each literal counts twice, as itself and as the nanosecond behind it, so that no comparison tells two times apart
    between which none of them lies.
    """
    limits: list[int] = []
    for compared in _comparisons(condition):
        sides = (compared.left, compared.right)
        if not any(_reads_time(side) for side in sides):
            continue
        literal = next((side for side in sides if isinstance(side, Instant)), None)
        if literal is None:
            return None
        limits += [literal.ns, literal.ns + 1]
    return limits


def _reads_time(value: Value) -> bool:
    return isinstance(value, Column) and value.name == OCCURRED_AT


def _comparisons(node: Condition) -> Iterator[Compare]:
    match node:
        case And(conditions) | Or(conditions):
            for each in conditions:
                yield from _comparisons(each)
        case Not(inner):
            yield from _comparisons(inner)
        case Compare():
            yield node
        case _:
            pass


class _Claims(NamedTuple):
    """Claims that disagree, in the order of their events.

    Attributes:
        at: by claim, the position of the event.
        party: by claim, which of `parties` it is about.
        parties: the names before the first colon.
    """

    at: NDArray[np.int64]
    party: NDArray[np.int64]
    parties: NDArray[np.object_]


def _claims(contradictions: pl.Series) -> _Claims:
    held = _filled(contradictions.list.len(), 0)
    claims = contradictions.explode(empty_as_null=False, keep_nulls=False)
    # Told apart first: most are said again and again.
    found = numbered(claims)
    parties = [claim.partition(":")[0] for claim in claims[found.firsts]]
    return _Claims(
        np.repeat(np.arange(held.size), held),
        found.numbers.astype(np.int64),
        np.array([None, *parties], dtype=np.object_),
    )


def _hours(times: pl.Series) -> pl.Series:
    """The beginning of each one's hour."""
    ms = times.dt.epoch("ns").to_numpy() // _HOUR_NS * _HOUR_MS
    return pl.Series(HOUR, ms).cast(pl.Datetime("ms", "UTC"))


def _filled(column: pl.Series, instead: int) -> NDArray[Any]:
    """Numbers, `instead` where there is none. Through Arrow: a lazy frame for it costs three times as much."""
    return column.to_numpy() if column.null_count() == 0 else column.to_arrow().fill_null(instead).to_numpy()


def _dense(codes: NDArray[np.int64], combinations: int) -> tuple[NDArray[np.int64], int]:
    """The same numbers without holes, in the same order, and how many there are."""
    if combinations > _MOST_COMBINATIONS:
        found, numbers = np.unique(codes, return_inverse=True)
        return numbers.astype(np.int64), len(found)
    taken = np.zeros(combinations, dtype=np.bool_)
    taken[codes] = True
    found = np.flatnonzero(taken)
    number = np.empty(combinations, dtype=np.int64)  # and read only where it is written
    number[found] = np.arange(len(found))
    return number[codes], len(found)


def numbers(column: pl.Series) -> Iterator[tuple[NDArray[np.int64], int]]:
    """What tells a column's values apart, each with how many there can be; nothing if all are the same."""
    if isinstance(column.dtype, pl.List):
        yield from _list_numbers(column)
        return
    if column.null_count() == len(column):
        return
    if column.dtype.is_integer() or column.dtype.is_temporal():
        yield from _close_numbers(column.to_physical().to_numpy().astype(np.int64))
        return
    if column.dtype == pl.Boolean:
        if column.null_count() == 0 and (column.all() or not column.any()):
            return
        yield _filled(column.cast(pl.Int8), 2).astype(np.int64), 3
        return
    found = numbered(column)
    if found.has_nulls or len(found.firsts) > 1:
        yield found.numbers.astype(np.int64), len(found.firsts) + 1


def _close_numbers(values: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], int]]:
    """Numbers of what counts up, none of it null."""
    least, most = int(values.min()), int(values.max())
    if least != most:
        yield values - least, most - least + 1


def _list_numbers(column: pl.Series) -> Iterator[tuple[NDArray[np.int64], int]]:
    """Lists are alike if they are as long and hold the same at each place; a list that is null is as an empty one."""
    sizes = _filled(column.list.len(), 0).astype(np.int64)
    shortest, longest = (int(sizes.min()), int(sizes.max())) if sizes.size else (0, 0)
    if longest > _LONGEST_LIST:
        yield np.arange(len(column), dtype=np.int64), len(column)
        return
    if shortest != longest:
        yield sizes, longest + 1
    if longest == 0:
        return
    begins = np.cumsum(sizes) - sizes
    for codes, distinct in numbers(column.explode(empty_as_null=False, keep_nulls=False)):
        for place in range(longest):
            longer = sizes > place
            held = np.zeros(len(column), dtype=np.int64)
            held[longer] = codes[begins[longer] + place] + 1
            yield held, distinct + 1
