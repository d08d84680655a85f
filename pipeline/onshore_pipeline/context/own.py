"""The user's registries: the files of the context directory, every cell checked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from onshore_pipeline.context.checks import check_row
from onshore_pipeline.context.csv_table import read_bytes, read_csv
from onshore_pipeline.context.declared import REGISTRIES
from onshore_pipeline.context.expected_sources import FILE_NAME as EXPECTED_SOURCES
from onshore_pipeline.context.expected_sources import read_register
from onshore_pipeline.context.retention import FILE_NAME as RETENTION
from onshore_pipeline.context.retention import read_retention
from onshore_pipeline.context.yaml_table import read_yaml
from onshore_pipeline.errors import ContextError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from onshore_pipeline.context.countries import Countries
    from onshore_pipeline.context.csv_table import Row, Table
    from onshore_pipeline.context.declared import Registry

_SUFFIXES: Final = frozenset({".csv", ".yaml", ".yml"})
# Registers of their own, which no event is located or judged by.
_OTHERS: Final = frozenset({EXPECTED_SOURCES, RETENTION})


def files_in(directory: Path | None) -> dict[Path, bytes]:
    """The registries in a user's directory, by path. Raises `ContextError`."""
    if directory is None:
        return {}
    if not directory.is_dir():
        raise ContextError(directory, None, "is no directory; ONSHORE_CONTEXT_DIR must name one")
    found = (file for file in sorted(directory.iterdir()) if file.suffix in _SUFFIXES and file.name not in _OTHERS)
    files = [file for file in found if file.is_file()]
    return {file: read_bytes(file) for file in files}


def registers_in(directory: Path | None, last: Mapping[str, bytes]) -> dict[str, bytes]:
    """The registers that no event is judged by, by file name; of one that cannot be used what was read `last`."""
    found: dict[str, bytes] = {}
    for name, read in ((EXPECTED_SOURCES, read_register), (RETENTION, read_retention)):
        if directory is None or not (file := directory / name).is_file():
            continue
        try:
            content = read_bytes(file)
            read(directory)
            found[name] = content
        except ContextError:
            found |= {name: last[name]} if name in last else {}
    return found


def read_own(files: Mapping[Path, bytes], countries: Countries) -> dict[str, Table]:
    """The user's registries by name, every cell checked.

    Raises:
        ContextError: some cannot be used; its place is the first one's, its text names each file.
    """
    tables: dict[str, Table] = {}
    problems: list[ContextError] = []
    for file, content in files.items():
        if file.stem in tables:
            other = tables[file.stem].file.name
            problems.append(ContextError(file, None, f"says the same as {other}: keep one of the two"))
            continue
        try:
            tables[file.stem] = read_registry(file, content, countries)
        except ContextError as error:
            problems.append(error)
    if problems:
        raise ContextError.of(problems)
    return tables


def read_registry(file: Path, content: bytes, countries: Countries) -> Table:
    """One of the user's registries, every cell checked. Raises `ContextError`."""
    registry = REGISTRIES.get(file.stem)
    if registry is None:
        known = ", ".join(f"{name}.csv" for name in sorted(REGISTRIES))
        raise ContextError(file, None, f"no registry has this name; known, as .csv or .yaml: {known}")
    if file.suffix == ".csv":
        table = read_csv(file, content, registry.required, registry.optional)
    else:
        table = read_yaml(file, content, (*registry.required, *registry.optional))
    for row in table:
        check_row(row, registry, countries)
    return replace(table, rows=tuple(_comparable(row, registry) for row in table))


def _comparable(row: Row, registry: Registry) -> Row:
    """A row whose numbers are spelled as every other row spells them: without zeros in front."""
    spelled = {field.name: row.get(field.name) for field in registry.fields if field.kind == "number"}
    plain = {name: number.lstrip("0") or number for name, number in spelled.items() if number}
    return replace(row, cells={**row.cells, **plain}) if plain else row
