"""What the commands of collectors share: options, where to send to, ending by a signal, and how things are told."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from onshore_collectors.stack_address import check_listening, find_receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onshore_collectors.stack_address import ReceiverAddress

WRONG, COULD_NOT, INTERRUPTED = 1, 2, 130
SERVICE: Final = "onshore-collector"

POSITIONS_FOLDER: Final = "collectors"

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
FailpointOption = Annotated[
    str | None,
    typer.Option("--failpoint", envvar="ONSHORE_FAILPOINT", hidden=True, help="For tests: POINT:kill or POINT:pause"),
]
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


def listening_receiver(otlp: str | None, token_file: Path | None, data_dir: Path | None) -> ReceiverAddress:
    """The receiver to send to. Raises like `find_receiver`, and `BrokerUnavailable` where nothing listens."""
    receiver = find_receiver(otlp, token_file, data_dir)
    check_listening(receiver.endpoint)
    return receiver


def describe(what: str, collector_id: str | None, more: list[str] | None) -> dict[str, str]:
    """Resource attributes of what a collector on this machine sends."""
    from onshore_collectors.machine import describe_machine

    machine = describe_machine(os.environ, more or ())
    return {
        "service.name": SERVICE,
        **machine,
        "onshore.collector.id": collector_id or machine.get("onshore.collector.id") or f"{socket.gethostname()}/{what}",
    }


@contextlib.contextmanager
def stopped_by_signal() -> Iterator[threading.Event]:
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


def say(line: str) -> None:
    """Tell the person who looks on: standard error."""
    typer.echo(line, err=True)


def print_json(value: object) -> None:
    """The report, on standard output."""
    typer.echo(json.dumps(value))
