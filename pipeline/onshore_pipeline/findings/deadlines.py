"""The clocks that a finding starts: its control's own, and those that the control names under `clocks`.

Read from the controls' texts in the store, so that whoever can read findings can tell their deadlines.

A clock that another control owns is of an incident that a person declares: it runs from when somebody says that he was
aware of it (from the assessment or the occurrence where it says so), never from a mere detection.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, get_args

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from onshore_pipeline.domain.control import Clock, ClockStart
from onshore_pipeline.findings.clocks import Deadline, due_at
from onshore_pipeline.findings.holiday_lists import HolidaysUnknown, holidays_named

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import date, datetime
    from pathlib import Path

    from onshore_pipeline.findings.life import Life
    from onshore_pipeline.findings.standing import Store

_STARTS: Final = get_args(ClockStart)
_TEXTS: Final = """
SELECT toString(control_id) AS control_id, argMax(text, (version, loaded_at)) AS text FROM controls GROUP BY control_id
"""
_WAITS: Final = {
    "aware": "runs once somebody says when he became aware: onshore findings aware",
    "assessed": "runs once somebody says when it was assessed: onshore findings assess",
}


@dataclass(frozen=True, slots=True)
class NamedClock:
    """A clock and the control that has it; `is_own` where that is the finding's control."""

    control_id: str
    clock: Clock
    is_own: bool


class ClockTexts:
    """The clocks of some controls, as their newest texts in the store have them."""

    def __init__(self, store: Store, controls: Collection[tuple[str, int]]) -> None:
        """Read the texts once. Raises what the store raises."""
        texts = dict(store.frame(_TEXTS).select("control_id", "text").iter_rows()) if controls else {}
        self._clocks = {control: tuple(_clocks(control, texts)) for control, _ in controls}

    def clocks_of(self, control_id: str) -> tuple[NamedClock, ...]:
        """The control's own clock first."""
        return self._clocks.get(control_id, ())

    def needs_detection(self, control_id: str) -> bool:
        """Whether a clock of the control runs from when a finding was first detected."""
        return any(each.is_own and each.clock.start == "detected" for each in self.clocks_of(control_id))


def _clocks(control_id: str, texts: dict[str, str]) -> Iterable[NamedClock]:
    own = _read(texts.get(control_id, ""))
    for name, told, is_own in (
        (control_id, own.get("clock"), True),
        *((name, _read(texts.get(name, "")).get("clock"), False) for name in own.get("clocks") or ()),
    ):
        if isinstance(told, dict) and told.get("start") in _STARTS:
            zone, holidays = (told.get(key) for key in ("zone", "holidays"))
            yield NamedClock(str(name), Clock(told["start"], str(told.get("deadline")), zone, holidays), is_own)


@cache
def _read(text: str) -> dict[str, Any]:
    """A control's text as it was loaded, which was checked then; nothing for one that is not there."""
    try:
        told = YAML(typ="safe", pure=True).load(text)
    except YAMLError:
        return {}
    return told if isinstance(told, dict) else {}


def deadlines(
    clocks: Iterable[NamedClock], occurred: datetime, detected: datetime, life: Life, holidays: Path | None = None
) -> tuple[Deadline, ...]:
    """Every clock with the moment from which it runs and until when.

    `occurred` and `detected` are of the finding's first event, or of the one with which it recurred; `holidays` is the
    folder of the lists.
    """
    moments = {"occurred": occurred, "detected": detected, "aware": life.aware_at, "assessed": life.assessed_at}
    told = []
    for each in clocks:
        start = each.clock.start
        from_start: ClockStart = "aware" if start == "detected" and not each.is_own else start
        began = moments[from_start]
        zone = each.clock.zone or "UTC"
        if began is None:
            told.append(Deadline(each.control_id, start, each.clock.deadline, zone, None, None, _WAITS[from_start]))
        else:
            told.append(_running(each, began, zone, holidays))
    return tuple(told)


def _running(named: NamedClock, began: datetime, zone: str, holidays: Path | None) -> Deadline:
    clock, due, why = named.clock, None, ""

    def is_holiday(day: date) -> bool:
        return holidays_named(holidays, clock.holidays or "")(day)

    try:
        due = due_at(began, clock.deadline, zone, is_holiday)
    except (ValueError, HolidaysUnknown) as error:
        why = f"cannot be told: {error}"
    return Deadline(named.control_id, clock.start, clock.deadline, zone, began, due, why)
