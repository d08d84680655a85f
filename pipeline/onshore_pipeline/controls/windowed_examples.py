"""Examples of controls that look at more than one event: how they are written, and what comes of them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from onshore_pipeline.controls.example_fields import EXAMPLE_COLUMNS, read_moment, read_value, read_verdict
from onshore_pipeline.domain.control import Example

if TYPE_CHECKING:
    from ruamel.yaml.nodes import Node

    from onshore_pipeline.controls.yaml_source import Source
    from onshore_pipeline.domain.control import EventValue

_RECEIVED: Final = "received_at"
_FIELDS: Final = ("name", "events", "verdict", "missing", "as_of", "restated_from")


def read_windowed_examples(source: Source, node: Node) -> tuple[Example, ...]:
    """The examples. Raises `ControlError`."""
    return tuple(_example(source, item) for item in source.items(node, "examples"))


def _example(source: Source, node: Node) -> Example:
    fields = source.fields(node, _FIELDS, "an example of several events")
    for wanted in ("name", "events", "verdict"):
        if wanted not in fields:
            raise source.error(node, f"an example of a control that looks at several events needs {wanted}")
    read = [_event(source, item) for item in source.items(fields["events"], "events")]
    as_of, before = fields.get("as_of"), fields.get("restated_from")
    return Example(
        name=source.text(fields["name"], "name"),
        event={},
        verdict=read_verdict(source, fields["verdict"]),
        missing=source.text(fields["missing"], "missing") if "missing" in fields else None,
        events=tuple(event for event, _ in read),
        received=tuple(received for _, received in read),
        as_of=None if as_of is None else read_moment(source, as_of, "as_of", source.text(as_of, "as_of")),
        restated_from=None if before is None else read_verdict(source, before),
    )


def _event(source: Source, node: Node) -> tuple[dict[str, EventValue], datetime]:
    fields = source.fields(node, (*EXAMPLE_COLUMNS, _RECEIVED), "an event of an example")
    given = fields.pop(_RECEIVED, None)
    event = {column: read_value(source, value, column) for column, value in fields.items()}
    occurred_at = event.get("occurred_at")
    if not isinstance(occurred_at, datetime):
        raise source.error(node, "an event among several needs occurred_at: when it happened")
    received = occurred_at if given is None else read_moment(source, given, _RECEIVED, source.text(given, _RECEIVED))
    return event, received
