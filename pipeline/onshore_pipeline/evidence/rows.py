"""Rows of bytes put together from columns and hashed, without building the rows in memory first.

A row is a sequence of parts; each part is a column's value between two texts. Columns are read where they lie, in
Arrow's layout; the work is compiled code that holds no interpreter lock.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl
import pyarrow as pa

from onshore_pipeline.evidence import row_code as code
from onshore_pipeline.evidence.commitment_code import hash_commitments
from onshore_pipeline.evidence.map_code import hash_maps
from onshore_pipeline.evidence.row_code import SALT_SIZE, Spelling
from onshore_pipeline.evidence.sha256 import DIGEST_SIZE, PADDING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Part:
    """One part of every row: `lead`, the row's value, `trail`; or `missing` where the value is null.

    Attributes:
        values: String, Binary or List(String) column, or an array of shape (values, width); None = no value, only
            `lead`.
        spelling: how a value's bytes enter.
        lead: stands before every value.
        trail: stands behind every value.
        missing: stands instead of all three where the value is null.
        index: which value a row takes, where that is not the row's own number.
        known: which values of an array are not null; None = all. A column has its own nulls.
    """

    values: pl.Series | NDArray[np.uint8] | None
    spelling: Spelling = Spelling.RAW
    lead: bytes = b""
    trail: bytes = b""
    missing: bytes = b""
    index: NDArray[np.int64] | None = None
    known: NDArray[np.bool_] | None = None


def digests(parts: Sequence[Part], rows: int) -> NDArray[np.uint8]:
    """SHA-256 of every row: an array of shape (rows, 32)."""
    out = np.empty((rows, DIGEST_SIZE), np.uint8)
    held = _Held()
    table = held.table(parts)
    size = held.longest + PADDING
    code.hash_rows(table, len(parts), rows, held.room(size), held.room(size), out.ctypes.data)
    return out


def texts(parts: Sequence[Part], rows: int) -> pl.Series:
    """Every row as it is hashed, as a String column; the parts must be UTF-8 together."""
    offsets, characters = _written(parts, rows)
    array = pa.LargeStringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(characters))
    return pl.Series(array, dtype=pl.String)


def joined(parts: Sequence[Part], rows: int) -> memoryview:
    """The bytes of all rows, one behind the other."""
    offsets, characters = _written(parts, rows)
    return characters.data[: int(offsets[-1])]


def _written(parts: Sequence[Part], rows: int) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Where each row begins and the last ends, and the rows' bytes."""
    offsets = np.zeros(rows + 1, np.int64)
    held = _Held()
    table = held.table(parts)
    characters = np.empty(code.room_for(table, len(parts), rows) + code.SLACK, np.uint8)
    code.write_rows(table, len(parts), rows, offsets, characters.ctypes.data)
    return offsets, characters


def map_roots(
    name: bytes, salts: NDArray[np.uint8], counts: NDArray[np.int64], keys: pl.Series, values: pl.Series
) -> NDArray[np.uint8]:
    """Root over each owner's salted leaves (docs/evidence-format.md, section 4): shape (owners, 32).

    Args:
        name: the column; part of every leaf's salt.
        salts: shape (owners, 16).
        counts: pairs of each owner, in the order of `keys` and `values`; an owner without pairs gets zeros.
        keys: String without nulls.
        values: String without nulls.
    """
    out = np.zeros((len(counts), DIGEST_SIZE), np.uint8)
    if not counts.any():
        return out
    held = _Held()
    table = held.table([Part(keys, Spelling.JSON, b'["', b'","'), Part(values, Spelling.JSON, b"", b'"]')])
    # One behind the other: two blocks' inputs, the blocks, two leaves' inputs; and two owners' leaves behind prefixes.
    block = b"\x02" + bytes(SALT_SIZE) + name
    inputs = 2 * block.ljust(len(block) + 4 + PADDING, b"\x00")
    leaf_size = 1 + SALT_SIZE + held.longest + PADDING
    room = held.room(len(inputs) + 2 * DIGEST_SIZE + 2 * leaf_size, inputs)
    tree_size = DIGEST_SIZE * (int(counts.max()) + 1) + PADDING
    trees = held.room(2 * tree_size, 2 * b"\x03".ljust(tree_size, b"\x00"))
    salts_at = held.array(salts)
    hash_maps(table, room, len(block), leaf_size, trees, tree_size, salts_at, counts, out.ctypes.data)
    return out


def commitments(name: bytes, salts: NDArray[np.uint8], value: Part) -> NDArray[np.uint8]:
    """SHA-256(SHA-256(0x02 || salt || name) || name || 0x00 || value) of every row: shape (rows, 32).

    Args:
        name: the column.
        salts: shape (rows, 16).
        value: the row's value; what stands before it, or instead of it, is its own.
    """
    out = np.empty((len(salts), DIGEST_SIZE), np.uint8)
    held = _Held()
    behind = name + b"\x00"
    table = held.table([replace(value, lead=behind + value.lead, missing=behind + value.missing)])
    block = b"\x02" + bytes(SALT_SIZE) + name + bytes(PADDING)
    room_size = DIGEST_SIZE + held.longest + PADDING
    blocks, room = held.room(2 * len(block), 2 * block), held.room(2 * room_size)
    hash_commitments(table, len(salts), held.array(salts), blocks, len(block), room, room_size, out.ctypes.data)
    return out


# Bytes that one byte can become; of the eight bytes of an integer, 20 digits.
_GROWTHS: Final = {
    Spelling.RAW: 1,
    Spelling.HEX: 2,
    Spelling.JSON: 6,
    Spelling.SIGNED: 3,
    Spelling.UNSIGNED: 3,
    Spelling.TEXTS: 6,
}


@dataclass(slots=True)
class _Held:
    """Keeps alive what the compiled code reads by address.

    Attributes:
        longest: bytes that a row of the table takes at most.
    """

    buffers: list[Any] = field(default_factory=list)
    longest: int = 0

    def table(self, parts: Sequence[Part]) -> int:
        """Address of one row a part, as the constants above name them."""
        table = np.zeros((len(parts), code.COLUMNS), np.int64)
        for row, part in zip(table, parts, strict=True):
            row[code.SPELLING], row[code.GROWTH] = part.spelling, _GROWTHS[part.spelling]
            for place, text in ((code.LEAD, part.lead), (code.TRAIL, part.trail), (code.MISSING, part.missing)):
                row[place], row[place + 1] = self.array(np.frombuffer(text + bytes(code.SLACK), np.uint8)), len(text)
            row[code.WIDTH], most = code.NO_VALUE, 0
            if isinstance(part.values, np.ndarray):
                row[code.DATA], row[code.WIDTH] = self.array(part.values), part.values.shape[1]
                most = part.values.shape[1] * _GROWTHS[part.spelling]
            elif part.values is not None:
                most = self._column(part.values, row)
                row[code.WIDTH] = code.VARYING
                if part.values.null_count():
                    row[code.VALID] = self.array(part.values.is_not_null().to_numpy().view(np.uint8))
            if part.known is not None:
                row[code.VALID] = self.array(part.known.view(np.uint8))
            if part.index is not None:
                row[code.INDEX] = self.array(part.index.astype(np.int64, copy=False))
            self.longest += max(len(part.missing), len(part.lead) + most + len(part.trail))
        return self.array(table)

    def array(self, values: NDArray[Any]) -> int:
        """Address of an array's bytes."""
        held = np.ascontiguousarray(values)
        self.buffers.append(held)
        return int(held.ctypes.data)

    def room(self, size: int, begins: bytes = b"") -> int:
        """Address of `begins` and zeros to write over; compiled code must not address memory that it makes itself."""
        return self.array(np.frombuffer(begins.ljust(size, b"\x00"), np.uint8).copy())

    def _column(self, values: pl.Series, row: NDArray[np.int64]) -> int:
        """Write where the values lie into `row`; returns how many bytes one becomes at most.

        Polars' own layout, Arrow's views, is read as it is: to have texts one behind the other would copy them all.
        """
        array = values.rechunk().to_arrow(compat_level=pl.CompatLevel.newest())
        self.buffers.append(array)
        lists = None
        if pa.types.is_large_list(array.type):
            lists = np.frombuffer(array.buffers()[1], np.int64, len(array) + 1, 8 * array.offset)
            row[code.LISTS], array = self.array(lists), array.values
        _, views, *data = array.buffers()
        row[code.DATA] = views.address + code.VIEW * array.offset
        row[code.BUFFERS] = self.array(np.array([0 if each is None else each.address for each in data], np.int64))
        sizes = np.frombuffer(views, np.uint32, 4 * len(array), code.VIEW * array.offset)[::4]
        known = sizes if array.null_count == 0 else sizes[array.is_valid().to_numpy(zero_copy_only=False)]
        longest = int(known.max(initial=0)) * _GROWTHS[Spelling(row[code.SPELLING])]
        if lists is None:
            return longest
        return (longest + code.ABOUT_A_TEXT) * int(np.diff(lists).max(initial=0)) + code.ABOUT_A_LIST
