"""`onshore context`: the registries that places and permissions are looked up in; only `history` asks the store."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onshore_pipeline.commands.context_history import context_history
from onshore_pipeline.commands.context_rows import counted, shipped_table, show_rows, unknown
from onshore_pipeline.commands.options import DataDirOption, JsonOption
from onshore_pipeline.errors import ContextError, OnshoreError
from onshore_pipeline.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from onshore_pipeline.context import Context

app = typer.Typer(help="Registries: what is known about the world.", no_args_is_help=True, add_completion=False)
app.command("history")(context_history)

_NameArgument = Annotated[str | None, typer.Argument(metavar="NAME", help="One registry, for example datasets")]
_KnownOption = Annotated[
    str | None, typer.Option("--known", metavar="TIME", help="As it was known then: 2026-11-01 or 2026-11-01T08:00:00Z")
]

_ShippedOption = Annotated[bool, typer.Option("--shipped", help="The rows that ship with Onshore, too")]


@app.command("validate")
def validate_context(
    path: Annotated[Path, typer.Argument(help="A folder of registries, or one file of it")],
    as_json: JsonOption = False,
) -> int:
    """Check registries; every problem is a line FILE:LINE on standard error. Exit 1 if there is one."""
    files = _existing(path)
    good, problems = _checked(files)
    for name, read in _registers(path).items():
        try:
            good[name] = read()
        except ContextError as error:
            problems.append(error)
    if as_json:
        listed = [{"file": str(each.file), "line": each.line, "why": each.why} for each in problems]
        typer.echo(json.dumps({"good": good, "problems": listed}))
    else:
        for problem in problems:
            typer.echo(str(problem), err=True)
        rows = ", ".join(f"{name} {counted(count, 'row')}" for name, count in good.items())
        typer.echo(f"good: {rows or 'nothing'}; {counted(len(problems), 'problem')}")
    return 1 if problems else 0


@app.command("show")
def show_context(
    name: _NameArgument = None,
    shipped: _ShippedOption = False,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
) -> None:
    """Say what the registries in force are made of; with NAME or --shipped, show the rows that are true today."""
    context = _loaded(data_dir)
    if name is not None or shipped:
        show_rows(context, name, _today(), shipped=shipped, as_json=as_json)
        return
    parts: list[dict[str, Any]] = [
        {"name": each.name, "version": each.version, "sha256": each.sha256, "rows": _rows_of(context, each.name)}
        for each in context.sources
    ]
    if as_json:
        typer.echo(json.dumps({"digest": context.digest, "sources": parts}))
        return
    for part in parts:
        rows = "" if part["rows"] is None else counted(part["rows"], "row")
        typer.echo(f"{part['name']:<34} {part['version']:<14} {part['sha256'][:16]}  {rows}".rstrip())
    if not context.own:
        typer.echo(
            "No registries of yours: set ONSHORE_CONTEXT_DIR to a folder; docs/registries.md says what may stand there."
            " `onshore context show NAME --shipped` shows rows that ship."
        )
    typer.echo(f"digest {context.digest}")


@app.command("as-of")
def context_as_of(
    day: Annotated[str, typer.Argument(metavar="DATE", help="The day of the events, for example 2026-03-31")],
    name: _NameArgument = None,
    known: _KnownOption = None,
    shipped: _ShippedOption = False,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
) -> None:
    """Show the rows of your registries that are true of a day, as they are known now or were known then."""
    context = _loaded(data_dir, _moment(known))
    show_rows(context, name, _day(day), shipped=shipped, as_json=as_json)


@app.command("schema")
def context_schema(name: _NameArgument = None) -> None:
    """Print the JSON Schema of the registries, or of one, for editors that check while you write."""
    from onshore_pipeline.context.json_schema import ALL, schema, schema_of

    if name is not None and name not in ALL:
        raise unknown(name, ALL)
    typer.echo(json.dumps(schema() if name is None else schema_of(ALL[name]), ensure_ascii=False, indent=2))


def _registers(path: Path) -> dict[str, Callable[[], int]]:
    """What reads each register that is there and that no event is judged by, and counts its rows."""
    from onshore_pipeline.context import expected_sources, retention

    folder = path if path.is_dir() else path.parent
    readers: dict[str, Callable[[], int]] = {
        expected_sources.FILE_NAME: lambda: len(expected_sources.read_register(folder).sources),
        retention.FILE_NAME: lambda: len(retention.read_retention(folder).rules),
    }
    return {name: read for name, read in readers.items() if (path / name).is_file() or path.name == name}


def _checked(files: Mapping[Path, bytes]) -> tuple[dict[str, int], list[ContextError]]:
    """Rows of each registry that can be used, and what is wrong, at most one problem a file; then of all together."""
    from onshore_pipeline.context.loading import assemble, read_geography
    from onshore_pipeline.context.own import read_registry
    from onshore_pipeline.context.shipped import shipped_countries

    countries = shipped_countries()
    good: dict[str, int] = {}
    problems: list[ContextError] = []
    for file, content in files.items():
        try:
            good[file.name] = len(read_registry(file, content, countries).rows)
        except ContextError as error:
            problems.append(error)
    if not problems:
        try:
            assemble(files, read_geography((), ()))
        except ContextError as error:
            problems.append(error)
    return good, problems


def _rows_of(context: Context, source: str) -> int | None:
    kind, _, file = source.partition("/")
    if kind == "reference":
        return len(shipped_table(context, source).rows)
    return len(context.own.get(Path(file).stem, ())) if kind == "own" else None


def _loaded(data_dir: Path | None, known_at: datetime | None = None) -> Context:
    from onshore_pipeline.assembly import read_context

    return read_context(load_settings({"data_dir": data_dir}), known_at)


def _existing(path: Path) -> dict[Path, bytes]:
    from onshore_pipeline.context.csv_table import read_bytes
    from onshore_pipeline.context.own import files_in

    if not path.exists():
        raise OnshoreError(f"{path} does not exist: name a folder of registries or a file of it")
    if path.is_dir():
        return files_in(path)
    return {} if _registers(path) else {path: read_bytes(path)}


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise OnshoreError(f"{text!r} is no day: write it as 2026-11-21") from None


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise OnshoreError(f"--known {text!r} is no time: write it as 2026-11-21 or 2026-11-21T08:00:00Z") from None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _today() -> date:
    return datetime.now(UTC).date()
