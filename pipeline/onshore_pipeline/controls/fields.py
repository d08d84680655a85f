"""The schema of a control file: which fields there are, and what each may hold."""

from __future__ import annotations

import re
from datetime import date
from functools import cache
from typing import TYPE_CHECKING, Final, TypeVar, cast
from zoneinfo import available_timezones

from ruamel.yaml.nodes import ScalarNode

from onshore_pipeline.controls.example_fields import read_examples, read_group_by
from onshore_pipeline.controls.suggestions import did_you_mean
from onshore_pipeline.controls.windowed_examples import read_windowed_examples
from onshore_pipeline.controls.windowed_fields import LATENESS, WINDOWED_FIELDS, read_windowed
from onshore_pipeline.domain import control as words
from onshore_pipeline.domain.control import Clock, Control
from onshore_pipeline.domain.event import DOMAINS, FIRST_DAY, LAST_DAY
from onshore_pipeline.domain.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ruamel.yaml.nodes import Node

    from onshore_pipeline.controls.yaml_source import Source
    from onshore_pipeline.domain.control import Example

T = TypeVar("T")

_ALWAYS: Final = (
    *("id", "version", "title", "jurisdiction", "instrument", "effective_from", "confidence", "checked_on"),
    *("kind", "severity", "rationale", "evidence", "remediation"),
)
_WHEN_IT_RUNS: Final = ("domain", "applies", "violated", "group_by", "needs", "examples")
# What a control that looks beyond one event may leave out: it says it in another field, or it goes without saying.
_LEFT_OUT: Final = {
    "window": ("group_by",),
    "sequence": ("applies", "violated"),
    "absence": ("applies", "violated", "group_by"),
}
_OPTIONAL: Final = ("effective_to", "outcomes", "clock", "clocks", "maps_to", "status")
# What a control without a condition has to say instead, by its status.
_INSTEAD: Final = {"clock": ("clock", "needs"), "catalogue": ("needs",)}
CONTROL_FIELDS: Final = (*_ALWAYS, *_WHEN_IT_RUNS, *_OPTIONAL, *WINDOWED_FIELDS, LATENESS)

_ID = re.compile(r"[A-Z][A-Z0-9]*(-[A-Z0-9.]+)+")
_JURISDICTION = re.compile(r"[A-Z]{2}|\*")
_POSITIVE = re.compile(r"[1-9][0-9]{0,8}")
_DEADLINE = re.compile(r"[1-9][0-9]{0,3}(h|d|bd|mo)")
_HOLIDAYS = re.compile(r"[A-Za-z0-9_-]+")
_DEMANDED_VERDICTS: Final = (Verdict.VIOLATED, Verdict.SATISFIED, Verdict.UNDETERMINED)


def read_fields(source: Source, fields: Mapping[str, Node], digest: str) -> Control | None:
    """The control that these fields make, or None if there are problems; they are collected in `source`.

    The conditions are taken as texts; `load` checks them.
    """
    return _FieldReader(source, fields).control(digest)


class _FieldReader:
    def __init__(self, source: Source, fields: Mapping[str, Node]) -> None:
        self._source, self._fields = source, fields

    def control(self, digest: str) -> Control | None:
        status = self._word("status", words.STATUSES, "executable")
        confidence = self._word("confidence", words.CONFIDENCES, "check")
        if confidence == "check" and status == "executable":
            status = "disabled"
        runs = status in {"executable", "disabled"}
        left_out = {name for field in WINDOWED_FIELDS if field in self._fields for name in _LEFT_OUT[field]}
        for name in (*_ALWAYS, *(_WHEN_IT_RUNS if runs else _INSTEAD.get(status, ()))):
            if name not in self._fields and name not in left_out:
                self._source.problems.append(self._source.error(self._source.root, f"the field {name} is missing"))
        windowed = self._source.collect(lambda: read_windowed(self._source, self._fields), None)
        key = ("tenant",) if windowed is None else windowed.key
        control = Control(
            id=self._matching("id", _ID, "an id in capitals like AU-APP8-01"),
            version=int(self._matching("version", _POSITIVE, "a positive integer") or 1),
            title=self._text("title"),
            jurisdiction=self._matching("jurisdiction", _JURISDICTION, "an alpha-2 code like AU, or '*' for any"),
            instrument=self._text("instrument"),
            effective_from=self._get("effective_from", self._date, date.min),
            effective_to=self._get("effective_to", self._date, None),
            confidence=confidence,
            checked_on=self._get("checked_on", self._date, date.min),
            kind=self._word("kind", words.CONTROL_KINDS, "review"),
            severity=self._word("severity", words.SEVERITIES, "info"),
            outcomes=self._words("outcomes", words.KNOWN_OUTCOMES, ("success",)),
            clock=self._get("clock", self._clock, None),
            clocks=self._get("clocks", self._texts, ()),
            domains=self._words("domain", DOMAINS, ()),
            applies=self._text("applies"),
            violated=self._text("violated"),
            group_by=self._get("group_by", lambda node, _: read_group_by(self._source, node), key),
            needs=self._text("needs"),
            rationale=self._text("rationale"),
            evidence=self._text("evidence"),
            remediation=self._text("remediation"),
            maps_to=self._get("maps_to", self._texts, ()),
            examples=self._get("examples", self._examples, ()),
            status=status,
            file=str(self._source.path),
            digest=digest,
            windowed=windowed,
        )
        if self._source.problems:
            return None
        self._check(control, runs=runs)
        return None if self._source.problems else control

    def _check(self, control: Control, *, runs: bool) -> None:
        if control.effective_to is not None and control.effective_to < control.effective_from:
            self._problem("effective_to", f"effective_to lies before effective_from ({control.effective_from})")
        never = f"no event can lie then: events lie between {FIRST_DAY} and {LAST_DAY}"
        if control.effective_from > LAST_DAY:
            self._problem("effective_from", f"effective_from {control.effective_from}: {never}")
        if control.effective_to is not None and control.effective_to < FIRST_DAY:
            self._problem("effective_to", f"effective_to {control.effective_to}: {never}")
        if not FIRST_DAY <= control.checked_on <= LAST_DAY:
            self._problem("checked_on", f"checked_on {control.checked_on} is no day on which a control was checked")
        if control.windowed is not None and not set(control.group_by) <= set(control.windowed.key):
            others = ", ".join(sorted(set(control.group_by) - set(control.windowed.key)))
            self._problem("group_by", f"{others} may differ within what is judged together: group_by takes of its key")
        given = {example.verdict for example in control.examples}
        lacking = [verdict.value for verdict in _DEMANDED_VERDICTS if verdict not in given]
        if runs and lacking:
            self._problem("examples", f"the examples show no event that is {', nor one that is '.join(lacking)}")

    def _examples(self, node: Node, _: str) -> tuple[Example, ...]:
        if any(field in self._fields for field in WINDOWED_FIELDS):
            return read_windowed_examples(self._source, node)
        return read_examples(self._source, node)

    def _problem(self, name: str, why: str) -> None:
        self._source.problems.append(self._source.error(self._fields[name], why))

    def _get(self, name: str, read: Callable[[Node, str], T], otherwise: T) -> T:
        node = self._fields.get(name)
        if node is None or (self._source.is_null(node) and name in _OPTIONAL):
            return otherwise
        return self._source.collect(lambda: read(node, name), otherwise)

    def _text(self, name: str) -> str:
        def read(node: Node, name: str) -> str:
            text = self._source.text(node, name).strip()
            if not text:
                raise self._source.error(node, f"{name} is empty")
            return text

        return self._get(name, read, "")

    def _matching(self, name: str, pattern: re.Pattern[str], what: str) -> str:
        text = self._text(name)
        if text and not pattern.fullmatch(text):
            self._problem(name, f"{name} must be {what}, found {text!r}")
            return ""
        return text

    def _word(self, name: str, allowed: Sequence[T], otherwise: T) -> T:
        return self._get(name, lambda node, name: self._one_of(node, name, allowed), otherwise)

    def _words(self, name: str, allowed: Sequence[str], otherwise: tuple[str, ...]) -> tuple[str, ...]:
        def read(node: Node, name: str) -> tuple[str, ...]:
            items = [node] if isinstance(node, ScalarNode) else self._source.items(node, name)
            found = {self._one_of(item, name, allowed) for item in items}
            if not found:
                raise self._source.error(node, f"{name} is empty")
            return tuple(word for word in allowed if word in found)

        return self._get(name, read, otherwise)

    def _one_of(self, node: Node, name: str, allowed: Sequence[T]) -> T:
        text = self._source.text(node, name)
        if text not in allowed:
            raise self._source.error(node, f"{name} is one of {', '.join(map(str, allowed))}, not {text!r}")
        return cast("T", text)

    def _texts(self, node: Node, name: str) -> tuple[str, ...]:
        return tuple(self._source.text(item, name) for item in self._source.items(node, name))

    def _date(self, node: Node, name: str) -> date:
        text = self._source.text(node, name)
        try:
            return date.fromisoformat(text)
        except ValueError as error:
            raise self._source.error(node, f"{name} must be a date like 2025-04-01, found {text!r}") from error

    def _clock(self, node: Node, name: str) -> Clock:
        fields = self._source.fields(node, ("start", "deadline", "zone", "holidays"), name)
        for wanted in ("start", "deadline"):
            if wanted not in fields:
                raise self._source.error(node, f"clock needs {wanted}: {{start: aware, deadline: 72h}}")
        start = self._one_of(fields["start"], "start", words.CLOCK_STARTS)
        deadline = self._source.text(fields["deadline"], "deadline")
        if not _DEADLINE.fullmatch(deadline):
            raise self._source.error(fields["deadline"], f"deadline is written 72h, 30d, 20bd or 1mo, not {deadline!r}")
        zone = self._zone(fields["zone"]) if "zone" in fields else None
        holidays = self._holidays(fields["holidays"]) if "holidays" in fields else None
        if deadline.endswith("bd") and not (zone and holidays):
            raise self._source.error(fields["deadline"], "business days need a zone and a list of holidays")
        return Clock(start, deadline, zone, holidays)

    def _zone(self, node: Node) -> str:
        text = self._source.text(node, "zone")
        if text not in _zones():
            hint = did_you_mean(text, _zones()) or ", like Australia/Sydney; without one it is UTC"
            raise self._source.error(node, f"zone: no time zone is named {text!r}{hint}")
        return text

    def _holidays(self, node: Node) -> str:
        text = self._source.text(node, "holidays")
        if not _HOLIDAYS.fullmatch(text):
            why = "holidays names a list in letters, digits, _ and - (holidays/NAME.txt beside the registries)"
            raise self._source.error(node, f"{why}, not {text!r}")
        return text


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())
