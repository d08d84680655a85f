"""`onshore tie-log`: say for good that Kafka's evidence log belongs to this store, group and salt key from now on."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from onshore_pipeline.commands.options import DataDirOption, JsonOption
from onshore_pipeline.errors import SettingsError
from onshore_pipeline.settings import load_settings


def tie_log(
    data_dir: DataDirOption = None,
    another_salt_key: Annotated[
        bool, typer.Option("--another-salt-key", help="The salt key of before is lost; seal with another from now on")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Move Kafka's evidence log to this store; every worker and sequencer must be stopped.

    For a store that is lost for good and begins anew, and for a consumer group of another name. Workers tie a log that
    nobody has tied by themselves.
    """
    from onshore_pipeline import assembly, log_ties

    settings = load_settings({"data_dir": data_dir})
    if not settings.kafka_bootstrap_servers:
        raise SettingsError("kafka_bootstrap_servers", "is needed: a local log lies beside its store and needs no tie")
    client = assembly.store_client(settings)
    try:
        before, now = log_ties.move_log(settings, client, another_salt_key=another_salt_key)
    finally:
        client.close()
    if as_json:
        said = {"before": asdict(before) if before else None, "now": asdict(now)}
        typer.echo(json.dumps(said, default=str))
    elif before == now:
        typer.echo("the evidence log belongs to this store already")
    else:
        typer.echo(f"the evidence log belongs to store {now.store}, group {now.group}, salt key {now.salt_key} now")
        if before is not None:
            typer.echo(f"before: store {before.store}, group {before.group}, salt key {before.salt_key}")
            typer.echo("`onshore restore` writes the rows that this store lacks, from the messages that Kafka keeps")
