"""Whose an organisation is, and the row that says so: for one name, when somebody asks.

`registries.entity_frame` says the same of every name at once and keeps no rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from onshore_pipeline.context.dated import ALWAYS, Dated, on_day, settled
from onshore_pipeline.context.declared import REGISTRIES
from onshore_pipeline.context.own import read_registry
from onshore_pipeline.context.registries import is_usable
from onshore_pipeline.context.shipped import reference_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date

    from onshore_pipeline.context.countries import Countries
    from onshore_pipeline.context.csv_table import Row

OWN, REFERENCE = "own/", "reference/"
_ENTITIES: Final = "entities"
# Files in which organisations stand beside something else, and their column with the country of the ultimate parent.
_BESIDE: Final = {
    "operators": "parent_country",
    "providers": "parent_country",
    "model_endpoints": "operator_parent_country",
    "service_hosts": "operator_parent_country",
}
SETS: Final = (_ENTITIES, *_BESIDE)
"""Stems of the files that say whose an organisation is."""


@dataclass(frozen=True, slots=True)
class Owner:
    """What a row says about an organisation.

    Attributes:
        file: as a context names it.
        row: of that file.
        registered: the country that it is registered in, None where the row does not say.
        controlled: the country of its ultimate parent, None where the row does not say.
    """

    file: str
    row: Row
    registered: str | None
    controlled: str | None


def owner(files: Mapping[str, bytes], name: str, day: date | None, countries: Countries) -> Owner | None:
    """What is said about an organisation; the user's entities say it alone, and of the rest the first that knows it.

    Args:
        files: texts of `SETS` by their names in a context, such as `own/entities.yaml`; what is missing says nothing.
        name: of an organisation or, as senders write it, of a cloud provider; compared without case.
        day: the user's rows count on it; None is an unknown day.
        countries: how countries are written.

    Raises:
        ContextError: a file cannot be read by this release.
    """
    asked = name.lower()
    for file in _files(files, _ENTITIES):
        known = [each for each in _dated(file, files[file], countries) if each.row.require("name").lower() == asked]
        if known:
            rows = [row for row in on_day(known, day) if is_usable(row)]
            return next((_owner(file, row, countries) for row in rows), None)
    beside = [
        (row, _owner(file, row, countries))
        for stem in _BESIDE
        for file in _files(files, stem)
        for row in on_day(_dated(file, files[file], countries), day)
        if is_usable(row)
    ]
    called = [each for row, each in beside if row.file.stem == "providers" and _says(row, asked, "provider")]
    runs = [each for row, each in beside if _says(row, asked, "operator")]
    # As when a context is made: a registered name counts only where it stands beside one country.
    registered = [each for row, each in beside if _says(row, asked, "as_org", "ultimate_parent")]
    if len({each.controlled for each in registered}) > 1:
        registered = []
    return next(iter((*called, *runs, *registered)), None)


def operators(files: Mapping[str, bytes], numbers: Iterable[str], day: date | None, countries: Countries) -> list[str]:
    """Who runs networks: `AS15169 Google (US)`, with the country of the ultimate parent; the user's rows before ours.

    Args:
        files: texts of `SETS` by their names in a context; of them the operators are read.
        numbers: of autonomous systems, decimal; each is told once, in this order.
        day: the user's rows count on it; None is an unknown day.
        countries: how countries are written.

    Raises:
        ContextError: a file cannot be read by this release.
    """
    known: dict[str, str] = {}
    for file in _files(files, "operators"):
        for row in on_day(_dated(file, files[file], countries), day):
            if is_usable(row):
                country = countries.of(row, _BESIDE["operators"]) or "owner unknown"
                known.setdefault(row.require("asn").strip(), f"{row.require('operator')} ({country})")
    return [f"AS{number} {known.get(number, '(of unknown operator)')}" for number in dict.fromkeys(numbers)]


def _owner(file: str, row: Row, countries: Countries) -> Owner:
    if Path(file).stem == _ENTITIES:
        return Owner(file, row, countries.of(row, "country"), countries.of(row, "control_country"))
    return Owner(file, row, None, countries.of(row, _BESIDE[Path(file).stem]))


def _says(row: Row, asked: str, *columns: str) -> bool:
    return any((row.get(column) or "").lower() == asked for column in columns)


def _files(files: Mapping[str, bytes], stem: str) -> list[str]:
    """The user's before what ships."""
    return sorted(name for name in files if Path(name).stem == stem)


def _dated(name: str, content: bytes, countries: Countries) -> Sequence[Dated]:
    """Rows of a file with the days they speak about."""
    file = Path(Path(name).name)
    if name.startswith(OWN):
        return settled(read_registry(file, content, countries), REGISTRIES[file.stem].key)
    rows = reference_table(file.name, content)
    return settled(rows, ("name",)) if file.stem == _ENTITIES else [Dated(row, *ALWAYS) for row in rows]
