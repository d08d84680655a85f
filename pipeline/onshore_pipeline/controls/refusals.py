"""What a condition may not say, and where in its text it was said."""

from __future__ import annotations

from typing import Final

import sqlglot
from sqlglot import exp


class LanguageError(Exception):
    """A condition cannot be used; `offset` counts characters from its beginning."""

    def __init__(self, offset: int, why: str) -> None:
        """Say where and why."""
        super().__init__(why)
        self.offset, self.why = offset, why


_UNKNOWN_STAYS: Final = "what is unknown stays undetermined by itself"

# Node → (the word it is found by, why it is refused and what to write instead).
_REFUSED: Final[dict[type[exp.Expr], tuple[str, str]]] = {
    exp.Is: ("IS", f"IS is refused (IS NULL, IS TRUE): {_UNKNOWN_STAYS}"),
    exp.Null: ("NULL", f"NULL is refused: {_UNKNOWN_STAYS}"),
    exp.NullSafeEQ: ("IS", "IS NOT DISTINCT FROM is refused: write ="),
    exp.NullSafeNEQ: ("IS", "IS DISTINCT FROM is refused: write <>"),
    exp.Coalesce: ("COALESCE", f"COALESCE is refused: {_UNKNOWN_STAYS}"),
    exp.Nullif: ("NULLIF", f"NULLIF is refused: {_UNKNOWN_STAYS}"),
    exp.Case: ("CASE", "CASE is refused: write AND, OR, NOT"),
    exp.If: ("CASE", "CASE is refused: write AND, OR, NOT"),
    exp.Div: ("/", "division is refused: multiply the other side"),
    exp.IntDiv: ("/", "division is refused: multiply the other side"),
    exp.Mod: ("%", "% is refused outside LIKE patterns"),
    exp.Cast: ("::", "casts are refused: both sides must have one type"),
    exp.ILike: ("ILIKE", "ILIKE is refused: write lower(column) LIKE 'pattern'"),
    exp.Escape: ("ESCAPE", "ESCAPE is refused: patterns have no escapes here"),
    exp.RegexpLike: ("~", "regular expressions are refused: write LIKE or starts_with"),
    exp.RegexpILike: ("~*", "regular expressions are refused: write LIKE or starts_with"),
    exp.SimilarTo: ("SIMILAR", "SIMILAR TO is refused: write LIKE or starts_with"),
    exp.Between: ("SYMMETRIC", "BETWEEN SYMMETRIC is refused: write the smaller bound first"),
    exp.Concat: ("||", "joining texts is refused: compare each column by itself"),
    exp.DPipe: ("||", "joining texts is refused: compare each column by itself"),
    exp.Alias: ("AS", "only one condition is allowed, with nothing behind it"),
    exp.Block: (";", "only one condition is allowed, with nothing behind it"),
    exp.Parameter: ("@", "a dated list stands behind IN or NOT IN only"),
    exp.Literal: ("", "a literal alone is no condition: compare a column with it"),
}


def refuse(node: exp.Expr, text: str) -> LanguageError:
    """The error for a node that the language does not have."""
    word, why = _REFUSED.get(type(node), ("", ""))
    if isinstance(node, exp.Cast) and "::" not in text:
        word = "CAST"
    if isinstance(node, exp.Subquery | exp.Select | exp.Query | exp.Exists):
        why = "queries are refused: a condition reads the columns of one event"
    elif isinstance(node, exp.AggFunc):
        why = f"{node.sql_name().lower()} is refused: a condition reads the columns of one event"
    elif not why:
        why = f"{_name(node)} is not part of the control language (docs/controls.md lists what is)"
    return LanguageError(_find_word(text, word, position_of(node)), why)


def position_of(node: exp.Expr) -> int | None:
    """Offset of a node: its own, else that of the leftmost token below it that knows its place."""
    starts = [each.meta["start"] for each in node.walk() if "start" in each.meta]
    own = node.meta.get("start")
    return int(own) if own is not None else min(map(int, starts), default=None)


def _name(node: exp.Expr) -> str:
    if isinstance(node, exp.Anonymous):
        return f"the function {node.name}"
    if isinstance(node, exp.Func):
        return f"the function {node.sql_name().lower()}"
    return f"the construct {node.sql('postgres')!r}"[:80]


def _find_word(text: str, word: str, position: int | None) -> int:
    """Where the offending word stands, the first at or behind the node's beginning; else the node's beginning."""
    start = position or 0
    for token in sqlglot.tokenize(text, read="postgres") if word else ():
        if token.start >= (0 if word in {"CASE", "CAST", "@"} else start) and token.text.upper() == word:
            return int(token.start)
    return start
