"""`onshore findings`: what people must look at, until when, and what they did about it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from onshore_pipeline.commands import finding_texts
from onshore_pipeline.commands.acting import Place, is_sealed, place_of, record, say_waiting, time_of, told
from onshore_pipeline.commands.options import DataDirOption, JsonOption, cut
from onshore_pipeline.domain.control import SEVERITIES
from onshore_pipeline.errors import OnshoreError
from onshore_pipeline.findings import life
from onshore_pipeline.findings.about import about
from onshore_pipeline.findings.history import restatements
from onshore_pipeline.findings.standing import Standing, Wanted, deleted_events, standings

if TYPE_CHECKING:
    from onshore_pipeline.actions import Recorded

app = typer.Typer(
    help="What people must look at: list it, act on it. Every action is recorded and sealed.",
    no_args_is_help=True,
    add_completion=False,
)

FindingId = Annotated[str, typer.Argument(metavar="ID", help="A finding's id, or the first 8 or more characters of it")]
WhoOption = Annotated[str, typer.Option("--as", metavar="PERSON", help="Who does it; recorded")]
ReasonOption = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; recorded")]
AtOption = Annotated[str, typer.Option("--at", metavar="TIME", help="When: 2026-11-26T08:30+11:00; UTC without a zone")]
_SHORTEST_ID: Final = 8


@app.command("list")
def list_findings(
    tenant: Annotated[str | None, typer.Option(help="Of one tenant")] = None,
    control: Annotated[str | None, typer.Option(help="Of one control")] = None,
    severity: Annotated[str | None, typer.Option(help=", ".join(SEVERITIES))] = None,
    state: Annotated[str | None, typer.Option(help=", ".join(life.STATES))] = None,
    due_before: Annotated[
        str | None, typer.Option("--due-before", metavar="TIME", help="Whose clock ends before then")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="The first so many")] = 50,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
) -> None:
    """List findings: what is due first, then the worst; what is closed or waived last."""
    if severity is not None and severity not in SEVERITIES:
        raise OnshoreError(f"--severity {severity}: must be one of {', '.join(SEVERITIES)}")
    if state is not None and state not in life.STATES:
        raise OnshoreError(f"--state {state}: must be one of {', '.join(life.STATES)}")
    until = time_of("--due-before", due_before) if due_before else None
    named = next((each for each in life.STATES if each == state), None)
    now = datetime.now(UTC)
    place = place_of(data_dir)
    found = standings(place.reader, Wanted(tenant, control, severity, named, until), now, place.folders)
    if as_json:
        told = [finding_texts.as_json(each, now) for each in cut(found, limit, "first")]
        typer.echo(json.dumps(told, ensure_ascii=False))
        return
    if not found:
        narrowed = any((tenant, control, severity, state, due_before))
        typer.echo("no findings like that" if narrowed else finding_texts.NOTHING)
        return
    for each in found[:limit]:
        for line in finding_texts.lines(each, now):
            typer.echo(line)
    typer.echo(finding_texts.summary(found, min(limit, len(found))))


@app.command("show")
def show_finding(finding_id: FindingId, as_json: JsonOption = False, data_dir: DataDirOption = None) -> None:
    """Show one finding: its law, what to do first, its newest events, clocks, waiver, and its whole history."""
    place, now = place_of(data_dir), datetime.now(UTC)
    found = _one(place, finding_id, now)
    deleted = deleted_events(place.reader, found.finding_id)
    restated, behind = restatements(place.reader, found.finding_id), about(place.reader, found)
    if as_json:
        told = finding_texts.as_json(found, now, restated) | {"events_deleted": deleted}
        told |= finding_texts.about_json(behind)
        told["restatements"] = [finding_texts.restatement_json(each) for each in restated]
        typer.echo(json.dumps(told, ensure_ascii=False))
        return
    for line in finding_texts.details(found, now, deleted, restated, behind):
        typer.echo(line)


@app.command("ack")
def acknowledge(
    finding_id: FindingId, who: WhoOption, reason: ReasonOption = "", as_json: JsonOption = False,
    data_dir: DataDirOption = None,
) -> int:  # fmt: skip
    """Say that somebody has seen it."""
    return _act(life.ACKNOWLEDGE, finding_id, who, reason, {}, as_json, data_dir)


@app.command("assign")
def assign(
    finding_id: FindingId,
    who: WhoOption,
    to: Annotated[str, typer.Option("--to", metavar="PERSON", help="Whose it is from now on")],
    reason: ReasonOption = "", as_json: JsonOption = False, data_dir: DataDirOption = None,
) -> int:  # fmt: skip
    """Give it to somebody."""
    return _act(life.ASSIGN, finding_id, who, reason, {life.OWNER: to}, as_json, data_dir)


@app.command("start")
def start(
    finding_id: FindingId, who: WhoOption, reason: ReasonOption = "", as_json: JsonOption = False,
    data_dir: DataDirOption = None,
) -> int:  # fmt: skip
    """Say that work on it has begun."""
    return _act(life.START, finding_id, who, reason, {}, as_json, data_dir)


@app.command("comment")
def comment(
    finding_id: FindingId,
    who: WhoOption,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What to say; recorded, and never deleted")],
    as_json: JsonOption = False, data_dir: DataDirOption = None,
) -> int:  # fmt: skip
    """Say something about it."""
    if not text.strip():
        raise OnshoreError("a comment says something")
    return _act(life.COMMENT, finding_id, who, text, {}, as_json, data_dir)


@app.command("resolve")
def resolve(
    finding_id: FindingId, who: WhoOption, reason: ReasonOption, as_json: JsonOption = False,
    data_dir: DataDirOption = None,
) -> int:  # fmt: skip
    """Close it: what was wrong is put right. An event that violates later opens it again."""
    return _act(life.RESOLVE, finding_id, who, reason, {}, as_json, data_dir)


@app.command("false-positive")
def false_positive(
    finding_id: FindingId, who: WhoOption, reason: ReasonOption, as_json: JsonOption = False,
    data_dir: DataDirOption = None,
) -> int:  # fmt: skip
    """Close it: nothing was wrong. An event that violates later opens it again."""
    return _act(life.FALSE_POSITIVE, finding_id, who, reason, {}, as_json, data_dir)


@app.command("reopen")
def reopen(
    finding_id: FindingId, who: WhoOption, reason: ReasonOption = "", as_json: JsonOption = False,
    data_dir: DataDirOption = None,
) -> int:  # fmt: skip
    """Open a closed one again."""
    return _act(life.REOPEN, finding_id, who, reason, {}, as_json, data_dir)


@app.command("severity")
def override_severity(
    finding_id: FindingId,
    level: Annotated[str, typer.Argument(metavar="SEVERITY", help=", ".join(SEVERITIES))],
    who: WhoOption,
    reason: ReasonOption, as_json: JsonOption = False, data_dir: DataDirOption = None,
) -> int:  # fmt: skip
    """Give it another severity than its control's, and say why."""
    if level not in SEVERITIES:
        raise OnshoreError(f"{level}: must be one of {', '.join(SEVERITIES)}")
    return _act(life.SEVERITY, finding_id, who, reason, {life.GIVEN_SEVERITY: level}, as_json, data_dir)


@app.command("aware")
def aware(
    finding_id: FindingId, who: WhoOption, at: AtOption, reason: ReasonOption = "", as_json: JsonOption = False,
    data_dir: DataDirOption = None,
) -> int:  # fmt: skip
    """Say since when somebody was aware of it: clocks run from the earliest time that is said."""
    said = time_of("--at", at).isoformat()
    return _act(life.AWARE, finding_id, who, reason, {life.AT: said}, as_json, data_dir)


@app.command("assess")
def assess(
    finding_id: FindingId, who: WhoOption, at: AtOption, reason: ReasonOption = "", as_json: JsonOption = False,
    data_dir: DataDirOption = None,
) -> int:  # fmt: skip
    """Say when it was assessed as what must be notified: clocks run from the earliest time that is said."""
    said = time_of("--at", at).isoformat()
    return _act(life.ASSESS, finding_id, who, reason, {life.AT: said}, as_json, data_dir)


def _one(place: Place, named: str, now: datetime) -> Standing:
    """The finding whose id begins so. Raises `OnshoreError` where there is none, or more than one."""
    prefix = named.strip().lower()
    if len(prefix) < _SHORTEST_ID:
        raise OnshoreError(f"{named!r}: give at least the first {_SHORTEST_ID} characters of a finding's id")
    found = standings(place.reader, Wanted(prefix=prefix), now, place.folders)
    if not found:
        raise OnshoreError(f"no finding's id begins with {named}; see onshore findings list")
    if len(found) > 1:
        raise OnshoreError(f"{len(found)} findings' ids begin with {named}: give more of it")
    return found[0]


def _act(
    action: str, named: str, who: str, reason: str, attributes: dict[str, str], as_json: bool, data_dir: Path | None
) -> int:
    """Record an action, wait until it is sealed, and say what came of it; exit 1 when it had no effect.

    Raises `OnshoreError` where it says too little to have an effect, whatever the finding's state: nothing is recorded.
    """
    from onshore_pipeline.actions import Action

    place, now = place_of(data_dir), datetime.now(UTC)
    found = _one(place, named, now)
    about = {life.FINDING_ID: found.finding_id, **attributes}
    lacking = "it names nobody who does it" if not who.strip() else ""
    lacking = lacking or life.lacking(life.Deed("", "", found.tenant, action, who, reason, about, now))
    if lacking:
        raise OnshoreError(f"{action} is not recorded, as it would have no effect: {lacking}")
    recorded = record(place.settings, Action(action, found.tenant, who, reason, about))
    if not is_sealed(place.reader, recorded):
        typer.echo(json.dumps({"sealed": False, **told(recorded)})) if as_json else say_waiting(recorded)
        return 0
    return _say_effect(place, found.finding_id, recorded, as_json=as_json)


def _say_effect(place: Place, finding_id: str, recorded: Recorded, *, as_json: bool) -> int:
    now = datetime.now(UTC)
    found = _one(place, finding_id, now)
    step = next(each for each in found.life.steps if each.action_id == str(recorded.action_id))
    if as_json:
        effect = {"sealed": True, "effect": not step.refused, "refused": step.refused or None, **told(recorded)}
        typer.echo(json.dumps({**effect, "finding": finding_texts.as_json(found, now)}, ensure_ascii=False))
    elif step.refused:
        typer.echo(f"recorded, and without effect: {step.refused}")
    else:
        for line in finding_texts.lines(found, now):
            typer.echo(line)
    return 1 if step.refused else 0
