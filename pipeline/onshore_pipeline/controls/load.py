"""Reading controls: one YAML file a control, folders of them a pack, dated lists beside them.

What is read here is judged everywhere, so nothing is guessed: an unknown field, a typo in a column or a missing example
is an error with file, line and column.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from onshore_pipeline.controls.compiled import Compiled, compile_conditions
from onshore_pipeline.controls.condition import Condition, Truth
from onshore_pipeline.controls.fields import CONTROL_FIELDS, read_fields
from onshore_pipeline.controls.language import parse_condition
from onshore_pipeline.controls.lists import DatedList, read_lists
from onshore_pipeline.controls.refusals import LanguageError
from onshore_pipeline.controls.yaml_source import Source
from onshore_pipeline.errors import ControlError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ruamel.yaml.nodes import Node

    from onshore_pipeline.domain.control import Control

PACKS: Final = Path(__file__).parent / "packs"
LISTS_FOLDER: Final = "lists"


@dataclass(frozen=True, slots=True)
class ControlSet:
    """The controls in force, compiled once.

    Attributes:
        controls: every control read, by id, also those that nothing executes.
        executable: the compiled ones that `judge` runs, by id.
        lists: the dated lists by name.
        digest: SHA-256 over ids, versions, status and file digests of controls and lists, hexadecimal.
    """

    controls: tuple[Control, ...]
    executable: tuple[Compiled, ...]
    lists: Mapping[str, DatedList]
    digest: str

    def control(self, control_id: str) -> Control | None:
        """The control of this id."""
        return next((control for control in self.controls if control.id == control_id), None)


def load_controls(*folders: Path) -> ControlSet:
    """Load the packs of these folders; of none, those that ship.

    Raises:
        ControlError: for the first control or list that cannot be used.
    """
    controls, problems, lists = check_controls(*(folders or (PACKS,)))
    if problems:
        raise problems[0]
    return control_set(controls, lists)


def check_controls(*paths: Path) -> tuple[tuple[Compiled, ...], tuple[ControlError, ...], Mapping[str, DatedList]]:
    """Read every control below these files and folders and return what is good, every problem, and the lists.

    Besides the lists in `FOLDER/lists`, conditions may use the ones that ship.
    """
    problems: list[ControlError] = []
    lists: dict[str, DatedList] = {}
    for path in dict.fromkeys((PACKS / LISTS_FOLDER, *(_lists_folder(path) for path in paths))):
        try:
            lists |= read_lists(sorted(path.glob("*.csv")))
        except ControlError as error:
            problems.append(error)
    found: dict[str, Compiled] = {}
    for file in _files(paths, problems):
        compiled, wrong = read_control(file, lists)
        problems.extend(wrong)
        if compiled is None:
            continue
        other = found.setdefault(compiled.control.id, compiled)
        if other is not compiled:
            why = f"{compiled.control.id} is the id of {other.control.file}, too"
            problems.append(ControlError(file, 1, why))
    return tuple(found[name] for name in sorted(found)), tuple(problems), lists


def control_set(
    compiled: Sequence[Compiled], lists: Mapping[str, DatedList], *, run_disabled: bool = False
) -> ControlSet:
    """A control set of these controls; `run_disabled` is for examples and backtests only."""
    runs = {"executable", "disabled"} if run_disabled else {"executable"}
    ordered = sorted(compiled, key=lambda each: each.control.id)
    controls = tuple(each.control for each in ordered)
    identity = {
        "controls": [[control.id, control.version, control.status, control.digest] for control in controls],
        "lists": [[name, lists[name].digest] for name in sorted(lists)],
    }
    digest = hashlib.sha256(json.dumps(identity, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()
    return ControlSet(controls, tuple(each for each in ordered if each.control.status in runs), lists, digest)


def read_control(path: Path, lists: Mapping[str, DatedList]) -> tuple[Compiled | None, tuple[ControlError, ...]]:
    """Read one control with all its problems; there is a control only if there are none."""
    try:
        raw = path.read_bytes()
        source = Source(path, raw)
        fields = source.fields(source.root, CONTROL_FIELDS, "a control")
        control = read_fields(source, fields, hashlib.sha256(raw).hexdigest())
        applies = _condition(source, fields.get("applies"), "applies", lists)
        violated = _condition(source, fields.get("violated"), "violated", lists)
    except OSError as error:
        return None, (ControlError(path, None, f"cannot be read: {error.strerror}"),)
    except ControlError as error:
        return None, (error,)
    if source.problems or control is None:
        return None, tuple(sorted(source.problems, key=lambda each: (each.line or 0, each.column or 0)))
    return compile_conditions(control, applies, violated), ()


def _condition(source: Source, node: Node | None, name: str, lists: Mapping[str, DatedList]) -> Condition:
    if node is None:
        return Truth(False)
    try:
        return parse_condition(source.text(node, name), lists)
    except LanguageError as error:
        source.problems.append(source.error(node, f"{name}: {error.why}", error.offset))
    except ControlError as error:
        source.problems.append(error)
    return Truth(False)


def _lists_folder(path: Path) -> Path:
    """Where the lists of a path lie; a single file uses those of the pack it is in."""
    if path.is_dir():
        return path / LISTS_FOLDER
    return next((parent / LISTS_FOLDER for parent in path.parents if (parent / LISTS_FOLDER).is_dir()), PACKS)


def _files(paths: Iterable[Path], problems: list[ControlError]) -> list[Path]:
    files: list[Path] = []
    for path in paths:
        below = (
            sorted(each for each in path.rglob("*") if each.suffix in {".yaml", ".yml"}) if path.is_dir() else [path]
        )
        if not below:
            problems.append(ControlError(path, None, "holds no control (*.yaml)"))
        files.extend(below)
    return list(dict.fromkeys(files))
