"""Reads a registry written as YAML: a list of rows with the columns of its CSV spelling; complaints name the line."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from onshore_pipeline.context.csv_table import VERSION, Row, Table, decoded
from onshore_pipeline.errors import ContextError
from onshore_pipeline.plain_yaml import NotPlainYaml, compose

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Stands between the items of a list in one cell; an item that holds it cannot be told apart and is refused.
SEPARATOR: Final = ";"
_NULLS: Final = frozenset({"", "~", "null"})


def read_yaml(file: Path, content: bytes, columns: tuple[str, ...]) -> Table:
    """Read a registry; a column that a row does not name is blank there, and only `columns` may be named.

    Scalars are the texts that stand in the file, so that NO is Norway and 2026-11-21 a day.

    Raises:
        ContextError: it is no YAML, has anchors or tags, is no list of rows, or a row has other columns; file and line
            are named.
    """
    text = decoded(file, content)
    try:
        root = compose(text)
    except NotPlainYaml as error:
        raise ContextError(file, error.line, error.why, error.column) from error
    if root is None:
        rows: tuple[Row, ...] = ()
    elif isinstance(root, SequenceNode):
        rows = tuple(_rows(file, root, columns))
    else:
        raise ContextError(file, _line(root), "is no list of rows; begin each row with `- `")
    version = VERSION.search(text)
    return Table(file, version.group(1) if version else "", hashlib.sha256(content).hexdigest(), rows)


def _rows(file: Path, root: SequenceNode, known: tuple[str, ...]) -> Iterator[Row]:
    for item in root.value:
        if not isinstance(item, MappingNode):
            raise ContextError(file, _line(item), "is no row: write `- column: value` and the other columns below it")
        cells: dict[str, str | None] = dict.fromkeys(known)
        lines: dict[str, int] = {}
        for key, value in item.value:
            name = _scalar(file, key, "a column's name") or ""
            if name not in known:
                raise ContextError(file, _line(key), f"unknown column '{name}'; known: {', '.join(known)}")
            if name in lines:
                raise ContextError(file, _line(key), f"column '{name}' appears twice in this row")
            lines[name] = _line(key)
            cells[name] = _cell(file, value, name)
        yield Row(file, _line(item), cells, lines)


def _cell(file: Path, node: Node, name: str) -> str | None:
    if not isinstance(node, SequenceNode):
        return _scalar(file, node, f"column '{name}'")
    items = [_scalar(file, item, f"column '{name}'") or "" for item in node.value]
    for item in items:
        if SEPARATOR in item:
            raise ContextError(file, _line(node), f"column '{name}': '{item}' holds a {SEPARATOR}, which no item may")
    return SEPARATOR.join(items) + SEPARATOR if items else None


def _scalar(file: Path, node: Node, what: str) -> str | None:
    if not isinstance(node, ScalarNode):
        raise ContextError(file, _line(node), f"{what} must be one value")
    if node.style is None and node.value in _NULLS:
        return None
    return str(node.value).strip() or None


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1
