"""The canonical line of an event, version 1, for a whole batch at once (docs/evidence-format.md).

JSON text is spelled as RFC 8785 spells it; floats do not occur. No line is built to be hashed: `line_parts` says what
stands in it, and `rows` hashes it or writes it out.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from onshore_pipeline.domain.event import EVENT_COLUMNS, Column, InLine, Kind
from onshore_pipeline.evidence import rows
from onshore_pipeline.evidence.row_code import Spelling
from onshore_pipeline.evidence.rows import Part

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

LINE_VERSION: Final = 1
COMMITTED: Final = tuple(column for column in EVENT_COLUMNS if column.line is InLine.COMMITTED)
_MUST_ESCAPE: Final = r'["\\\x00-\x1f]'
_BINARY_KINDS: Final = {Kind.ADDRESS, Kind.ID, Kind.TRACE_ID, Kind.SPAN_ID, Kind.DIGEST}


def escaped(values: pl.Series) -> pl.Series:
    """Each text as it stands between the quotes of a JSON string; null stays null."""
    odd_rows = values.str.contains(_MUST_ESCAPE).fill_null(False)
    if not odd_rows.any():
        return values
    odd = values.filter(odd_rows)
    spelled = odd.str.replace_all("\\", "\\\\", literal=True).str.replace_all('"', '\\"', literal=True)
    if odd.str.contains(r"[\x00-\x1f]").any():
        # Control characters are rare; the standard library spells them as RFC 8785 does.
        spelled = pl.Series([json.dumps(text, ensure_ascii=False)[1:-1] for text in odd.to_list()], dtype=pl.String)
    return values.scatter(odd_rows.arg_true(), spelled)


def json_strings(values: pl.Series) -> pl.Series:
    """Each text as a JSON string with its quotes; null stays null."""
    return _concat('"', escaped(values), '"')


def commitments(events: pl.DataFrame, salts: NDArray[np.uint8]) -> dict[str, NDArray[np.uint8]]:
    """SHA-256(salt_f || name || 0x00 || JSON value) of every redactable column: shape (rows, 32) each.

    Args:
        events: the redactable columns, typed as in `event_frame`.
        salts: each event's salt, shape (rows, 16).
    """
    return {column.name: _commitment(column, events[column.name], salts) for column in COMMITTED}


def _commitment(column: Column, values: pl.Series, salts: NDArray[np.uint8]) -> NDArray[np.uint8]:
    nothing = b"[]" if column.kind is Kind.WORDS else b"null"
    spelled = column_part(column, values)
    value = Part(None, lead=nothing) if spelled is None else replace(spelled, missing=nothing)
    return rows.commitments(column.name.encode(), salts, value)


def line_parts(events: pl.DataFrame, hashed: Mapping[str, Part]) -> list[Part]:
    """What stands in the canonical line of every event, for `rows.digests` and `rows.texts`.

    Args:
        events: every plain column of `domain.event.EVENT_COLUMNS`, typed as in `event_frame`.
        hashed: digests by column, of the redactable ones and of the maps; an empty map's is not known.
    """
    parts = []
    separator = b"{"
    for column in EVENT_COLUMNS:
        lead = separator + b'"' + column.name.encode() + b'":'
        if column.line is InLine.OUTSIDE:
            continue
        if column.line is InLine.PLAIN:
            spelled = column_part(column, events[column.name])
            if spelled is not None:
                parts.append(replace(spelled, lead=lead + spelled.lead))
        else:
            parts.append(replace(hashed[column.name], spelling=Spelling.HEX, lead=lead + b'"', trail=b'"'))
        separator = b","  # the first column is required, so every later one follows another
    return [*parts, Part(None, lead=b"}")]


def column_part(column: Column, values: pl.Series) -> Part | None:
    """How a column's values enter, between their quotes; unknown ones, empty lists among them, are null.

    Returns:
        None where all are unknown.
    """
    if column.kind is Kind.WORDS:
        known = (values.list.len() > 0).fill_null(False)
        return Part(values, Spelling.TEXTS, known=known.to_numpy()) if known.any() else None
    if values.null_count() == len(values):
        return None
    if column.kind is Kind.BOOL:
        return Part(values.cast(pl.String))
    if column.kind is Kind.TIME:  # as nanoseconds
        return _integers(values.to_physical(), Spelling.SIGNED)
    if column.kind in {Kind.U32, Kind.U64}:
        return _integers(values.cast(pl.UInt64), Spelling.UNSIGNED)
    return Part(values, Spelling.HEX if column.kind in _BINARY_KINDS else Spelling.JSON, b'"', b'"')


def _integers(values: pl.Series, spelling: Spelling) -> Part:
    known = values.is_not_null().to_numpy() if values.null_count() else None
    return Part(values.fill_null(0).to_numpy().view(np.uint8).reshape(-1, 8), spelling, known=known)


def _concat(*parts: str | pl.Series) -> pl.Series:
    """Texts and columns joined row by row; of one column alone a null stays null, beside others it is left out."""
    columns = {f"c{place}": part for place, part in enumerate(parts) if isinstance(part, pl.Series)}
    pieces: list[pl.Expr] = []
    literal = ""
    for place, part in enumerate(parts):
        if isinstance(part, str):
            literal += part
            continue
        pieces += [pl.lit(literal), pl.col(f"c{place}")] if literal else [pl.col(f"c{place}")]
        literal = ""
    pieces += [pl.lit(literal)] if literal else []
    joined = pl.concat_str(pieces, ignore_nulls=len(columns) > 1)
    return pl.DataFrame(columns).select(joined.alias("text")).to_series()
