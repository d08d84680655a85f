"""Flow logs that AWS delivers as Parquet, as the lines that it would have delivered as text.

A row becomes a line, its columns in their order as words, and the columns' names become the heading, so that the same
records give the same events whichever way they were delivered. Batches of rows are read one after the other.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from onshore_collectors.files.flow_logs import FIELDS_KEY, FORMAT, NEEDED
from onshore_collectors.files.pieces import MOST_KEPT_CHARS, MOST_RECORD_CHARS, UNDECODABLE, RawRecord, Unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from onshore_collectors.files.pieces import Piece

_MOST_ROWS: Final = 8192  # at once
_BATCH_BYTES: Final = 8 << 20  # about, unpacked
_BUFFER_BYTES: Final = 1 << 18  # of a column while it is read
_NOTHING: Final = b"-"  # how a line says that a field has no value
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_MISSING: Final = "rows {first:,} to {last:,} of the Parquet file are missing"
_SHOWN_NAMES: Final = 4
# What reading a damaged file raises; an `OSError` with a number is the file system's.
_DAMAGED: Final = (pa.ArrowException, OSError, MemoryError, UnicodeDecodeError)


def read_flow_parquet(path: str, on_read: Callable[[int], None]) -> Iterator[Piece]:
    """The rows of a file as lines of a flow log; an unreadable one has its row, from 1, as its line.

    Args:
        path: the file; it is read from its end, so no stream.
        on_read: told how many packed bytes were read.

    Raises:
        OSError: the file cannot be read; what came before was given.
    """
    try:
        file = parquet.ParquetFile(path, buffer_size=_BUFFER_BYTES, pre_buffer=False)
    except _DAMAGED as error:
        yield Unreadable(0, 1, f"is no whole Parquet file: {_why(error)}", open_end=True)
        return
    with file:
        if reason := _refusal(file.schema_arrow):
            yield Unreadable(0, 1, reason)
            return
        size = Path(path).stat().st_size
        heading = " ".join(name.lower().replace("_", "-") for name in file.schema_arrow.names)
        first = 1
        for number in range(file.num_row_groups):
            yield from _rows(file, number, first, heading)
            first += file.metadata.row_group(number).num_rows
            on_read(size // file.num_row_groups)
        if first <= file.metadata.num_rows:
            yield Unreadable(0, first, _MISSING.format(first=first, last=file.metadata.num_rows))


def _refusal(schema: pa.Schema) -> str | None:
    """Why a file with these columns holds no flow log; None where it does."""
    names = [name.lower().replace("_", "-") for name in schema.names]
    if not any(name in NEEDED for name in names):
        held = ", ".join(schema.names[:_SHOWN_NAMES]) or "nothing"
        return f"is Parquet, but no flow log: has the columns {held}"
    for field in schema:
        if not _NAME.fullmatch(field.name):
            return f"has a column whose name is no field's: {field.name[:80]!r}"
        plain = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if not (pa.types.is_integer(plain) or _is_text(plain) or pa.types.is_null(plain)):
            return f"has {plain} in its column {field.name}: a flow log holds texts and whole numbers"
    return None


def _rows(file: parquet.ParquetFile, number: int, first: int, heading: str) -> Iterator[Piece]:
    """The rows of a row group, of which the first is row `first` of the file; what cannot be read is told once."""
    group = file.metadata.row_group(number)
    at_once = max(1, min(_MOST_ROWS, _BATCH_BYTES * group.num_rows // max(group.total_byte_size, 1)))
    row, end, about = first, first + group.num_rows, ((FIELDS_KEY, heading),)
    batches = file.iter_batches(at_once, row_groups=[number], use_threads=False)
    while True:
        try:
            batch = next(batches, None)
            lines = [] if batch is None else _lines(batch)
        except _DAMAGED as error:
            yield Unreadable(0, row, f"rows {row:,} to {end - 1:,} of the Parquet file cannot be read: {_why(error)}")
            return
        if batch is None:
            break
        for line in lines:
            yield _record(line, row, about, len(batch.schema))
            row += 1
    if row < end:
        yield Unreadable(0, row, _MISSING.format(first=row, last=end - 1))


def _lines(batch: pa.RecordBatch) -> list[bytes]:
    words = [_words(column) for column in batch.columns]
    said = [pc.if_else(pc.equal(column, b""), _NOTHING, column) for column in words]
    lines: list[bytes] = pc.binary_join_element_wise(
        *said, b" ", null_handling="replace", null_replacement=_NOTHING
    ).to_pylist()
    return lines


def _words(column: pa.Array) -> pa.Array:
    plain = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
    return plain.cast(pa.string() if not _is_text(plain.type) else plain.type).cast(pa.binary())


def _is_text(kind: pa.DataType) -> bool:
    checks = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    return any(check(kind) for check in checks)


def _record(line: bytes, row: int, about: tuple[tuple[str, str], ...], words: int) -> Piece:
    text = line[: MOST_RECORD_CHARS + 1].decode("utf-8", UNDECODABLE)
    if len(line) > MOST_RECORD_CHARS:
        reason = f"is longer than {MOST_RECORD_CHARS >> 20} MiB"
    elif not text.isascii() and line.decode(errors="replace") != text:
        reason = "is not UTF-8"
    elif len(found := text.split(" ")) != words or found != text.split():
        reason = "has a value with white space in it, which no field of a flow log has"
    else:
        return RawRecord(text, FORMAT, attributes=about)
    return Unreadable(0, row, f"row {row:,} of the Parquet file {reason}", text[:MOST_KEPT_CHARS], len(line))


def _why(error: BaseException) -> str:
    """The reason in one line; what the file system says of a file goes on as it is."""
    if isinstance(error, OSError) and error.errno is not None:
        raise error
    return " ".join(str(error).split())[:300] or type(error).__name__
