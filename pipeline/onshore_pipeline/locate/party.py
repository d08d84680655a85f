"""One party of every event: few combinations of what its answer depends on occur, and each is worked out only once.

Answers are remembered for as long as the context is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.distinct import nulls
from onshore_pipeline.locate import addresses
from onshore_pipeline.locate.combinations import codes_of, combinations
from onshore_pipeline.locate.known import Known

if TYPE_CHECKING:
    from collections.abc import Mapping

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
}
_MOST_REMEMBERED: Final = 100_000


def party_answers(
    party: str,
    inputs: Mapping[str, pl.Series],
    places: tuple[pl.DataFrame, NDArray[np.int64]],
    context: Context,
) -> dict[str, Spread]:
    """Say what is known about one party of every event.

    Args:
        party: its name.
        inputs: columns of `INPUTS`, in event order; those that nobody filled may be left out.
        places: what addresses say, see `addresses.address_places`.
        context: the registries.

    Returns:
        `ANSWERS` by name, in event order; country_basis and the lists are never null.
    """
    said, which_place = places
    height = len(which_place)
    if not height:
        return {name: Spread(nulls(0, ANSWERS)[name], which_place) for name in ANSWERS}
    given = {name: column for name, column in inputs.items() if column.null_count() < height}
    codes = [found for column in given.values() if (found := codes_of(column)) is not None]
    rows, which = combinations([*codes, which_place] if said.height else codes, height)
    kinds = pl.DataFrame(
        [
            given[name].gather(rows).alias(name) if name in given else nulls(len(rows), {name: kind}).to_series()
            for name, kind in INPUTS.items()
        ]
    )
    at = pl.Series(which_place[rows])
    place = said[at.set(at < 0, None)] if said.height else nulls(len(rows), addresses.SCHEMA)
    asn = kinds["asn"].zip_with(kinds["asn"].is_not_null(), place["asn"])
    kinds = kinds.with_columns(asn).hstack(place.drop("asn").get_columns())
    answers = _remembered(party, kinds, context)
    return {column.name: Spread(column, which) for column in answers.get_columns()}


@dataclass(frozen=True, slots=True)
class Spread:
    """Answers of which many rows have the same: the different ones, and which of them each row has."""

    distinct: pl.Series
    which: NDArray[np.int64]

    def spread(self) -> pl.Series:
        """The answer of each row; one that is the same for all is only repeated."""
        answers = self.distinct
        if not len(answers):
            return answers
        is_same = len(answers) == 1 or answers.null_count() == len(answers)
        if is_same or (answers.dtype == _LIST and not answers.list.len().sum()):
            return answers.new_from_index(0, len(self.which))
        return answers.gather(self.which)


class _Answers:
    """Answers that were worked out before, by everything that they depend on."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.at: dict[tuple[object, ...], int] = {}
        self.answers = pl.DataFrame(schema=ANSWERS)
        self.lock = Lock()


def _remembered(party: str, kinds: pl.DataFrame, context: Context) -> pl.DataFrame:
    memory = context.memory.get(party, _Answers)
    keys = kinds.rows()
    with memory.lock:
        new = [row for row, key in enumerate(keys) if key not in memory.at]
        if new:
            if len(memory.at) + len(new) > _MOST_REMEMBERED:
                memory.at, memory.answers, new = {}, pl.DataFrame(schema=ANSWERS), list(range(len(keys)))
            first = memory.answers.height
            fresh = Known(party, kinds if len(new) == kinds.height else kinds[new], context).answers()
            memory.answers = pl.concat([memory.answers, fresh], rechunk=True)
            memory.at.update((keys[row], first + number) for number, row in enumerate(new))
        return memory.answers[pl.Series([memory.at[key] for key in keys], dtype=pl.UInt32)]
