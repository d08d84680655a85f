"""The condition of a window: comparisons of aggregates with whole numbers, and of what its events have in common.

An aggregate is known to be at least what the known events make it. A comparison is TRUE or FALSE as soon as that
decides it whatever else there may be, and NULL while anything that enters it is unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, cast

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from onshore_pipeline.controls.condition import TYPE_OF_KIND, Column, CompareOperator, Condition, Type
from onshore_pipeline.controls.language import COMPARISONS, parse_condition, read_condition
from onshore_pipeline.controls.refusals import LanguageError, position_of
from onshore_pipeline.controls.suggestions import did_you_mean
from onshore_pipeline.domain.event import COLUMNS_BY_NAME, Kind
from onshore_pipeline.domain.whole_numbers import shown, whole_number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from onshore_pipeline.controls.lists import DatedList

AggregateFunction = Literal["sum", "count", "distinct"]

# What stands for a comparison of an aggregate in the condition: columns of three-valued booleans of this name.
DECIDED: Final = "decided_"
_MIRRORED: Final[dict[CompareOperator, CompareOperator]] = {
    "=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<=",
}  # fmt: skip
_LARGEST: Final = 2**63 - 1
_KINDS: Final = "sum(column), count(*) and count(distinct column)"


@dataclass(frozen=True, slots=True)
class Aggregate:
    """`sum` of an integer column, `count` of events, or how many `distinct` values a column has."""

    function: AggregateFunction
    column: Column | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """An aggregate compared with a whole number; `aggregate` is its place in `WindowCondition.aggregates`."""

    aggregate: int
    operator: CompareOperator
    limit: int


@dataclass(frozen=True, slots=True)
class WindowCondition:
    """A window's `violated`: `condition` reads key columns, and `decided_N` for each of the comparisons."""

    condition: Condition
    aggregates: tuple[Aggregate, ...]
    comparisons: tuple[Comparison, ...]


def parse_window_condition(text: str, key: Sequence[str], lists: Mapping[str, DatedList]) -> WindowCondition:
    """Parse and check it. Raises `LanguageError` with the offset of what is refused."""
    try:
        tree = sqlglot.parse_one(text, read="postgres")
    except (SqlglotError, RecursionError):
        parse_condition(text, lists)  # says what is wrong, and where
        raise
    reader = _Reader(text, key)
    tree = reader.replaced(tree)
    if not reader.comparisons:
        raise LanguageError(0, f"a window's condition compares an aggregate: {_KINDS}")
    flags = {f"{DECIDED}{number}": Kind.BOOL for number in range(len(reader.comparisons))}
    condition = read_condition(tree, text, lists, flags)
    return WindowCondition(condition, tuple(reader.aggregates), tuple(reader.comparisons))


class _Reader:
    """Puts a boolean column in the place of every comparison of an aggregate, and refuses what belongs to one event."""

    def __init__(self, text: str, key: Sequence[str]) -> None:
        self._text, self._key = text, key
        self.aggregates: list[Aggregate] = []
        self.comparisons: list[Comparison] = []

    def replaced(self, node: exp.Expr) -> exp.Expr:
        """The tree without aggregates."""
        match node:
            case exp.Paren() | exp.Not():
                node.set("this", self.replaced(node.this))
                return node
            case exp.And() | exp.Or():
                node.set("this", self.replaced(node.left))
                node.set("expression", self.replaced(node.right))
                return node
        aggregates = list(node.find_all(exp.AggFunc))
        if not aggregates:
            self._refuse_columns(node)
            return node
        return self._comparison(node, aggregates[0])

    def _comparison(self, node: exp.Expr, aggregate: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Between) and node.this is aggregate and not node.args.get("symmetric"):
            both = exp.and_(
                self._flag(aggregate, ">=", node.args["low"]), self._flag(aggregate, "<=", node.args["high"])
            )
            return cast("exp.Expr", both)
        operator = COMPARISONS.get(type(node))
        if operator is not None and node.this is aggregate:
            return self._flag(aggregate, operator, node.expression)
        if operator is not None and node.expression is aggregate:
            return self._flag(aggregate, _MIRRORED[operator], node.this)
        why = "an aggregate is compared as it is with a whole number: sum(bytes) > 1000000"
        raise LanguageError(self._place(aggregate), why)

    def _flag(self, aggregate: exp.Expr, operator: CompareOperator, limit: exp.Expr) -> exp.Expr:
        if not (isinstance(limit, exp.Literal) and not limit.is_string and str(limit.this).isdecimal()):
            place = position_of(limit)
            at = self._place(aggregate) if place is None else place
            raise LanguageError(at, "an aggregate is compared with a whole number from 0 on")
        number = whole_number(str(limit.this), _LARGEST)
        if number is None:
            raise LanguageError(position_of(limit) or 0, f"{shown(limit.this)} is larger than {_LARGEST}")
        read = self._aggregate(aggregate)
        if read not in self.aggregates:
            self.aggregates.append(read)
        comparison = Comparison(self.aggregates.index(read), operator, number)
        if comparison not in self.comparisons:
            self.comparisons.append(comparison)
        return exp.column(f"{DECIDED}{self.comparisons.index(comparison)}")

    def _aggregate(self, node: exp.Expr) -> Aggregate:
        if isinstance(node, exp.Count) and isinstance(node.this, exp.Star):
            return Aggregate("count", None)
        if isinstance(node, exp.Count) and isinstance(node.this, exp.Distinct):
            columns = node.this.expressions
            if len(columns) == 1 and isinstance(columns[0], exp.Column):
                return Aggregate("distinct", self._column(columns[0], (Type.TEXT, Type.INTEGER, Type.BOOLEAN)))
            raise LanguageError(self._place(node), "count(distinct ...) counts the values of one column")
        if isinstance(node, exp.Count):
            raise LanguageError(self._place(node), "count(column) is refused: write count(*) or count(distinct column)")
        if isinstance(node, exp.Sum) and isinstance(node.this, exp.Column):
            return Aggregate("sum", self._column(node.this, (Type.INTEGER,)))
        if isinstance(node, exp.Sum):
            why = "sum takes a column: a sum whose parts can be negative is never decided by what is known of it"
            raise LanguageError(self._place(node), why)
        raise LanguageError(self._place(node), f"{_name(node)} is refused: there are {_KINDS}")

    def _column(self, node: exp.Column, types: tuple[Type, ...]) -> Column:
        # Whether there is such a column, and whether it may be read, is asked where every condition asks it.
        known = COLUMNS_BY_NAME.get(node.name)
        if known is None or node.table or known.kind not in TYPE_OF_KIND or TYPE_OF_KIND[known.kind] not in types:
            what = " or ".join(each.value for each in types)
            hint = did_you_mean(node.name, COLUMNS_BY_NAME) if known is None else ""
            raise LanguageError(self._place(node), f"{node.name} is no column of type {what}{hint}")
        return Column(node.name, known.kind)

    def _refuse_columns(self, node: exp.Expr) -> None:
        for column in node.find_all(exp.Column):
            is_ours = column.name in COLUMNS_BY_NAME or column.name.startswith(DECIDED)
            if is_ours and column.name not in self._key:
                why = f"{column.name} differs from event to event: ask it under applies, or add it to window.group_by"
                raise LanguageError(self._place(column), why)

    def _place(self, node: exp.Expr) -> int:
        position = position_of(node)
        if not isinstance(node, exp.Func):
            return position or 0
        # Aggregates know the places of what is in them only: the name stands before it.
        name = _name(node)
        found = self._text.lower().rfind(name, 0, len(self._text) if position is None else position)
        return max(found, 0)


def _name(node: exp.Expr) -> str:
    if isinstance(node, exp.Func):
        return "count" if isinstance(node, exp.Count) else node.sql_name().lower()
    return node.key
