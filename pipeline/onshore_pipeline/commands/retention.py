"""`onshore retention`: what is due to be deleted, and deleting it so that all other proofs still work."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from onshore_pipeline.commands.acting import place_of, record
from onshore_pipeline.commands.options import DataDirOption, JsonOption
from onshore_pipeline.stack import DataDir

if TYPE_CHECKING:
    from onshore_pipeline.jobs.deletions import Due, Tombstone

app = typer.Typer(help="How long events are kept.", no_args_is_help=True, add_completion=False)

_DELETIONS: Final = """
SELECT deletion_id, argMax(step, at) AS state, max(deletions.at) AS changed_at, any(rule) AS rule,
    any(tenant) AS tenant, any(domain) AS domain, any(events) AS events, any(first_at) AS first_at,
    any(last_at) AS last_at, any(root) AS root
FROM deletions GROUP BY deletion_id ORDER BY min(deletions.at)
"""


@app.command("plan")
def plan_retention(as_json: JsonOption = False, data_dir: DataDirOption = None) -> None:
    """Say what is due under context/retention.yaml and what holds keep; nothing is deleted."""
    place = place_of(data_dir)
    from onshore_pipeline import assembly
    from onshore_pipeline.context.retention import read_retention
    from onshore_pipeline.jobs.deletions import Deleter
    from onshore_pipeline.jobs.holds import in_force, standing_holds

    retention = read_retention(place.settings.context_dir)
    holds = in_force(standing_holds(place.reader))
    with closing(assembly.store_client(place.settings)) as client:
        kinds = Deleter(client, _nobody_seals).due(retention, holds, datetime.now(UTC))
    if as_json:
        typer.echo(json.dumps([_kind(each) for each in kinds], default=str))
        return
    for each in kinds:
        row = _kind(each)
        rule = row["rule"] or "kept for ever: no row of retention.yaml names it for certain"
        typer.echo(f"{each.tenant} {each.domain} {each.classification or 'classification unknown'}: {rule}")
        ageless = f", {each.ageless:,} of unknown age" if each.ageless else ""
        typer.echo(f"    {each.events:,} events, {each.due:,} due, {each.held:,} due but held{ageless}")
    if not retention.rules:
        typer.echo("No retention.yaml in the folder of registries: everything is kept. docs/retention.md says how.")


@app.command("run")
def run_retention(
    who: Annotated[str, typer.Option("--as", metavar="PERSON", help="Who has this done; it is recorded")],
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
) -> None:
    """Delete what is due, a tombstone in the evidence log first, and end what an earlier run left."""
    place = place_of(data_dir)
    from onshore_pipeline import assembly
    from onshore_pipeline.context.retention import read_retention
    from onshore_pipeline.jobs.deletions import Deleter
    from onshore_pipeline.jobs.holds import in_force, standing_holds
    from onshore_pipeline.jobs.retention import Sealer
    from onshore_pipeline.store_lock import changing_alone

    retention = read_retention(place.settings.context_dir)
    done: list[Tombstone] = []
    alone = changing_alone(DataDir(place.settings.data_dir))
    with alone, closing(assembly.store_client(place.settings)) as client:
        deleter = Deleter(client, Sealer(place.reader, lambda action: record(place.settings, action), who))
        for tombstone in deleter.run(retention, lambda: in_force(standing_holds(place.reader)), datetime.now(UTC)):
            done.append(tombstone)
            if not as_json:
                typer.echo(
                    f"deleted {tombstone.events:,} events of {tombstone.tenant} {tombstone.domain}: {tombstone.rule}"
                )
    if as_json:
        typer.echo(json.dumps([asdict(each) for each in done], default=str))
    elif not done:
        typer.echo("Nothing was due.")


@app.command("list")
def list_deletions(as_json: JsonOption = False, data_dir: DataDirOption = None) -> None:
    """List what was deleted, when and under which rule."""
    rows = place_of(data_dir).reader.rows(_DELETIONS)
    if as_json:
        typer.echo(json.dumps(rows, default=str))
        return
    for row in rows:
        what = f"{row['events']:,} events of {row['tenant']} {row['domain']}, {row['first_at']} to {row['last_at']}"
        typer.echo(f"{row['deletion_id']}  {row['state']:<8} {what}\n    {row['rule']}\n    root {row['root']}")
    if not rows:
        typer.echo("Nothing was ever deleted.")


def _kind(due: Due) -> dict[str, Any]:
    rule = due.rule
    return {**asdict(due), "rule": None if rule is None else f"{rule.place}: keep {rule.keep} ({rule.why})"}


def _nobody_seals(_: Tombstone) -> None:
    raise AssertionError("a plan seals nothing")
