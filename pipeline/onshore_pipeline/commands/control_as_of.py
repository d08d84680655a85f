"""Which text of a control is in force on a day, as the files and the decisions beside them say."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from onshore_pipeline.commands.control_runs import moment
from onshore_pipeline.errors import ControlError, OnshoreError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from onshore_pipeline.controls.compiled import Compiled

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_DATE_LENGTH: Final = len("2026-11-26")


def texts_in_force(folders: Sequence[Path]) -> tuple[Compiled, ...]:
    """Every text of these folders, with the span in which it judges. Raises `ControlError`, naming each bad file."""
    from onshore_pipeline.controls.load import check_controls

    found, problems, _ = check_controls(*folders)
    if problems:
        raise ControlError.of(problems)
    return found


def text_as_of(known: Sequence[Compiled], control_id: str, as_of: str) -> tuple[Compiled, dict[str, str]]:
    """The text of a control that judges what happens at a time, or at the end of a day, and what is to be told of it.

    Raises:
        OnshoreError: `as_of` is no time, or nothing is in force then; the text says why.
    """
    at = moment("--as-of", as_of)
    if len(as_of) == _DATE_LENGTH:
        at += timedelta(days=1) - _MICROSECOND
    own = [each for each in known if each.control.id == control_id]
    now_ns = (at - _EPOCH) // _MICROSECOND * 1_000
    judges = [each for each in own if _begins(each) <= now_ns < _ends(each)]
    if not judges:
        before = [each for each in own if _ends(each) <= now_ns]
        why = f"it was retired on {_day(before[-1].span.until_ns)}" if before else "its first text comes later"
        raise OnshoreError(f"{control_id}: no text of it is in force on {as_of}: {why}")
    [compiled] = judges
    _refuse_outside(compiled, control_id, as_of, at.date())
    told = {"as_of": as_of, "version": str(compiled.control.version)}
    if compiled.span.since_ns is not None:
        told["judges_from"] = _day(compiled.span.since_ns)
    if compiled.span.until_ns is not None:
        told["judges_until"] = _day(compiled.span.until_ns)
    return compiled, told


def _refuse_outside(compiled: Compiled, control_id: str, as_of: str, day: date) -> None:
    """Stop where the law that the text rests on is not in force."""
    control = compiled.control
    if day < control.effective_from:
        raise OnshoreError(f"{control_id}: not in force on {as_of}: it begins on {control.effective_from}")
    if control.effective_to is not None and day > control.effective_to:
        raise OnshoreError(f"{control_id}: not in force on {as_of}: it ended on {control.effective_to}")


def _begins(compiled: Compiled) -> float:
    return -float("inf") if compiled.span.since_ns is None else compiled.span.since_ns


def _ends(compiled: Compiled) -> float:
    return float("inf") if compiled.span.until_ns is None else compiled.span.until_ns


def _day(ns: int | None) -> str:
    assert ns is not None
    return f"{_EPOCH + timedelta(microseconds=ns // 1_000):%Y-%m-%d %H:%M:%S} UTC"
