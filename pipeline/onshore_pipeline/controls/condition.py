"""The tree of a condition: what is left of the SQL text once `language` has checked it.

Small on purpose. Every node is strict in its columns (an unknown value makes it NULL) or is AND, OR, NOT in SQL's
three-valued logic, so that no condition can turn an unknown into a verdict. Both engines' texts are written from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, Literal

from onshore_pipeline.domain.event import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator


class Type(Enum):
    """The types of the language; two values meet only if theirs are equal."""

    TEXT = "text"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    TIME = "time"
    LIST = "list of texts"


# Kinds that are not here (addresses, ids, digests, maps) cannot be read by a condition.
TYPE_OF_KIND: Final = {
    Kind.TEXT: Type.TEXT,
    Kind.WORD: Type.TEXT,
    Kind.U32: Type.INTEGER,
    Kind.U64: Type.INTEGER,
    Kind.BOOL: Type.BOOLEAN,
    Kind.TIME: Type.TIME,
    Kind.WORDS: Type.LIST,
}

CompareOperator = Literal["=", "<>", "<", "<=", ">", ">="]
ArithmeticOperator = Literal["+", "-", "*"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `events`."""

    name: str
    kind: Kind

    @property
    def type(self) -> Type:
        """Its type in the language."""
        return TYPE_OF_KIND[self.kind]


@dataclass(frozen=True, slots=True)
class Text:
    """A text literal."""

    value: str


@dataclass(frozen=True, slots=True)
class Integer:
    """An integer literal."""

    value: int


@dataclass(frozen=True, slots=True)
class Truth:
    """TRUE or FALSE: a value, or a whole condition."""

    value: bool


@dataclass(frozen=True, slots=True)
class Instant:
    """A time literal, nanoseconds since 1970-01-01T00:00:00Z."""

    ns: int


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """Integer arithmetic on 128 bits; `language` refuses what could leave them."""

    operator: ArithmeticOperator
    left: Value
    right: Value


@dataclass(frozen=True, slots=True)
class Call:
    """`lower`, `upper` (ASCII letters only) or `length` (in characters) of a text."""

    function: Literal["lower", "upper", "length"]
    argument: Value


Value = Column | Text | Integer | Truth | Instant | Arithmetic | Call


@dataclass(frozen=True, slots=True)
class Compare:
    """Two values of one type."""

    operator: CompareOperator
    left: Value
    right: Value


@dataclass(frozen=True, slots=True)
class Among:
    """A text is one of these texts; never empty."""

    value: Value
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Like:
    """A text matches a pattern with % and _; no escapes."""

    value: Value
    pattern: str


@dataclass(frozen=True, slots=True)
class StartsWith:
    """A text starts with a literal."""

    value: Value
    prefix: str


@dataclass(frozen=True, slots=True)
class Contains:
    """A list holds a text. An empty list is unknown, and so is the answer."""

    column: Column
    needle: Value


@dataclass(frozen=True, slots=True)
class OnlyHolds:
    """A list holds this text and no other. An empty list is unknown, and so is the answer."""

    column: Column
    only: Value


@dataclass(frozen=True, slots=True)
class Flag:
    """A boolean column, standing alone."""

    column: Column


@dataclass(frozen=True, slots=True)
class Contradicted:
    """Claims about this party disagree. Always known: it is about our knowledge, not about the world."""

    party: str


@dataclass(frozen=True, slots=True)
class And:
    """SQL's AND: FALSE if any is FALSE, else NULL if any is NULL."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """SQL's OR: TRUE if any is TRUE, else NULL if any is NULL."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """SQL's NOT: NULL stays NULL."""

    condition: Condition


Condition = Compare | Among | Like | StartsWith | Contains | OnlyHolds | Flag | Contradicted | And | Or | Not | Truth


def conjunction(*conditions: Condition) -> Condition:
    """AND of these, flattened; of none, TRUE."""
    flat: list[Condition] = []
    for condition in conditions:
        flat.extend(condition.conditions if isinstance(condition, And) else (condition,))
    if not flat:
        return Truth(True)
    return flat[0] if len(flat) == 1 else And(tuple(flat))


def disjunction(*conditions: Condition) -> Condition:
    """OR of these, flattened; of none, FALSE."""
    flat: list[Condition] = []
    for condition in conditions:
        flat.extend(condition.conditions if isinstance(condition, Or) else (condition,))
    if not flat:
        return Truth(False)
    return flat[0] if len(flat) == 1 else Or(tuple(flat))


def columns_in(node: Condition | Value) -> tuple[Column, ...]:
    """The columns that a condition or value reads, in the order of its text, each once."""
    return tuple(dict.fromkeys(_columns(node)))


def parties_questioned(node: Condition) -> tuple[str, ...]:
    """The parties named in `contradicted(...)`."""
    match node:
        case And(conditions) | Or(conditions):
            return tuple(dict.fromkeys(party for each in conditions for party in parties_questioned(each)))
        case Not(condition):
            return parties_questioned(condition)
        case Contradicted(party):
            return (party,)
        case _:
            return ()


def _columns(node: Condition | Value) -> Iterator[Column]:
    match node:
        case Column():
            yield node
        case And(conditions) | Or(conditions):
            for condition in conditions:
                yield from _columns(condition)
        case Not(inner):
            yield from _columns(inner)
        case Compare(_, left, right) | Arithmetic(_, left, right) | Contains(left, right) | OnlyHolds(left, right):
            yield from _columns(left)
            yield from _columns(right)
        case Among(value, _) | Like(value, _) | StartsWith(value, _) | Call(_, value) | Flag(value):
            yield from _columns(value)
        case _:
            pass
