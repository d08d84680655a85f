"""One party of every event: few combinations of what its answer depends on occur, and each is worked out only once.

Answers are remembered for as long as the context is used.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Final, NamedTuple

import polars as pl

from onshore_pipeline.distinct import nulls, positions
from onshore_pipeline.locate import addresses
from onshore_pipeline.locate.combinations import Numbered, codes_of, combinations
from onshore_pipeline.locate.known import Known

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from onshore_pipeline.context import Context

_LIST: Final = pl.List(pl.String)
# What an answer depends on, beside what the address says and the day.
INPUTS: Final[dict[str, pl.DataType]] = {
    "declared_country": pl.String(),
    "sensor": pl.String(),  # country where our own collector sits that sent it
    "attested": pl.String(),  # country by a statement whose signature was verified
    "attestation": pl.String(),  # country by one whose was not
    "provider": pl.String(),
    "region": pl.String(),
    "resource": pl.String(),  # the region in the resource's own name, as provider/region
    "facility": pl.String(),
    "host": pl.String(),
    "model": pl.String(),
    "person": pl.String(),  # country by the registry of people
    "asn": pl.UInt32(),
    "entity": pl.String(),
    "employer": pl.String(),
    "employer_registered": pl.Boolean(),  # the registry of people says it, not the record
    "occurred_at": pl.Datetime("ns", "UTC"),  # the day's beginning, where days make a difference
}
ANSWERS: Final[dict[str, pl.DataType]] = {
    "country": pl.String(),
    "country_basis": pl.String(),
    "country_candidates": _LIST,
    "asn": pl.UInt32(),
    "entity": pl.String(),
    "entity_country": pl.String(),
    "control_country": pl.String(),
    "contradictions": _LIST,
    "provenance": pl.String(),  # this party's part of the event's
}
# Of these the number of the value is kept, -1 for none: what several parties have is put together by numbers.
_NUMBERED: Final = ("contradictions", "provenance")
_KEPT: Final = {name: pl.Int64() if name in _NUMBERED else kind for name, kind in ANSWERS.items()}
_MOST_REMEMBERED: Final = 100_000


class PartyAnswers(NamedTuple):
    """What is known about one party of every event.

    Attributes:
        columns: `ANSWERS` by name, without the two that follow.
        contradictions: lists, none of them empty.
        provenance: this party's part of it.
    """

    columns: dict[str, pl.Series]
    contradictions: Numbered
    provenance: Numbered


def party_answers(
    party: str,
    inputs: Mapping[str, pl.Series],
    places: tuple[pl.DataFrame, NDArray[np.int64]],
    context: Context,
) -> PartyAnswers:
    """Say what is known about one party of every event.

    Args:
        party: its name.
        inputs: columns of `INPUTS`, in event order; those that nobody filled may be left out.
        places: what addresses say, see `addresses.address_places`.
        context: the registries.

    Returns:
        In event order; country_basis and the lists are never null.
    """
    said, which_place = places
    height = len(which_place)
    if not height:
        none = nulls(0, ANSWERS)
        numbered = (Numbered(none[name], which_place) for name in _NUMBERED)
        return PartyAnswers({each.name: each for each in none.drop(_NUMBERED).get_columns()}, *numbered)
    given = {name: column for name, column in inputs.items() if column.null_count() < height}
    codes = [found for column in given.values() if (found := codes_of(column)) is not None]
    rows, which = combinations([*codes, which_place] if said.height else codes, height)
    kinds = pl.DataFrame(
        [
            given[name][rows].alias(name) if name in given else nulls(len(rows), {name: kind}).to_series()
            for name, kind in INPUTS.items()
        ]
    )
    place = said[positions(which_place[rows])] if said.height else nulls(len(rows), addresses.SCHEMA)
    asn = kinds["asn"].zip_with(kinds["asn"].is_not_null(), place["asn"])
    own = (asn if column.name == "asn" else column for column in kinds.get_columns())
    kinds = pl.DataFrame([*own, *(column for column in place.get_columns() if column.name != "asn")])
    answers, values = _remembered(party, kinds, context)
    each = pl.Series(which, dtype=pl.UInt32)
    spread = {column.name: _spread(column, each) for column in answers.get_columns() if column.name not in _NUMBERED}
    return PartyAnswers(spread, *(Numbered(values[name], answers[name].to_numpy()[which]) for name in _NUMBERED))


def _spread(answers: pl.Series, which: pl.Series) -> pl.Series:
    """The answer of each row; one that is the same for all is only repeated."""
    is_same = len(answers) == 1 or answers.null_count() == len(answers)
    if is_same or (answers.dtype == _LIST and not answers.list.len().sum()):
        return answers.new_from_index(0, len(which))
    return answers[which]


class _Values:
    """Different values, numbered as they come."""

    def __init__(self, kind: pl.DataType) -> None:
        """None yet."""
        self._numbers: dict[Hashable, int] = {}
        self.values = pl.Series(dtype=kind)

    def numbers_of(self, said: pl.Series) -> pl.Series:
        """The number of each; -1 for null and for an empty list."""
        known = len(self._numbers)
        keys = [tuple(each) if isinstance(each, list) else each for each in said.to_list()]
        numbers = [self._numbers.setdefault(each, len(self._numbers)) if each else -1 for each in keys]
        fresh = [position for position, number in enumerate(numbers) if number >= known]
        first = {numbers[position]: position for position in reversed(fresh)}
        self.values = pl.concat([self.values, said[[first[number] for number in sorted(first)]]], rechunk=True)
        return pl.Series(said.name, numbers, dtype=pl.Int64)


class _Answers:
    """Answers that were worked out before, by everything that they depend on."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.lock = Lock()
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self.at: dict[tuple[str, ...], dict[tuple[object, ...], int]] = {}
        self.answers = pl.DataFrame(schema=_KEPT)
        self.numbered = {name: _Values(ANSWERS[name]) for name in _NUMBERED}

    def of(self, columns: tuple[str, ...]) -> dict[tuple[object, ...], int]:
        """Which answers those have that depend on these columns, the others being null, by their values."""
        return self.at.setdefault(columns, {})

    def add(self, answers: pl.DataFrame) -> range:
        """Keep answers; where they are."""
        first = self.answers.height
        fresh = {name: values.numbers_of(answers[name]) for name, values in self.numbered.items()}
        kept = pl.DataFrame([fresh[name] if name in fresh else answers[name] for name in _KEPT])
        self.answers = pl.concat([self.answers, kept], rechunk=True)
        return range(first, self.answers.height)


def _remembered(party: str, kinds: pl.DataFrame, context: Context) -> tuple[pl.DataFrame, dict[str, pl.Series]]:
    """A row of `_KEPT` a kind, and the values that it numbers."""
    memory = context.memory.get(party, _Answers)
    # Most columns say nothing in most batches: a key without them is made and looked up in a third of the time.
    said = [column for column in kinds.get_columns() if column.null_count() < kinds.height]
    columns = tuple(column.name for column in said)
    keys = list(zip(*(column.to_list() for column in said), strict=True)) if said else [()] * kinds.height
    with memory.lock:
        at = memory.of(columns)
        new = [row for row, key in enumerate(keys) if key not in at]
        if new:
            if memory.answers.height + len(new) > _MOST_REMEMBERED:
                memory.forget()
                at, new = memory.of(columns), list(range(len(keys)))
            asked = kinds if len(new) == kinds.height else kinds[new]
            at.update(zip((keys[row] for row in new), memory.add(Known(party, asked, context).answers()), strict=True))
        found = memory.answers[pl.Series([at[key] for key in keys], dtype=pl.UInt32)]
        return found, {name: values.values for name, values in memory.numbered.items()}
