"""`onshore migrate`: bring the store's tables up to date."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from onshore_pipeline.commands.options import DataDirOption, JsonOption
from onshore_pipeline.settings import load_settings, refuse_unsupported
from onshore_pipeline.stack import store_address


def migrate(
    data_dir: DataDirOption = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what would be applied")] = False,
    as_json: JsonOption = False,
) -> None:
    """Apply the forward-only SQL migrations that the store does not have yet."""
    from onshore_pipeline.store import migrate as migrations
    from onshore_pipeline.store.connect import connect

    settings = load_settings({"data_dir": data_dir})
    refuse_unsupported(settings)
    address = store_address(settings, writing=True)
    client = connect(address.url, address.user, address.password, ca_file=address.ca_file)
    try:
        found = migrations.plan(client) if plan else migrations.migrate(client)
    finally:
        client.close()
    if as_json:
        listed = [{"version": each.version, "name": each.name, "applied": not plan} for each in found]
        typer.echo(json.dumps(listed))
        return
    for migration in found:
        typer.echo(f"{'would apply' if plan else 'applied'} {migration.version:04d} {migration.name}")
    if not found:
        typer.echo("the store is up to date")
