"""Reads a registry: a small CSV file whose every complaint names file and line."""

from __future__ import annotations

import csv
import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from onshore_pipeline.errors import ContextError
from onshore_pipeline.plain_files import read_plain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VERSION = re.compile(r"^#\s*version:\s*(.+?)\s*$", re.MULTILINE)
_TRUTHS = {"yes": True, "no": False, "true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Row:
    """One row: blank cells are None, others stripped.

    Attributes:
        file: where it stands.
        line: 1-based.
        cells: by column name; several values in one are apart by blanks, or each ended by a `;`.
        lines: where each column stands, in files that give each its own line.
    """

    file: Path
    line: int
    cells: dict[str, str | None]
    lines: dict[str, int] = field(default_factory=dict)

    def get(self, column: str) -> str | None:
        """The cell, or None when it is blank or the file has no such column."""
        return self.cells.get(column)

    def require(self, column: str) -> str:
        """The cell. Raises `ContextError` when it is blank."""
        value = self.cells.get(column)
        if value is None:
            raise self.error(f"column '{column}' is empty", column)
        return value

    def several(self, column: str) -> tuple[str, ...]:
        """The values of a cell that may hold several, in their order; none when it is blank."""
        value = self.cells.get(column) or ""
        parts = value.split(";") if ";" in value else value.split()
        return tuple(part.strip() for part in parts if part.strip())

    def truth(self, column: str) -> bool:
        """A yes/no cell, blank meaning no. Raises `ContextError` for any other word."""
        value = self.cells.get(column)
        if value is None:
            return False
        if value.lower() not in _TRUTHS:
            raise self.error(f"column '{column}' must be yes or no, not '{value}'", column)
        return _TRUTHS[value.lower()]

    def error(self, why: str, column: str = "") -> ContextError:
        """An error that points at this row, or at one of its columns where that has a line of its own."""
        return ContextError(self.file, self.lines.get(column, self.line), why)


@dataclass(frozen=True, slots=True)
class Table:
    """A registry file as read.

    Attributes:
        file: its path.
        version: what its comment line `# version: ...` says, else ''.
        sha256: of its bytes, hex.
        rows: in file order.
    """

    file: Path
    version: str
    sha256: str
    rows: tuple[Row, ...] = field(repr=False)

    def __iter__(self) -> Iterator[Row]:
        """Go through the rows in file order."""
        return iter(self.rows)


def read_table(file: Path, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> Table:
    """Read a registry.

    Args:
        file: UTF-8 CSV; the first line that is no comment names the columns.
        required: columns that must be there (their cells may still be blank).
        optional: columns that may be there; any other column is an error, so that a typo is found.

    Raises:
        ContextError: the file cannot be read, is not UTF-8, or has other columns or too many cells in a row.
    """
    return read_csv(file, read_bytes(file), required, optional)


def read_csv(file: Path, content: bytes, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> Table:
    """The same for a file that was read already."""
    text = decoded(file, content)
    version = VERSION.search(text)
    return Table(
        file=file,
        version=version.group(1) if version else "",
        sha256=hashlib.sha256(content).hexdigest(),
        rows=tuple(_rows(file, text, required, optional)),
    )


def read_bytes(file: Path) -> bytes:
    """A file's bytes. Raises `ContextError` when it cannot be read."""
    try:
        return read_plain(file)
    except OSError as error:
        raise ContextError(file, None, f"cannot be read: {error.strerror}") from error


def decoded(file: Path, content: bytes) -> str:
    """The text of a registry. Raises `ContextError`, naming the line, when it is not UTF-8."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ContextError(file, line, "is not UTF-8: save it as UTF-8") from error


def _rows(file: Path, text: str, required: tuple[str, ...], optional: tuple[str, ...]) -> Iterator[Row]:
    # A cell with a line break would make our line numbers wrong; registries need none.
    numbered = [(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip() and not line.startswith("#")]
    if not numbered:
        raise ContextError(file, 1, f"has no header line; expected: {','.join((*required, *optional))}")
    columns = _header(file, *numbered[0], required, optional)
    for number, line in numbered[1:]:
        cells = _split(file, number, line)
        if len(cells) > len(columns):
            raise ContextError(
                file, number, f"has {len(cells)} cells for {len(columns)} columns; quote cells with commas"
            )
        cells += [""] * (len(columns) - len(cells))
        yield Row(file, number, {name: cell.strip() or None for name, cell in zip(columns, cells, strict=True)})


def _header(file: Path, number: int, line: str, required: tuple[str, ...], optional: tuple[str, ...]) -> list[str]:
    columns = [column.strip().lower() for column in _split(file, number, line)]
    for column in columns:
        if column not in (*required, *optional):
            raise ContextError(file, number, f"unknown column '{column}'; known: {', '.join((*required, *optional))}")
    if repeated := {column for column in columns if columns.count(column) > 1}:
        raise ContextError(file, number, f"column '{min(repeated)}' appears twice")
    if missing := [column for column in required if column not in columns]:
        raise ContextError(file, number, f"column '{missing[0]}' is missing")
    return columns


def _split(file: Path, number: int, line: str) -> list[str]:
    try:
        return next(csv.reader([line], strict=True))
    except csv.Error as error:
        raise ContextError(file, number, f"is not CSV: {error}") from error
