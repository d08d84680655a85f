"""`onshore check-truth`: does the store hold what the demo planted?"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from onshore_pipeline.commands.options import DataDirOption, JsonOption
from onshore_pipeline.settings import load_settings
from onshore_pipeline.stack import store_address

if TYPE_CHECKING:
    from onshore_pipeline.jobs.check_truth import Comparison, Truth

_LOOK_EVERY_S: Final = 1.0


def check_truth(
    truth_file: Annotated[Path, typer.Argument(help="Written by `onshore demo --truth`")],
    data_dir: DataDirOption = None,
    wait: Annotated[float, typer.Option(help="Seconds to wait for the last events to arrive", min=0)] = 120.0,
    as_json: JsonOption = False,
) -> int:
    """Compare the store with the truth; exit 1 unless precision and recall are 1.0 and every count agrees."""
    from onshore_pipeline.jobs.check_truth import compare, events_found, read_truth, windows_right
    from onshore_pipeline.store.reader import Reader

    truth = read_truth(truth_file)
    address = store_address(load_settings({"data_dir": data_dir}), writing=False)
    reader = Reader(address.url, address.user, address.password)
    deadline = time.monotonic() + wait
    while (found := events_found(reader, truth)) < truth.events and time.monotonic() < deadline:
        typer.echo(f"{found:,} of {truth.events:,} events are there; waiting", err=True)
        time.sleep(_LOOK_EVERY_S)
    while not windows_right(reader, truth) and time.monotonic() < deadline:
        typer.echo("windows are still being judged; waiting", err=True)
        time.sleep(_LOOK_EVERY_S)
    result = compare(reader, truth)
    if as_json:
        typer.echo(json.dumps(result.as_json()))
    else:
        _show(result, truth, wait)
    return 0 if result.is_good else 1


def _show(result: Comparison, truth: Truth, wait: float) -> None:
    typer.echo(f"events      {result.found_events:,} of {result.expected_events:,}")
    typer.echo(
        f"violations  {result.right:,} right, {len(result.missing):,} missing, {len(result.spurious):,} spurious"
    )
    if truth.windows:
        right = ", ".join(f"{number} {verdict}" for verdict, number in sorted(result.windows.items()))
        typer.echo(f"windows     {right or 'none'} right of {len(truth.windows):,}")
    typer.echo(f"precision   {result.precision:.6g}")
    typer.echo(f"recall      {result.recall:.6g}")
    for control, verdicts in result.not_compared.items():
        typer.echo(f"NOTE   {control} does not ship with Onshore: {verdicts:,} verdicts of it are not compared")
    if result.found_events > result.expected_events:
        typer.echo("WRONG  there are more events than were sent: a request was sent again though it had arrived")
    elif result.found_events < result.expected_events:
        typer.echo(f"WRONG  not all events arrived within {wait:g} s (--wait); `onshore status` shows the lag")
    for (tenant, control, verdict), expected, got in result.wrong_counts:
        typer.echo(f"WRONG  {tenant} {control} {verdict}: expected {expected:,}, found {got:,}")
    for (tenant, control, key), expected_verdict, given in result.wrong_windows:
        typer.echo(f"WRONG  {tenant} {control} {key}: expected {expected_verdict}, found {given or 'nothing'}")
    for name, examples in (("MISSING", result.missing), ("SPURIOUS", result.spurious)):
        for uid, control in examples[:10]:
            typer.echo(f"{name}  event {uid} control {control}")
