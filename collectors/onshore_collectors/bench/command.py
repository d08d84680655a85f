"""`onshore bench read|collect`: what may be asked; the figures are JSON on standard output."""

from __future__ import annotations

import signal
import sys
from typing import Annotated

import typer

from onshore_collectors.command_line import WRONG, print_json

bench = typer.Typer(help="Measure how files are read and collected; JSON out.")


@bench.command("read")
def read(
    *,
    events: Annotated[int, typer.Option(min=5, help="Records")] = 40_000,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds, of which the median is told")] = 3,
    alone: Annotated[bool, typer.Option("--alone", help="Leave the plain program out")] = False,
) -> int:
    """CloudTrail files into requests, beside `json.loads` and `json.dumps` of the same records."""
    from onshore_collectors.bench.read import bench_read

    print_json(bench_read(events, alone=alone, rounds=rounds))
    return 0


@bench.command("collect")
def collect(
    *,
    mib: Annotated[int, typer.Option(min=16, metavar="MIB", help="Size of the log files, unpacked")] = 1024,
) -> int:
    """Packed files through a real collector and receiver; the collector is killed in the middle and started again.

    Exit 1 when a record is lost or double.
    """
    from onshore_collectors.bench.collect import bench_collect

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # end what was started, too
    told = bench_collect(mib << 20)
    print_json(told)
    return WRONG if told["lost"] or told["double"] or told["unknown"] else 0
