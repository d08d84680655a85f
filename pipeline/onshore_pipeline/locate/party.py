"""One party of every event: few combinations of what its answer depends on occur, and each is worked out only once.

Answers are remembered for as long as the context is used.
"""

from __future__ import annotations

from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING, Final, NamedTuple

import polars as pl

from onshore_pipeline.distinct import nulls
from onshore_pipeline.locate import addresses
from onshore_pipeline.locate.combinations import codes_of, combinations
from onshore_pipeline.locate.known import Known

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
_CONTRADICTIONS: Final = "contradictions"
_DISPUTE: Final = "dispute"  # which contradictions, -1 for none
_KEPT: Final = {name: kind for name, kind in ANSWERS.items() if name != _CONTRADICTIONS} | {_DISPUTE: pl.Int64()}
_MOST_REMEMBERED: Final = 100_000


class Disputes(NamedTuple):
    """What claims about a party contradict each other.

    Attributes:
        lists: different lists of contradictions, none of them empty.
        which: by event, which of them it has, -1 for none.
    """

    lists: pl.Series
    which: NDArray[np.int64]


class PartyAnswers(NamedTuple):
    """What is known about one party of every event: `ANSWERS` by name, and what disagrees."""

    columns: dict[str, pl.Series]
    disputes: Disputes


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
        none = nulls(0, ANSWERS).drop(_CONTRADICTIONS).get_columns()
        return PartyAnswers({each.name: each for each in none}, Disputes(pl.Series(dtype=_LIST), which_place))
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
    answers, lists = _remembered(party, kinds, context)
    each = pl.Series(which, dtype=pl.UInt32)
    spread = {column.name: _spread(column, each) for column in answers.get_columns() if column.name != _DISPUTE}
    return PartyAnswers(spread, Disputes(lists, answers[_DISPUTE].to_numpy()[which]))


def _spread(answers: pl.Series, which: pl.Series) -> pl.Series:
    """The answer of each row; one that is the same for all is only repeated."""
    is_same = len(answers) == 1 or answers.null_count() == len(answers)
    if is_same or (answers.dtype == _LIST and not answers.list.len().sum()):
        return answers.new_from_index(0, len(which))
    return answers[which]


class _Answers:
    """Answers that were worked out before, by everything that they depend on; and the contradictions among them."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.lock = Lock()
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self.at: dict[tuple[object, ...], int] = {}
        self.answers = pl.DataFrame(schema=_KEPT)
        self.disputes: dict[tuple[str, ...], int] = {}
        self.lists = pl.Series(dtype=_LIST)

    def add(self, keys: Sequence[tuple[object, ...]], answers: pl.DataFrame) -> None:
        """Keep the answers to `keys`."""
        first, known = self.answers.height, len(self.disputes)
        said = map(tuple, answers[_CONTRADICTIONS].to_list())
        numbers = [self.disputes.setdefault(each, len(self.disputes)) if each else -1 for each in said]
        fresh = answers.drop(_CONTRADICTIONS).with_columns(pl.Series(_DISPUTE, numbers, dtype=pl.Int64))
        self.answers = pl.concat([self.answers, fresh], rechunk=True)
        new = [list(each) for each in islice(self.disputes, known, None)]
        self.lists = pl.concat([self.lists, pl.Series(new, dtype=_LIST)], rechunk=True)
        self.at.update((key, first + number) for number, key in enumerate(keys))


def _remembered(party: str, kinds: pl.DataFrame, context: Context) -> tuple[pl.DataFrame, pl.Series]:
    """A row of `_KEPT` a kind, and the contradictions that it numbers."""
    memory = context.memory.get(party, _Answers)
    keys = kinds.rows()
    with memory.lock:
        new = [row for row, key in enumerate(keys) if key not in memory.at]
        if new:
            if len(memory.at) + len(new) > _MOST_REMEMBERED:
                memory.forget()
                new = list(range(len(keys)))
            asked = kinds if len(new) == kinds.height else kinds[new]
            memory.add([keys[row] for row in new], Known(party, asked, context).answers())
        return memory.answers[pl.Series([memory.at[key] for key in keys], dtype=pl.UInt32)], memory.lists
