"""`onshore controls backtest`: what a control's text says about the events that the store holds."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onshore_pipeline.commands.control_runs import moment
from onshore_pipeline.commands.dead_letters import reader_of
from onshore_pipeline.commands.options import DataDirOption, JsonOption
from onshore_pipeline.errors import ControlError, OnshoreError
from onshore_pipeline.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onshore_pipeline.controls.compiled import Compiled
    from onshore_pipeline.jobs.backtest import Backtest, Day, Estimate
    from onshore_pipeline.jobs.backtest_windowed import WindowedBacktest
    from onshore_pipeline.store.reader import Reader

_WORDS = ("violated", "undetermined", "satisfied")


def backtest_control(
    control_id: Annotated[str, typer.Argument(metavar="ID", help="For example AU-APP8-01")],
    since: Annotated[str, typer.Option("--from", metavar="TIME", help="2026-11-01 or 2026-11-01T08:00Z")],
    until: Annotated[str, typer.Option("--to", metavar="TIME", help="The same; not included")],
    against: Annotated[Path | None, typer.Option(help="A file with another text of the control")] = None,
    first: Annotated[int, typer.Option(min=0, max=1000, help="How many differing events to show")] = 10,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
) -> int:
    """Run a control over stored events, day by day, beside another text of it and beside what was sealed.

    Each of its texts judges the events of its own time. Exit 1 if one says something else about a day than the worker
    sealed by that same version. What was sealed of single events is counted by the hour: whole hours are compared.
    """
    old, new = _texts(control_id, against, data_dir)
    start, end = moment("--from", since), moment("--to", until)
    if end <= start:
        raise OnshoreError(f"--to {until} does not lie behind --from {since}")
    test = _test(reader_of(data_dir), old, new)
    estimate = test.estimate(start, end)
    if not as_json:
        typer.echo(
            f"about {estimate.rows:,} events, {estimate.bytes / 2**20:,.0f} MiB uncompressed, {estimate.seconds:,.0f} s"
        )
    began = time.monotonic()
    days, done = [], 0
    for day in test.days(start, end):
        days.append(day)
        done += day.rows
        _progress(done, estimate.rows, time.monotonic() - began)
    took_s = time.monotonic() - began
    differing: list[dict[str, Any]] = []
    changed = [day for day in days if day.changed]
    if changed and first:
        differing = test.differing(changed[0].since, changed[-1].until, first)
    if as_json:
        typer.echo(json.dumps(_as_json(control_id, days, differing, estimate, took_s), default=str, ensure_ascii=False))
    else:
        _print(days, differing, took_s, test.counts)
    return 1 if any(day.agreement == "differs" for day in days) else 0


def _test(store: Reader, old: Sequence[Compiled], new: Compiled | None) -> Backtest | WindowedBacktest:
    from onshore_pipeline.jobs.backtest import Backtest
    from onshore_pipeline.jobs.backtest_windowed import WindowedBacktest

    texts = [*old, *([new] if new is not None else [])]
    windowed = [each.windowed for each in old if each.windowed is not None]
    if not any(each.windowed for each in texts):
        return Backtest(store, old, new)
    if any(each.windowed is None for each in texts):
        raise OnshoreError(
            "one text looks at single events and the other at more than one: what they count cannot be compared;"
            " run the new text with an id of its own"
        )
    return WindowedBacktest(store, windowed, new.windowed if new is not None else None)


def _texts(control_id: str, against: Path | None, data_dir: Path | None) -> tuple[list[Compiled], Compiled | None]:
    """The control's texts, each with the time in which it judges, and the one of the file."""
    from onshore_pipeline.controls.load import PACKS, check_controls, read_text
    from onshore_pipeline.controls.suggestions import did_you_mean
    from onshore_pipeline.jobs.backtest import refused

    own = load_settings({"data_dir": data_dir}).controls_dir
    known, problems, lists = check_controls(*([PACKS] if own is None else [PACKS, own]))
    if problems:
        raise ControlError.of(problems)
    old = [each for each in known if each.control.id == control_id]
    new = None
    if against is not None:
        if not against.is_file():
            raise OnshoreError(f"{against} is no file: name the control's other text")
        new = read_text(against, known, lists)
        if new.control.id != control_id:
            raise OnshoreError(f"{against} holds {new.control.id}, not {control_id}: compare a control with itself")
    if not old and new is None:
        ids = [each.control.id for each in known]
        raise OnshoreError(f"no control has the id {control_id}{did_you_mean(control_id.upper(), ids)}")
    for each in [*old, *([new] if new is not None else [])]:
        if why := refused(each):
            raise OnshoreError(why)
    return old, new


def _progress(done: int, rows: int, took_s: float) -> None:
    """Replaces its own line on a terminal; says nothing elsewhere."""
    if sys.stderr.isatty():
        share = f"{min(done / rows, 1):4.0%}" if rows else "100%"
        left = f", {took_s / done * max(0, rows - done):,.0f} s left" if done else ""
        sys.stderr.write(f"\r{share} {done:,} of {rows:,} events{left}\x1b[K" + ("\n" if done >= rows else ""))
        sys.stderr.flush()


def _as_json(
    control_id: str, days: list[Day], differing: list[dict[str, Any]], estimate: Estimate, took_s: float
) -> dict[str, Any]:
    return {
        "control": control_id,
        "estimate": asdict(estimate),
        "days": [asdict(day) for day in days],
        "changed": sum(day.changed for day in days),
        "first_differing": differing,
        "read": {"rows": sum(day.rows for day in days), "seconds": round(took_s, 3)},
    }


def _print(days: list[Day], differing: list[dict[str, Any]], took_s: float, counts: str) -> None:
    notes = {"partly": "the worker judged only some of them by this version", "none": "not judged by this version"}
    for day in days:
        if not day.rows:
            continue
        new = f"   new: {_said(day.new)}, {day.changed:,} changed" if day.new is not None else ""
        sealed = "as sealed" if day.agreement == "equal" else notes.get(day.agreement, "")
        if day.agreement == "differs":
            sealed = "SEALED OTHERWISE: " + "; ".join(f"v{each}: {_said(day.stored[each])}" for each in day.stored)
        typer.echo(f"{day.since:%Y-%m-%d}  {_said(day.old)}  ({_compared(day, sealed)}){new}")
    if not any(day.rows for day in days):
        typer.echo(f"the store holds no {counts} of the control's domains in this period")
    for event in differing:
        told = {name: value for name, value in event.items() if name not in {"event_id", "old", "new"}}
        typer.echo(f"{event['event_id']}  {event['old']} -> {event['new']}  {json.dumps(told, ensure_ascii=False)}")
    typer.echo(f"{sum(day.rows for day in days):,} {counts} in {took_s:.1f} s")


def _compared(day: Day, sealed: str) -> str:
    """With the hours that this is about, where they are not all that was asked for."""
    if day.compared is None:
        return "no whole hour to compare with what was sealed"
    first, behind = day.compared
    hours = f" from {first:%H:%M} to {'24:00' if behind.date() > first.date() else f'{behind:%H:%M}'}, whole hours"
    return sealed + (hours if day.compared != (day.since, day.until) else "")


def _said(counts: dict[str, int]) -> str:
    return ", ".join(f"{counts.get(word, 0):,} {word}" for word in _WORDS)
