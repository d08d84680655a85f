"""Values inside a condition: columns, literals, integer arithmetic, and the three functions of texts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from onshore_pipeline.controls.condition import (
    Arithmetic,
    ArithmeticOperator,
    Call,
    Column,
    Instant,
    Integer,
    Text,
    Truth,
    Type,
    Value,
)
from onshore_pipeline.controls.refusals import LanguageError, position_of, refuse
from onshore_pipeline.domain.event import FIRST_DAY, FIRST_NS, LAST_DAY, LAST_NS, Kind
from onshore_pipeline.domain.whole_numbers import shown, whole_number

if TYPE_CHECKING:
    from collections.abc import Callable

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_MAX_INTEGER: Final = 2**63 - 1
_MAX_WIDE: Final = 2**127 - 1
_UPPER_BOUND: Final = {Kind.U32: 2**32 - 1, Kind.U64: 2**64 - 1}
_ARITHMETIC: Final[dict[type[exp.Expr], ArithmeticOperator]] = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*"}
_MAX_CHARACTERS: Final = 2**32 - 1


def type_of(value: Value) -> Type:
    """The type of a value in the language."""
    match value:
        case Column():
            return value.type
        case Text() | Call("lower" | "upper", _):
            return Type.TEXT
        case Integer() | Arithmetic() | Call():
            return Type.INTEGER
        case Truth():
            return Type.BOOLEAN
        case Instant():
            return Type.TIME


def parse_value(  # noqa: C901, PLR0911 - one case a node
    node: exp.Expr, text: str, column: Callable[[exp.Column], Column]
) -> Value:
    """A node where a value belongs; `column` looks a column up. Raises `LanguageError`."""

    def value(inner: exp.Expr) -> Value:
        return parse_value(inner, text, column)

    match node:
        case exp.Paren():
            return value(node.this)
        case exp.Column():
            return column(node)
        case exp.Literal():
            return _literal(node)
        case exp.Boolean():
            return Truth(bool(node.this))
        case exp.Neg():
            return _negative(node, value(node.this))
        case exp.Lower() | exp.Upper():
            return Call("lower" if isinstance(node, exp.Lower) else "upper", _text_argument(node, value(node.this)))
        case exp.Length() if not node.args.get("binary") and not node.args.get("encoding"):
            return Call("length", _text_argument(node, value(node.this)))
        case exp.Cast():
            return _instant(node, text)
        case exp.Add() | exp.Sub() | exp.Mul():
            return _arithmetic(node, value(node.this), value(node.expression))
        case exp.Null():
            raise refuse(node, text)
        case _ if isinstance(node, exp.Condition) and isinstance(node, exp.Predicate | exp.Connector | exp.Not):
            raise LanguageError(position_of(node) or 0, "a condition cannot be compared: join it with AND, OR, NOT")
        case _:
            raise refuse(node, text)


def _literal(node: exp.Literal) -> Value:
    if node.is_string:
        return Text(str(node.this))
    if not str(node.this).isdecimal():
        raise LanguageError(position_of(node) or 0, f"{node.this} is not an integer: there are no fractions here")
    number = whole_number(str(node.this), _MAX_INTEGER)
    if number is None:
        raise LanguageError(position_of(node) or 0, f"{shown(node.this)} is larger than {_MAX_INTEGER}")
    return Integer(number)


def _negative(node: exp.Neg, value: Value) -> Value:
    if not isinstance(value, Integer):
        raise LanguageError(position_of(node) or 0, "a minus sign needs an integer literal: write 0 - column")
    return Integer(-value.value)


def _text_argument(node: exp.Expr, argument: Value) -> Value:
    if type_of(argument) is not Type.TEXT:
        what = type_of(argument).value
        raise LanguageError(position_of(node) or 0, f"{type(node).__name__.lower()} needs a text, found type {what}")
    return argument


def _instant(node: exp.Cast, text: str) -> Value:
    """`TIMESTAMP '...'` and `DATE '...'`: the only casts, and only of a literal."""
    literal = node.this
    is_time = node.to.this in {exp.DType.TIMESTAMP, exp.DType.TIMESTAMPTZ, exp.DType.DATE}
    if not (is_time and isinstance(literal, exp.Literal) and literal.is_string) or "::" in text:
        raise refuse(node, text)
    try:
        moment = datetime.fromisoformat(str(literal.this))
    except ValueError as error:
        at = position_of(literal) or 0
        raise LanguageError(at, f"{literal.this!r} is not a time like 2025-04-01T00:00:00Z") from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    ns = (moment - _EPOCH) // _MICROSECOND * 1_000
    if not FIRST_NS <= ns <= LAST_NS:
        why = f"{literal.this!r} lies outside what a time can be: write one from {FIRST_DAY} to {LAST_DAY}"
        raise LanguageError(position_of(literal) or 0, why)
    return Instant(ns)


def _arithmetic(node: exp.Expr, left: Value, right: Value) -> Value:
    for side in (left, right):
        if type_of(side) is not Type.INTEGER:
            what = type_of(side).value
            raise LanguageError(position_of(node) or 0, f"+ - * take integers only, found type {what}")
    result = Arithmetic(_ARITHMETIC[type(node)], left, right)
    low, high = _bounds(result)
    if low < -_MAX_WIDE or high > _MAX_WIDE:
        raise LanguageError(position_of(node) or 0, "the result can leave 128 bits: multiply by a literal instead")
    return result


def _bounds(value: Value) -> tuple[int, int]:
    """The smallest and largest integer that a value can be."""
    match value:
        case Integer(number):
            return number, number
        case Column(_, kind):
            return 0, _UPPER_BOUND[kind]
        case Arithmetic(operator, left, right):
            (a, b), (c, d) = _bounds(left), _bounds(right)
            if operator == "+":
                return a + c, b + d
            if operator == "-":
                return a - d, b - c
            corners = (a * c, a * d, b * c, b * d)
            return min(corners), max(corners)
        case _:
            return 0, _MAX_CHARACTERS
