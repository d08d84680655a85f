"""The clocks that findings of a control may start: each is a control of its own, of the status clock."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from onshore_pipeline.controls.suggestions import did_you_mean
from onshore_pipeline.errors import ControlError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from onshore_pipeline.domain.control import Control


def broken_links(
    controls: Iterable[Control], shipped: Callable[[str], Control | None]
) -> Iterator[tuple[Control, ControlError]]:
    """Each control that names under `clocks` what is no clock, with the place where it does.

    Args:
        controls: every control that was read.
        shipped: looks a control up among those that ship, for files that are read without them.
    """
    read = {control.id: control for control in controls}
    clocks = [name for name, control in read.items() if control.status == "clock"]
    for control in read.values():
        for name in control.clocks:
            named = read.get(name) or shipped(name)
            if named is None:
                yield control, _error(control, name, f"clocks: no control is named {name}{did_you_mean(name, clocks)}")
            elif named.status != "clock":
                yield control, _error(control, name, f"clocks: {name} is no clock, its status is {named.status}")


def _error(control: Control, name: str, why: str) -> ControlError:
    """At the first line behind `clocks:` that holds the name."""
    text = Path(control.file).read_text(encoding="utf-8")
    at = text.find(name, text.find("\nclocks:"))
    return ControlError(Path(control.file), text.count("\n", 0, at) + 1, why, at - text.rfind("\n", 0, at))
