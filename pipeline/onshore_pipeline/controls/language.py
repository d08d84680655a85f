"""The control language: SQL over `events` columns, checked down to every node.

A condition is NULL-monotone by construction: replacing any value by unknown can leave its answer or make it NULL, never
turn it over. Hence there is no IS NULL, COALESCE or CASE, and what could err in one engine and not in the other (mixed
types, division, escapes in LIKE, NULL in a list) is refused. docs/controls.md is the author's view of this.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Final, cast

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, TokenError

from onshore_pipeline.controls.condition import (
    TYPE_OF_KIND,
    Among,
    Column,
    Compare,
    CompareOperator,
    Condition,
    Contains,
    Contradicted,
    Flag,
    Instant,
    Like,
    Not,
    OnlyHolds,
    StartsWith,
    Text,
    Truth,
    Type,
    Value,
    columns_in,
    conjunction,
    disjunction,
)
from onshore_pipeline.controls.refusals import LanguageError, position_of, refuse
from onshore_pipeline.controls.suggestions import did_you_mean
from onshore_pipeline.controls.values import parse_value, type_of
from onshore_pipeline.controls.vocabulary import check_word
from onshore_pipeline.domain.event import COLUMNS_BY_NAME, PARTIES, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onshore_pipeline.controls.lists import DatedList, Period

MAX_LENGTH: Final = 10_000
CONTRADICTABLE: Final = (*PARTIES, "key", "transit")
OCCURRED_AT: Final = Column("occurred_at", COLUMNS_BY_NAME["occurred_at"].kind)

COMPARISONS: Final[dict[type[exp.Expr], CompareOperator]] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
}


def parse_condition(text: str, lists: Mapping[str, DatedList]) -> Condition:
    """Parse and check a condition. Raises `LanguageError` with the offset of what is refused."""
    if not text.strip():
        raise LanguageError(0, "the condition is empty (write TRUE for a control that judges every event)")
    if len(text) > MAX_LENGTH:
        raise LanguageError(MAX_LENGTH, f"the condition is longer than {MAX_LENGTH} characters")
    try:
        tree = sqlglot.parse_one(text, read="postgres")
        return _Reader(text, lists).condition(tree)
    except ParseError as error:
        raise LanguageError(*_place(text, error)) from error
    except TokenError as error:
        raise LanguageError(0, "cannot be read as SQL: a quote or comment is not closed") from error
    except RecursionError as error:
        raise LanguageError(0, "the condition is nested too deeply") from error


def read_condition(tree: exp.Expr, text: str, lists: Mapping[str, DatedList], flags: Mapping[str, Kind]) -> Condition:
    """Check a tree that was parsed from `text`, in which the columns `flags` stand for more than one event."""
    return _Reader(text, lists, flags).condition(tree)


def _place(text: str, error: ParseError) -> tuple[int, str]:
    first = error.errors[0] if error.errors else {}
    line, column = cast("int", first.get("line") or 1), cast("int", first.get("col") or 1)
    highlight = cast("str", first.get("highlight") or "")
    before = sum(len(each) for each in text.splitlines(keepends=True)[: line - 1])
    near = f" at {highlight!r}" if highlight else ""
    return max(0, before + column - len(highlight)), f"cannot be read as an SQL condition{near}"


class _Reader:
    """Turns a sqlglot tree into a condition; holds what error messages and dated lists need."""

    def __init__(self, text: str, lists: Mapping[str, DatedList], flags: Mapping[str, Kind] | None = None) -> None:
        self._text, self._lists, self._flags = text, lists, flags or {}

    def condition(self, node: exp.Expr) -> Condition:  # noqa: PLR0911 - one case a node
        """A node where a condition belongs."""
        match node:
            case exp.Paren():
                return self.condition(node.this)
            case exp.And():
                return conjunction(self.condition(node.left), self.condition(node.right))
            case exp.Or():
                return disjunction(self.condition(node.left), self.condition(node.right))
            case exp.Not():
                return Not(self.condition(node.this))
            case exp.Boolean():
                return Truth(bool(node.this))
            case exp.Column():
                column = self._column(node)
                if column.type is not Type.BOOLEAN:
                    raise self._error(
                        node, f"{column.name} is of type {column.type.value}, no condition by itself: compare it"
                    )
                return Flag(column)
            case _:
                return self._predicate(node)

    def _predicate(self, node: exp.Expr) -> Condition:  # noqa: PLR0911 - one case a node
        if type(node) in COMPARISONS:
            return self._compare(node, COMPARISONS[type(node)], node.this, node.expression)
        match node:
            case exp.In():
                return self._among(node)
            case exp.Between() if not node.args.get("symmetric"):
                low = self._compare(node, ">=", node.this, node.args["low"])
                return conjunction(low, self._compare(node, "<=", node.this, node.args["high"]))
            case exp.Like():
                return self._like(node)
            case exp.StartsWith():
                return StartsWith(self._text_value(node.this), self._literal(node, node.expression, "starts_with"))
            case exp.ArrayContains():
                return self._contains(node)
            case exp.Anonymous() if str(node.this).lower() == "contradicted":
                return self._contradicted(node)
            case _:
                raise refuse(node, self._text)

    def _compare(self, node: exp.Expr, operator: CompareOperator, left: exp.Expr, right: exp.Expr) -> Condition:
        if _is_all(left) or _is_all(right):
            return self._only_holds(node, operator, left, right)
        one, other = self._value(left), self._value(right)
        type_one, type_other = type_of(one), type_of(other)
        if type_one is not type_other:
            raise self._error(node, f"compares {type_one.value} with {type_other.value}: both sides need one type")
        if type_one is Type.LIST:
            raise self._error(node, "compares lists: ask array_contains(list, text) or text = ALL (list)")
        if type_one is Type.BOOLEAN and operator not in {"=", "<>"}:
            raise self._error(node, f"booleans have no order: {operator} cannot compare them")
        if not (columns_in(one) or columns_in(other)):
            raise self._error(node, "compares two literals: at least one side must read a column")
        for column, literal, at in ((one, other, right), (other, one, left)):
            if operator in {"=", "<>"} and isinstance(column, Column) and isinstance(literal, Text):
                self._check_word(at, column, literal.value)
        return Compare(operator, one, other)

    def _among(self, node: exp.In) -> Condition:
        if any(node.args.get(name) for name in ("query", "unnest", "is_global")):
            raise self._error(node, "IN takes literals or a dated list like @eea, not a query")
        members = [*node.expressions, *([node.args["field"]] if node.args.get("field") else [])]
        if not members:
            raise self._error(node, "IN needs at least one literal")
        value = self._value(node.this)
        if not columns_in(value):
            raise self._error(node, "IN compares a literal: its left side must read a column")
        if type_of(value) is Type.INTEGER:
            return disjunction(*(self._compare(node, "=", node.this, member) for member in members))
        texts: list[str] = []
        dated: list[Condition] = []
        for member in members:
            if isinstance(member, exp.Parameter):
                dated.extend(self._in_list(value, member, texts))
                continue
            texts.append(self._literal(node, member, "IN"))
            if isinstance(value, Column):
                self._check_word(member, value, texts[-1])
        value = self._text_value(node.this)
        return disjunction(*([Among(value, tuple(dict.fromkeys(texts)))] if texts else []), *dated)

    def _in_list(self, value: Value, node: exp.Parameter, always: list[str]) -> list[Condition]:
        """Membership as of the event's date; members without dates join `always`."""
        name = node.this.name if isinstance(node.this, exp.Var) else str(node.this)
        if name not in self._lists:
            hint = did_you_mean(name, self._lists) or f"; there are {', '.join(sorted(self._lists)) or 'none'}"
            raise self._error(node, f"no dated list is named @{name}{hint}", at=f"@{name}")
        if isinstance(value, Column):
            self._check_members(node, value, self._lists[name])
        conditions: list[Condition] = []
        for period, members in self._lists[name].by_period():
            limits = limits_of(period)
            if limits:
                conditions.append(conjunction(Among(value, tuple(dict.fromkeys(members))), *limits))
            else:
                always.extend(members)
        return conditions

    def _like(self, node: exp.Like) -> Condition:
        pattern = self._literal(node, node.expression, "LIKE")
        if "\\" in pattern:
            raise self._error(node.expression, "LIKE has no escapes here: a pattern cannot hold a backslash")
        like = Like(self._text_value(node.this), pattern)
        return Not(like) if node.args.get("negate") else like

    def _contains(self, node: exp.ArrayContains) -> Condition:
        column = self._value(node.this)
        if not isinstance(column, Column) or column.type is not Type.LIST:
            raise self._error(node, "array_contains needs a column that is a list of texts first, then a text")
        needle = self._text_value(node.expression)
        if isinstance(needle, Text):
            self._check_word(node.expression, column, needle.value)
        return Contains(column, needle)

    def _only_holds(self, node: exp.Expr, operator: CompareOperator, left: exp.Expr, right: exp.Expr) -> Condition:
        if operator != "=" or _is_all(left) or len(right.expressions) != 1:
            raise self._error(node, "write text = ALL (list); for none of a list, NOT array_contains(list, text)")
        (listed,) = right.expressions
        column = self._value(listed)
        if not isinstance(column, Column) or column.type is not Type.LIST:
            raise self._error(node, "ALL needs a column that is a list of texts")
        only = self._text_value(left)
        if isinstance(only, Text):
            self._check_word(left, column, only.value)
        return OnlyHolds(column, only)

    def _contradicted(self, node: exp.Anonymous) -> Condition:
        arguments = [each.this for each in node.expressions if isinstance(each, exp.Literal) and each.is_string]
        if len(arguments) != 1 or len(node.expressions) != 1 or arguments[0] not in CONTRADICTABLE:
            raise self._error(node, f"contradicted takes one of {', '.join(map(repr, CONTRADICTABLE))}")
        return Contradicted(arguments[0])

    def _value(self, node: exp.Expr) -> Value:
        return parse_value(node, self._text, self._column)

    def _text_value(self, node: exp.Expr) -> Value:
        value = self._value(node)
        if type_of(value) is not Type.TEXT:
            raise self._error(node, f"needs a text here, found type {type_of(value).value}")
        return value

    def _literal(self, node: exp.Expr, literal: exp.Expr, what: str) -> str:
        if isinstance(literal, exp.Null):
            raise refuse(literal, self._text)
        if not (isinstance(literal, exp.Literal) and literal.is_string):
            at = literal if position_of(literal) is not None else node
            raise self._error(at, f"{what} takes text literals only")
        return str(literal.this)

    def _column(self, node: exp.Column) -> Column:
        name = node.name
        if node.table:
            raise self._error(node, f"write the column's name alone: {name}")
        if name in self._flags:
            return Column(name, self._flags[name])
        if name not in COLUMNS_BY_NAME:
            raise self._error(node, f"there is no column {name}{did_you_mean(name, COLUMNS_BY_NAME)}")
        kind = COLUMNS_BY_NAME[name].kind
        if name == "outcome":
            raise self._error(node, "outcome cannot be read in a condition: list them under outcomes:")
        if name == "contradictions":
            raise self._error(node, "contradictions are asked for with contradicted('destination')")
        if kind not in TYPE_OF_KIND:
            raise self._error(node, f"{name} cannot be read in a condition: compare its host, asn, entity or facility")
        return Column(name, kind)

    def _check_word(self, node: exp.Expr, column: Column, word: str) -> None:
        why = check_word(column.name, word)
        if why:
            raise self._error(node, why)

    def _check_members(self, node: exp.Parameter, column: Column, dated: DatedList) -> None:
        for line, (member, _) in zip_longest(dated.lines, dated.members):
            why = check_word(column.name, member)
            if why:
                raise self._error(node, f"{dated.file}:{line}: {why}", at=f"@{dated.name}")

    def _error(self, node: exp.Expr, why: str, at: str | None = None) -> LanguageError:
        offset = self._text.find(at) if at else position_of(node)
        return LanguageError(max(0, offset or 0), why)


def _is_all(node: exp.Expr) -> bool:
    return isinstance(node, exp.All) or (isinstance(node, exp.Anonymous) and str(node.this).upper() == "ALL")


def limits_of(period: Period) -> list[Condition]:
    """What keeps events within a period; nothing where it is open on both sides."""
    limits: list[Condition] = []
    if period.start_ns is not None:
        limits.append(Compare(">=", OCCURRED_AT, Instant(period.start_ns)))
    if period.end_ns is not None:
        limits.append(Compare("<", OCCURRED_AT, Instant(period.end_ns)))
    return limits
