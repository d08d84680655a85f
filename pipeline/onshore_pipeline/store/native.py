"""Answers in ClickHouse's own columnar format (`FORMAT Native`), as Arrow columns.

The store writes its columns as they lie in its memory: it spends a third of the time that Arrow's format takes it.
Texts come as bytes, whatever was written there; words (`LowCardinality`) as dictionaries.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from onshore_pipeline.errors import StoreUnavailable
from onshore_pipeline.store.native_code import copy_texts, text_ends

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ARGUMENTS: Final = re.compile(r"(\w+)(?:\((.*)\))?", re.DOTALL)
_NUMBERS: Final = {
    "UInt8": pa.uint8(), "UInt16": pa.uint16(), "UInt32": pa.uint32(), "UInt64": pa.uint64(),
    "Int8": pa.int8(), "Int16": pa.int16(), "Int32": pa.int32(), "Int64": pa.int64(),
}  # fmt: skip
_WORDS: Final = "LowCardinality("
_WORDS_VERSION: Final = 1
# What a part of a dictionary column says of itself: its indexes' width, and that its texts stand in front of them.
_WIDTHS: Final = (np.uint8, np.uint16, np.uint32, np.uint64)
_OWN_TEXTS: Final = 0x200
_SHARED_TEXTS: Final = 0x100
_MOST_INDEXES: Final = 2**31
_TROUBLE: Final = re.compile(rb"Code: \d+\. DB::Exception: [^\r\n]*")
_LAST_BYTES: Final = 1 << 14


def native_columns(body: bytes) -> dict[str, pa.ChunkedArray]:
    """The columns of an answer, one chunk a block; none where it has no rows.

    String is large binary, FixedString, UUID (its 16 bytes in the order of its text) and IPv6 are fixed-size binary,
    DateTime64(9) is a timestamp in UTC, LowCardinality a dictionary, Map a map.

    Raises:
        StoreUnavailable: the answer broke off; it says why where the store did.
        TypeError: a column is of a type that is not read here.
    """
    try:
        return _columns(body)
    except (StoreUnavailable, TypeError, ValueError) as error:
        # What goes wrong once an answer has begun, a server can only write behind what it sent.
        told = _TROUBLE.search(body[-_LAST_BYTES:])
        if told is not None:
            raise StoreUnavailable(f"the store's answer broke off: {told[0].decode(errors='replace')}") from error
        if isinstance(error, UnicodeDecodeError):
            raise StoreUnavailable("the store's answer broke off") from error
        raise


def _columns(body: bytes) -> dict[str, pa.ChunkedArray]:
    chunks: dict[str, list[pa.Array]] = {}
    read = _Blocks(body)
    while not read.is_done:
        count, rows = read.number(), read.number()
        for _ in range(count):
            name, kind = read.name(), read.name()
            if rows:
                chunks.setdefault(name, []).append(read.column(kind, rows))
    return {name: pa.chunked_array(each) for name, each in chunks.items()}


class _Blocks:
    """A place in an answer, and what stands there; columns are copies, so that the answer can go."""

    def __init__(self, body: bytes) -> None:
        self._bytes = np.frombuffer(body, np.uint8)
        self._at = 0

    @property
    def is_done(self) -> bool:
        return self._at >= len(self._bytes)

    def number(self) -> int:
        """An integer of seven bits a byte, the lowest first."""
        value = shift = 0
        while True:
            byte = int(self._take(1)[0])
            value |= (byte & 0x7F) << shift
            if byte < 0x80:  # noqa: PLR2004 - no byte follows
                return value
            shift += 7

    def name(self) -> str:
        return self._take(self.number()).tobytes().decode()

    def column(self, kind: str, rows: int) -> pa.Array:
        for _ in range(kind.count(_WORDS)):
            if self._integer() != _WORDS_VERSION:
                raise TypeError(f"{kind} in a form that is not known")
        return self._values(kind, rows, None)

    def _take(self, size: int) -> NDArray[np.uint8]:
        end = self._at + size
        if end > len(self._bytes):
            raise StoreUnavailable("the store's answer broke off")
        taken, self._at = self._bytes[self._at : end], end
        return taken

    def _integer(self) -> int:
        return int.from_bytes(self._take(8).tobytes(), "little")

    def _values(self, kind: str, rows: int, unknown: NDArray[np.uint8] | None) -> pa.Array:
        """Values of a type; `unknown` is 1 where one is NULL, behind which some value stands all the same."""
        name, inner = _parts(kind)
        if name == "Nullable":
            return self._values(inner, rows, self._take(rows))
        if name == "LowCardinality":
            return self._words(inner, rows)
        if name == "Array":
            offsets = self._offsets(rows)
            return pa.ListArray.from_arrays(offsets, self._values(inner, int(offsets[-1]), None))
        if name == "Map":
            key, _, value = inner.partition(", ")
            offsets = self._offsets(rows)
            keys = self._values(key, int(offsets[-1]), None)
            return pa.MapArray.from_arrays(offsets, keys, self._values(value, int(offsets[-1]), None))
        return self._plain(name, inner, rows, unknown)

    def _plain(self, name: str, inner: str, rows: int, unknown: NDArray[np.uint8] | None) -> pa.Array:
        if name == "String":
            return self._texts(rows, unknown)
        if name in {"IPv6", "FixedString"}:
            width = int(inner or 16)
            return _fixed(pa.binary(width), rows, self._take(width * rows).copy(), unknown)
        if name == "UUID":  # two integers, the upper half first
            return _fixed(pa.binary(16), rows, self._take(16 * rows).view("<u8").byteswap(), unknown)
        if name == "Bool":
            bits = np.packbits(self._take(rows), bitorder="little")
            return _fixed(pa.bool_(), rows, bits, unknown)
        if name == "DateTime64" and inner == "9, 'UTC'":
            return _fixed(pa.timestamp("ns", "UTC"), rows, self._take(8 * rows).copy(), unknown)
        if name in _NUMBERS:
            kind = _NUMBERS[name]
            return _fixed(kind, rows, self._take(kind.byte_width * rows).copy(), unknown)
        raise TypeError(f"columns of type {name} are not read")

    def _offsets(self, rows: int) -> NDArray[np.int32]:
        """Where each row's values begin and the last ones end."""
        ends = self._take(8 * rows).view("<u8")
        if rows and int(ends[-1]) >= _MOST_INDEXES:
            raise TypeError(f"{int(ends[-1]):,} values in one block are too many")
        offsets = np.zeros(rows + 1, np.int32)
        offsets[1:] = ends
        return offsets

    def _words(self, inner: str, rows: int) -> pa.DictionaryArray:
        """Indexes into texts of their own; where NULL may stand, the first text stands for it."""
        kind = inner.removeprefix("Nullable(").removesuffix(")") if inner.startswith("Nullable(") else inner
        if not rows:  # nothing is written then
            return pa.DictionaryArray.from_arrays(pa.array([], pa.int32()), pa.array([], _type_of(kind)))
        flags = self._integer()
        if not flags & _OWN_TEXTS or flags & _SHARED_TEXTS:
            raise TypeError(f"{inner} with texts that stand elsewhere")
        count = self._integer()
        unknown = None
        if kind != inner:
            unknown = np.zeros(count, np.uint8)
            unknown[:1] = 1
        texts = self._values(kind, count, unknown)
        if self._integer() != rows:
            raise StoreUnavailable("the store's answer broke off")
        width = np.dtype(_WIDTHS[flags & 3])
        indexes = self._take(width.itemsize * rows).view(width)
        if unknown is not None and not indexes.any():
            return pa.nulls(rows, pa.dictionary(pa.int32(), texts.type))
        return pa.DictionaryArray.from_arrays(pa.array(indexes.astype(np.int32)), texts)

    def _texts(self, rows: int, unknown: NDArray[np.uint8] | None) -> pa.Array:
        """A size of seven bits a byte before each text."""
        ends = np.zeros(rows + 1, np.int64)
        rest = self._bytes[self._at :]
        size = text_ends(rest, ends)
        if size < 0:
            raise StoreUnavailable("the store's answer broke off")
        characters = np.empty(int(ends[-1]), np.uint8)
        copy_texts(self._take(size), ends, characters)
        known, nulls = _known(unknown)
        buffers = [known, pa.py_buffer(ends), pa.py_buffer(characters)]
        return pa.Array.from_buffers(pa.large_binary(), rows, buffers, nulls)


def _parts(kind: str) -> tuple[str, str]:
    """A type's name, and what stands in its brackets."""
    match = _ARGUMENTS.fullmatch(kind)
    if match is None:
        raise TypeError(f"columns of type {kind} are not read")
    return match[1], match[2] or ""


def _type_of(kind: str) -> pa.DataType:
    if kind != "String":
        raise TypeError(f"words of type {kind} are not read")
    return pa.large_binary()


def _fixed(kind: pa.DataType, rows: int, values: NDArray[Any], unknown: NDArray[np.uint8] | None) -> pa.Array:
    known, nulls = _known(unknown)
    if nulls == rows:
        return pa.nulls(rows, kind)
    return pa.Array.from_buffers(kind, rows, [known, pa.py_buffer(values)], nulls)


def _known(unknown: NDArray[np.uint8] | None) -> tuple[pa.Buffer | None, int]:
    """Arrow's bits of what is known, and how many values are not."""
    nulls = 0 if unknown is None else int(np.count_nonzero(unknown))
    if unknown is None or not nulls:
        return None, 0
    return pa.py_buffer(np.packbits(unknown == 0, bitorder="little")), nulls
