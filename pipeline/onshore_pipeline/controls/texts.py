"""A condition as text, for Polars (`pl.sql_expr`) and for ClickHouse. Both mean the same on every row.

Where the engines differ, the text is explicit: an empty list answers NULL, casing touches ASCII letters only,
arithmetic is on 128 bits, times are nanoseconds since the epoch, and texts are cast where Polars refuses a Categorical.
"""

from __future__ import annotations

import string
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from onshore_pipeline.controls.condition import (
    Among,
    And,
    Arithmetic,
    Call,
    Column,
    Compare,
    Condition,
    Contains,
    Contradicted,
    Flag,
    Instant,
    Integer,
    Like,
    Not,
    OnlyHolds,
    Or,
    StartsWith,
    Text,
    Truth,
    Type,
    Value,
)
from onshore_pipeline.controls.values import type_of
from onshore_pipeline.domain.event import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable

# `judge` works out once a batch whose claims disagree, in columns of this name; nearly every batch has none.
FLAG_PREFIX: Final = "contradicted_"


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one engine spells what the two spell differently. `{}` stands for the argument.

    Attributes:
        text: a text as String, even where the column is a Categorical.
        wide: a 128-bit integer.
        nanoseconds: a time as nanoseconds since the epoch.
        length: characters of a text.
        lower: ASCII lower case.
        upper: ASCII upper case.
        starts_with: name of the function.
        contains: name of the function.
        size: number of elements of a list.
        distinct: a list with each of its elements once.
        contradicted: whether an element of `contradictions` begins with the party `{}` and a colon.
        backslashes: whether a backslash in a literal has to be doubled.
    """

    text: str
    wide: str
    nanoseconds: str
    length: str
    lower: str
    upper: str
    starts_with: str
    contains: str
    size: str
    distinct: str
    contradicted: str
    backslashes: bool


def _replacing(pairs: Iterable[tuple[str, str]]) -> str:
    nested = "{}"
    for old, new in pairs:
        nested = f"REPLACE({nested}, '{old}', '{new}')"
    return nested


# Polars' LOWER and UPPER know all of Unicode, ClickHouse's only ASCII; ASCII is what both can agree on.
POLARS: Final = Dialect(
    text="CAST({} AS VARCHAR)",
    wide="CAST({} AS HUGEINT)",
    nanoseconds="CAST({} AS BIGINT)",
    length="LENGTH({})",
    lower=_replacing(zip(string.ascii_uppercase, string.ascii_lowercase, strict=True)),
    upper=_replacing(zip(string.ascii_lowercase, string.ascii_uppercase, strict=True)),
    starts_with="STARTS_WITH",
    contains="ARRAY_CONTAINS",
    size="ARRAY_LENGTH({})",
    distinct="ARRAY_UNIQUE({})",
    contradicted=FLAG_PREFIX + "{}",
    backslashes=False,
)
CLICKHOUSE: Final = Dialect(
    text="{}",
    wide="toInt128({})",
    nanoseconds="toUnixTimestamp64Nano({})",
    length="lengthUTF8({})",
    lower="lower({})",
    upper="upper({})",
    starts_with="startsWith",
    contains="has",
    size="length({})",
    distinct="arrayDistinct({})",
    contradicted="arrayExists(entry -> startsWith(entry, '{}:'), contradictions)",
    backslashes=True,
)


def condition_text(node: Condition, dialect: Dialect) -> str:  # noqa: C901, PLR0911 - one case a node
    """The text of a condition; always safe to put behind AND, OR or NOT."""
    match node:
        case And(conditions):
            return "(" + " AND ".join(condition_text(each, dialect) for each in conditions) + ")"
        case Or(conditions):
            return "(" + " OR ".join(condition_text(each, dialect) for each in conditions) + ")"
        case Not(condition):
            return f"(NOT {condition_text(condition, dialect)})"
        case Truth(value):
            return "TRUE" if value else "FALSE"
        case Flag(column):
            return column.name
        case Contradicted(party):
            return dialect.contradicted.format(party)
        case Contains(column, needle):
            return _contains_text(column, needle, dialect)
        case OnlyHolds(column, only):
            different = dialect.size.format(dialect.distinct.format(column.name))
            return _contains_text(column, only, dialect, f" AND {different} = 1")
        case Compare(operator, left, right):
            return f"({_side(left, right, operator, dialect)} {operator} {_side(right, left, operator, dialect)})"
        case Among(value, texts):
            return f"({_value(value, dialect)} IN ({', '.join(quoted(each, dialect) for each in texts)}))"
        case Like(value, pattern):
            return f"({_as_text(value, dialect)} LIKE {quoted(pattern, dialect)})"
        case StartsWith(value, prefix):
            return f"{dialect.starts_with}({_as_text(value, dialect)}, {quoted(prefix, dialect)})"


def unknown_text(column: Column, dialect: Dialect) -> str:
    """Whether a column is unknown; never NULL itself."""
    if column.type is not Type.LIST:
        return f"{column.name} IS NULL"
    # A list may be null in a frame, and empty in both.
    return f"({column.name} IS NULL OR {dialect.size.format(column.name)} = 0)"


def quoted(text: str, dialect: Dialect) -> str:
    """A text literal."""
    escaped = text.replace("\\", "\\\\") if dialect.backslashes else text
    return "'" + escaped.replace("'", "''") + "'"


def _contains_text(column: Column, needle: Value, dialect: Dialect, and_too: str = "") -> str:
    known = f"{dialect.size.format(column.name)} > 0"
    if isinstance(needle, Text):
        wanted = quoted(needle.value, dialect)
    else:
        wanted = _value(needle, dialect)
        # Both engines would look for a NULL element.
        known = f"{known} AND {wanted} IS NOT NULL"
    return f"(CASE WHEN {known} THEN {dialect.contains}({column.name}, {wanted}){and_too} END)"


def _side(value: Value, other: Value, operator: str, dialect: Dialect) -> str:
    """One side of a comparison, of the type in which both engines compare alike."""
    if isinstance(value, Arithmetic):
        return _value(value, dialect)
    if isinstance(other, Arithmetic):
        return dialect.wide.format(_value(value, dialect))
    if isinstance(value, Instant) or isinstance(other, Instant):
        return str(value.ns) if isinstance(value, Instant) else dialect.nanoseconds.format(_value(value, dialect))
    if type_of(value) is Type.TEXT and operator not in {"=", "<>"}:
        return _as_text(value, dialect)
    return _value(value, dialect)


def _as_text(value: Value, dialect: Dialect) -> str:
    written = _value(value, dialect)
    return dialect.text.format(written) if isinstance(value, Column) and value.kind is Kind.WORD else written


def _value(value: Value, dialect: Dialect) -> str:
    match value:
        case Column(name, _):
            return name
        case Text(text):
            return quoted(text, dialect)
        case Integer(number) | Instant(number):
            return str(number) if number >= 0 else f"({number})"
        case Truth(truth):
            return "TRUE" if truth else "FALSE"
        case Call(function, argument):
            template = {"lower": dialect.lower, "upper": dialect.upper, "length": dialect.length}[function]
            return template.format(_as_text(argument, dialect))
        case Arithmetic(operator, left, right):
            return f"({_operand(left, dialect)} {operator} {_operand(right, dialect)})"


def _operand(value: Value, dialect: Dialect) -> str:
    written = _value(value, dialect)
    return written if isinstance(value, Arithmetic) else dialect.wide.format(written)
