"""Reading controls: one YAML file a control, folders of them a pack, dated lists beside them.

What is read here is judged everywhere, so nothing is guessed: an unknown field, a typo in a column or a missing example
is an error with file, line and column.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from onshore_pipeline.controls.activations import FILE_NAME as ACTIVATIONS
from onshore_pipeline.controls.activations import read_activations, spans
from onshore_pipeline.controls.aggregates import parse_window_condition
from onshore_pipeline.controls.clock_links import broken_links
from onshore_pipeline.controls.compiled import Compiled, Span, compile_conditions, within
from onshore_pipeline.controls.condition import Condition, Truth
from onshore_pipeline.controls.fields import CONTROL_FIELDS, read_fields
from onshore_pipeline.controls.files import read_file
from onshore_pipeline.controls.gates import Gates
from onshore_pipeline.controls.language import parse_condition
from onshore_pipeline.controls.lists import DatedList, read_lists
from onshore_pipeline.controls.refusals import LanguageError
from onshore_pipeline.controls.windowed import compile_windowed
from onshore_pipeline.controls.windowed_fields import WINDOWED_FIELDS, condition_nodes
from onshore_pipeline.controls.yaml_source import Source
from onshore_pipeline.errors import ControlError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ruamel.yaml.nodes import Node

    from onshore_pipeline.controls.activations import Activation
    from onshore_pipeline.controls.aggregates import WindowCondition
    from onshore_pipeline.controls.windowed import WindowedControl
    from onshore_pipeline.domain.control import Control

T = TypeVar("T")

PACKS: Final = Path(__file__).parent / "packs"
LISTS_FOLDER: Final = "lists"
_NEVER: Final = Truth(False)
# By path: the bytes that a control was read from, the names and digests of the lists beside it, and the control.
_good: dict[Path, tuple[tuple[bytes, frozenset[tuple[str, str]]], Compiled]] = {}


@dataclass(frozen=True, slots=True)
class ControlSet:
    """The controls in force, compiled once.

    Attributes:
        controls: every control read, by id, also those that nothing executes.
        executable: the compiled ones that `judge` runs, by id.
        lists: the dated lists by name.
        digest: SHA-256 over ids, versions, status, digests and spans of controls and digests of lists, hexadecimal.
        windowed: those that look at more than one event and are judged by a job, by id.
        gates: which of the executable ones a batch has any business with.
        stated: the text that `digest` is of.
    """

    controls: tuple[Control, ...]
    executable: tuple[Compiled, ...]
    lists: Mapping[str, DatedList]
    digest: str
    gates: Gates = field(repr=False, compare=False)
    windowed: tuple[WindowedControl, ...] = ()
    stated: str = field(default="", repr=False, compare=False)

    def control(self, control_id: str) -> Control | None:
        """The control of this id; of several texts the one that judges the latest events."""
        return next((control for control in reversed(self.controls) if control.id == control_id), None)


def load_controls(*folders: Path) -> ControlSet:
    """Load the packs of these folders; of none, those that ship.

    Raises:
        ControlError: controls or lists cannot be used; its place is the first one's, its text names each file.
    """
    controls, problems, lists = check_controls(*(folders or (PACKS,)))
    if problems:
        raise ControlError.of(problems)
    return control_set(controls, lists)


def shipped_ids() -> frozenset[str]:
    """Ids of the controls that ship, those that nothing executes too: files are named after what they hold."""
    return frozenset(file.stem for file in PACKS.glob("*/*.yaml"))


def check_controls(*paths: Path) -> tuple[tuple[Compiled, ...], tuple[ControlError, ...], Mapping[str, DatedList]]:
    """Read every control below these files and folders and return what is good, every problem, and the lists.

    Besides the lists in `FOLDER/lists`, conditions may use the ones that ship.
    """
    problems: list[ControlError] = []
    lists: dict[str, DatedList] = {}
    for path in dict.fromkeys((PACKS / LISTS_FOLDER, *(_lists_folder(path) for path in paths))):
        read, wrong_lists = read_lists(path)
        lists |= read
        problems += wrong_lists
    texts: dict[str, list[Compiled]] = {}
    for file in _files(paths, problems):
        compiled, wrong = read_control(file, lists)
        problems.extend(wrong)
        if compiled is not None:
            texts.setdefault(compiled.control.id, []).append(compiled)
    found = _in_their_time(paths, texts, problems)
    broken = set()
    for control, problem in broken_links([each.control for each in found], lambda name: _shipped(name, lists)):
        problems.append(problem)
        broken.add(control.id)
    return tuple(each for each in found if each.control.id not in broken), tuple(problems), lists


def read_text(path: Path, deployed: Sequence[Compiled], lists: Mapping[str, DatedList]) -> Compiled:
    """Read another text of a control as the deployment would, wherever its file lies.

    Args:
        path: the file; lists of the pack it is in are known, too, where the deployment has none of that name.
        deployed: the deployment's controls, whose clocks it may start.
        lists: the deployment's lists.

    Raises:
        ControlError: it cannot be used; file, line and column are named.
    """
    own, problems = read_lists(_lists_folder(path))
    known = own | dict(lists)
    compiled, wrong = read_control(path, known)
    problems += wrong
    if compiled is not None:
        by_id = {each.control.id: each.control for each in deployed}
        links = broken_links([compiled.control], lambda name: by_id.get(name) or _shipped(name, known))
        problems += [problem for _, problem in links]
    if problems or compiled is None:
        raise ControlError.of(problems)
    return compiled


def _in_their_time(
    paths: Iterable[Path], texts: Mapping[str, Sequence[Compiled]], problems: list[ControlError]
) -> list[Compiled]:
    """Every text with the span in which it judges, by id and time, as was decided in the folders."""
    decided: list[Activation] = []
    file = PACKS / ACTIVATIONS
    for folder in (path for path in paths if path.is_dir() and (path / ACTIVATIONS).exists()):
        file = folder / ACTIVATIONS
        try:
            decided += read_activations(file)
        except ControlError as error:
            problems.append(error)
    judged, wrong = spans(file, texts, decided)
    problems += wrong
    return [each if span == Span() else within(each, span) for each, span in judged]


def control_set(
    compiled: Sequence[Compiled], lists: Mapping[str, DatedList], *, run_disabled: bool = False
) -> ControlSet:
    """A control set of these controls; `run_disabled` is for examples and backtests only."""
    runs = {"executable", "disabled"} if run_disabled else {"executable"}
    ordered = sorted(compiled, key=lambda each: each.control.id)
    controls = tuple(each.control for each in ordered)
    identity: dict[str, list[list[object]]] = {
        "controls": [[control.id, control.version, control.status, control.digest] for control in controls],
        "lists": [[name, lists[name].digest] for name in sorted(lists)],
    }
    parted: list[list[object]] = [
        [each.control.id, each.control.digest, each.span.since_ns, each.span.until_ns]
        for each in ordered
        if each.span != Span()
    ]
    if parted:
        identity["spans"] = parted
    stated = json.dumps(identity, separators=(",", ":"), ensure_ascii=False)
    digest = hashlib.sha256(stated.encode()).hexdigest()
    running = [each for each in ordered if each.control.status in runs]
    executable = tuple(each for each in running if each.windowed is None)
    windowed = tuple(each.windowed for each in running if each.windowed is not None)
    return ControlSet(controls, executable, lists, digest, Gates(executable), windowed, stated)


def read_control(path: Path, lists: Mapping[str, DatedList]) -> tuple[Compiled | None, tuple[ControlError, ...]]:
    """Read one control with all its problems; there is a control only if there are none.

    What was read from the same text with the same lists is given again: a change of one file costs the others nothing.
    """
    try:
        raw = read_file(path)
    except ControlError as error:
        return None, (error,)
    known = (raw, frozenset((name, each.digest) for name, each in lists.items()))
    held = _good.get(path)
    if held is not None and held[0] == known:
        return held[1], ()
    compiled, wrong = _read(path, raw, lists)
    if compiled is not None:
        _good[path] = known, compiled
    return compiled, wrong


def _read(path: Path, raw: bytes, lists: Mapping[str, DatedList]) -> tuple[Compiled | None, tuple[ControlError, ...]]:
    try:
        source = Source(path, raw)
        fields = source.fields(source.root, CONTROL_FIELDS, "a control")
        control = read_fields(source, fields, hashlib.sha256(raw).hexdigest())
        control = replace(control, text=raw.decode()) if control is not None else None
        compiled = _compiled(source, fields, control, lists)
    except ControlError as error:
        return None, (error,)
    if source.problems or compiled is None:
        return None, tuple(sorted(source.problems, key=lambda each: (each.line or 0, each.column or 0)))
    return compiled, ()


def _compiled(
    source: Source, fields: Mapping[str, Node], control: Control | None, lists: Mapping[str, DatedList]
) -> Compiled | None:
    """The control with its conditions; all of them are looked at, whatever is wrong with the other fields."""
    everything = Truth(any(name in fields for name in WINDOWED_FIELDS))
    applies = _condition(source, fields.get("applies"), "applies", lists, everything)
    steps = [_condition(source, node, "a step", lists) for node in condition_nodes(fields)]
    if "window" not in fields:
        violated = _condition(source, fields.get("violated"), "violated", lists)
        if control is None or control.windowed is None:
            return None if control is None else compile_conditions(control, applies, violated)
        return compile_windowed(control, applies, steps, None)
    if control is None or control.windowed is None:
        return None
    return compile_windowed(
        control, applies, (), _window_condition(source, fields["violated"], control.windowed.key, lists)
    )


def _shipped(name: str, lists: Mapping[str, DatedList]) -> Control | None:
    """The control that ships under this id: files are named after what they hold."""
    file = next(PACKS.glob(f"*/{name}.yaml"), None)
    compiled = read_control(file, lists)[0] if file else None
    return compiled.control if compiled else None


def _condition(
    source: Source, node: Node | None, name: str, lists: Mapping[str, DatedList], otherwise: Condition = _NEVER
) -> Condition:
    return (
        otherwise if node is None else _parsed(source, node, name, lambda text: parse_condition(text, lists), otherwise)
    )


def _window_condition(
    source: Source, node: Node, key: tuple[str, ...], lists: Mapping[str, DatedList]
) -> WindowCondition | None:
    return _parsed(source, node, "violated", lambda text: parse_window_condition(text, key, lists), None)


def _parsed(source: Source, node: Node, name: str, parse: Callable[[str], T], otherwise: T) -> T:
    try:
        return parse(source.text(node, name))
    except LanguageError as error:
        source.problems.append(source.error(node, f"{name}: {error.why}", error.offset))
    except ControlError as error:
        source.problems.append(error)
    return otherwise


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
        if not below and not (path / ACTIVATIONS).is_file():
            problems.append(ControlError(path, None, "holds no control (*.yaml)"))
        files.extend(below)
    return list(dict.fromkeys(files))
