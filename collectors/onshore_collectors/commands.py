"""`onshore collect` and `onshore tenants`: what may be asked, and how the outcome is told."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from onshore_collectors.stack_address import check_listening, data_folder, endpoint_of, find_receiver
from onshore_pipeline.errors import BrokerUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onshore_collectors.reading import ReadingReport
    from onshore_collectors.stack_address import ReceiverAddress

WRONG, COULD_NOT, INTERRUPTED = 1, 2, 130
SERVICE: Final = "onshore-collector"

_SHOWN_PROBLEMS: Final = 20
_POSITIONS: Final = "collectors"

OtlpOption = Annotated[
    str | None, typer.Option("--otlp", metavar="URL", help="An OTLP/HTTP receiver; default: the running stack's")
]
TokenOption = Annotated[
    Path | None, typer.Option("--token-file", metavar="FILE", help="Holds the tenant's token (`onshore tenants add`)")
]
DataDirOption = Annotated[
    Path | None,
    typer.Option("--data-dir", metavar="DIR", help="Where `onshore up` keeps everything; default ./.onshore"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on standard output")]
OnceOption = Annotated[bool, typer.Option("--once", help="Look once, send it, and end")]
CollectorOption = Annotated[
    str | None, typer.Option("--collector-id", metavar="ID", help="This collector's name; default HOSTNAME/WHAT")
]
ResourceOption = Annotated[
    list[str] | None,
    typer.Option(
        "--resource",
        metavar="KEY=VALUE",
        help="A fact about this machine, such as onshore.source.facility=syd-1; may be given again",
    ),
]

app = typer.Typer(name="onshore", pretty_exceptions_enable=False, add_completion=False)
collect = typer.Typer(help="Collect from this machine (host, sockets) or from files (cloudtrail).")
tenants = typer.Typer(help="Tenants and their tokens.")
app.add_typer(collect, name="collect")
app.add_typer(tenants, name="tenants")


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
    from onshore_collectors.gpu import find_accelerators
    from onshore_collectors.host import HostMeters, collect_host

    receiver = _receiver(otlp, token_file, data_dir)
    described = _describe("host", collector_id, resource)
    accelerators = find_accelerators()
    meters = HostMeters(described, accelerators)
    if not once:
        _say(f"sending metrics to {receiver.endpoint} every {interval:g} s; Ctrl-C ends it")
    with contextlib.closing(meters), _stopped_by_signal() as stop:
        report = collect_host(receiver, meters, described, interval_s=interval, once=once, stop=stop)
    found = {
        "accelerators": [gpu.attributes() for gpu in accelerators.gpus],
        "accelerator_note": accelerators.explanation,
    }
    if as_json:
        _print_json({**asdict(report), **found})
    else:
        typer.echo(f"rounds        {report.sent:,} sent, {report.dropped:,} lost, {report.points:,} points measured")
        typer.echo(f"accelerators  {accelerators.explanation}")
    return WRONG if report.dropped else 0


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
    from onshore_collectors.connections import OwnTraffic, look_at_connections
    from onshore_collectors.sockets import FlowSender, LastLook, collect_sockets, read_boot_id

    receiver = _receiver(otlp, token_file, data_dir)
    described = _describe("sockets", collector_id, resource)
    own = OwnTraffic(os.getpid(), *endpoint_of(receiver.endpoint))
    last_look = LastLook(data_folder(data_dir).path / _POSITIONS / "sockets.json", read_boot_id())
    if not once:
        _say(f"sending connections to {receiver.endpoint} every {interval:g} s; Ctrl-C ends it")
    with _stopped_by_signal() as stop, FlowSender(receiver, described, once=once) as sender:
        report = collect_sockets(
            sender,
            lambda: [each for each in own.without(look_at_connections()) if loopback or not each.stays_here],
            last_look,
            interval_s=interval,
            once=once,
            stop=stop,
        )
    if as_json:
        _print_json(asdict(report))
    else:
        typer.echo(f"{report.looks:,} looks, {report.sent:,} events sent, {report.dropped:,} lost")
    return WRONG if report.dropped else 0


@collect.command("cloudtrail")
def cloudtrail(
    paths: Annotated[list[str], typer.Argument(metavar="PATH", help="Files, folders, patterns; .gz; - for stdin")],
    *,
    rate: Annotated[float | None, typer.Option(min=0.1, metavar="N", help="Most records a second")] = None,
    again: Annotated[bool, typer.Option("--again", help="Send what earlier runs sent, too")] = False,
    otlp: OtlpOption = None,
    token_file: TokenOption = None,
    data_dir: DataDirOption = None,
    collector_id: CollectorOption = None,
    as_json: JsonOption = False,
) -> int:
    """Send CloudTrail log files, every record as it stands in the file, each once however often this is run.

    Exit 1 when something in the files could not be read; the rest was sent.
    """
    from onshore_collectors.cloudtrail import FORMAT, SCOPE, read_records
    from onshore_collectors.log_outbox import LogOutbox
    from onshore_collectors.positions import Positions
    from onshore_collectors.progress import show_progress
    from onshore_collectors.reading import FileReading
    from onshore_collectors.source_files import find_files

    found = find_files(paths)
    receiver = _receiver(otlp, token_file, data_dir)
    folder = data_folder(data_dir).path / _POSITIONS
    described = _describe("cloudtrail", collector_id, None)
    with (
        _stopped_by_signal() as stop,
        Positions(folder, "cloudtrail", receiver.name) as positions,
        show_progress(sys.stderr, found.size(), len(found.files)) as show,
    ):
        outbox = LogOutbox(
            receiver, described, scope=SCOPE, encoding_format=FORMAT, positions=positions, stop=stop, rate=rate
        )
        reading = FileReading(read_records, outbox, None if again else positions, stop=stop, show=show)
        failure: BrokerUnavailable | None = None
        try:
            reading.run(found.files)
        except BrokerUnavailable as error:
            failure = error
    _tell(reading.report, found.ignored, as_json=as_json)
    if failure is not None:
        raise failure
    if reading.report.stopped:
        return INTERRUPTED
    return WRONG if reading.report.unreadable or reading.report.unreadable_files else 0


@tenants.command("add")
def add(
    name: Annotated[str, typer.Argument(help="a-z, 0-9, '.', '_', '-'; at most 63 characters")],
    *,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a tenant, or another token for one, and print the token, which is kept nowhere."""
    from onshore_collectors.receiver.tenants import add_tenant

    data = data_folder(data_dir)
    data.path.mkdir(mode=0o700, parents=True, exist_ok=True)
    token = add_tenant(data.tenants, name)
    if as_json:
        _print_json({"name": name, "token": token})
        return
    typer.echo(token)
    _say(f"this is the only time the token of {name} is shown; {data.tenants} holds its digest")
    _say("senders show it as `authorization: Bearer TOKEN`, collectors of ours with --token-file")


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
        _print_json([{"name": name, "tokens": count} for name, count in sorted(tokens.items())])
        return
    for name, count in sorted(tokens.items()):
        typer.echo(f"{name:<32} {count} token{'s' if count > 1 else ''}")
    if not tokens:
        _say(f"no tenants; whoever sends without a token is the tenant {DEFAULT_TENANT!r}")


def _receiver(otlp: str | None, token_file: Path | None, data_dir: Path | None) -> ReceiverAddress:
    receiver = find_receiver(otlp, token_file, data_dir)
    check_listening(receiver.endpoint)
    return receiver


def _describe(what: str, collector_id: str | None, more: list[str] | None) -> dict[str, str]:
    from onshore_collectors.machine import describe_machine

    machine = describe_machine(os.environ, more or ())
    return {
        "service.name": SERVICE,
        **machine,
        "onshore.collector.id": collector_id or machine.get("onshore.collector.id") or f"{socket.gethostname()}/{what}",
    }


@contextlib.contextmanager
def _stopped_by_signal() -> Iterator[threading.Event]:
    """Set by the first SIGINT or SIGTERM; the second one ends the process at once."""
    stop = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, _: object) -> None:
        stop.set()
        signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, ask)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _tell(report: ReadingReport, ignored: int, *, as_json: bool) -> None:
    rate = report.sent / report.seconds if report.seconds else 0.0
    if as_json:
        _print_json({**asdict(report), "files_ignored": ignored, "records_per_second": round(rate, 1)})
        return
    typer.echo(
        f"files    {report.files:,} looked at, {report.files_done_before:,} done before, {report.digests:,} digests,"
        f" {report.unreadable_files:,} unreadable" + (f", {ignored:,} other files left aside" if ignored else "")
    )
    unsent = f", {report.unsent:,} not acknowledged" if report.unsent else ""
    typer.echo(
        f"records  {report.sent:,} sent, {report.skipped:,} done before, {report.unreadable:,} unreadable{unsent}"
    )
    typer.echo(f"time     {report.seconds:.1f} s, {rate:,.0f} records/s")
    if report.stopped:
        _say("stopped; the same command goes on from here")
    for problem in report.problems[:_SHOWN_PROBLEMS]:
        _say(f"UNREADABLE {problem}")
    more = report.unreadable + report.unreadable_files - min(len(report.problems), _SHOWN_PROBLEMS)
    if more > 0:
        _say(f"UNREADABLE and {more:,} more (--json lists up to a thousand)")


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _print_json(value: object) -> None:
    typer.echo(json.dumps(value))
