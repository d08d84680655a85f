"""Verdicts of many controls on a frame: what several conditions ask is asked once, and put together in three values.

Every question put to Polars is a piece of the published text (`compiled.EngineTexts`); AND, OR and NOT are SQL's.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import polars as pl

from onshore_pipeline.controls.compiled import MISSING_AGREEMENT, MISSING_OUTCOME, Compiled
from onshore_pipeline.controls.condition import And, Condition, Not, Or, Truth, columns_in
from onshore_pipeline.controls.counts import MISSING_NAMES, NOT_APPLICABLE, SATISFIED, UNDETERMINED, VIOLATED, Decided
from onshore_pipeline.controls.texts import FLAG_PREFIX, POLARS, condition_text, unknown_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    Flags = NDArray[np.bool_]

_CODES: Final = {name: code for code, name in enumerate(MISSING_NAMES.categories)}
_NO_ANSWER: Final = 2
_OUTCOME_UNKNOWN: Final = "outcome = 'unknown'"


class _Answer(NamedTuple):
    """By row, whether it is so, and whether it is not; unknown where neither."""

    yes: Flags
    no: Flags


def decide(facts: pl.DataFrame, controls: Sequence[Compiled]) -> list[Decided]:
    """The verdict of each control on each row, and what an undetermined one lacked.

    Args:
        facts: the columns that the controls read (words may be categories), and for each of their parties a boolean
            column `contradicted_PARTY`.
        controls: the controls.
    """
    asked = tuple(dict.fromkeys(text for compiled in controls for text in _questions(compiled)))
    answers = facts.select(_expression(text).alias(text) for text in asked)
    known = {text: _answer(answer) for text, answer in zip(asked, answers.get_columns(), strict=True)}
    return [_decided(_Known(known, facts.height), compiled) for compiled in controls]


class _Known:
    """Answers by the text of the question."""

    def __init__(self, answers: dict[str, _Answer], rows: int) -> None:
        self._answers, self.rows = answers, rows

    def text(self, text: str) -> _Answer:
        return self._answers[text]

    def condition(self, node: Condition) -> _Answer:
        """The answer to a condition."""
        match node:
            case And(conditions):
                parts = [self.condition(each) for each in conditions]
                return _Answer(_all(part.yes for part in parts), _any(part.no for part in parts))
            case Or(conditions):
                parts = [self.condition(each) for each in conditions]
                return _Answer(_any(part.yes for part in parts), _all(part.no for part in parts))
            case Not(condition):
                yes, no = self.condition(condition)
                return _Answer(no, yes)
            case Truth(value):
                one = np.full(self.rows, value)
                return _Answer(one, ~one)
            case _:
                return self._answers[_leaf_text(node)]


@lru_cache(maxsize=4096)
def _questions(compiled: Compiled) -> tuple[str, ...]:
    """The texts that a control asks."""
    asked = [] if compiled.outcome_text is None else [_OUTCOME_UNKNOWN, compiled.outcome_text]
    for condition in (compiled.scope, compiled.applies, compiled.violated):
        for leaf in _leaves(condition):
            asked.append(_leaf_text(leaf))
            asked += [unknown_text(column, POLARS) for column in columns_in(leaf)[:-1]]  # the last needs no question
    asked += [FLAG_PREFIX + party for party in compiled.parties]
    return tuple(dict.fromkeys(asked))


def _leaves(node: Condition) -> Iterator[Condition]:
    match node:
        case And(conditions) | Or(conditions):
            for each in conditions:
                yield from _leaves(each)
        case Not(inner):
            yield from _leaves(inner)
        case Truth():
            pass
        case _:
            yield node


def _decided(known: _Known, compiled: Compiled) -> Decided:
    applies, broken = known.condition(compiled.applies), known.condition(compiled.violated)
    scope = known.condition(compiled.scope)
    whole = _Answer(scope.yes & applies.yes, scope.no | applies.no)
    if compiled.outcome_text is not None:
        unknown, listed = known.text(_OUTCOME_UNKNOWN), known.text(compiled.outcome_text)
        whole = _Answer(whole.yes & listed.yes & ~unknown.yes, whole.no | (listed.no & ~unknown.yes))
    verdict = np.full(known.rows, UNDETERMINED, dtype=np.uint8)
    disputed = _any(known.text(FLAG_PREFIX + party).yes for party in compiled.parties) if compiled.parties else False
    verdict[whole.yes & broken.no & ~np.asarray(disputed)] = SATISFIED
    verdict[whole.yes & broken.yes] = VIOLATED
    verdict[whole.no] = NOT_APPLICABLE
    is_open = verdict == UNDETERMINED
    missing = np.zeros(known.rows, dtype=np.uint8)
    if is_open.any():
        _name_missing(known, compiled, is_open, missing)
    return Decided(verdict, missing)


def _name_missing(known: _Known, compiled: Compiled, is_open: Flags, missing: NDArray[np.uint8]) -> None:
    """Name what was missing first, in the order of the published text."""
    left = is_open
    if compiled.outcome_text is not None:
        unknown = known.text(_OUTCOME_UNKNOWN).yes
        missing[left & unknown] = _CODES[MISSING_OUTCOME]
        left = left & ~unknown
    for condition in (compiled.applies, compiled.violated):
        if columns_in(condition):
            yes, no = known.condition(condition)
            _walk(known, condition, left & ~(yes | no), missing)
            left = left & (yes | no)
    missing[left] = _CODES[MISSING_AGREEMENT]


def _walk(known: _Known, node: Condition, where: Flags, missing: NDArray[np.uint8]) -> None:
    """Name the first column that made `node` NULL, in the rows `where` it is: into the first part that is NULL."""
    if not where.any():
        return
    match node:
        case Not(condition):
            _walk(known, condition, where, missing)
        case And(conditions) | Or(conditions):
            parts = [each for each in conditions if columns_in(each) and not isinstance(each, Truth)]
            for part in parts[:-1]:
                yes, no = known.condition(part)
                _walk(known, part, where & ~(yes | no), missing)
                where = where & (yes | no)
            _walk(known, parts[-1], where, missing)
        case _:
            columns = columns_in(node)
            for column in columns[:-1]:
                unknown = known.text(unknown_text(column, POLARS)).yes
                missing[where & unknown] = _CODES[column.name]
                where = where & ~unknown
            missing[where] = _CODES[columns[-1].name]


def _all(flags: Iterator[Flags]) -> Flags:
    return _folded(np.logical_and, flags)


def _any(flags: Iterator[Flags]) -> Flags:
    return _folded(np.logical_or, flags)


def _folded(fold: Callable[[Flags, Flags], Flags], flags: Iterator[Flags]) -> Flags:
    first = next(flags)
    for each in flags:
        first = fold(first, each)
    return first


def _answer(is_so: pl.Series) -> _Answer:
    if is_so.null_count() == 0:
        yes = is_so.to_numpy()
        return _Answer(yes, ~yes)
    said = is_so.cast(pl.Int8).to_arrow().fill_null(_NO_ANSWER).to_numpy()
    return _Answer(said == 1, said == 0)


@lru_cache(maxsize=8192)
def _leaf_text(leaf: Condition) -> str:
    return condition_text(leaf, POLARS)


@lru_cache(maxsize=8192)
def _expression(text: str) -> pl.Expr:
    return pl.sql_expr(text)
