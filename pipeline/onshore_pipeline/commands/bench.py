"""`onshore bench`: measure this machine, JSON out."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer


class Benchmark(StrEnum):
    """What can be measured."""

    INGEST = "ingest"
    DECODE = "decode"
    LOCATE = "locate"
    JUDGE = "judge"
    SEAL = "seal"
    INSERT = "insert"


_BASELINE_HELP = "The per-record program to compare with; in a checkout tests/benchmarks/baseline.py"


def bench(
    name: Annotated[Benchmark, typer.Argument(help="What to measure")],
    events: Annotated[int | None, typer.Option(help="Events; each benchmark has its own default", min=500)] = None,
    rounds: Annotated[int, typer.Option(help="Rounds, of which the median is told", min=1)] = 3,
    workers: Annotated[int, typer.Option(help="Workers (ingest, on Kafka)", min=1)] = 1,
    partitions: Annotated[int, typer.Option(help="Partitions of the topic (ingest, on Kafka)", min=1)] = 1,
    baseline: Annotated[Path | None, typer.Option(help=_BASELINE_HELP)] = None,
) -> None:
    """Run a benchmark with real parts in a temporary folder and print the figures as JSON."""
    from onshore_pipeline.bench.baseline import baseline_file

    file = baseline_file(baseline)
    typer.echo(json.dumps(_measure(name, events, rounds, workers, partitions, file)))


def _measure(
    name: Benchmark, events: int | None, rounds: int, workers: int, partitions: int, baseline: Path | None
) -> dict[str, Any]:
    if name is Benchmark.INGEST:
        from onshore_pipeline.bench.ingest import Plan, bench_ingest

        return bench_ingest(Plan(events or 500_000, baseline, rounds=rounds, workers=workers, partitions=partitions))
    from onshore_pipeline.bench.stages import bench_stage

    return bench_stage(name, events or 50_000, baseline=baseline, rounds=rounds)
