"""YAML as people write it by hand: no anchors, aliases or tags, and no deeper than anybody reads."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer, ComposerError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, ScalarEvent
from ruamel.yaml.reader import ReaderError

from onshore_pipeline.errors import OnshoreError

if TYPE_CHECKING:
    from ruamel.yaml.nodes import Node

_MAX_DEPTH: Final = 50
_NO_ANCHORS: Final = "anchors and aliases have no place here: write it out"
_NO_TAGS: Final = "tags have no place here: every value is read as the text that stands there"
_TOO_DEEP: Final = f"nested more than {_MAX_DEPTH} deep: nobody reads that"
_NO_TEXT: Final = "half of a surrogate pair is no character: write \\U0001F600, not \\uD83D\\uDE00"
_OURS: Final = frozenset({_NO_ANCHORS, _NO_TAGS, _TOO_DEEP, _NO_TEXT})
_SURROGATE: Final = re.compile("[\ud800-\udfff]")  # of an escape; no UTF-8 can say it


class NotPlainYaml(OnshoreError):
    """A text that is refused: where (1-based; None where nobody can tell), and why."""

    def __init__(self, why: str, line: int | None, column: int | None) -> None:
        """Name the place and say what is wrong there."""
        super().__init__(why)
        self.why, self.line, self.column = why, line, column


class _PlainComposer(Composer):
    """Refuses by the event, before anything is made of it: a few thousand aliases can stand for millions of nodes."""

    def compose_node(self, parent: Any, index: Any) -> Any:  # noqa: ANN401 - as ruamel has it
        event = self.parser.peek_event()
        if isinstance(event, AliasEvent) or event.anchor is not None:
            raise ComposerError(None, None, _NO_ANCHORS, event.start_mark)
        if event.ctag is not None:
            raise ComposerError(None, None, _NO_TAGS, event.start_mark)
        if isinstance(event, ScalarEvent) and _SURROGATE.search(event.value):
            raise ComposerError(None, None, _NO_TEXT, event.start_mark)
        if self.depth == _MAX_DEPTH:
            raise ComposerError(None, None, _TOO_DEEP, event.start_mark)
        return super().compose_node(parent, index)


def compose(text: str) -> Node | None:
    """The tree of a text, None of an empty one. Raises `NotPlainYaml`."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = _PlainComposer
    try:
        root: Node | None = yaml.compose(text)
    except ReaderError as error:
        before = text[: error.position]
        column = error.position - before.rfind("\n")
        why = f"not YAML: the character #x{error.character:04x} is not allowed"
        raise NotPlainYaml(why, before.count("\n") + 1, column) from error
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        why = str(error.problem or error.context or "cannot be read")
        place = (mark.line + 1, mark.column + 1) if mark else (None, None)
        raise NotPlainYaml(why if why in _OURS else f"not YAML: {why}", *place) from error
    except (YAMLError, ValueError, RecursionError) as error:
        raise NotPlainYaml(f"not YAML: {str(error).splitlines()[0]}", None, None) from error
    return root
