"""The canonical line of an event, version 1, for a whole batch at once (docs/evidence-format.md).

JSON text is spelled as RFC 8785 spells it; floats do not occur. Every value is built once: quotes and names go into the
literals between the columns, and a column with one value in the whole batch becomes part of them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from onshore_pipeline.domain.event import EVENT_COLUMNS, Column, InLine, Kind
from onshore_pipeline.evidence.hashing import (
    DIGEST_SIZE,
    binary_column,
    hex_column,
    sha256_column,
    sha256_rows,
    sha256_slices,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

LINE_VERSION: Final = 1
COMMITTED: Final = tuple(column for column in EVENT_COLUMNS if column.line is InLine.COMMITTED)
SALT_SIZE: Final = 16
_SALT_PREFIX: Final = b"\x02"
_LEAF_PREFIX: Final = 0
_SUBTREE_PREFIX: Final = 3
_MUST_ESCAPE: Final = r'["\\\x00-\x1f]'
_BINARY_KINDS: Final = {Kind.ADDRESS, Kind.ID, Kind.TRACE_ID, Kind.SPAN_ID, Kind.DIGEST}


@dataclass(frozen=True, slots=True)
class _Spelled:
    """A column as JSON: text without its quotes, and the quotes. Null is unknown."""

    text: pl.Series
    quote: str = ""


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


def json_arrays(values: pl.Series) -> pl.Series:
    """Each list of texts as a JSON array; an empty or null list as `[]`."""
    items = values.explode(empty_as_null=True).drop_nulls()
    if not items.str.contains(_MUST_ESCAPE).any():
        joined = _concat('["', values.list.join('","'), '"]')
        empty = (values.list.len() == 0).fill_null(True)
        return joined.zip_with(~empty, pl.Series(["[]"]))
    spelled = [json.dumps(row or [], ensure_ascii=False, separators=(",", ":")) for row in values.to_list()]
    return pl.Series(spelled, dtype=pl.String)


def commitments(events: pl.DataFrame, salts: NDArray[np.uint8]) -> dict[str, pl.Series]:
    """SHA-256(salt_f || name || 0x00 || JSON value) of every redactable column, as hex text.

    Args:
        events: the redactable columns, typed as in `event_frame`.
        salts: each event's salt, shape (rows, 16).
    """
    return {column.name: hex_column(_commitment(column, events[column.name], salts)) for column in COMMITTED}


def _commitment(column: Column, values: pl.Series, salts: NDArray[np.uint8]) -> NDArray[np.uint8]:
    name = column.name.encode()
    secrets = sha256_rows(_rows(_SALT_PREFIX, salts, name))
    spelled = _spell(column, values)
    nothing = "[]" if column.kind is Kind.WORDS else "null"
    if spelled.text.null_count() == len(values):
        return sha256_rows(_rows(b"", secrets, name + b"\x00" + nothing.encode()))
    value = _concat(spelled.quote, spelled.text, spelled.quote).fill_null(nothing).cast(pl.Binary)
    return sha256_column(_joined_bytes(_rows(b"", secrets, name + b"\x00"), value))


def subtree_roots(column: str, salts: NDArray[np.uint8], pairs: pl.DataFrame, owner: str) -> pl.Series:
    """Root over the salted leaves of each owner's key-value pairs, as hex text; null for an owner without pairs.

    Args:
        column: 'attributes' or 'resource_attributes'; part of every leaf's salt.
        salts: shape (owners, 16).
        pairs: columns `owner` (0-based row of `salts`), `key`, `text`; sorted by owner and key bytes, unique.
        owner: the name of the owner column.
    """
    if pairs.is_empty():
        return _nothing(len(salts))
    counts = np.bincount(pairs[owner].to_numpy(), minlength=len(salts)).astype(np.int64)
    leads = np.empty((len(pairs), 1 + SALT_SIZE), np.uint8)
    leads[:, 0] = _LEAF_PREFIX
    leads[:, 1:] = _leaf_salts(column, salts, counts)
    text = _concat('["', escaped(pairs["key"]), '","', escaped(pairs["text"]), '"]')
    leaves = sha256_column(_joined_bytes(leads, text.cast(pl.Binary)))
    return _flat_roots(leaves, counts)


def _leaf_salts(column: str, salts: NDArray[np.uint8], counts: NDArray[np.int64]) -> NDArray[np.uint8]:
    """16 bytes for each leaf: two from each SHA-256(0x02 || salt || column || block number u32)."""
    blocks = (counts + 1) // 2
    firsts = np.cumsum(blocks) - blocks
    number = np.arange(int(blocks.sum())) - np.repeat(firsts, blocks)
    spelled = number.astype(">u4").view(np.uint8).reshape(-1, 4)
    inputs = np.concatenate([_rows(_SALT_PREFIX, np.repeat(salts, blocks, axis=0), column.encode()), spelled], axis=1)
    halves = sha256_rows(inputs).reshape(-1, SALT_SIZE)
    place = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
    return halves[np.repeat(2 * firsts, counts) + place]


def _flat_roots(leaves: NDArray[np.uint8], counts: NDArray[np.int64]) -> pl.Series:
    """SHA-256(0x03 and 31 zero bytes || leaf || leaf ...) for each owner with leaves; null for the others."""
    owners = np.flatnonzero(counts)
    rows = counts[owners] + 1
    starts = np.cumsum(rows) - rows
    table = np.zeros((int(rows.sum()), DIGEST_SIZE), np.uint8)
    table[starts, 0] = _SUBTREE_PREFIX
    table[np.arange(len(leaves)) + np.repeat(np.arange(1, len(owners) + 1), counts[owners])] = leaves
    return _nothing(len(counts)).scatter(owners, hex_column(sha256_slices(table.reshape(-1), rows * DIGEST_SIZE)))


def lines(events: pl.DataFrame, committed: Mapping[str, pl.Series], subtrees: Mapping[str, pl.Series]) -> pl.Series:
    """The canonical line of every event.

    Args:
        events: every plain column of `domain.event.EVENT_COLUMNS`, typed as in `event_frame`.
        committed: hex commitments by column, as `commitments` gives them.
        subtrees: hex roots (null = empty map) by column, as `subtree_roots` gives them.
    """
    parts: list[str | pl.Series] = []
    lead = "{"
    for column in EVENT_COLUMNS:
        if column.line is InLine.OUTSIDE:
            continue
        if column.line is InLine.PLAIN:
            spelled = _spell(column, events[column.name])
        else:
            ready = committed if column.line is InLine.COMMITTED else subtrees
            spelled = _Spelled(ready[column.name], '"')
        parts += _member(f'{lead}"{column.name}":{spelled.quote}', spelled)
        lead = ","  # the first column is required, so every later one follows another
    return _concat(*parts, "}")


def _member(lead: str, spelled: _Spelled) -> list[str | pl.Series]:
    """One member of the object, left out where the value is unknown."""
    unknown = spelled.text.null_count()
    if unknown == len(spelled.text):
        return []
    if unknown:
        return [_concat(lead, spelled.text, spelled.quote)]
    if _is_constant(spelled.text):
        return [lead + str(spelled.text[0]) + spelled.quote]
    return [lead, spelled.text, spelled.quote]


def _is_constant(values: pl.Series) -> bool:
    return bool(values[0] == values[-1]) and bool((values == values[0]).all())


def _spell(column: Column, values: pl.Series) -> _Spelled:
    """A column's values as JSON; unknown ones, empty lists among them, are null."""
    if column.kind is Kind.WORDS:
        return _spell_lists(values)
    if values.null_count() == len(values):
        return _Spelled(_nothing(len(values)))
    if column.kind in {Kind.TEXT, Kind.WORD}:
        return _Spelled(escaped(values), '"')
    if column.kind in _BINARY_KINDS:
        return _Spelled(values.bin.encode("hex"), '"')
    # Times as nanoseconds, integers, and true/false.
    return _Spelled((values.dt.epoch("ns") if column.kind is Kind.TIME else values).cast(pl.String))


def _spell_lists(values: pl.Series) -> _Spelled:
    known = (values.list.len() > 0).fill_null(False)
    if not known.any():
        return _Spelled(_nothing(len(values)))
    return _Spelled(json_arrays(values).zip_with(known, pl.Series([None], dtype=pl.String)))


def _nothing(rows: int) -> pl.Series:
    return pl.Series([None], dtype=pl.String).new_from_index(0, rows)


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


def _rows(before: bytes, middle: NDArray[np.uint8], after: bytes) -> NDArray[np.uint8]:
    """The same bytes before and after every row."""
    count, width = middle.shape
    out = np.empty((count, len(before) + width + len(after)), np.uint8)
    out[:, : len(before)] = np.frombuffer(before, np.uint8)
    out[:, len(before) : len(before) + width] = middle
    out[:, len(before) + width :] = np.frombuffer(after, np.uint8)
    return out


def _joined_bytes(leads: NDArray[np.uint8], values: pl.Series) -> pl.Series:
    """Each lead followed by its value."""
    frame = pl.DataFrame({"lead": binary_column(leads), "value": values})
    return frame.select(pl.col("lead") + pl.col("value")).to_series()
