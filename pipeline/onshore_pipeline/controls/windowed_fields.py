"""The fields of a control that looks at more than one event: `window`, `sequence`, `absence` and `lateness`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ruamel.yaml.nodes import MappingNode, SequenceNode

from onshore_pipeline.controls.example_fields import read_group_by
from onshore_pipeline.domain.control import Windowed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ruamel.yaml.nodes import Node

    from onshore_pipeline.controls.yaml_source import Source

WINDOWED_FIELDS: Final = ("window", "sequence", "absence")
LATENESS: Final = "lateness"
# An event belongs to period / every windows, each of which is judged: a year by the day is the most that makes sense.
MOST_WINDOWS: Final = 400
MOST_STEPS: Final = 5
DEFAULT_LATENESS_NS: Final = 3_600_000_000_000

_DURATION = re.compile(r"([1-9][0-9]{0,5})(s|m|h|d)")
_UNIT_NS: Final = {"s": 1_000_000_000, "m": 60_000_000_000, "h": 3_600_000_000_000, "d": 86_400_000_000_000}
_LONGEST_NS: Final = 800 * _UNIT_NS["d"]


def read_windowed(source: Source, fields: Mapping[str, Node]) -> Windowed | None:
    """What these fields say; None for a control of single events. Raises `ControlError`."""
    given = [name for name in WINDOWED_FIELDS if name in fields]
    if not given:
        if LATENESS in fields:
            raise source.error(fields[LATENESS], "lateness belongs to a window, sequence or absence")
        return None
    if len(given) > 1:
        raise source.error(fields[given[1]], f"a control has {given[0]} or {given[1]}, not both: write two controls")
    node = fields[given[0]]
    late = fields.get(LATENESS)
    lateness_ns = DEFAULT_LATENESS_NS if late is None else read_duration(source, late, LATENESS, zero=True)
    if given[0] == "window":
        return _window(source, node, lateness_ns)
    if "violated" in fields:
        why = f"violated has no place beside {given[0]}, which says itself when it is violated: leave it out"
        raise source.error(fields["violated"], why)
    if given[0] == "absence":
        return _absence(source, node, lateness_ns)
    if "group_by" not in fields:
        raise source.error(node, "a sequence needs group_by: what its steps have in common, tenant first")
    return _sequence(source, node, lateness_ns, read_group_by(source, fields["group_by"]))


def condition_nodes(fields: Mapping[str, Node]) -> list[Node]:
    """The conditions of the steps, where they stand; fewer or none where the shape is wrong."""
    absence, sequence = fields.get("absence"), fields.get("sequence")
    steps = sequence.value if isinstance(sequence, SequenceNode) else []
    holders = [(absence, "of")] if absence is not None else [(step, "when") for step in steps]
    return [
        value
        for holder, wanted in holders
        if isinstance(holder, MappingNode)
        for key, value in holder.value
        if key.value == wanted
    ]


def read_duration(source: Source, node: Node, name: str, *, zero: bool = False) -> int:
    """A length of time in nanoseconds, written 90s, 15m, 6h or 30d. Raises `ControlError`."""
    text = source.text(node, name)
    if zero and text in {"0", "0s"}:
        return 0
    matched = _DURATION.fullmatch(text)
    if matched is None:
        raise source.error(node, f"{name} is written 90s, 15m, 6h or 30d and is longer than nothing, not {text!r}")
    length_ns = int(matched[1]) * _UNIT_NS[matched[2]]
    if length_ns > _LONGEST_NS:
        raise source.error(node, f"{name} is longer than {_LONGEST_NS // _UNIT_NS['d']} days")
    return length_ns


def _window(source: Source, node: Node, lateness_ns: int) -> Windowed:
    fields = _wanted(source, node, ("every", "period", "group_by"), "{every: 1h, period: 1d, group_by: [tenant]}")
    every_ns = read_duration(source, fields["every"], "every")
    period_ns = read_duration(source, fields["period"], "period")
    if every_ns > period_ns:
        raise source.error(
            fields["every"], "every is longer than period: what happens between two windows would never be judged"
        )
    if period_ns % every_ns:
        raise source.error(fields["period"], "period must be a multiple of every, so that windows begin and end alike")
    if period_ns // every_ns > MOST_WINDOWS:
        why = f"every event would be in {period_ns // every_ns} windows, more than {MOST_WINDOWS}: make every longer"
        raise source.error(fields["every"], why)
    key = read_group_by(source, fields["group_by"])
    return Windowed("window", key, lateness_ns, every_ns=every_ns, period_ns=period_ns)


def _absence(source: Source, node: Node, lateness_ns: int) -> Windowed:
    example = "{of: action = 'backup.write', longer_than: 24h, group_by: [tenant]}"
    fields = _wanted(source, node, ("of", "longer_than", "group_by"), example)
    longest_ns = read_duration(source, fields["longer_than"], "longer_than")
    key = read_group_by(source, fields["group_by"])
    return Windowed("absence", key, lateness_ns, steps=(source.text(fields["of"], "of"),), within_ns=(longest_ns,))


def _sequence(source: Source, node: Node, lateness_ns: int, key: tuple[str, ...]) -> Windowed:
    items = source.items(node, "sequence")
    if not 2 <= len(items) <= MOST_STEPS:  # noqa: PLR2004 - one event is no sequence
        raise source.error(node, f"a sequence has 2 to {MOST_STEPS} steps: [{{when: ...}}, {{when: ..., within: 1h}}]")
    steps, within = [], []
    for number, item in enumerate(items):
        fields = source.fields(item, ("when", "within"), "a step of a sequence")
        if "when" not in fields:
            raise source.error(item, "a step of a sequence needs when")
        if number == 0 and "within" in fields:
            raise source.error(fields["within"], "the first step has nothing before it: leave within out")
        if number and "within" not in fields:
            raise source.error(item, "a step behind the first needs within: how long after the one before, like 24h")
        steps.append(source.text(fields["when"], "when"))
        if number:
            within.append(read_duration(source, fields["within"], "within"))
    return Windowed("sequence", key, lateness_ns, steps=tuple(steps), within_ns=tuple(within))


def _wanted(source: Source, node: Node, names: tuple[str, ...], example: str) -> dict[str, Node]:
    fields = source.fields(node, names, "this")
    for name in names:
        if name not in fields:
            raise source.error(node, f"{name} is missing: {example}")
    return fields
