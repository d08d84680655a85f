"""Openings checked over whole columns: step 8 for `verify`, which accepts only what it understands."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
import pyarrow as pa

from onshore_pipeline.evidence import merkle
from onshore_pipeline.evidence.canonical import COMMITTED
from onshore_pipeline.evidence.redaction import MAPS
from onshore_pipeline.evidence.row_code import Spelling
from onshore_pipeline.evidence.rows import Part, digests, texts

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WORDS: Final = pl.List(pl.String())
_SCHEMA: Final = pl.Struct(
    {
        **{column.name: _WORDS for column in COMMITTED},
        **{name: pl.List(_WORDS) for name in MAPS},
        "pseudonyms": pl.List(_WORDS),
    }
)
_LISTED: Final = "contradictions"
_HASH_DIGITS: Final = 64


class Fallback(Exception):
    """Not understood here, or wrong: the other verifier says which."""


def check_openings(events: pl.DataFrame, lines: pl.Series, message: NDArray[np.int64]) -> dict[str, int]:
    """How much is opened of each column and map, all of it what was committed to.

    Args:
        events: the events' lines, read: commitments and roots as hexadecimal.
        lines: an opening line an event.
        message: which message an event is of.

    Raises:
        Fallback: something is not as it should be, or not as we spell it.
    """
    if (lines == "{}").all():
        return {}
    told = lines.str.json_decode(_SCHEMA).struct.unnest()
    members: list[pl.Series] = []
    opened: dict[str, int] = {}
    for column in COMMITTED:
        parts = told[column.name]
        if parts.null_count() < len(parts):
            members.append(_column(column.name, parts, events[column.name]))
            opened[column.name] = len(parts) - parts.null_count()
    for name in MAPS:
        leaves = told[name]
        if leaves.null_count() < len(leaves):
            member, opened_keys = _map(name, leaves, events[name], message)
            members.append(member)
            opened[name] = opened_keys
    if told["pseudonyms"].null_count() < len(told):
        members.append(_pseudonyms(told))
    frame = pl.DataFrame({str(number): member for number, member in enumerate(members)})
    spelled = frame.select(pl.lit("{") + pl.concat_str(pl.all()).str.strip_prefix(",") + "}").to_series()
    if not (spelled == lines).all():
        raise Fallback
    return opened


def _binary(texts_in_hex: pl.Series, size: int) -> NDArray[np.uint8]:
    """Hexadecimal of one length as bytes, shape (rows, size)."""
    if not (texts_in_hex.str.len_bytes() == 2 * size).all():
        raise Fallback
    raw = texts_in_hex.str.decode("hex", strict=True)
    return np.frombuffer(b"".join(raw.to_list()), np.uint8).reshape(-1, size)


def _column(name: str, parts: pl.Series, committed: pl.Series) -> pl.Series:
    is_open = parts.is_not_null()
    some, expected = parts.filter(is_open), committed.filter(is_open)
    salts, size = some.list.first(), some.list.len()
    prefix = Part(_binary(salts, 32), trail=name.encode() + b"\x00")
    if name == _LISTED:
        value = Part(some.list.slice(1), Spelling.TEXTS)
        inside = texts([replace(value, lead=b"")], len(some)).str.strip_prefix("[").str.strip_suffix("]")
        spelled = Part(inside.set(size == 1, None), lead=b",")
    elif not size.is_between(1, 2).all():
        raise Fallback
    else:
        values = some.list.get(1, null_on_oob=True)
        if not (values.is_null() == (size == 1)).all():
            raise Fallback
        value = Part(values, Spelling.JSON, b'"', b'"', missing=b"null")
        spelled = Part(values, Spelling.JSON, b',"', b'"')
    found = digests([prefix, value], len(some))
    if not (texts([Part(found, Spelling.HEX)], len(some)) == expected).all():
        raise Fallback
    lead = b',"' + name.encode() + b'":["'
    member = texts([Part(salts, lead=lead, trail=b'"'), spelled, Part(None, lead=b"]")], len(some))
    return _spread(is_open, member)


def _map(name: str, leaves: pl.Series, roots: pl.Series, message: NDArray[np.int64]) -> tuple[pl.Series, int]:
    is_open = leaves.is_not_null()
    some, expected = leaves.filter(is_open), roots.filter(is_open)
    sizes = some.list.len().to_numpy().astype(np.int64)
    flat = some.explode()
    size = flat.list.len()
    has_pair = size == 3  # noqa: PLR2004 - salt, key, value
    if not sizes.all() or flat.null_count() or not (has_pair | (size == 1)).all():
        raise Fallback
    first = flat.list.first()
    pairs = flat.filter(has_pair)
    keys, values = pairs.list.get(1), pairs.list.get(2)
    owner = np.repeat(np.arange(len(some)), sizes)
    _refuse_unordered(keys, owner[has_pair.to_numpy()])
    nodes = np.empty((len(flat), merkle.DIGEST_SIZE), np.uint8)
    mask = has_pair.to_numpy()
    nodes[~mask] = _binary(first.filter(~has_pair), merkle.DIGEST_SIZE)
    secrets = Part(_binary(first.filter(has_pair), 16), lead=merkle.LEAF_PREFIX)
    pair = [Part(keys, Spelling.JSON, b'["', b'","'), Part(values, Spelling.JSON, b"", b'"]')]
    nodes[mask] = digests([secrets, *pair], len(pairs))
    ends = pa.py_buffer(np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64) * merkle.DIGEST_SIZE)
    joined = pl.Series(
        pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(some), [None, ends, pa.py_buffer(nodes)])
    )
    found = digests([Part(None, lead=b"\x03" + bytes(31)), Part(joined)], len(some))
    if not (texts([Part(found, Spelling.HEX)], len(some)) == expected).all():
        raise Fallback
    if name == "resource_attributes":  # once a message
        opened = pl.DataFrame({"m": message[is_open.to_numpy()], "r": expected})
        if opened.is_duplicated().any():
            raise Fallback
    return _spread(is_open, _spelled_map(name, flat, owner, len(some))), len(pairs)


def _refuse_unordered(keys: pl.Series, owner: NDArray[np.int64]) -> None:
    if keys.null_count():
        raise Fallback
    rises = (keys.cast(pl.Binary) > keys.cast(pl.Binary).shift(1)).fill_null(True).to_numpy()
    if not (rises[1:] | (owner[1:] != owner[:-1])).all():
        raise Fallback


def _spelled_map(name: str, flat: pl.Series, owner: NDArray[np.int64], owners: int) -> pl.Series:
    leaves = texts([Part(flat, Spelling.TEXTS)], len(flat))
    grouped = pl.DataFrame({"o": owner, "t": leaves}).group_by("o", maintain_order=True).agg(pl.col("t").str.join(","))
    if grouped.height != owners:
        raise Fallback
    return grouped.select(pl.lit(f',"{name}":[') + pl.col("t") + "]").to_series()


def _pseudonyms(told: pl.DataFrame) -> pl.Series:
    lists = told["pseudonyms"]
    is_given = lists.is_not_null()
    some = lists.filter(is_given)
    sizes = some.list.len()
    flat = some.explode()
    if not (sizes > 0).all() or flat.null_count() or not (flat.list.len() == 2).all():  # noqa: PLR2004 - column and word
        raise Fallback
    columns, words = flat.list.get(0), flat.list.get(1)
    row = np.repeat(np.flatnonzero(is_given.to_numpy()), sizes.to_numpy())
    known = columns.is_in([column.name for column in COMMITTED])
    if not (known & words.str.contains(r"^p-[0-9a-f]{16}$")).all():
        raise Fallback
    for name in columns.unique():
        of_column = row[(columns == name).to_numpy()]
        if told[name].gather(of_column).is_not_null().any():
            raise Fallback
    owner = np.repeat(np.arange(len(some)), sizes.to_numpy())
    return _spread(is_given, _spelled_map("pseudonyms", flat, owner, len(some)))


def _spread(where: pl.Series, members: pl.Series) -> pl.Series:
    """The members at their rows, nothing elsewhere."""
    if where.all():
        return members
    return pl.Series([""], dtype=pl.String).new_from_index(0, len(where)).scatter(where.arg_true(), members)
