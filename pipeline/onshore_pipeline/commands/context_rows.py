"""Rows of registries for people: the user's own, and what ships."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

import typer

from onshore_pipeline.errors import OnshoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import date

    from onshore_pipeline.context import Context
    from onshore_pipeline.context.csv_table import Row, Table

_REFERENCE: Final = "reference/"


def show_rows(context: Context, name: str | None, day: date, *, shipped: bool, as_json: bool) -> None:
    """Tell the rows that are true of a day, of one registry or of all. Raises `OnshoreError` for a name of none."""
    from onshore_pipeline.context.declared import REGISTRIES

    ships = {PurePosixPath(file).stem: file for file in _shipped_files(context)}
    known = {*REGISTRIES, *ships}
    if name is not None and name not in known:
        raise unknown(name, known)
    chosen = {
        each: [(row.row.file.name, row.row) for row in rows if row.first <= day <= row.last]
        for each, rows in sorted(context.own.items())
        if name in (None, each)
    }
    if shipped:
        for each in sorted(ships) if name is None else {name} & ships.keys():
            true = [(ships[each], row) for row in _true_of(day, shipped_table(context, ships[each]))]
            chosen[each] = [*true, *chosen.get(each, ())]  # as they are read: the user's stand behind what ships
    if as_json:
        told = {
            each: [{**_cells(row.cells), "file": file, "line": row.line} for file, row in rows]
            for each, rows in sorted(chosen.items())
        }
        typer.echo(json.dumps({"day": day.isoformat(), "registries": told}, ensure_ascii=False))
        return
    for each, rows in sorted(chosen.items()):
        typer.echo(f"{each}: {counted(len(rows), 'row')} true of {day}")
        for file, row in rows:
            cells = ", ".join(f"{column} {value}" for column, value in _cells(row.cells).items())
            typer.echo(f"  {file}:{row.line}: {cells}")
    if not chosen:
        typer.echo(_nothing(context, name, ships))


def shipped_table(context: Context, file: str) -> Table:
    """A file of the reference data, as `Context.sources` names it."""
    from onshore_pipeline.context.shipped import reference_table

    source = next(each for each in context.sources if each.name == file)
    content = context.contents.of(source)
    assert content is not None
    return reference_table(file.removeprefix(_REFERENCE), content)


def counted(number: int, what: str) -> str:
    """`1 row`, `2 rows`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def unknown(name: str, known: Iterable[str]) -> OnshoreError:
    """That no registry has this name, and which there are."""
    return OnshoreError(f"no registry has the name {name}; known: {', '.join(sorted(known))}")


def _shipped_files(context: Context) -> Iterator[str]:
    return (each.name for each in context.sources if each.name.startswith(_REFERENCE))


def _true_of(day: date, rows: Iterable[Row]) -> list[Row]:
    from onshore_pipeline.context.dated import on_day, settled

    return [row for row in rows if on_day(settled([row], ()), day)]


def _nothing(context: Context, name: str | None, ships: Mapping[str, str]) -> str:
    """What to do where there are no rows to show."""
    from onshore_pipeline.context.declared import REGISTRIES

    where = "docs/registries.md says what may stand in the folder ONSHORE_CONTEXT_DIR names."
    if name is None:
        return f"You have no registries: {where} --shipped shows what ships."
    if name not in ships:
        return f"You have no registry {name}: {where}"
    rows = f"{counted(len(shipped_table(context, ships[name]).rows), 'row')} of it ship with Onshore"
    if name not in REGISTRIES:
        return f"{name} is reference data: {rows}; --shipped shows them."
    return f"You have no registry {name}: {where} {rows}: --shipped shows them."


def _cells(cells: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value.strip(";").replace(";", " ") for name, value in cells.items() if value is not None}
