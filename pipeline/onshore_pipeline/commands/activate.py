"""`onshore controls activate | retire | withdraw`: which text of a control judges from when on."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from onshore_pipeline.commands.options import DataDirOption, JsonOption
from onshore_pipeline.errors import OnshoreError, SettingsError
from onshore_pipeline.settings import Settings, load_settings

if TYPE_CHECKING:
    from onshore_pipeline.controls.activating import Planned

WhoOption = Annotated[str, typer.Option("--as", metavar="PERSON", help="Who decides it; recorded")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; recorded")]
AtOption = Annotated[
    str | None,
    typer.Option("--at", metavar="TIME", help="From when on, in the events' own time; default: a minute from now"),
]
_DEFAULT_LEAD: Final = timedelta(minutes=1)


def activate_control(
    path: Annotated[Path, typer.Argument(help="The file with the control's new text")],
    who: WhoOption,
    reason: ReasonOption,
    at: AtOption = None,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
) -> None:
    """Put a text into force from a time on; events before it are judged by the text before, whenever they arrive."""
    from onshore_pipeline.controls.activating import plan_activation

    if not path.is_file():
        raise OnshoreError(f"{path} is no file: name the file with the control's new text")
    settings = load_settings({"data_dir": data_dir})
    now = datetime.now(UTC)
    planned = plan_activation(path, _folder(settings), _said(who, "--as"), _said(reason, "--reason"), _at(at, now), now)
    _carry_out(settings, planned, "control.activate", as_json=as_json)


def retire_control(
    control_id: Annotated[str, typer.Argument(metavar="ID", help="For example AU-APP8-01")],
    who: WhoOption,
    reason: ReasonOption,
    at: AtOption = None,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
) -> None:
    """Take a control out of force from a time on. Its text stays, and so does what it judged."""
    from onshore_pipeline.controls.activating import plan_retirement

    settings = load_settings({"data_dir": data_dir})
    now = datetime.now(UTC)
    said = (_said(who, "--as"), _said(reason, "--reason"))
    planned = plan_retirement(control_id, _folder(settings), *said, _at(at, now), now)
    _carry_out(settings, planned, "control.retire", as_json=as_json)


def withdraw_control(
    control_id: Annotated[str, typer.Argument(metavar="ID", help="For example AU-APP8-01")],
    who: WhoOption,
    reason: ReasonOption,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
) -> None:
    """Take back the last activation or retirement of a control while it is not in force yet."""
    from onshore_pipeline.controls.activating import plan_withdrawal

    settings = load_settings({"data_dir": data_dir})
    said = (_said(who, "--as"), _said(reason, "--reason"))
    planned = plan_withdrawal(control_id, _folder(settings), *said, datetime.now(UTC))
    _carry_out(settings, planned, "control.withdraw", as_json=as_json)


def _carry_out(settings: Settings, planned: Planned, action: str, *, as_json: bool) -> None:
    """Recorded first: a decision that took effect and stands nowhere would be worse than the other way round."""
    activation = planned.activation
    event_id = _record(settings, planned, action)
    try:
        planned.carry_out()
    except OSError as error:
        why = f"{planned.folder} cannot be written: {error.strerror}; recorded as event {event_id}, and not in force"
        raise OnshoreError(why) from error
    if as_json:
        typer.echo(json.dumps({**asdict(activation), "before": planned.before, "event": event_id}, default=str))
        return
    before = f"version {planned.before}" if planned.before is not None else "nothing"
    if (taken := planned.withdrawn) is not None:
        text = f"version {taken.version}" if taken.digest else "its end"
        typer.echo(
            f"{taken.control_id}: {text} from {taken.effective_at:%Y-%m-%d %H:%M:%S} UTC on, decided by {taken.who}, is"
            f" withdrawn: {before} judges on; recorded as event {event_id}"
        )
        return
    text = f"version {activation.version} ({activation.digest[:12]})" if activation.digest else "no text"
    typer.echo(
        f"{activation.control_id}: {text} judges events from {activation.effective_at:%Y-%m-%d %H:%M:%S} UTC on,"
        f" {before} those before; recorded as event {event_id}"
    )


def _record(settings: Settings, planned: Planned, action: str) -> str:
    """Record the decision as a sealed event; its id."""
    import contextlib

    from onshore_pipeline import assembly
    from onshore_pipeline.actions import Action, record_action

    activation = planned.activation
    attributes = {
        "onshore.control.id": activation.control_id,
        "onshore.control.version": str(activation.version),
        "onshore.control.sha256": (planned.withdrawn or activation).digest,
        "onshore.control.effective_at": f"{activation.effective_at:%Y-%m-%dT%H:%M:%S.%fZ}",
    }
    with contextlib.closing(assembly.recorder(settings)) as recorder:
        deed = Action(action, assembly.DEFAULT_TENANT, activation.who, activation.reason, attributes)
        return str(record_action(recorder, deed).event_id)


def _folder(settings: Settings) -> Path:
    folder = settings.controls_dir
    if folder is None:
        why = "is not set: the folder of your own controls is where activations are kept; every worker reads it"
        raise SettingsError("controls_dir", why)
    if not folder.is_dir():
        raise SettingsError("controls_dir", f"{folder} is no folder")
    return folder


def _said(text: str, option: str) -> str:
    if not text.strip():
        raise OnshoreError(f"{option} is empty: it is recorded, and an auditor reads it")
    return text.strip()


def _at(text: str | None, now: datetime) -> datetime:
    if text is None:
        return (now + _DEFAULT_LEAD).replace(microsecond=0)
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise OnshoreError(f"--at {text}: no time; write 2026-12-01 or 2026-12-01T08:30Z") from None
