"""`onshore demo`: what may be asked, and how the outcome is told."""

from __future__ import annotations

import json
import re
import secrets
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path  # noqa: TC003 - typer reads annotations at run time
from typing import TYPE_CHECKING, Annotated, Final

import typer

from onshore_collectors.demo import summary
from onshore_collectors.demo.planted_windows import windowed_requests
from onshore_collectors.demo.play import requests_of
from onshore_collectors.demo.scenario import TEMPLATES, TENANTS
from onshore_collectors.demo.schedule import allot, fewest_events
from onshore_collectors.demo.sending import Lanes
from onshore_collectors.demo.target import find_target
from onshore_collectors.demo.truth import Truth
from onshore_collectors.stack_address import check_listening
from onshore_pipeline.errors import OnshoreError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from onshore_collectors.demo.play import Request
    from onshore_collectors.demo.target import Target

INTERRUPTED: Final = 130

MOST_EVENTS: Final = 5_000_000
# The day before it, too, lies after the youngest control that the scenario plants for came into force (2025-12-18).
EARLIEST_NOW: Final = datetime(2025, 12, 20, tzinfo=UTC)

_GIVE_UP_AFTER_S: Final = 120.0
_LINE_EVERY_S: Final = 10.0
_RUN_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

app = typer.Typer(name="onshore demo", pretty_exceptions_enable=False, add_completion=False)


def run(argv: Sequence[str]) -> int:
    """Play the factory; 0 when everything was acknowledged, 130 when interrupted.

    Raises:
        OnshoreError: an argument is unusable, or the events were not taken.
    """
    from typer.exceptions import Abort, TyperException

    try:
        code = app(list(argv), prog_name="onshore demo", standalone_mode=False)
    except Abort:
        return INTERRUPTED
    except TyperException as error:
        raise OnshoreError(f"{error.format_message()} (`onshore demo --help` says what there is)") from None
    return code if isinstance(code, int) else 0


@app.command()
def demo(
    *,
    events: Annotated[int, typer.Option(metavar="N", help="How many events")] = 20_000,
    seed: Annotated[int, typer.Option(metavar="S", help="Of what is drawn; the same seed plays the same day")] = 1,
    otlp: Annotated[
        str | None, typer.Option("--otlp", metavar="URL", help="An OTLP/HTTP receiver; default: the running stack's")
    ] = None,
    truth: Annotated[
        Path | None, typer.Option("--truth", metavar="FILE", help="Written for `onshore check-truth FILE`")
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option("--data-dir", metavar="DIR", help="Where `onshore up` keeps everything; default ./.onshore"),
    ] = None,
    token: Annotated[
        list[str] | None,
        typer.Option(
            "--token", metavar="TENANT=FILE", help="A tenant's token, for a receiver elsewhere; once for each"
        ),
    ] = None,
    now: Annotated[
        str | None, typer.Option("--now", metavar="TIME", help="When the played day ends (RFC 3339); default: now")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--run", metavar="NAME", help="Names the play; every event carries it")
    ] = None,
    with_parent: Annotated[bool, typer.Option("--with-parent", hidden=True)] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output")] = False,
) -> int:
    """Play a day of a sovereign AI factory: four companies, three kinds of events, planted violations."""
    if with_parent:
        from onshore_pipeline.embedded.parent import follow_parent

        follow_parent()
    if truth is not None and not truth.absolute().parent.is_dir():
        raise SettingsError("--truth", f"there is no folder {truth.absolute().parent}")
    end = _end_of_day(now)
    cells = allot(TENANTS, TEMPLATES, _checked_events(events))
    told = Truth(_run_name(name, end))
    target = find_target(otlp, token or (), data_dir, [tenant.id for tenant in TENANTS])
    check_listening(target.endpoint)
    began = time.monotonic()
    end_ns = int(end.timestamp()) * 1_000_000_000
    day = requests_of(cells, told, seed=seed, end_ns=end_ns, stored_as=target.stored_as)
    _send(chain(day, windowed_requests(told, TENANTS[0].id, target.stored_as(TENANTS[0].id), end_ns)), target, events)
    seconds = time.monotonic() - began
    if truth is not None:
        _write(told, truth)
    if as_json:
        typer.echo(json.dumps(summary.as_json(cells, told, target, truth, seconds)))
    else:
        typer.echo(summary.as_text(cells, told, target, truth, data_dir, seconds))
    return 0


def _send(requests: Iterator[Request], target: Target, events: int) -> None:
    sent = 0
    with _progress(events) as show:

        def acknowledged(request: Request) -> None:
            nonlocal sent
            sent += request.events
            show(sent)

        Lanes(target.endpoint, target.tokens, give_up_after_s=_GIVE_UP_AFTER_S).send_all(requests, acknowledged)


def _checked_events(events: int) -> int:
    fewest = fewest_events(TENANTS, TEMPLATES)
    if not fewest <= events <= MOST_EVENTS:
        why = f"{events} is not between {fewest} (everything happens once) and {MOST_EVENTS}"
        raise SettingsError("--events", why)
    return events


def _end_of_day(now: str | None) -> datetime:
    if now is None:
        return datetime.now(UTC).replace(second=0, microsecond=0)
    try:
        end = datetime.fromisoformat(now)
    except ValueError:
        raise SettingsError("--now", f"{now!r} is not a time like 2026-11-21T09:00:00Z") from None
    if end.tzinfo is None:
        raise SettingsError("--now", f"{now!r} needs a zone: write {now}Z for UTC")
    if end < EARLIEST_NOW:
        why = f"{now} is too early: not every control is in force then; name a time after {EARLIEST_NOW:%Y-%m-%d}"
        raise SettingsError("--now", why)
    return end.astimezone(UTC)


def _run_name(name: str | None, end: datetime) -> str:
    if name is None:
        return f"demo-{end:%Y%m%dT%H%MZ}-{secrets.token_hex(3)}"
    if not _RUN_NAME.fullmatch(name):
        raise SettingsError("--run", f"{name!r} is not a name of at most 64 letters, digits, '.', '_' and '-'")
    return name


def _write(truth: Truth, path: Path) -> None:
    try:
        truth.write(path)
    except OSError as error:
        raise OnshoreError(f"{path}: {error.strerror}; the events were sent, their truth is lost") from None


@contextmanager
def _progress(events: int) -> Iterator[Callable[[int], None]]:
    """A way to show how many events were acknowledged: a bar on a terminal, a line now and then elsewhere."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        columns = (BarColumn(), MofNCompleteColumn(), "events", TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("", total=events)
            yield lambda sent: bar.update(task, completed=sent)
        return
    last = time.monotonic()

    def line(sent: int) -> None:
        nonlocal last
        if time.monotonic() - last >= _LINE_EVERY_S:
            last = time.monotonic()
            sys.stderr.write(f"{sent:,} of {events:,} events acknowledged\n")
            sys.stderr.flush()

    yield line
