"""`onshore collect`, `onshore tenants`, `onshore bench read|collect`: what may be asked, and how it ended."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from onshore_collectors.bench.command import bench
from onshore_collectors.command_line import (
    POSITIONS_FOLDER,
    WRONG,
    CollectorOption,
    DataDirOption,
    JsonOption,
    OnceOption,
    OtlpOption,
    ResourceOption,
    TokenOption,
    describe,
    listening_receiver,
    print_json,
    say,
    stopped_by_signal,
)
from onshore_collectors.digests.command import COMMAND as DIGESTS
from onshore_collectors.digests.command import verify_digests
from onshore_collectors.files.command import add_commands
from onshore_collectors.stack_address import data_folder, endpoint_of
from onshore_pipeline.errors import OnshoreError

if TYPE_CHECKING:
    from pathlib import Path

    from onshore_collectors.stack_address import ReceiverAddress

app = typer.Typer(name="onshore", pretty_exceptions_enable=False, add_completion=False)
collect = typer.Typer(help="Collect from this machine (host, gpu, sockets) or from log files.")
tenants = typer.Typer(help="Tenants and their tokens.")
app.add_typer(collect, name="collect")
app.add_typer(tenants, name="tenants")
app.add_typer(bench, name="bench")
add_commands(collect)
collect.command(DIGESTS)(verify_digests)


@collect.command("host")
def host(
    *,
    interval: Annotated[float, typer.Option(min=1, metavar="S", help="Seconds between two rounds")] = 15.0,
    once: OnceOption = False,
    otlp: OtlpOption = None,
    token_file: TokenOption = None,
    data_dir: DataDirOption = None,
    collector_id: CollectorOption = None,
    resource: ResourceOption = None,
    as_json: JsonOption = False,
) -> int:
    """Send this machine's metrics: processors, memory, disks, network, and NVIDIA accelerators."""
    receiver = listening_receiver(otlp, token_file, data_dir)
    described = describe("host", collector_id, resource)
    return _send_metrics("host", receiver, described, _gap_folder(data_dir), interval, once, as_json)


@collect.command("gpu")
def gpu(
    *,
    interval: Annotated[float, typer.Option(min=1, metavar="S", help="Seconds between two rounds")] = 15.0,
    once: OnceOption = False,
    otlp: OtlpOption = None,
    token_file: TokenOption = None,
    data_dir: DataDirOption = None,
    collector_id: CollectorOption = None,
    resource: ResourceOption = None,
    as_json: JsonOption = False,
) -> int:
    """Send the metrics of this machine's NVIDIA accelerators alone: for machines whose other metrics come elsewhere.

    `host` sends them, too: run one of the two. Exit 2 where there is none to measure.
    """
    receiver = listening_receiver(otlp, token_file, data_dir)
    described = describe("gpu", collector_id, resource)
    return _send_metrics("gpu", receiver, described, _gap_folder(data_dir), interval, once, as_json)


def _send_metrics(
    what: Literal["host", "gpu"],
    receiver: ReceiverAddress,
    described: dict[str, str],
    gap_folder: Path,
    interval_s: float,
    once: bool,  # noqa: FBT001 - as the option is called
    as_json: bool,  # noqa: FBT001
) -> int:
    from onshore_collectors.alive import alive
    from onshore_collectors.gpu import find_accelerators
    from onshore_collectors.host import HostMeters, collect_host

    accelerators = find_accelerators()
    if what == "gpu" and not accelerators.gpus:
        raise OnshoreError(f"accelerators: {accelerators.explanation}; `onshore collect host` measures the rest")
    meters = HostMeters(described, accelerators, machine=what == "host")
    if not once:
        say(f"sending metrics to {receiver.endpoint} every {interval_s:g} s; Ctrl-C ends it")
    beats = alive(receiver, described, f"onshore.collectors.{what}", gap_folder / f"{what}-beats.gaps")
    with contextlib.closing(meters), stopped_by_signal() as stop, beats:
        report = collect_host(
            receiver, meters, described, interval_s=interval_s, once=once, stop=stop, gap_folder=gap_folder, name=what
        )
    found = {
        "accelerators": [each.attributes() for each in accelerators.gpus],
        "accelerator_note": accelerators.explanation,
    }
    if as_json:
        print_json({**asdict(report), **found})
    else:
        typer.echo(f"rounds        {report.sent:,} sent, {report.dropped:,} lost, {report.points:,} points measured")
        typer.echo(f"accelerators  {accelerators.explanation}")
    return WRONG if report.dropped else 0


def _gap_folder(data_dir: Path | None) -> Path:
    """Where losses are kept that could not be reported before the end."""
    return data_folder(data_dir).path / POSITIONS_FOLDER


@collect.command("sockets")
def sockets(
    *,
    interval: Annotated[float, typer.Option(min=1, metavar="S", help="Seconds between two looks")] = 10.0,
    once: OnceOption = False,
    loopback: Annotated[bool, typer.Option("--loopback", help="Connections that stay on this machine, too")] = False,
    otlp: OtlpOption = None,
    token_file: TokenOption = None,
    data_dir: DataDirOption = None,
    collector_id: CollectorOption = None,
    resource: ResourceOption = None,
    as_json: JsonOption = False,
) -> int:
    """Send this machine's live connections, with process, user, both ends, and the bytes since the last look.

    Bytes are Linux's own counts for TCP; elsewhere, and for UDP, the size is left out. A connection that was opened and
    closed between two looks is seen only while it lingers.
    """
    from onshore_collectors.alive import alive
    from onshore_collectors.connections import OwnTraffic, look_at_connections
    from onshore_collectors.sockets import SCOPE, FlowSender, LastLook, collect_sockets, read_boot_id

    receiver = listening_receiver(otlp, token_file, data_dir)
    described = describe("sockets", collector_id, resource)
    own = OwnTraffic(os.getpid(), *endpoint_of(receiver.endpoint))
    last_look = LastLook(_gap_folder(data_dir) / "sockets.json", read_boot_id())
    if not once:
        say(f"sending connections to {receiver.endpoint} every {interval:g} s; Ctrl-C ends it")
    folder = _gap_folder(data_dir)
    with (
        stopped_by_signal() as stop,
        FlowSender(receiver, described, once=once, gap_folder=folder) as sender,
        alive(receiver, described, SCOPE, folder / "sockets-beats.gaps"),
    ):
        report = collect_sockets(
            sender,
            lambda: [each for each in own.without(look_at_connections()) if loopback or not each.stays_here],
            last_look,
            interval_s=interval,
            once=once,
            stop=stop,
        )
    if as_json:
        print_json(asdict(report))
    else:
        typer.echo(f"{report.looks:,} looks, {report.sent:,} events sent, {report.dropped:,} lost")
    return WRONG if report.dropped else 0


@tenants.command("add")
def add(
    name: Annotated[str, typer.Argument(help="a-z, 0-9, '.', '_', '-'; at most 63 characters")],
    *,
    collector: Annotated[
        str | None,
        typer.Option("--collector", metavar="NAME", help="The one collector that gets this token; as in `collectors`"),
    ] = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a tenant, or another token for one, and print the token, which is kept nowhere.

    Whoever shows the token of a collector is that collector: where the registry `collectors` places it is observed.
    """
    from onshore_collectors.receiver.tenants import add_tenant

    data = data_folder(data_dir)
    data.path.mkdir(mode=0o700, parents=True, exist_ok=True)
    token = add_tenant(data.tenants, name, collector=collector)
    if as_json:
        print_json({"name": name, "token": token} | ({"collector": collector} if collector else {}))
        return
    typer.echo(token)
    say(f"this is the only time the token of {name} is shown; {data.tenants} holds its digest")
    say("senders show it as `authorization: Bearer TOKEN`, collectors of ours with --token-file")


@tenants.command("list")
def list_tenants(*, data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """Print the tenants and how many tokens each has."""
    from onshore_collectors.receiver.tenants import DEFAULT_TENANT, TenantRegistry

    path = data_folder(data_dir).tenants
    TenantRegistry(path)  # says what is wrong with a malformed file
    entries = json.loads(path.read_text(encoding="utf-8"))["tenants"] if path.exists() else []
    tokens = {entry["name"]: 0 for entry in entries}
    for entry in entries:
        tokens[entry["name"]] += 1
    if as_json:
        print_json([{"name": name, "tokens": count} for name, count in sorted(tokens.items())])
        return
    for name, count in sorted(tokens.items()):
        typer.echo(f"{name:<32} {count} token{'s' if count > 1 else ''}")
    if not tokens:
        say(f"no tenants; whoever sends without a token is the tenant {DEFAULT_TENANT!r}")
