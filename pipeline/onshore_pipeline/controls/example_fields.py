"""The fields of a control file that name columns: the examples' events, and what findings are grouped by."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Final

from onshore_pipeline.controls.condition import TYPE_OF_KIND, Type
from onshore_pipeline.controls.suggestions import did_you_mean
from onshore_pipeline.controls.vocabulary import check_word
from onshore_pipeline.domain.control import EventValue, Example
from onshore_pipeline.domain.event import COLUMNS_BY_NAME, FIRST_DAY, LAST_DAY, Kind
from onshore_pipeline.domain.verdict import Verdict
from onshore_pipeline.domain.whole_numbers import shown, whole_number

if TYPE_CHECKING:
    from ruamel.yaml.nodes import Node

    from onshore_pipeline.controls.yaml_source import Source

_GROUPABLE: Final = (Type.TEXT, Type.INTEGER, Type.BOOLEAN)
EXAMPLE_COLUMNS: Final = tuple(name for name, column in COLUMNS_BY_NAME.items() if column.kind in TYPE_OF_KIND)
_VERDICTS: Final = tuple(verdict.value for verdict in Verdict)
_LARGEST: Final = {Kind.U32: 2**32 - 1, Kind.U64: 2**64 - 1}
_FIRST: Final = datetime.combine(FIRST_DAY, time.max, UTC)
_LAST: Final = datetime.combine(LAST_DAY, time.min, UTC)
_TRUTHS: Final = {"true": True, "false": False}


def read_group_by(source: Source, node: Node) -> tuple[str, ...]:
    """The columns of a fingerprint. Raises `ControlError`."""
    columns: list[str] = []
    for item in source.items(node, "group_by"):
        name = source.text(item, "group_by")
        if name not in COLUMNS_BY_NAME:
            raise source.error(item, f"group_by: there is no column {name}{did_you_mean(name, COLUMNS_BY_NAME)}")
        if TYPE_OF_KIND.get(COLUMNS_BY_NAME[name].kind) not in _GROUPABLE:
            raise source.error(item, f"{name} cannot group findings: only texts, integers and booleans can")
        if name in columns:
            raise source.error(item, f"group_by names {name} twice")
        columns.append(name)
    if "tenant" not in columns:
        raise source.error(node, "group_by must hold tenant: no finding may span tenants")
    return tuple(columns)


def read_examples(source: Source, node: Node) -> tuple[Example, ...]:
    """The examples. Raises `ControlError`."""
    return tuple(_example(source, item) for item in source.items(node, "examples"))


def _example(source: Source, node: Node) -> Example:
    fields = source.fields(node, ("name", "event", "verdict", "missing"), "an example")
    for wanted in ("name", "event", "verdict"):
        if wanted not in fields:
            raise source.error(node, f"an example needs {wanted}")
    verdict = read_verdict(source, fields["verdict"])
    event = source.fields(fields["event"], EXAMPLE_COLUMNS, "the event of an example")
    return Example(
        name=source.text(fields["name"], "name"),
        event={column: read_value(source, value, column) for column, value in event.items()},
        verdict=verdict,
        missing=source.text(fields["missing"], "missing") if "missing" in fields else None,
    )


def read_verdict(source: Source, node: Node) -> Verdict:
    """A verdict by its word. Raises `ControlError`."""
    verdict = source.text(node, "verdict")
    if verdict not in _VERDICTS:
        raise source.error(node, f"verdict is one of {', '.join(_VERDICTS)}, not {verdict!r}")
    return Verdict(verdict)


def read_value(source: Source, node: Node, column: str) -> EventValue:
    """What an example says of a column. Raises `ControlError`."""
    kind = COLUMNS_BY_NAME[column].kind
    if source.is_null(node):
        return None
    if kind is Kind.WORDS:
        return tuple(_word(source, item, column) for item in source.items(node, column))
    text = _word(source, node, column)
    if kind is Kind.TIME:
        return read_moment(source, node, column, text)
    if kind is Kind.BOOL:
        if text not in _TRUTHS:
            raise source.error(node, f"{column} must be true or false, found {text!r}")
        return _TRUTHS[text]
    if kind in _LARGEST:
        number = whole_number(text, _LARGEST[kind])
        if number is None:
            raise source.error(node, f"{column} must be an integer from 0 to {_LARGEST[kind]}, found {shown(text)!r}")
        return number
    return text


def read_moment(source: Source, node: Node, column: str, text: str) -> datetime:
    """A time with its zone. Raises `ControlError`."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise source.error(node, f"{column} must be a time like 2026-01-31T12:00:00Z, found {text!r}") from error
    if moment.tzinfo is None:
        raise source.error(node, f"{column} needs a zone: write {text}Z for UTC")
    if not _FIRST < moment < _LAST:
        why = f"lies outside what a time can be: write one between {FIRST_DAY} and {LAST_DAY}"
        raise source.error(node, f"{column} {text} {why}")
    return moment.astimezone(UTC)


def _word(source: Source, node: Node, column: str) -> str:
    text = source.text(node, column)
    why = check_word(column, text)
    if why:
        raise source.error(node, why)
    return text
