"""Dated lists of the controls, asked for one member at one time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onshore_pipeline.controls.lists import read_list
from onshore_pipeline.controls.load import PACKS
from same_result_places import NotWritten

if TYPE_CHECKING:
    from collections.abc import Callable

    Within = Callable[[str | None, int], bool]

ALWAYS = 1 << 63


def dated(name: str) -> dict[str, tuple[int, int]]:
    """A dated list: the time of membership by member."""
    members = read_list(PACKS / "lists" / f"{name}.csv").members
    times = {member: (period.start_ns or 0, period.end_ns or ALWAYS) for member, period in members}
    if len(times) < len(members):
        raise NotWritten(f"a member that joined @{name} twice")
    return times


def within(*members: str) -> Within:
    """Whether a place is one of these; `@name` stands for a dated list as it was then."""
    listed = {name: time for each in members if each.startswith("@") for name, time in dated(each[1:]).items()}
    fixed = {*members, *(name for name, time in listed.items() if time == (0, ALWAYS))}
    if all(time == (0, ALWAYS) for time in listed.values()):
        return lambda place, _: place in fixed

    def then(place: str | None, at: int) -> bool:
        first, end = listed.get(place or "", (ALWAYS, 0))
        return place in fixed or first <= at < end

    return then
