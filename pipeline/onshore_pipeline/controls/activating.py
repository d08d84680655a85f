"""Putting another text of a control into force: tried on a copy of the folder before anything is written."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from onshore_pipeline.controls.activations import FILE_NAME, WITHDRAWN, Activation, read_activations, standing, written
from onshore_pipeline.controls.examples import run_examples
from onshore_pipeline.controls.load import PACKS, check_controls, read_text
from onshore_pipeline.errors import ControlError, OnshoreError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from onshore_pipeline.controls.compiled import Compiled
    from onshore_pipeline.controls.lists import DatedList

# So that every worker has read the new text before it counts: they look at the folder every second.
SOONEST: Final = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Planned:
    """A decision that can be carried out.

    Attributes:
        activation: the line that will be added.
        folder: of the deployment's controls.
        text: the file that holds the text, to be copied; None where a control is taken out of force.
        file_name: what the copy is called.
        before: the version that judged until then, or judges on; None if there is none.
        withdrawn: the decision that is taken back, if that is the plan.
    """

    activation: Activation
    folder: Path
    text: Path | None
    file_name: str
    before: int | None
    withdrawn: Activation | None = None

    def carry_out(self) -> None:
        """Write text and decision; each file is there whole or not at all."""
        if self.text is not None:
            _replace(self.folder / self.file_name, self.text.read_bytes())
        file = self.folder / FILE_NAME
        _replace(file, written([*read_activations(file), self.activation]).encode())


def plan_activation(
    text: Path, folder: Path, who: str, reason: str, at: datetime, now: datetime, *, shipped: Path = PACKS
) -> Planned:
    """Activate the text in a file from `at` on, beside the controls of `folder` and those that are `shipped`.

    Raises:
        ControlError: the text, or the folder with it, cannot be used; file, line and column are named.
        OnshoreError: it is in force already, its version is taken, an example fails, or the time has passed.
    """
    deployed, lists = _deployed((shipped, folder))
    compiled = read_text(text, deployed, lists)
    control = compiled.control
    _refuse_unfit(compiled, text)
    present = [each for each in deployed if each.control.id == control.id]
    for each in present:
        if each.control.digest == control.digest:
            raise OnshoreError(f"{control.id}: this very text is in {each.control.file} already")
        if each.control.version == control.version:
            why = f"version {control.version} is that of {each.control.file}: verdicts name the version, raise it"
            raise OnshoreError(f"{control.id}: {why}")
    named = (each for each in read_activations(folder / FILE_NAME) if each.control_id == control.id)
    if {each.digest for each in named if each.version == control.version} - {control.digest, WITHDRAWN}:
        raise OnshoreError(f"{control.id}: version {control.version} was that of a text that was withdrawn: raise it")
    activation = Activation(control.id, control.version, control.digest, at, now, who, reason)
    name = f"{control.id}.v{control.version}.yaml"
    return _tried(Planned(activation, folder, text, name, _newest(present)), shipped, now)


def plan_retirement(
    control_id: str, folder: Path, who: str, reason: str, at: datetime, now: datetime, *, shipped: Path = PACKS
) -> Planned:
    """Take a control out of force from `at` on. Raises as `plan_activation`."""
    present = _texts((shipped, folder), control_id)
    if not present:
        raise OnshoreError(f"no control has the id {control_id}")
    activation = Activation(control_id, 0, "", at, now, who, reason)
    return _tried(Planned(activation, folder, None, "", _newest(present)), shipped, now)


def plan_withdrawal(
    control_id: str, folder: Path, who: str, reason: str, now: datetime, *, shipped: Path = PACKS
) -> Planned:
    """Take back the last decision about a control that stands, before it comes into force. Its text stays.

    Raises:
        ControlError: the folder cannot be used; file, line and column are named.
        OnshoreError: no decision stands, or the last one is in force or will be before every worker knows.
    """
    file = folder / FILE_NAME
    decided = [each for each in standing(read_activations(file)) if each.control_id == control_id]
    if not decided:
        raise OnshoreError(f"{control_id}: no decision about it stands in {file}")
    last = decided[-1]
    if last.effective_at < now + SOONEST:
        why = f"its last decision is in force from {last.effective_at:%Y-%m-%dT%H:%M:%SZ} on, and what judged stays so"
        raise OnshoreError(f"{control_id}: {why}: activate another text, or retire the control")
    judges = [each for each in _texts((shipped, folder), control_id) if each.control.digest != last.digest]
    before = _newest(judges) if len(decided) == 1 or decided[-2].digest else None
    activation = replace(last, digest=WITHDRAWN, recorded_at=now, who=who, reason=reason)
    return _tried(Planned(activation, folder, None, "", before, last), shipped, now)


def _refuse_unfit(compiled: Compiled, text: Path) -> None:
    control = compiled.control
    if control.status != "executable":
        raise OnshoreError(f"{control.id} is {control.status}: only what is executable can be put into force")
    failed = next((result for result in run_examples(compiled) if not result.passed), None)
    if failed is not None:
        why = f"the example {failed.example.name!r} gives {failed.verdict}, not {failed.example.verdict}"
        raise ControlError(text, None, why)


def _deployed(folders: tuple[Path, Path]) -> tuple[tuple[Compiled, ...], Mapping[str, DatedList]]:
    found, problems, lists = check_controls(*folders)
    if problems:
        raise ControlError.of(problems)
    return found, lists


def _texts(folders: tuple[Path, Path], control_id: str) -> list[Compiled]:
    return [each for each in _deployed(folders)[0] if each.control.id == control_id]


def _newest(present: list[Compiled]) -> int | None:
    return present[-1].control.version if present else None


def _tried(planned: Planned, shipped: Path, now: datetime) -> Planned:
    """The plan, once it has been carried out on a copy of the folder and that can be used."""
    activation = planned.activation
    if activation.effective_at < now + SOONEST:
        why = (
            f"it must lie at least {SOONEST.seconds} s ahead: what was judged is not judged by another text afterwards"
        )
        raise OnshoreError(f"--at {activation.effective_at:%Y-%m-%dT%H:%M:%SZ}: {why}")
    with tempfile.TemporaryDirectory(prefix="onshore-controls-") as scratch:
        copy = Path(shutil.copytree(planned.folder, Path(scratch) / planned.folder.name))
        replace(planned, folder=copy).carry_out()
        _, problems, _ = check_controls(shipped, copy)
    if problems:
        first = problems[0]
        raise ControlError(planned.folder / Path(first.file).name, first.line, first.why, first.column)
    return planned


def _replace(path: Path, content: bytes) -> None:
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
