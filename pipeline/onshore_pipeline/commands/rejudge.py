"""`onshore rejudge`: history judged again, as it was known then or as it is known now."""

from __future__ import annotations

import contextlib
import json
import sys
from bisect import bisect_right
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onshore_pipeline.commands.control_runs import moment
from onshore_pipeline.commands.options import DataDirOption, JsonOption
from onshore_pipeline.errors import OnshoreError
from onshore_pipeline.settings import Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from onshore_pipeline.assess import Judgement
    from onshore_pipeline.jobs.rejudge import Rejudged


def rejudge(
    since: Annotated[str, typer.Option("--from", metavar="TIME", help="2026-11-01 or 2026-11-01T08:30Z")],
    until: Annotated[str, typer.Option("--to", metavar="TIME", help="The same; not included")],
    as_known: Annotated[
        str,
        typer.Option("--as-known", metavar="now|then|TIME", help="By what was known; then: when it was sealed"),
    ] = "now",
    tenant: Annotated[str, typer.Option(help="Of one tenant")] = "",
    control: Annotated[str, typer.Option(help="Of one control")] = "",
    first: Annotated[int, typer.Option(min=0, max=1000, help="How many differing events to show")] = 10,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
) -> int:
    """Judge sealed messages again by registries and controls of today; nothing that was sealed changes.

    Registries' rows that were known only later than --as-known are left out. Exit 1 if a verdict comes out differently.
    """
    from onshore_pipeline import assembly
    from onshore_pipeline.jobs.rejudge import Rejudger

    settings = load_settings({"data_dir": data_dir})
    start, end = moment("--from", since), moment("--to", until)
    if end <= start:
        raise OnshoreError(f"--to {until} does not lie behind --from {since}")
    given = judged_by(settings, as_known)
    with contextlib.ExitStack() as opened:
        client = assembly.store_client(settings)
        opened.callback(client.close)
        reader = opened.enter_context(contextlib.closing(assembly.message_reader(settings)))
        say = _say if sys.stderr.isatty() else lambda _done, _all: None
        told = Rejudger(client, reader, given, tenant, control, first, say).run(start, end)
    if as_json:
        typer.echo(json.dumps({"as_known": as_known, **asdict(told)}, default=str, ensure_ascii=False))
    else:
        _show(told, as_known)
    return 1 if told.verdicts or told.examples else 0


def judged_by(settings: Settings, as_known: str) -> Callable[[datetime], Judgement]:
    """What to judge a message by, given when the log had it."""
    from onshore_pipeline import assembly

    now = assembly.judgement(settings)
    if as_known == "now":
        return lambda _: now
    if as_known != "then":
        at = moment("--as-known", as_known)
        known = replace(now, context=assembly.read_context(settings, at))
        return lambda _: known
    learned = assembly.registries_learned(settings)
    made: dict[int, Judgement] = {}

    def then(logged: datetime) -> Judgement:
        # Between two moments at which something became known, what was known is the same.
        span = bisect_right(learned, logged)
        if span not in made:
            made[span] = replace(now, context=assembly.read_context(settings, logged))
        return made[span]

    return then


def _say(done: int, of: int) -> None:
    sys.stderr.write(f"\r{done:,} of {of:,} batches" + ("\n" if done == of else ""))
    sys.stderr.flush()


def _show(told: Rejudged, as_known: str) -> None:
    typer.echo(f"{told.messages:,} messages with {told.events:,} events judged again, as known {as_known}")
    if told.gone:
        typer.echo(f"{told.gone:,} messages are no longer kept by the broker and were not judged")
    if told.replayed:
        typer.echo(f"{told.replayed:,} replays of dead letters were left out")
    if not told.verdicts and not told.examples:
        typer.echo("every verdict comes out as it was sealed" if told.messages else "nothing was sealed in that time")
        return
    typer.echo(f"{'day':<12}{'control':<18}{'verdict':<16}{'sealed':>12}{'again':>12}  tenant")
    for row in told.verdicts:
        counts = f"{row['sealed']:>12,}{row['again']:>12,}"
        typer.echo(f"{row['day']!s:<12}{row['control_id']:<18}{row['verdict']:<16}{counts}  {row['tenant']}")
    for each in told.examples:
        typer.echo(_example(each))


def _example(each: dict[str, Any]) -> str:
    moved = ", ".join(f"{name} {then} -> {now}" for name, (then, now) in each["places"].items())
    said = f"{each['event_id']} {each['action']} {each['control_id']}: {each['sealed']} -> {each['again']}"
    return said + (f" ({moved})" if moved else "")
