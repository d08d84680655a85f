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

    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.assess import Judgement
    from onshore_pipeline.jobs.rejudge import JudgedBy, Rejudged


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

    Registries' rows that were known only later than --as-known are left out; "then" judges by the registries that the
    log entry names. Exit 0 if every verdict of that time comes out as it was sealed, 1 if one comes out differently, 2
    if none does but some could not be judged again.
    """
    from onshore_pipeline import assembly
    from onshore_pipeline.jobs.rejudge import Rejudger

    settings = load_settings({"data_dir": data_dir})
    start, end = moment("--from", since), moment("--to", until)
    if end <= start:
        raise OnshoreError(f"--to {until} does not lie behind --from {since}")
    with contextlib.ExitStack() as opened:
        client = assembly.store_client(settings)
        opened.callback(client.close)
        given = judged_by(settings, as_known, client)
        reader = opened.enter_context(contextlib.closing(assembly.message_reader(settings)))
        say = _say if sys.stderr.isatty() else lambda _done, _all: None
        told = Rejudger(client, reader, given, tenant, control, first, say).run(start, end)
    if as_json:
        typer.echo(json.dumps({"as_known": as_known, **asdict(told)}, default=str, ensure_ascii=False))
    else:
        _show(told, as_known)
    if told.verdicts or told.examples:
        return 1
    return 0 if told.is_complete else 2


def judged_by(settings: Settings, as_known: str, client: Client) -> Callable[[datetime, str], JudgedBy]:
    """What to judge a message by, given when the log had it and the digest of the registries that its entry names."""
    from onshore_pipeline import assembly
    from onshore_pipeline.jobs.rejudge import JudgedBy
    from onshore_pipeline.jobs.stored_contexts import StoredContexts

    now = assembly.judgement(settings)
    if as_known == "now":
        return lambda _logged, _context: JudgedBy(now)
    if as_known != "then":
        at = moment("--as-known", as_known)
        known = JudgedBy(replace(now, context=assembly.read_context(settings, at)))
        return lambda _logged, _context: known
    stored, standing_in = StoredContexts(client, now.context.geography), _files_known(settings, now)

    def then(logged: datetime, context: str) -> JudgedBy:
        found = stored.at(context, logged)
        if found is None:
            return JudgedBy(standing_in(logged), is_stored=False)
        return JudgedBy(replace(now, context=found.context), is_whole=found.is_whole)

    return then


def _files_known(settings: Settings, now: Judgement) -> Callable[[datetime], Judgement]:
    """Today's files, without the rows that were known only later than a time."""
    from onshore_pipeline import assembly

    learned = assembly.registries_learned(settings)
    made: dict[int, Judgement] = {}

    def known(at: datetime) -> Judgement:
        # Between two moments at which something became known, what was known is the same.
        span = bisect_right(learned, at)
        if span not in made:
            made[span] = replace(now, context=assembly.read_context(settings, at))
        return made[span]

    return known


def _say(done: int, of: int) -> None:
    sys.stderr.write(f"\r{done:,} of {of:,} batches" + ("\n" if done == of else ""))
    sys.stderr.flush()


def _show(told: Rejudged, as_known: str) -> None:
    typer.echo(f"{told.messages:,} messages with {told.events:,} events judged again, as known {as_known}")
    if told.gone:
        typer.echo(
            f"{told.gone:,} messages are no longer kept by the broker and could not be judged again: what was sealed of"
            " them stands as it is. A longer retention of the event topics keeps more (local_log_kept_hours,"
            " local_log_kept_mib, local_log_kept_messages; on Kafka retention.ms)"
        )
    if told.replayed:
        typer.echo(f"{told.replayed:,} replays of dead letters are left out: `onshore audit` checks what they sealed")
    if told.not_stored:
        typer.echo(
            f"{told.not_stored:,} messages were judged by the registry files of today without what was known later: the"
            " store does not have the registries that their entries name, or this release cannot read them"
        )
    if told.not_whole:
        typer.echo(
            f"{told.not_whole:,} messages were judged with geolocation or reference data of today: the store does not"
            " have those that their entries name"
        )
    if not told.verdicts and not told.examples:
        typer.echo(_conclusion(told))
        return
    typer.echo(f"{'day':<12}{'control':<18}{'verdict':<16}{'sealed':>12}{'again':>12}  tenant")
    for row in told.verdicts:
        counts = f"{row['sealed']:>12,}{row['again']:>12,}"
        typer.echo(f"{row['day']!s:<12}{row['control_id']:<18}{row['verdict']:<16}{counts}  {row['tenant']}")
    for each in told.examples:
        typer.echo(_example(each))


def _conclusion(told: Rejudged) -> str:
    """Where nothing comes out differently; never more than was looked at."""
    if told.is_complete:
        return "every verdict comes out as it was sealed" if told.messages else "nothing was sealed in that time"
    if not told.messages:
        return "nothing of what was sealed in that time could be judged again"
    return "every verdict that could be judged again comes out as it was sealed"


def _example(each: dict[str, Any]) -> str:
    moved = ", ".join(f"{name} {then} -> {now}" for name, (then, now) in each["places"].items())
    said = f"{each['event_id']} {each['action']} {each['control_id']}: {each['sealed']} -> {each['again']}"
    return said + (f" ({moved})" if moved else "")
