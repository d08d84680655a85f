"""`onshore topics`: the topics on a Kafka cluster."""

from __future__ import annotations

from typing import Annotated

import typer

from onshore_pipeline.errors import SettingsError
from onshore_pipeline.settings import load_settings

app = typer.Typer(help="Topics on Kafka.", no_args_is_help=True)


@app.command("create")
def create(
    partitions: Annotated[
        int | None, typer.Option(min=1, help="Partitions of each event topic; else what kafka_partitions says")
    ] = None,
    replication: Annotated[int, typer.Option(help="Copies; -1 takes the cluster's default")] = -1,
) -> int:
    """Create the topics that are missing, stamped by the broker's clock; exit 1 if existing ones need a change."""
    from onshore_pipeline.kafka_security import kafka_settings
    from onshore_pipeline.kafka_topics import check_topics, ensure_topics

    settings = load_settings()
    if not settings.kafka_bootstrap_servers:
        raise SettingsError("kafka_bootstrap_servers", "is needed; without it `onshore up` uses its local log")
    kafka = kafka_settings(settings)
    for name in ensure_topics(
        kafka, partitions=partitions or settings.kafka_partitions, replication_factor=replication
    ):
        typer.echo(f"created {name}")
    complaints = check_topics(kafka)
    for complaint in complaints:
        typer.echo(complaint, err=True)
    return 1 if complaints else 0


@app.callback()
def topics() -> None:
    """Topics on Kafka."""
