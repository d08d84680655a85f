"""YAML 1.2 read as a tree of texts with their places; what a text means is decided by the schema, so NO is Norway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from onshore_pipeline.controls.suggestions import did_you_mean
from onshore_pipeline.errors import ControlError
from onshore_pipeline.plain_yaml import NotPlainYaml, compose

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path
    from typing import TypeVar

    T = TypeVar("T")

_NULLS: Final = frozenset({"", "~", "null"})


class Source:
    """One file: its root mapping, and every problem found in it so far."""

    def __init__(self, path: Path, raw: bytes) -> None:
        """Compose the tree. Raises `ControlError` if there is none."""
        self.path = path
        self.problems: list[ControlError] = []
        try:
            self._text = raw.decode("utf-8")
            root = compose(self._text)
        except UnicodeDecodeError as error:
            raise ControlError(path, None, f"not UTF-8 at byte {error.start}") from error
        except NotPlainYaml as error:
            raise ControlError(path, error.line, error.why, error.column) from error
        if not isinstance(root, MappingNode):
            raise ControlError(path, 1, "a control is a mapping of fields, one a line: `id: AU-APP8-01`", 1)
        self.root = root

    def error(self, node: Node, why: str, offset: int | None = None) -> ControlError:
        """An error at a node, or at a character of its value."""
        index = node.start_mark.index if offset is None else self._index(node, offset)
        before = self._text[:index]
        return ControlError(self.path, before.count("\n") + 1, why, index - (before.rfind("\n") + 1) + 1)

    def collect(self, read: Callable[[], T], otherwise: T) -> T:
        """Read something; a problem is kept for later, so that one run shows them all."""
        try:
            return read()
        except ControlError as error:
            self.problems.append(error)
            return otherwise

    def fields(self, node: Node, known: Collection[str], what: str) -> dict[str, Node]:
        """The fields of a mapping; unknown and repeated ones are problems."""
        if not isinstance(node, MappingNode):
            raise self.error(node, f"{what} must be a mapping of fields")
        fields: dict[str, Node] = {}
        for key, value in node.value:
            name = self.text(key, f"a field name of {what}")
            if name not in known:
                self.problems.append(self.error(key, f"{what} has no field {name}{did_you_mean(name, known)}"))
            elif name in fields:
                self.problems.append(self.error(key, f"{name} stands here twice"))
            else:
                fields[name] = value
        return fields

    def items(self, node: Node, what: str) -> list[Node]:
        """The items of a sequence."""
        if not isinstance(node, SequenceNode):
            raise self.error(node, f"{what} must be a list: [a, b]")
        return list(node.value)

    def text(self, node: Node, what: str) -> str:
        """A scalar as the text that stands in the file."""
        if not isinstance(node, ScalarNode):
            raise self.error(node, f"{what} must be a text")
        return str(node.value)

    def is_null(self, node: Node) -> bool:
        """Whether nothing is written here: null, ~ or an empty plain scalar."""
        return isinstance(node, ScalarNode) and node.style is None and node.value in _NULLS

    def _index(self, node: Node, offset: int) -> int:
        """Where a character of a scalar's value stands in the file: quotes, folds and indents are skipped over."""
        index, end = int(node.start_mark.index), int(node.end_mark.index)
        for position, character in enumerate(str(node.value)):
            if not character.isspace():
                index = max(index, self._text.find(character, index, end))
            if position >= offset:
                return index
            index += 0 if character.isspace() else 1
        return min(index, max(end - 1, int(node.start_mark.index)))
