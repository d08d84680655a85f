"""What differs between two versions of the registries: which files, and which rows of the user's own. Pure.

A row is told from another of its key by the day from which it is true and by when it became known. One that got an end,
or an earlier one, has ended; one that is no longer in the file was removed, which says nothing about the world.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from onshore_pipeline.context.declared import REGISTRIES
from onshore_pipeline.context.registers import REGISTERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from onshore_pipeline.context.csv_table import Row

OWN: Final = "own/"
_ENDS: Final = ("valid_to", "effective_to")
_BEGINS: Final = ("valid_from", "effective_from", "known_from")
_UNREAD: Final = ("note",)


@dataclass(frozen=True, slots=True)
class Part:
    """One file, or library, of a context.

    Attributes:
        name: as `Source.name` spells it: `own/people.yaml`, `reference/entities.csv` ...
        version: what it says about itself; '' for nothing.
        sha256: of its bytes, hex.
    """

    name: str
    version: str
    sha256: str


@dataclass(frozen=True, slots=True)
class PartChange:
    """A file that came (`before` is None), went (`after` is None), or is another one now."""

    name: str
    before: Part | None
    after: Part | None


@dataclass(frozen=True, slots=True)
class RowChanges:
    """What happened to the rows of one registry: the ids of those that were added, ended, changed and removed.

    An id is what the registry's key columns hold, apart by `/`, `*` standing for a blank.
    """

    registry: str
    added: tuple[str, ...] = ()
    ended: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Written:
    """When a file was written and whose it is, as the file system says; `by` is '' for a user without a name."""

    at: datetime
    by: str


def changed_parts(before: Iterable[Part], after: Iterable[Part]) -> tuple[PartChange, ...]:
    """The parts that are not the same in both, by name."""
    old, new = {part.name: part for part in before}, {part.name: part for part in after}
    return tuple(
        PartChange(name, old.get(name), new.get(name))
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    )


def registry_of(part: str) -> str | None:
    """The user's registry that a part holds; None for what ships and for geolocation data."""
    return Path(part).stem if part.startswith(OWN) else None


def changed_rows(registry: str, before: Iterable[Row], after: Iterable[Row]) -> RowChanges:
    """What happened to the rows of a registry; a registry that was not there had none. Notes count for nothing."""
    key = {**REGISTRIES, **REGISTERS}[registry].key
    old, new = _by_key(before, key), _by_key(after, key)
    found: dict[str, list[str]] = defaultdict(list)
    for each in sorted({*old, *new}):
        for what in _changes(old.get(each, []), new.get(each, [])):
            found[what].append(_id(each))
    return RowChanges(registry, **{what: tuple(ids) for what, ids in found.items()})


_Cells = dict[str, str]
_Key = tuple[str, ...]


def _by_key(rows: Iterable[Row], key: Sequence[str]) -> dict[_Key, list[_Cells]]:
    found: dict[_Key, list[_Cells]] = defaultdict(list)
    for row in rows:
        cells = {name: text for name, text in row.cells.items() if text is not None and name not in _UNREAD}
        found[tuple((row.get(column) or "").lower() for column in key)].append(cells)
    return found


def _changes(before: list[_Cells], after: list[_Cells]) -> list[str]:
    """What happened to the rows of one key, a word each."""
    left = [row for row in after if row not in before]
    gone = [row for row in before if row not in after]
    pairs: list[tuple[_Cells, _Cells]] = []
    for same in (_BEGINS, ("known_from",)):  # the row of the same beginning first
        for row in list(gone):
            match = next((new for new in left if all(new.get(name) == row.get(name) for name in same)), None)
            if match is not None:
                pairs.append((row, match))
                gone.remove(row)
                left.remove(match)
    said = ["ended" if _has_ended(old, new) else "changed" for old, new in pairs]
    return said + ["added"] * len(left) + ["removed"] * len(gone)


def _has_ended(before: Mapping[str, str], after: Mapping[str, str]) -> bool:
    """Whether nothing but the end is another one, and that is earlier."""
    rest = [{name: text for name, text in row.items() if name not in _ENDS} for row in (before, after)]
    old, new = ("".join(row.get(name, "") for name in _ENDS) for row in (before, after))
    return rest[0] == rest[1] and bool(new) and (not old or new < old)


def _id(key: _Key) -> str:
    return "/".join(part or "*" for part in key)
