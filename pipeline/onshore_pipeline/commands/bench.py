"""`onshore bench`: measure this machine, JSON out."""

from __future__ import annotations

import json
import signal
import sys
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer

from onshore_pipeline.commands.elsewhere import hand_over


class Benchmark(StrEnum):
    """What can be measured."""

    INGEST = "ingest"
    DECODE = "decode"
    LOCATE = "locate"
    JUDGE = "judge"
    SEAL = "seal"
    INSERT = "insert"
    QUERY = "query"
    BACKTEST = "backtest"
    WINDOWS = "windows"
    END_TO_END = "end-to-end"
    GROWTH = "growth"
    BUNDLE = "bundle"
    AUDIT = "audit"
    READ = "read"
    COLLECT = "collect"


# What is measured of the readers of files, which are another part.
_OF_COLLECTORS: Final = (Benchmark.READ, Benchmark.COLLECT)

_BASELINE_HELP = "The afternoon's per-record program to compare with; in a checkout tests/benchmarks/baseline.py"

_SHARE_HELP = "Cores that each worker gets, 0.25 for a quarter of one; 0: all it can take (ingest; needs root on Linux)"


def bench(
    name: Annotated[Benchmark, typer.Argument(help="What to measure")],
    events: Annotated[int | None, typer.Option(help="Events; each benchmark has its own default", min=5)] = None,
    rounds: Annotated[int, typer.Option(help="Rounds, of which the median is told", min=1)] = 3,
    workers: Annotated[int, typer.Option(help="Workers (ingest, on Kafka)", min=1)] = 1,
    partitions: Annotated[int, typer.Option(help="Partitions of the topic (ingest, on Kafka)", min=1)] = 1,
    worker_share: Annotated[float, typer.Option(help=_SHARE_HELP, min=0, max=64)] = 0.0,
    baseline: Annotated[Path | None, typer.Option(help=_BASELINE_HELP)] = None,
    alone: Annotated[bool, typer.Option("--alone", help="Leave the per-record programs out")] = False,
    axis: Annotated[list[str] | None, typer.Option(help="What grows (growth); all when not given")] = None,
    backlog: Annotated[int, typer.Option(help="The largest backlog (growth)", min=500)] = 3_000_000,
    mib: Annotated[int, typer.Option(help="Size of the log files, unpacked (collect)", min=16)] = 1024,
) -> None:
    """Run a benchmark with real parts in a temporary folder and print the figures as JSON."""
    if name in _OF_COLLECTORS:
        _hand_over(name, events, rounds, mib, alone=alone)
    from onshore_pipeline.bench.baseline import baseline_file, ingest_baselines

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # end what was started, too
    file = None if alone else baseline_file(baseline)

    if name is Benchmark.GROWTH:
        from onshore_pipeline.bench.growth import AXES, bench_growth

        told = bench_growth(
            events or 200_000, axis or AXES, most_backlog=backlog, say=lambda row: typer.echo(row, err=True)
        )
    elif name is Benchmark.BUNDLE:
        from onshore_pipeline.bench.bundle import bench_bundle

        told = bench_bundle(events or 50_000, rounds)
    elif name is Benchmark.AUDIT:
        from onshore_pipeline.bench.audit import bench_audit

        told = bench_audit(events or 1_000_000, rounds)
    elif name is Benchmark.QUERY:
        from onshore_pipeline.bench.query import bench_query

        told = bench_query(events or 10_000_000, baseline=file)
    elif name is Benchmark.BACKTEST:
        from onshore_pipeline.bench.backtest import bench_backtest

        told = bench_backtest(events or 10_000_000, rounds)
    elif name is Benchmark.WINDOWS:
        from onshore_pipeline.bench.windows import bench_windows

        told = bench_windows(events or 1_000_000, rounds)
    elif name is Benchmark.END_TO_END:
        from onshore_pipeline.bench.end_to_end import bench_end_to_end

        told = bench_end_to_end(events or 40, file)
    elif name is Benchmark.INGEST:
        from onshore_pipeline.bench.ingest import Plan, bench_ingest

        baselines = {} if alone else ingest_baselines(baseline)
        plan = Plan(events or 1_000_000, baselines, rounds=rounds, workers=workers, partitions=partitions)
        told = bench_ingest(replace(plan, worker_share=worker_share))
    else:
        from onshore_pipeline.bench.stages import bench_stage

        told = bench_stage(name, events or 50_000, baseline=file, rounds=rounds)
    typer.echo(json.dumps(told))


def _hand_over(name: Benchmark, events: int | None, rounds: int, mib: int, *, alone: bool) -> NoReturn:
    if name is Benchmark.COLLECT:
        hand_over(["bench", name, "--mib", str(mib)])
    some = [] if events is None else ["--events", str(events)]
    hand_over(["bench", name, *some, "--rounds", str(rounds), *(["--alone"] if alone else [])])
