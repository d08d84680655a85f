"""`onshore collect KIND PATH...`: one command a kind of log file, and `file` for everything else."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Final

import typer

from onshore_collectors.command_line import (
    INTERRUPTED,
    POSITIONS_FOLDER,
    WRONG,
    CollectorOption,
    DataDirOption,
    FailpointOption,
    JsonOption,
    OtlpOption,
    TokenOption,
    describe,
    listening_receiver,
    print_json,
    say,
    stopped_by_signal,
)
from onshore_collectors.files.kinds import KINDS, FileKind, kind_of_format
from onshore_collectors.stack_address import data_folder
from onshore_pipeline.errors import BrokerUnavailable
from onshore_pipeline.failpoints import at_failpoint

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from onshore_collectors.files.reading import ReadingReport

_SHOWN_PROBLEMS: Final = 20
_ANY: Final = "file"

PathsArgument = Annotated[
    list[str], typer.Argument(metavar="PATH", help="Files, folders, patterns; packed or not; - for standard input")
]
RateOption = Annotated[float | None, typer.Option("--rate", min=0.1, metavar="N", help="Most records a second")]
AgainOption = Annotated[bool, typer.Option("--again", help="Send what earlier runs sent, too")]
FormatOption = Annotated[
    str, typer.Option("--format", metavar="FORMAT", help="What the records are, such as vpn.session or vendor.ticket")
]


def add_commands(collect: typer.Typer) -> None:
    """Add a command for every kind of file."""
    for kind in KINDS:
        collect.command(kind.name, help=_help(kind))(_command(kind))
    collect.command(_ANY)(any_file)


def _help(kind: FileKind) -> str:
    return (
        f"{kind.help}.\n\nFormats: {', '.join(kind.formats)}. Every record goes as it stands in the file, once"
        " however often this is run. Exit 1 when something in the files could not be read; it becomes a dead letter."
    )


def _command(kind: FileKind) -> Callable[..., int]:
    def command(
        paths: PathsArgument,
        *,
        rate: RateOption = None,
        again: AgainOption = False,
        otlp: OtlpOption = None,
        token_file: TokenOption = None,
        data_dir: DataDirOption = None,
        collector_id: CollectorOption = None,
        as_json: JsonOption = False,
        failpoint: FailpointOption = None,
    ) -> int:
        target = _Target(otlp, token_file, data_dir, collector_id, failpoint)
        return _collect(kind, paths, target, rate=rate, again=again, as_json=as_json)

    return command


def any_file(
    paths: PathsArgument,
    *,
    source_format: FormatOption,
    rate: RateOption = None,
    again: AgainOption = False,
    otlp: OtlpOption = None,
    token_file: TokenOption = None,
    data_dir: DataDirOption = None,
    collector_id: CollectorOption = None,
    as_json: JsonOption = False,
    failpoint: FailpointOption = None,
) -> int:
    """Send records of any format: JSON lines, a JSON list, a list in an object, or lines of text.

    Exit 1 when something in the files could not be read; it becomes a dead letter.
    """
    kind = kind_of_format(_ANY, source_format)
    target = _Target(otlp, token_file, data_dir, collector_id, failpoint)
    return _collect(kind, paths, target, rate=rate, again=again, as_json=as_json)


@dataclass(frozen=True, slots=True)
class _Target:
    """Where to send to, and as whom."""

    otlp: str | None
    token_file: Path | None
    data_dir: Path | None
    collector_id: str | None
    failpoint: str | None


def _collect(
    kind: FileKind, paths: list[str], target: _Target, *, rate: float | None, again: bool, as_json: bool
) -> int:
    from onshore_collectors.alive import alive
    from onshore_collectors.files.log_outbox import LogOutbox
    from onshore_collectors.files.positions import Positions
    from onshore_collectors.files.progress import show_progress
    from onshore_collectors.files.reading import FileReading
    from onshore_collectors.files.source_files import find_files

    at = at_failpoint(target.failpoint)
    found = find_files(paths, kind.suffixes)
    receiver = listening_receiver(target.otlp, target.token_file, target.data_dir)
    folder = data_folder(target.data_dir).path / POSITIONS_FOLDER
    described = describe(kind.name, target.collector_id, None)
    with (
        stopped_by_signal() as stop,
        Positions(folder, kind.name, receiver.name) as positions,
        alive(receiver, described, f"onshore.collectors.{kind.name}", folder / f"{kind.name}-beats.gaps"),
        show_progress(sys.stderr, found.size(), len(found.files)) as show,
    ):
        outbox = LogOutbox(
            receiver,
            described,
            scope=f"onshore.collectors.{kind.name}",
            positions=positions,
            stop=stop,
            rate=rate,
            at=at,
        )
        known = None if again else positions
        reading = FileReading(kind.read, outbox, known, stop=stop, show=show, read_parquet=kind.read_parquet)
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
    report = reading.report
    return WRONG if report.unreadable or report.unreadable_files or report.rejected else 0


def _tell(report: ReadingReport, ignored: int, *, as_json: bool) -> None:
    rate = report.sent / report.seconds if report.seconds else 0.0
    if as_json:
        print_json({**asdict(report), "files_ignored": ignored, "records_per_second": round(rate, 1)})
        return
    typer.echo(
        f"files    {report.files:,} looked at, {report.files_done_before:,} done before, {report.digests:,} digests,"
        f" {report.unreadable_files:,} unreadable" + (f", {ignored:,} other files left aside" if ignored else "")
    )
    unsent = f", {report.unsent:,} not acknowledged" if report.unsent else ""
    resent = f", {report.resent:,} finished for an earlier run" if report.resent else ""
    rejected = f", {report.rejected:,} rejected" if report.rejected else ""
    typer.echo(
        f"records  {report.sent:,} sent, {report.skipped:,} done before, {report.unreadable:,} unreadable{unsent}"
        f"{resent}{rejected}"
    )
    typer.echo(f"time     {report.seconds:.1f} s, {rate:,.0f} records/s")
    if report.stopped:
        say("stopped; the same command goes on from here")
    for problem in report.problems[:_SHOWN_PROBLEMS]:
        say(f"UNREADABLE {problem}")
    more = report.unreadable + report.unreadable_files - min(len(report.problems), _SHOWN_PROBLEMS)
    if more > 0:
        say(f"UNREADABLE and {more:,} more (--json lists up to a thousand)")
