"""`onshore bench`: measure this machine, JSON out."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import typer


class Benchmark(StrEnum):
    """What can be measured."""

    INGEST = "ingest"


def bench(
    name: Annotated[Benchmark, typer.Argument(help="What to measure")],
    events: Annotated[int, typer.Option(help="Events to send through", min=500)] = 500_000,
) -> None:
    """Run a benchmark with real parts in a temporary folder and print the figures as JSON."""
    from onshore_pipeline.bench.ingest import bench_ingest

    del name  # the only one there is
    typer.echo(json.dumps(bench_ingest(events)))
