"""`onshore controls`: list, show, validate and test controls. Nothing here needs a running stack."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onshore_pipeline.commands.activate import activate_control, retire_control, withdraw_control
from onshore_pipeline.commands.backtest import backtest_control
from onshore_pipeline.commands.control_as_of import text_as_of, texts_in_force
from onshore_pipeline.commands.control_coverage import list_coverage
from onshore_pipeline.commands.control_runs import list_runs, show_history
from onshore_pipeline.commands.options import DataDirOption, JsonOption
from onshore_pipeline.domain.control import STATUSES
from onshore_pipeline.domain.verdict import Verdict
from onshore_pipeline.errors import OnshoreError
from onshore_pipeline.settings import load_settings

if TYPE_CHECKING:
    from onshore_pipeline.controls.examples import ExampleResult
    from onshore_pipeline.controls.load import ControlSet
    from onshore_pipeline.domain.control import Control

app = typer.Typer(help="Controls as data: what is judged, and why.", no_args_is_help=True, add_completion=False)

app.command("backtest")(backtest_control)
app.command("activate")(activate_control)
app.command("retire")(retire_control)
app.command("withdraw")(withdraw_control)
app.command("runs")(list_runs)
app.command("coverage")(list_coverage)
app.command("history")(show_history)

_LISTED = ("id", "version", "jurisdiction", "title", "kind", "severity", "status", "confidence", "instrument")
_PathArgument = Annotated[Path, typer.Argument(help="A control file, or a folder of them")]


@app.command("list")
def list_controls(
    as_json: JsonOption = False,
    jurisdiction: Annotated[
        str | None, typer.Option(help="Only those of this jurisdiction: AU, JP, ... or '*'")
    ] = None,
    counts: Annotated[bool, typer.Option("--counts", help="Only how many there are of each status")] = False,
    data_dir: DataDirOption = None,
) -> None:
    """List the controls in force, by id, and count them by status."""
    chosen = [
        control
        for control in _loaded(data_dir).controls
        if jurisdiction is None or control.jurisdiction == jurisdiction.upper()
    ]
    by_status = Counter(control.status for control in chosen)
    counted = {status: by_status[status] for status in STATUSES}
    if as_json:
        listed = [{name: getattr(control, name) for name in _LISTED} for control in chosen]
        typer.echo(json.dumps(counted if counts else listed))
        return
    for control in () if counts else chosen:
        marks = f"{control.kind:<9} {control.severity:<8} {control.status:<10}"
        typer.echo(f"{control.id:<16} v{control.version:<2} {control.jurisdiction:<2} {marks} {control.title}")
    typer.echo(", ".join(f"{number} {status}" for status, number in counted.items()))


@app.command("show")
def show_control(
    control_id: Annotated[str, typer.Argument(metavar="ID", help="For example AU-APP8-01")],
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", metavar="DATE", help="The text that judges events of this day (of its end), or time"),
    ] = None,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
) -> None:
    """Show one control: its file as it stands, or with --json its fields and the SQL made from it.

    Of several texts it is the one that judges the latest events, or with --as-of those of a day, as the files in force
    say; `onshore controls history --as-of` tells which text judged, also where a file was changed in place.
    """
    from onshore_pipeline.controls.suggestions import did_you_mean

    controls = _loaded(data_dir)
    control = controls.control(control_id)
    if control is None:
        known = [each.id for each in controls.controls]
        raise OnshoreError(f"no control has the id {control_id}{did_you_mean(control_id.upper(), known)}")
    told: dict[str, str] = {}
    if as_of is not None:
        compiled, told = text_as_of(texts_in_force(_folders(data_dir)), control_id, as_of)
        control = compiled.control
    if as_json:
        typer.echo(json.dumps({**_as_json(control, controls), **told}, default=str, ensure_ascii=False))
        return
    typer.echo(control.text.rstrip())
    for name, value in told.items():
        typer.echo(f"# {name.replace('_', ' ')}: {value}")
    typer.echo(f"# status: {control.status}\n# file: {control.file}\n# sha256: {control.digest}")


@app.command("validate")
def validate_controls(path: _PathArgument, as_json: JsonOption = False, data_dir: DataDirOption = None) -> int:
    """Check control files; every problem is a line FILE:LINE:COLUMN on standard error. Exit 2 if there is one."""
    from onshore_pipeline.controls.load import check_controls

    load_settings({"data_dir": data_dir})  # settings that nothing could start with are a mistake to name here, too
    controls, problems, _ = check_controls(_existing(path))
    if as_json:
        fields = ("line", "column", "why")
        listed = [{"file": str(each.file), **{name: getattr(each, name) for name in fields}} for each in problems]
        typer.echo(json.dumps({"good": [each.control.id for each in controls], "problems": listed}))
    else:
        for problem in problems:
            typer.echo(str(problem), err=True)
        typer.echo(f"{_counted(len(controls), 'control')} good, {_counted(len(problems), 'problem')}")
    return 2 if problems else 0


@app.command("test")
def run_controls_examples(
    path: Annotated[Path | None, typer.Argument(help="A file or folder; default: all in force")] = None,
    as_json: JsonOption = False,
    junit: Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML")] = None,
    data_dir: DataDirOption = None,
) -> int:
    """Run the examples that controls carry, a line each; exit 1 if one gets another verdict."""
    from onshore_pipeline.controls.examples import run_examples
    from onshore_pipeline.controls.junit import junit_xml
    from onshore_pipeline.controls.load import check_controls

    controls, problems, _ = check_controls(*(_folders(data_dir) if path is None else [_existing(path)]))
    results = [result for compiled in controls for result in run_examples(compiled)]
    if as_json:
        typer.echo(json.dumps([_result_json(result) for result in results], ensure_ascii=False))
    else:
        for result in results:
            typer.echo(_result_line(result))
    for problem in problems:
        typer.echo(str(problem), err=True)
    if junit is not None:
        _write(junit, junit_xml(results, problems))
    failed = sum(not result.passed for result in results)
    if not as_json:
        by_verdict = Counter(result.verdict for result in results)
        typer.echo(", ".join(f"{by_verdict[verdict]} {verdict.replace('_', ' ')}" for verdict in Verdict))
        typer.echo(f"{_counted(len(results), 'example')} of {_counted(len(controls), 'control')}: {failed} failed")
    return 2 if problems else 1 if failed else 0


@app.command("catalogue")
def write_catalogue(
    folder: Annotated[Path, typer.Argument(help="Where to write the pages, one a jurisdiction")],
    data_dir: DataDirOption = None,
) -> None:
    """Write every control in force in plain words, as Markdown pages."""
    from onshore_pipeline.controls.catalogue import catalogue_pages

    pages = catalogue_pages(_loaded(data_dir).controls)
    for name, page in pages.items():
        _write(folder / name, page)
    typer.echo(f"{_counted(len(pages), 'page')} in {folder}")


def _write(path: Path, written: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(written, encoding="utf-8")
    except OSError as error:
        raise OnshoreError(f"{path} cannot be written: {error.strerror}") from error


def _existing(path: Path) -> Path:
    if not path.exists():
        raise OnshoreError(f"{path} does not exist: name a control file or a folder of them")
    return path


def _folders(data_dir: Path | None) -> list[Path]:
    from onshore_pipeline.controls.load import PACKS

    own = load_settings({"data_dir": data_dir}).controls_dir
    return [PACKS] if own is None else [PACKS, own]


def _loaded(data_dir: Path | None) -> ControlSet:
    from onshore_pipeline.controls.load import load_controls

    return load_controls(*_folders(data_dir))


def _as_json(control: Control, controls: ControlSet) -> dict[str, Any]:
    texts = next((each for each in controls.executable if each.control == control), None)
    sql = None if texts is None else {"polars": texts.polars.verdict, "clickhouse": texts.clickhouse.verdict}
    return {**asdict(control), "sql": sql}


def _result_json(result: ExampleResult) -> dict[str, Any]:
    expected = {"verdict": result.example.verdict, "missing": result.example.missing}
    given = {"verdict": result.verdict, "missing": result.missing or None}
    name = {"control": result.control.id, "example": result.example.name}
    return {**name, "expected": expected, "given": given, "passed": result.passed}


def _result_line(result: ExampleResult) -> str:
    given = f"{result.verdict}, {result.missing} missing" if result.missing else f"{result.verdict}"
    if result.passed:
        return f"ok    {result.control.id}: {result.example.name}: {given}"
    expected = f"{result.example.verdict}" + (f", {result.example.missing} missing" if result.example.missing else "")
    return f"WRONG {result.control.id}: {result.example.name}: expected {expected}; got {given}"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
