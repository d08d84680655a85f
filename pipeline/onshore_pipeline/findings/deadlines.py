"""The clocks that a finding starts: its control's own, and those that the control names under `clocks`.

Read from the controls' texts in the store, so that whoever can read findings can tell their deadlines. The text that
judged is the text whose clock runs: one that is not in force yet changes no deadline, and a later one none of before.

A clock that another control owns is of an incident that a person declares: it runs from when somebody says that he was
aware of it (from the assessment or the occurrence where it says so), never from a mere detection.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, get_args

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from onshore_pipeline.domain.control import Clock, ClockStart
from onshore_pipeline.findings.clocks import Deadline, due_at
from onshore_pipeline.findings.holiday_lists import HolidaysUnknown, holidays_named
from onshore_pipeline.findings.life import moment

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import date, datetime
    from pathlib import Path

    from onshore_pipeline.findings.life import Incident, Life
    from onshore_pipeline.findings.standing import Store

_STARTS: Final = get_args(ClockStart)
# Every version's text, as it was loaded last.
_TEXTS: Final = """
SELECT toString(control_id) AS control_id, version, argMax(text, loaded_at) AS text FROM controls
GROUP BY control_id, version
"""
# Which versions judge from when on; of one that nobody activated it is not known.
_ACTIVATED: Final = """
SELECT attributes['onshore.control.id'] AS control_id, toUInt32OrZero(attributes['onshore.control.version']) AS version,
    attributes['onshore.control.effective_at'] AS effective_at
FROM message_actions_current WHERE action = 'control.activate'
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
    """The clocks of some controls, each as the text that judges has it."""

    def __init__(self, store: Store, controls: Collection[str]) -> None:
        """Read the texts once. Raises what the store raises."""
        self._texts: dict[str, dict[int, str]] = defaultdict(dict)
        self._since: dict[tuple[str, int], datetime] = {}
        if controls:
            for row in store.frame(_TEXTS).iter_rows(named=True):
                self._texts[row["control_id"]][row["version"]] = row["text"]
            for row in store.frame(_ACTIVATED).iter_rows(named=True):
                since = moment(row["effective_at"])
                if since is not None:
                    self._since[row["control_id"], row["version"]] = since
        texts = {each: self._texts.get(each, {}).values() for each in controls}
        self.clocked = frozenset(each for each, own in texts.items() if any(map(_has_clocks, own)))

    def clocks_of(self, control_id: str, version: int, at: datetime) -> tuple[NamedClock, ...]:
        """The clocks of what a version judged, its own first; those that it names as they were in force `at` a time."""
        own = _read(self._texts[control_id].get(version) or self._in_force(control_id, at))
        named = ((str(name), _read(self._in_force(str(name), at)), False) for name in own.get("clocks") or ())
        return tuple(
            NamedClock(name, _clock(text["clock"]), is_own)
            for name, text, is_own in ((control_id, own, True), *named)
            if _has_clock(text)
        )

    def _in_force(self, control_id: str, at: datetime) -> str:
        """The newest text but those that judge from a later time on; the oldest where all of them do."""
        texts = self._texts[control_id]
        begun = [each for each in texts if self._since.get((control_id, each), at) <= at]
        return texts[max(begun) if begun else min(texts)] if texts else ""


def _has_clocks(text: str) -> bool:
    told = _read(text)
    return _has_clock(told) or bool(told.get("clocks"))


def _has_clock(text: Mapping[str, Any]) -> bool:
    clock = text.get("clock")
    return isinstance(clock, dict) and clock.get("start") in _STARTS


def _clock(told: Mapping[str, Any]) -> Clock:
    zone, holidays = (str(told[key]) if told.get(key) is not None else None for key in ("zone", "holidays"))
    return Clock(told["start"], str(told.get("deadline")), zone, holidays)


@cache
def _read(text: str) -> dict[str, Any]:
    """A control's text as it was loaded, which was checked then; nothing for one that is not there."""
    try:
        told = YAML(typ="safe", pure=True).load(text)
    except YAMLError:
        return {}
    return told if isinstance(told, dict) else {}


def incident_deadlines(
    texts: ClockTexts, control_id: str, incident: Incident, life: Life, holidays: Path | None = None
) -> tuple[Deadline, ...]:
    """Every clock of an incident: each version's from what that version found, one that several have once."""
    found: dict[tuple[str, ...], Deadline] = {}
    for start in incident.starts:
        clocks = texts.clocks_of(control_id, start.version, start.occurred)
        for each in deadlines(clocks, start.occurred, start.known, life, holidays):
            found.setdefault((each.clock_id, each.start, each.within, each.zone), each)
    return tuple(found.values())


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
